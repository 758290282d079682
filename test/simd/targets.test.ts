/**
 * Every vector operator on AArch64 (in qemu-user) gives what it gives on x86-64, bit for bit, NaNs canonical, with the same fuel: the differential test against V8, which
 * runs on x86-64 only, so covers the NEON spelling of the helpers as well.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BuildOptions, openCompiler } from '../../compiler/index.js';
import { OPCODES } from '../../compiler/wasm/opcodes.js';
import { buildRuntime, CROSS_ARM64, CROSS_ARM64_TOOLS, missingTools, NATIVE, runAll, runArm64, sources, type Toolchain } from '../c/build.js';
import { random } from '../unit/module-bytes.js';
import { fill, immediatesOf, moduleOf, ROOM, SOURCES, type Trial } from './operators.js';

const TARGETS: readonly BuildOptions[] = [{}, { target: 'aarch64-unknown-linux-gnu' }, { target: 'aarch64-unknown-linux-gnu', optLevel: 0 }];
const TIMEOUT_MS = 120_000;
const SLOTS = 128;

async function buildRunner(directory: string, toolchain: Toolchain): Promise<string> {
  const folder = join(directory, toolchain.arch);
  mkdirSync(folder);
  const objects = await buildRuntime(folder, toolchain);
  const program = join(folder, 'run_export');
  await runAll([[toolchain.cc, '-std=gnu11', '-O1', join(sources, 'run_export.c'), ...objects, '-o', program, '-pthread', '-ldl', '-lm']]);
  return program;
}

const missing = missingTools(CROSS_ARM64_TOOLS);
if (missing) console.log(`vector operators on AArch64 are not tested: ${missing}`);

(missing ? test.skip : test)('vector operators give the same on AArch64 and on x86-64', async () => {
  const rnd = random(7);
  const ops = OPCODES.filter((op) => (op.feature === 'simd' || op.feature === 'relaxed-simd') && op.lower !== 'const');
  const trials: Trial[] = ops.flatMap((op) => immediatesOf(op, rnd).slice(0, 2).map((immediates, i) => ({ op, immediates, export: `${op.name}#${i}` })));
  const data = new Uint8Array(SOURCES.length * ROOM * 16);
  for (const base of SOURCES) for (let i = 0; i < SLOTS; i++) fill(rnd, new DataView(data.buffer), base + 16 * i);
  const bytes = moduleOf(trials, data);
  const calls = trials.map((trial) => `${trial.export} 1000000 ${SLOTS}\n`).join('');
  const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-simd-'));
  const compiler = await openCompiler({ workers: 2 });
  try {
    const runners = { x64: await buildRunner(directory, NATIVE), arm64: await buildRunner(directory, CROSS_ARM64) };
    const outputs: string[][] = [];
    for (const [i, options] of TARGETS.entries()) {
      const path = join(directory, `${i}.so`);
      writeFileSync(path, (await compiler.build(bytes, { ...options, nan: 'canonical' })).artifact);
      const { status, stderr, stdout } = options.target ? runArm64([runners.arm64, path], TIMEOUT_MS, {}, calls) : spawnSync(runners.x64, [path], { encoding: 'utf8', input: calls, timeout: TIMEOUT_MS });
      assert.is(status, 0, stderr);
      outputs.push(stdout.trimEnd().split(/\n(?=\S)/)); // a line for the call, indented ones for its outcome
    }
    assert.is(outputs[0].length, trials.length, outputs[0].slice(0, 3).join('\n'));
    for (const output of outputs.slice(1)) {
      const differ = output.flatMap((line, i) => (line === outputs[0][i] ? [] : [`${line} / ${outputs[0][i]}`]));
      assert.equal(differ, []);
    }
  } finally {
    await compiler.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
