/**
 * `npm run bench:compile`: what compiling costs. Ratios of CPU time, interleaved, of the levels on a program from npm; seconds of CPU time for functions far beyond any usual size, and just within the limits; what
 * `run` of a cached module and the opening of an artifact add to a process of Node's.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildResult, openCompiler } from '../../compiler/index.js';
import { load } from '../../loader/index.js';
import { makeShape, type Shape } from '../compile/shapes.js';

const ROUNDS = 3;
const CLI = fileURLToPath(new URL('../../compiler/cli.js', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-bench-'));
const compiler = await openCompiler({ workers: 1 });
const least = (numbers: readonly number[]): number => Math.min(...numbers);

/** CPU seconds in LLVM. */
const llvmSeconds = ({ stats }: BuildResult): number => (stats.profile?.partitions ?? []).reduce((sum, { cpu }) => sum + cpu.read + cpu.passes + cpu.emit, 0) / 1000;

/** The least CPU time of processes, in milliseconds of user and system time. */
function processTime(args: readonly string[], env: NodeJS.ProcessEnv): number {
  const run = spawnSync('/bin/sh', ['-c', '"$@" > /dev/null 2>&1; times', 'sh', process.execPath, ...args], { encoding: 'utf8', env: { ...process.env, ...env } });
  const children = run.stdout.trim().split('\n').at(-1) ?? '';
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000, 0);
}

async function levels(): Promise<void> {
  const bytes = readFileSync(createRequire(import.meta.url).resolve('sql.js/dist/sql-wasm.wasm'));
  const took: Record<number, number[]> = { 0: [], 1: [], 2: [] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const optLevel of [0, 1, 2] as const) took[optLevel].push(llvmSeconds(await compiler.build(bytes, { optLevel, profile: true })));
  }
  const base = least(took[2]);
  for (const level of [0, 1, 2]) console.log(`sql.js -O${level}: ${least(took[level]).toFixed(1)} CPU s in LLVM, ${(least(took[level]) / base).toFixed(2)} of -O2`);
}

async function largeFunctions(): Promise<void> {
  const cases: [Shape, number][] = [
    ['ifs', 2_400], ['ifs', 20_000], ['guarded', 2_400], ['guarded', 20_000], ['loads', 30_000], ['nested', 5_000], ['switch', 10_000], ['loops', 148], ['loops', 10_000], ['divisions', 20_000], ['merges', 190], ['merges', 450],
    ['merges', 2_000],
  ];
  for (const [shape, count] of cases) {
    const result = await compiler.build(makeShape(shape, count), { profile: true });
    console.log(`${shape} x ${count}: ${llvmSeconds(result).toFixed(1)} CPU s in LLVM, effort ${result.stats.profile?.partitions.find(({ functions }) => functions > 0)?.effort}`);
  }
}

async function starts(): Promise<void> {
  const wasm = join(scratch, 'f.wasm');
  writeFileSync(wasm, makeShape('ifs', 10));
  const env = { XDG_CACHE_HOME: scratch };
  const run = [CLI, 'run', '--invoke', 'f', wasm, '1'];
  processTime(run, env); // compiles
  const [node, warm]: number[][] = [[], []];
  for (let round = 0; round < 10; round++) {
    node.push(processTime(['-e', '0'], env));
    warm.push(processTime(run, env));
  }
  console.log(`run of a cached module: ${(least(warm) - least(node)).toFixed(0)} ms of CPU time beyond those of node -e 0 (${least(node).toFixed(0)} ms)`);

  const path = join(scratch, 'large.so');
  writeFileSync(path, (await compiler.build(makeShape('ifs', 14_000))).artifact);
  const bytes = readFileSync(path);
  const opened: number[] = [];
  for (let round = 0; round < 3; round++) {
    const copy = join(scratch, `large-${round}.so`);
    // Other contents, so that nothing is shared with what is loaded already.
    writeFileSync(copy, round === 0 ? bytes : (await compiler.build(makeShape('ifs', 14_000), { optLevel: 0, name: `m${round}.wasm` })).artifact);
    const began = performance.now();
    (load(copy).instantiate().exports.f as (x: number) => number)(1);
    opened.push(performance.now() - began);
  }
  console.log(`artifact of ${(bytes.length / 2 ** 20).toFixed(1)} MiB: ${least(opened.slice(1)).toFixed(2)} ms from load to the end of the first call (the first in the process: ${opened[0].toFixed(2)} ms)`);
}

try {
  await starts();
  await largeFunctions();
  await levels();
} finally {
  await compiler.close();
  rmSync(scratch, { recursive: true, force: true });
}
