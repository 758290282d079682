/** Builds the runtime and the C and C++ tests of this folder with gcc, the hand-made guest with clang-22, and runs them. Needs no Node addon. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NATIVE, PROGRAMS, buildPrograms, missingTools } from './build.js';

const TIMEOUT_MS = 120_000;
const missing = missingTools([['gcc', 'g++'], ['g++', 'g++'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']]);
let directory = '';
const at = (name: string) => join(directory, name);

if (missing) {
  console.log(`skipped: the C tests need ${missing}`);
} else {
  test.before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'wasm-aot-c-'));
    await buildPrograms(directory, NATIVE);
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  const runs: readonly { name: string; tickUs?: string }[] = [
    ...PROGRAMS.map((name) => ({ name })),
    // The shortest period: races with the checker that 1 ms would rarely meet.
    { name: 'threads_test', tickUs: '50' },
    { name: 'exception_test', tickUs: '50' },
  ];
  for (const { name, tickUs } of runs) {
    test(name.replace('_', ' ') + (tickUs ? `, ticked every ${tickUs} us` : ''), () => {
      const env = tickUs ? { ...process.env, WAOT_TEST_TICK_US: tickUs } : process.env;
      const { status, signal, stdout, stderr } = spawnSync(at(name), [at('guest.so')], { encoding: 'utf8', timeout: TIMEOUT_MS, env });
      assert.is(status, 0, `${name} ended with ${signal ?? status}\n${stdout}${stderr}`);
      assert.match(stdout, /^(ok .+\n)+$/);
    });
  }
}

test.run();
