/** Seeds for the fuzz targets. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runAll, sources } from '../build.js';

/** `verify`: files that claim to be artifacts (fuzz_verify.c). `link`: imports and segments (fuzz_link.c). */
export type FuzzTarget = 'verify' | 'link';

/** Builds fuzz_seeds.c on the runtime's objects and has it write small valid artifacts into `<directory>/seeds`; returns their paths, in order. */
export async function writeSeeds(directory: string, runtime: readonly string[], linkFlags: readonly string[] = []): Promise<string[]> {
  const [program, seeds] = [join(directory, 'fuzz_seeds'), join(directory, 'seeds')];
  await runAll([['gcc', '-std=gnu11', '-O1', join(sources, 'fuzz/fuzz_seeds.c'), ...runtime, ...linkFlags, '-o', program, '-pthread', '-ldl', '-lm']]);
  mkdirSync(seeds, { recursive: true });
  execFileSync(program, [seeds], { stdio: ['ignore', 'ignore', 'inherit'] });
  return readdirSync(seeds).sort().map((name) => join(seeds, name));
}
