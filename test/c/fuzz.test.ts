/** The fuzz targets of `fuzz/`, for a fixed number of rounds from a fixed start, under sanitizers. `fuzz/libfuzzer.ts` runs them for as long as one likes. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ASAN_OPTIONS, NATIVE, SANITIZED, buildRuntime, hasSanitizers, missingTools, runAll, sources } from './build.js';
import { type FuzzTarget, writeSeeds } from './fuzz/seeds.js';

const ROUNDS: Record<FuzzTarget, number> = { verify: 4000, link: 50_000 };
const TIMEOUT_MS = 120_000;
const missing = missingTools([['gcc', 'g++']]);
let directory = '';

if (missing || !hasSanitizers()) {
  console.log(`skipped: the fuzz tests need ${missing ?? "gcc's libasan and libubsan"}`);
} else {
  let runtime: string[] = [];
  test.before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-'));
    runtime = await buildRuntime(directory, SANITIZED);
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  for (const [target, rounds] of Object.entries(ROUNDS) as [FuzzTarget, number][]) {
    test(`${rounds} rounds of ${target}`, async () => {
      const program = join(directory, target);
      const files = ['fuzz_main', `fuzz_${target}`].map((name) => join(sources, 'fuzz', `${name}.c`));
      await runAll([[NATIVE.cc, '-std=gnu11', '-O1', '-g', '-Wall', '-Wextra', '-Werror', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', ...files, ...runtime, '-o', program, '-pthread', '-ldl', '-lm']]);
      const seeds = target === 'verify' ? await writeSeeds(directory, runtime, ['-fsanitize=address,undefined']) : [];
      const { status, signal, stdout, stderr } = spawnSync(program, [String(rounds), ...seeds], { encoding: 'utf8', timeout: TIMEOUT_MS, env: { ...process.env, ASAN_OPTIONS } });
      assert.is(status, 0, `${target} ended with ${signal ?? status}\n${stderr}`);
      assert.is(stdout, `ok ${rounds} rounds\n`);
    });
  }
}

test.run();
