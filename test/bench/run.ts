/**
 * `npm run bench`: our kernels, metered and not, against V8, native code and whatever else is installed, in one run.
 *
 *     npm run bench -- --svg chart.svg --json results.json
 *     npm run bench -- --only fib,gemm --rounds 21
 *     npm run bench -- --check                                # against the committed results; fails when a ratio is worse beyond its interval
 *     WASMTIME_PYTHON=venv/bin/python npm run bench           # with wasmtime
 *
 * Progress goes to stderr, the table to stdout. Exit code 1: engines disagree, or something got worse.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import yargs from 'yargs';
import { openCompiler } from '../../compiler/index.js';
import { drawChart } from './chart.js';
import { closeEngines, openEngines } from './engines.js';
import { allKernels, chooseKernels, type Kernel, SOURCE_DIR } from './kernels.js';
import { type MeasureOptions, measureAll, prepareAll } from './measure.js';
import { findRegressions, formatMarkdown, parseResults, type Results, summarize } from './report.js';
import { CLANG, findTool } from './toolchain.js';

/** The results that `--check` without a file compares with. */
const BASELINE = join(SOURCE_DIR, 'baseline.json');

function parseArguments(args: readonly string[]) {
  return yargs(args)
    .scriptName('npm run bench --')
    .usage('$0 [options]\n\nTimes the kernels of test/bench/kernels in all engines, interleaved, and prints ratios of CPU time.')
    .option('only', { type: 'string', describe: 'kernels, separated by commas' })
    .option('rounds', { type: 'number', describe: 'rounds of measurement [9; 3 with --quick]' })
    .option('quick', { type: 'boolean', default: false, describe: 'smaller and fewer: to see whether everything works' })
    .option('json', { type: 'string', describe: 'write the results to this file' })
    .option('svg', { type: 'string', describe: 'draw a chart into this file' })
    .option('check', { type: 'string', describe: 'fail when a ratio is worse than in this file (without a name: in the committed results)' })
    .option('keep', { type: 'string', describe: 'keep the compiled kernels in this directory' })
    .strict()
    .version(false)
    .exitProcess(true)
    .parseSync();
}
type Arguments = ReturnType<typeof parseArguments>;

/** A line on a terminal that the next one replaces; a plain line elsewhere, but not for each kernel of each round. */
function showProgress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${message}`);
  else if (!/^round .*: /.test(message)) process.stderr.write(`${message}\n`);
}

async function bench(kernels: readonly Kernel[], options: MeasureOptions): Promise<Results> {
  const compiler = await openCompiler({ workers: 2 });
  const engines = await openEngines(options.dir);
  try {
    options.onProgress(`engines: ${engines.filter((engine) => engine.timed).map((engine) => engine.name).join(', ')}`);
    await prepareAll(kernels, engines, compiler, options);
    await compiler.close();
    return summarize(await measureAll(kernels, engines, options), options.rounds);
  } finally {
    closeEngines(engines);
    await compiler.close();
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

/** Compares with earlier results. @returns whether nothing got worse. */
function check(file: string, results: Results): boolean {
  const worse = findRegressions(parseResults(readFileSync(file, 'utf8'), file), results);
  console.log(worse.length === 0 ? `Nothing is worse than in ${file}.` : `Worse than in ${file}:\n${worse.map((line) => `  ${line}`).join('\n')}`);
  return worse.length === 0;
}

async function main(args: Arguments): Promise<number> {
  if (!await findTool(CLANG)) throw new Error(`the benchmark needs ${CLANG} and lld-22 (apt-get install ${CLANG} lld-22)`);
  const rounds = args.rounds ?? (args.quick ? 3 : 9);
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds must be a whole number of at least 1, not ${args.rounds}`);
  const kernels = args.only === undefined ? allKernels() : chooseKernels(args.only.split(','));
  const dir = args.keep ?? mkdtempSync(join(tmpdir(), 'wasm-aot-bench-'));
  mkdirSync(dir, { recursive: true });
  try {
    const results = await bench(kernels, { rounds, calls: args.quick ? 1 : 2, scale: args.quick ? 0.25 : 1, dir, onProgress: showProgress });
    console.log(formatMarkdown(results));
    if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(results, null, 1)}\n`);
    if (args.svg !== undefined) writeFileSync(args.svg, drawChart(results));
    return args.check === undefined || check(args.check || BASELINE, results) ? 0 : 1;
  } finally {
    if (args.keep === undefined) rmSync(dir, { recursive: true, force: true });
  }
}

main(parseArguments(process.argv.slice(2))).then((code) => process.exit(code), (error: Error) => {
  console.error(error.message);
  process.exit(1);
});
