/**
 * Instructions instead of times, where times are noise: each kernel runs once, small, in a C program under valgrind's callgrind, which counts what the call of `run` executes; programs run in Node under it
 * (count-programs.ts). Counts do not vary from run to run, but an instruction is not a unit of time: what waits for memory, or for the instruction before it, takes longer than what does not.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openCompiler } from '../../compiler/index.js';
import { countProgram, PROGRAM_RATIOS } from './count-programs.js';
import { buildFor, type EngineName, type Files } from './engines.js';
import { SOURCE_DIR } from './kernels.js';
import type { ByRatio } from './report.js';
import { geomean } from './statistics.js';
import { CLANG, findTool, runTool } from './toolchain.js';
import type { Choice, Workload } from './workloads.js';

const VALGRIND = 'valgrind';
const root = fileURLToPath(new URL('../../../', import.meta.url));

/** The engines that run in a C program, and what count-driver.c calls them. */
const ENGINES: readonly (readonly [EngineName, 'ours' | 'native'])[] = [['metered', 'ours'], ['unmetered', 'ours'], ['plain', 'ours'], ['sync', 'ours'], ['native', 'native']];
const RATIOS = [['metered', 'unmetered'], ['metered', 'plain'], ['unmetered', 'plain'], ['sync', 'unmetered'], ['metered', 'native']] as const;

/** Ratios of instructions executed, as `--counts --json` writes them; `instructions` are those of one call, and of programs their start as well. */
export interface Counts {
  readonly kernels: Record<string, ByRatio<number>>;
  readonly geomean: ByRatio<number>;
  readonly programs: Record<string, ByRatio<number>>;
  readonly programsGeomean: ByRatio<number>;
  readonly instructions: Record<string, Record<string, number>>;
}

/** Builds the C program. */
async function buildDriver(dir: string): Promise<string> {
  const program = join(dir, 'count-driver');
  const release = join(root, 'build/Release');
  const flags = ['-O2', '-std=gnu17', '-Wall', '-Wextra', '-Werror', '-I', join(root, 'runtime-c/include')];
  await runTool(CLANG, [...flags, join(SOURCE_DIR, 'count-driver.c'), '-o', program, '-L', release, '-lwasm_aot', `-Wl,-rpath,${release}`, '-ldl']);
  return program;
}

/** Runs a kernel's file. Ticks are made rare, since the handler's instructions would be counted. */
async function count(program: string, kind: string, path: string, n: number): Promise<{ checksum: string; instructions: number }> {
  const out = `${path}.callgrind`;
  const args = ['--tool=callgrind', '--quiet', `--callgrind-out-file=${out}`, '--instr-atstart=no', '--collect-atstart=no', program, kind, path, String(n)];
  const { stdout } = await promisify(execFile)(VALGRIND, args, { env: { ...process.env, WASM_AOT_TICK_US: '1000000' } });
  const totals = /^totals: (\d+)$/m.exec(await readFile(out, 'latin1'));
  if (!totals) throw new Error(`${VALGRIND} counted nothing: ${args.join(' ')}`);
  return { checksum: stdout.trim(), instructions: Number(totals[1]) };
}

/** Counts one kernel in every engine, at a sixteenth of its size. @throws {Error} when results differ. */
async function countKernel(program: string, files: Omit<Files, 'wasm'>): Promise<Record<string, number>> {
  const { workload, dir } = files;
  const wasm = join(dir, `${workload.name}.wasm`);
  await workload.writeWasm(wasm);
  const n = Math.max(1, Math.round(workload.n / 16));
  const counted = await Promise.all(ENGINES.map(async ([name, kind]) => ({ name, ...await count(program, kind, await buildFor(name, { ...files, wasm }), n) })));
  for (const { name, checksum } of counted) if (checksum !== counted[0].checksum) throw new Error(`${workload.name}: run(${n}) is ${counted[0].checksum} in ${counted[0].name}, but ${checksum} in ${name}`);
  return Object.fromEntries(counted.map(({ name, instructions }) => [name, instructions]));
}

const round = (value: number) => Number(value.toFixed(4));

type Instructions = Record<string, Record<string, number>>;
type Ratio = readonly [top: string, bottom: string];

