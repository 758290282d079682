/**
 * Fuzzes with libFuzzer, guided by coverage: `node dist/test/c/fuzz/libfuzzer.js verify|link [seconds] [corpus directory]`. Needs clang-22 and libclang-rt-22-dev.
 * Without a corpus directory what was found is forgotten; a crash leaves its input in the current directory, as libFuzzer does, and a non-zero exit code.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ASAN_OPTIONS, NATIVE, buildRuntime, runAll, runtimeSources, sources } from '../build.js';
import { type FuzzTarget, writeSeeds } from './seeds.js';

const DEFAULT_SECONDS = 60;
const LONGEST_INPUT: Record<FuzzTarget, number> = { verify: 1 << 18, link: 2000 };

async function fuzz(target: FuzzTarget, seconds: number, corpus: string | undefined): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-libfuzzer-'));
  try {
    const program = join(directory, 'fuzz');
    const files = readdirSync(runtimeSources).filter((name) => /\.[cS]$/.test(name) && !name.startsWith('addon')).map((name) => join(runtimeSources, name));
    // Host functions are called through void pointers, which -fsanitize=function of clang forbids.
    await runAll([['clang-22', '-std=gnu11', '-O1', '-g', '-fexceptions', '-ftls-model=initial-exec', '-fsanitize=fuzzer,address,undefined', '-fno-sanitize=function',
      join(sources, `fuzz/fuzz_${target}.c`), ...files, '-o', program, '-pthread', '-ldl', '-lm']]);
    const seeds = target === 'verify' ? await writeSeeds(directory, await buildRuntime(directory, NATIVE)) : [];
    const found = corpus ?? join(directory, 'corpus');
    mkdirSync(found, { recursive: true });
    const result = spawnSync(program, [`-max_total_time=${seconds}`, `-max_len=${LONGEST_INPUT[target]}`, '-print_final_stats=1', found, ...(seeds.length > 0 ? [join(directory, 'seeds')] : [])], {
      stdio: 'inherit', env: { ...process.env, ASAN_OPTIONS },
    });
    return result.status ?? 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const [target, seconds = String(DEFAULT_SECONDS), corpus] = process.argv.slice(2);
if ((target !== 'verify' && target !== 'link') || !/^\d+$/.test(seconds)) {
  console.error('usage: libfuzzer.js verify|link [seconds] [corpus directory]');
  process.exitCode = 64;
} else {
  process.exitCode = await fuzz(target, Number(seconds), corpus);
}
