/**
 * `npm run bench`: kernels in C and programs from npm, metered and not, against V8, native code and whatever else is installed, in one run.
 *
 *     npm run bench -- --svg chart.svg --json results.json
 *     npm run bench -- --only fib,gemm,sqlite --rounds 21     # `kernels` and `programs` are names too
 *     npm run bench -- --engines metered,unmetered --rounds 41   # one ratio, exactly
 *     npm run bench -- --check                                # against the committed results; fails when a ratio is worse beyond its interval
 *     npm run bench -- --counts                               # instructions instead of times, counted by valgrind
 *     WASMTIME_PYTHON=venv/bin/python npm run bench           # with wasmtime
 *
 * Progress goes to stderr, tables to stdout. Exit code 1: engines disagree, or something got worse.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import yargs from 'yargs';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import { drawChart } from './chart.js';
import { countAll, findGrowth, formatCounts, parseCounts } from './counts.js';
import { chooseEngines, closeEngines, openKernelEngines, openProgramEngines, PROGRAM_ENGINES } from './engines.js';
import { SOURCE_DIR } from './kernels.js';
import { type MeasureOptions, type Measurement, measureAll, measureSittings, prepareAll } from './measure.js';
import { findRegressions, formatMarkdown, parseResults, type Results, summarize } from './report.js';
import { CLANG, findTool } from './toolchain.js';
import { type Choice, chooseWorkloads, type Workload } from './workloads.js';

/** The results that `--check` without a file compares with: of times, and of counts. */
const BASELINE = join(SOURCE_DIR, 'baseline.json');
const COUNTS_BASELINE = join(SOURCE_DIR, 'baseline-counts.json');

function parseArguments(args: readonly string[]) {
  return yargs(args)
    .scriptName('npm run bench --')
    .usage('$0 [options]\n\nTimes the kernels of test/bench/kernels and programs from npm packages in all engines, interleaved, and prints ratios of CPU time.')
    .option('only', { type: 'string', describe: 'kernels and programs, separated by commas; "kernels" and "programs" are all of a kind' })
    .option('engines', { type: 'string', describe: 'time only these engines, separated by commas' })
    .option('rounds', { type: 'number', describe: 'rounds of measurement [9; 3 with --quick]' })
    .option('quick', { type: 'boolean', default: false, describe: 'smaller and fewer: to see whether everything works' })
    .option('counts', { type: 'boolean', default: false, describe: 'count instructions (needs valgrind) instead of timing' })
    .option('json', { type: 'string', describe: 'write the results to this file' })
    .option('svg', { type: 'string', describe: 'draw a chart into this file' })
    .option('check', { type: 'string', describe: 'fail when a ratio is worse than in this file (without a name: in the committed results)' })
    .option('handicap', { type: 'string', describe: 'make the metered code of these slow, to see that --check notices' })
    .option('keep', { type: 'string', describe: 'keep the compiled files in this directory' })
    .strict()
    .version(false)
    .exitProcess(true)
    .parseSync();
}
type Arguments = ReturnType<typeof parseArguments>;

/** A line on a terminal that the next one replaces; a plain line elsewhere, but not for each workload of each round. */
function showProgress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${message}`);
  else if (!/^round .*: /.test(message)) process.stderr.write(`${message}\n`);
}

/** Prepares and times some workloads in the engines of these names, or in all. Engines are started for them, and ended. */
async function measure(kind: keyof Choice, workloads: readonly Workload[], compiler: Compiler, names: readonly string[] | undefined, options: MeasureOptions): Promise<Measurement> {
  if (workloads.length === 0) return { times: new Map(), consumed: new Map() };
  const started = kind === 'kernels' ? await openKernelEngines(options.dir) : openProgramEngines({ names });
  try {
    const engines = chooseEngines(started, names);
    options.onProgress(`engines: ${engines.filter((engine) => engine.timed).map((engine) => engine.name).join(', ')}`);
    const prepared = await prepareAll(workloads, engines, compiler, options);
    if (kind === 'kernels') return await measureAll(workloads, engines, options);
    closeEngines(started);
    return await measureSittings(workloads, () => openProgramEngines({ timedOnly: true, names }), prepared, options);
  } finally {
    closeEngines(started);
  }
}

async function time({ kernels, programs }: Choice, args: Arguments, dir: string, rounds: number): Promise<Results> {
  const handicap = args.handicap?.split(',') ?? [];
  const effort = args.quick ? { calls: 1, warmUp: 1, pieces: 1, scale: 0.25 } : { calls: 2, warmUp: 2, pieces: 3, scale: 1 };
  const options: MeasureOptions = { rounds, ...effort, dir, handicap, onProgress: showProgress };
  const engines = args.engines?.split(',');
  if (programs.length > 0) chooseEngines(PROGRAM_ENGINES, engines); // before the kernels, whose times an error would lose
  const compiler = await openCompiler({ workers: 2 });
  try {
    const ofKernels = await measure('kernels', kernels, compiler, engines, options);
    const ofPrograms = await measure('programs', programs, compiler, engines, options);
    return summarize(ofKernels, ofPrograms, rounds);
  } finally {
    await compiler.close();
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

/** Says what became worse. @returns the exit code. */
function judge(file: string, worse: readonly string[]): number {
  console.log(worse.length === 0 ? `Nothing is worse than in ${file}.` : `Worse than in ${file}:\n${worse.map((line) => `  ${line}`).join('\n')}`);
  return worse.length === 0 ? 0 : 1;
}

async function runTimes(choice: Choice, args: Arguments, dir: string): Promise<number> {
  const rounds = args.rounds ?? (args.quick ? 3 : 9);
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds must be a whole number of at least 1, not ${args.rounds}`);
  const results = await time(choice, args, dir, rounds);
  console.log(formatMarkdown(results));
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(results, null, 1)}\n`);
  if (args.svg !== undefined) writeFileSync(args.svg, drawChart(results));
  const file = args.check || BASELINE;
  return args.check === undefined ? 0 : judge(file, findRegressions(parseResults(readFileSync(file, 'utf8'), file), results));
}

async function runCounts(choice: Choice, args: Arguments, dir: string): Promise<number> {
  const counts = await countAll(choice, dir, args.handicap?.split(',') ?? [], showProgress);
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  console.log(formatCounts(counts));
  if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(counts, null, 1)}\n`);
  const file = args.check || COUNTS_BASELINE;
  return args.check === undefined ? 0 : judge(file, findGrowth(parseCounts(readFileSync(file, 'utf8'), file), counts));
}

async function main(args: Arguments): Promise<number> {
  if (!await findTool(CLANG)) throw new Error(`the benchmark needs ${CLANG} and lld-22 (apt-get install ${CLANG} lld-22)`);
  if (args.counts && args.engines !== undefined) throw new RangeError('--engines is about times; instructions are counted of metered and unmetered code');
  const choice = chooseWorkloads(args.only?.split(','));
  if (args.handicap !== undefined) chooseWorkloads(args.handicap.split(','));
  const dir = args.keep ?? mkdtempSync(join(tmpdir(), 'wasm-aot-bench-'));
  mkdirSync(dir, { recursive: true });
  try {
    return args.counts ? await runCounts(choice, args, dir) : await runTimes(choice, args, dir);
  } finally {
    if (args.keep === undefined) rmSync(dir, { recursive: true, force: true });
  }
}

main(parseArguments(process.argv.slice(2))).then((code) => process.exit(code), (error: Error) => {
  console.error(error.message);
  process.exit(1);
});