/** The ratios of some workloads, and their geometric means. */
function compare(instructions: Instructions, ratios: readonly Ratio[]): { each: Record<string, ByRatio<number>>; mean: ByRatio<number> } {
  const byName = (value: (ratio: Ratio) => number): ByRatio<number> => Object.fromEntries(ratios.map((ratio) => [ratio.join('/'), round(value(ratio))]));
  const all = Object.values(instructions);
  return {
    each: Object.fromEntries(Object.entries(instructions).map(([name, counts]) => [name, byName(([top, bottom]) => counts[top] / counts[bottom])])),
    mean: all.length === 0 ? {} : byName(([top, bottom]) => geomean(all.map((counts) => counts[top] / counts[bottom]))),
  };
}

/** Counts kernels and programs. @throws {Error} as above, and when valgrind is not installed. */
export async function countAll({ kernels, programs }: Choice, dir: string, handicap: readonly string[], onProgress: (message: string) => void): Promise<Counts> {
  if (!await findTool(VALGRIND)) throw new Error(`counting instructions needs ${VALGRIND} (apt-get install ${VALGRIND})`);
  const driver = kernels.length === 0 ? '' : await buildDriver(dir);
  const compiler = await openCompiler({ workers: 2 });
  const countEach = async (workloads: readonly Workload[], count: (files: Omit<Files, 'wasm'>) => Promise<Record<string, number>>): Promise<Instructions> => {
    const counted: Instructions = {};
    for (const [i, workload] of workloads.entries()) {
      onProgress(`counting ${workload.name} (${i + 1} of ${workloads.length})`);
      counted[workload.name] = await count({ workload, dir, compiler, handicap: handicap.includes(workload.name) });
    }
    return counted;
  };
  try {
    const [ofKernels, ofPrograms] = [await countEach(kernels, (files) => countKernel(driver, files)), await countEach(programs, countProgram)];
    const [one, other] = [compare(ofKernels, RATIOS), compare(ofPrograms, PROGRAM_RATIOS)];
    return { kernels: one.each, geomean: one.mean, programs: other.each, programsGeomean: other.mean, instructions: { ...ofKernels, ...ofPrograms } };
  } finally {
    await compiler.close();
  }
}

function formatTable(kind: string, each: Record<string, ByRatio<number>>, mean: ByRatio<number>, instructions: Instructions): string[] {
  if (Object.keys(each).length === 0) return [];
  const ratios = Object.keys(mean);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line([kind, 'metered, million instructions', ...ratios]),
    line(['---', '---:', ...ratios.map(() => '---:')]),
    ...Object.entries(each).map(([name, values]) => line([name, (instructions[name].metered / 1e6).toFixed(1), ...ratios.map((ratio) => values[ratio].toFixed(3))])),
    line(['**geometric mean**', '', ...ratios.map((ratio) => `**${mean[ratio].toFixed(3)}**`)]),
    '',
  ];
}

/** The tables. */
export function formatCounts({ kernels, geomean: mean, programs, programsGeomean, instructions }: Counts): string {
  return [...formatTable('kernel', kernels, mean, instructions), ...formatTable('program', programs, programsGeomean, instructions)].join('\n');
}

/** Counts do not vary, but change a little with everything in the code generator: growth below this is not reported. */
const LEAST_GROWTH = 1.01;

/** Ratios of `metered` that have grown since `before`. */
export function findGrowth(before: Counts, now: Counts): string[] {
  const known = { ...before.kernels, ...before.programs };
  return Object.entries({ ...now.kernels, ...now.programs }).flatMap(([name, byRatio]) => Object.entries(byRatio).flatMap(([ratio, value]) => {
    const old = known[name]?.[ratio];
    return old !== undefined && ratio.startsWith('metered/') && value > old * LEAST_GROWTH ? [`${name}: ${ratio} was ${old}, is ${value} (instructions)`] : [];
  }));
}

/** Reads what `--counts --json` wrote. @throws {Error} when it is something else. */
export function parseCounts(json: string, file: string): Counts {
  const { kernels, geomean, programs = {}, programsGeomean = {}, instructions } = JSON.parse(json) as Partial<Counts>;
  if (!kernels || !geomean || !instructions) throw new Error(`${file} does not hold counts of instructions`);
  return { kernels, geomean, programs, programsGeomean, instructions };
}
