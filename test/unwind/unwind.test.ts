/**
 * The unwinding test (run.ts) in short, for every run of the tests: compiled code, the trampolines and ticks in it single-stepped, some of the mutations, gdb over some hundred steps; and what perf
 * needs of an artifact and of its mapping.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildPrograms, missingTools, NATIVE } from '../c/build.js';
import { buildSteppables } from './artifacts.js';
import { mutateTrampolines } from './mutate.js';
import { isGood, recordByPerf, whyNoPerf } from './perf.js';
import { hasLibunwind, linkWithLibunwind } from './programs.js';

const TIMEOUT_MS = 120_000;
/** Every so many rules of the trampolines' tables are removed. */
const STRIDE = 9;
/** Ticks for each function. */
const ROUNDS = '4';
const missing = process.arch === 'x64' ? missingTools([['gcc', 'g++'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']]) : 'an x86-64 machine';
let directory = '';
const at = (name: string) => join(directory, name);

/** Runs a program to its end, which must be good. Returns what it wrote. */
function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: TIMEOUT_MS, env: { ...process.env, ...env } });
  assert.is(status, 0, `${command} ended with ${signal ?? status}\n${stdout}${stderr}`);
  return stdout;
}

if (missing) {
  console.log(`skipped: the unwinding tests need ${missing}`);
} else {
  test.before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'wasm-aot-unwind-'));
    await buildPrograms(directory, NATIVE, ['unwind_test', 'unwind_artifact_test']);
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  test('tail calls, vector loops, builtins and traps of compiled code, ticks at any instruction', async () => {
    const steppables = await buildSteppables(directory, [0, 2, 3]);
    const program = hasLibunwind() ? await linkWithLibunwind(directory, 'unwind_artifact_test') : 'unwind_artifact_test';
    for (const { name, path, calls } of steppables) {
      const output = run(at(program), [path, ROUNDS, ...calls]);
      const [, steps, libunwind] = (/ok (\d+) instructions unwound by libgcc, (\d+) by libunwind/.exec(output) ?? []).map(Number);
      assert.ok(steps > 1000, `${name}: ${output}`);
      if (hasLibunwind()) assert.is(libunwind, steps, `${name}: ${output}`);
    }
    // What perf, gdb and others go by: functions by their names, with sizes, and a table of the unwind rules that is found without section headers.
    const [{ path }] = steppables;
    const symbols = execFileSync('readelf', ['-sW', path], { encoding: 'utf8' });
    for (const name of ['rotate', 'through_table']) assert.match(symbols, new RegExp(`: [0-9a-f]{16} +[1-9]\\d* FUNC .* ${name}\n`), symbols);
    assert.match(execFileSync('readelf', ['-lW', path], { encoding: 'utf8' }), /GNU_EH_FRAME/);
  });

  test('rules of the trampolines are missed when they are removed', async () => {
    const { tried, noticed, wrong } = await mutateTrampolines(directory, STRIDE);
    assert.equal(wrong, []);
    assert.ok(tried > 30 && noticed > tried / 2, `${noticed} of ${tried}`);
  });

  if (missingTools([['gdb', 'gdb']])) console.log('skipped: gdb (Debian package gdb)');
  else {
    test('gdb', () => {
      const script = fileURLToPath(new URL('../../../test/unwind/step.py', import.meta.url));
      const output = run('gdb', ['-q', '-batch', '-nx', '-x', script, '--args', at('unwind_test'), at('guest.so'), 'for a debugger'], { WAOT_TEST_GDB_STEPS: '400' });
      const [, steps, failures] = (/gdb: (\d+) steps, (\d+) failures/.exec(output) ?? []).map(Number);
      assert.ok(steps >= 400 && failures === 0, output.slice(-2000));
    });
  }

  const whyNot = whyNoPerf();
  if (whyNot) console.log(`skipped: ${whyNot}`);
  else {
    test('perf record --call-graph dwarf names the wasm functions of a Node process, and finds its way out of wasm', async () => {
      const samples = await recordByPerf(directory);
      assert.ok(isGood(samples), `${samples.whole} of ${samples.inWasm} samples: ${samples.text.slice(-2000)}`);
    });
  }

  test('an artifact is mapped from its file, text and all', async () => {
    // perf takes symbols and unwind rules from the file that a mapping names: text that was copied, or whose file is gone, has neither.
    const script = `const { load } = await import(${JSON.stringify(new URL('../../loader/index.js', import.meta.url).href)}); const path = process.argv[1]; load(path).instantiate({ '': { zero: () => 0n } });
      const { readFileSync } = await import('node:fs'); console.log(readFileSync('/proc/self/maps', 'utf8').split('\\n').filter((line) => line.endsWith(path) && line.includes('r-xp')).length)`;
    const path = at('varied-O2.so');
    assert.ok(readFileSync(path).length > 0);
    assert.is(run(process.execPath, ['--input-type=module', '-e', script, path]).trim(), '1');
  });
}

test.run();
