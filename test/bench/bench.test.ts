/**
 * The benchmark works: two kernels and a program through all engines that are here, with equal results (which the harness itself checks), and results of the right shape. Of times nothing is said.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addUpObject } from './count-programs.js';
import type { Counts } from './counts.js';
import { FUEL_GLOBAL, INITIAL_FUEL, injectBlockMetering } from './inject.js';
import { allKernels } from './kernels.js';
import { findRegressions, type Results } from './report.js';
import { estimateFromSittings, estimateRatios, median, representative } from './statistics.js';
import { CLANG, compileWasm, findTool } from './toolchain.js';

const program = fileURLToPath(new URL('./run.js', import.meta.url));
const root = fileURLToPath(new URL('../../../', import.meta.url));

function withDirectory<T>(work: (dir: string) => T): T {
  const dir = mkdtempSync(join(tmpdir(), 'wasm-aot-bench-test-'));
  const done = () => rmSync(dir, { recursive: true, force: true });
  const result = work(dir);
  if (result instanceof Promise) return result.finally(done) as T;
  done();
  return result;
}

function bench(args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--quick', '--rounds', '2', ...args], { encoding: 'utf8', timeout: 450_000 });
  return { status, stdout, stderr };
}

const hasClang = await findTool(CLANG) !== undefined;
const hasCompiler = existsSync(join(root, 'build/Release/codegen.node'));

if (!hasClang || !hasCompiler) console.log(`skipped: running the benchmark needs ${hasClang ? 'build/Release/codegen.node' : CLANG}`);
else {
  test('two kernels and a program: the same results everywhere, tables, JSON, a chart; --check compares with earlier ones', () => withDirectory((dir) => {
    const [json, svg] = [join(dir, 'results.json'), join(dir, 'chart.svg')];
    const { status, stdout, stderr } = bench(['--only', 'fib,hashtable,argon2', '--json', json, '--svg', svg]);
    assert.is(status, 0, stderr);
    assert.match(stderr, /^engines: metered, unmetered, plain, sync, v8, v8-injected, native/m);
    assert.match(stderr, /^engines: metered, unmetered, plain, v8, v8-injected$/m);
    assert.match(stdout, /^\| kernel \| metered, ms \| metered\/unmetered \| metered\/plain \| metered\/v8 \| metered\/v8-injected \| metered\/native /);
    assert.match(stdout, /^\| fib \|.*\n\| hashtable \|.*\n\| \*\*geometric mean\*\* \|.*\n\n\| program \|.*\n.*\n\| argon2 \|.*\n\| \*\*geometric mean\*\* \|/m);
    const results = JSON.parse(readFileSync(json, 'utf8')) as Results;
    assert.equal([Object.keys(results.kernels), Object.keys(results.programs)], [['fib', 'hashtable'], ['argon2']]);
    for (const ratio of ['metered/unmetered', 'metered/plain', 'metered/v8', 'metered/v8-injected', 'metered/native']) {
      for (const values of [...Object.values(results.kernels), results.geomean]) assert.ok(values[ratio] > 0, ratio);
      const [a, b] = Object.values(results.kernels).map((values) => values[ratio]);
      assert.ok(Math.abs(results.geomean[ratio] - Math.sqrt(a * b)) < 0.001);
      assert.is(results.programsGeomean[ratio], results.programs.argon2[ratio]);
      assert.is(results.programs.argon2[ratio] > 0, ratio !== 'metered/native');
    }
    assert.ok(results.consumed.fib > 1_000_000 && results.consumed.argon2 > 1_000_000);
    assert.match(readFileSync(svg, 'utf8'), /^<svg [^>]*>[\s\S]*>hashtable<[\s\S]*>argon2<[\s\S]*<\/svg>\n$/);

    // Two quick rounds on a busy machine may measure anything, so they are compared with figures that no machine comes near. (That code made slow is noticed, the test of counts shows.)
    const check = (factor: number) => {
      const scale = ([low, high]: [number, number]): [number, number] => [low * factor, high * factor];
      const scaled = Object.fromEntries(Object.entries(results.intervals.kernels.fib).map(([ratio, bounds]) => [ratio, scale(bounds)]));
      writeFileSync(json, JSON.stringify({ ...results, intervals: { ...results.intervals, kernels: { fib: scaled } } }));
      return bench(['--only', 'fib', '--check', json]);
    };
    const [better, worse] = [check(1e-4), check(1e4)];
    assert.is(better.status, 1, better.stderr);
    assert.match(better.stdout, /^Worse than in [\s\S]*^ {2}fib: metered\/unmetered was [\d.e-]+–[\d.e-]+, is /m);
    assert.is(worse.status, 0, worse.stderr);
  }));

  if (!await findTool('valgrind')) console.log('skipped: counting instructions needs valgrind');
  else {
    test('instructions are counted, do not vary, and --check notices more of them', () => withDirectory((dir) => {
      const json = join(dir, 'counts.json');
      const counts = () => {
        const { status, stderr } = bench(['--counts', '--only', 'fib', '--json', json]);
        assert.is(status, 0, stderr);
        return JSON.parse(readFileSync(json, 'utf8')) as Counts;
      };
      const [first, second] = [counts(), counts()];
      assert.equal(first, second);
      assert.ok(first.instructions.fib.metered > 1_000_000);
      assert.is(first.kernels.fib['metered/unmetered'], Number((first.instructions.fib.metered / first.instructions.fib.unmetered).toFixed(4)));
      const checked = bench(['--counts', '--only', 'fib', '--handicap', 'fib', '--check', json]);
      assert.is(checked.status, 1, checked.stderr);
      assert.match(checked.stdout, /^ {2}fib: metered\/unmetered was [\d.]+, is [\d.]+ \(instructions\)$/m);
    }));
  }

  test('an unknown kernel is refused with the nearest name', () => {
    const { status, stderr } = bench(['--only', 'quickshort']);
    assert.is(status, 1);
    assert.match(stderr, /no kernel or program "quickshort"; did you mean "quicksort"/);
  });

  test('engines can be chosen; one that is not there is refused with the names of those that are', () => {
    const { status, stdout, stderr } = bench(['--only', 'fib,argon2', '--engines', 'metered,unmetered']);
    assert.is(status, 0, stderr);
    assert.equal(stderr.match(/^engines: .*/gm), ['engines: metered, unmetered', 'engines: metered, unmetered']);
    assert.equal(stdout.match(/^\| (kernel|program) .*/gm), ['| kernel | metered, ms | metered/unmetered |', '| program | metered, ms | metered/unmetered |']);
    const unknown = bench(['--only', 'fib', '--engines', 'metered,v9']);
    assert.is(unknown.status, 1);
    assert.match(unknown.stderr, /^there is no engine "v9" here; there are metered, unmetered, plain, /m);
    const ofKernelsOnly = bench(['--only', 'fib,argon2', '--engines', 'metered,native']);
    assert.is(ofKernelsOnly.status, 1);
    assert.match(ofKernelsOnly.stderr, /^there is no engine "native" here;/, 'before anything is timed');
    assert.match(bench(['--only', 'fib', '--engines', 'metered', '--counts']).stderr, /--engines is about times/);
  });

  test('injected metering stops an exhausted module', () => withDirectory(async (dir) => {
    const wasm = join(dir, 'fib.wasm');
    await compileWasm(allKernels().find(({ name }) => name === 'fib')?.source as string, wasm);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(injectBlockMetering(readFileSync(wasm)) as BufferSource));
    const fuel = exports[FUEL_GLOBAL] as WebAssembly.Global;
    const run = exports.run as (n: number) => number;
    run(1);
    const consumed = INITIAL_FUEL - fuel.value;
    fuel.value = consumed;
    run(1);
    assert.is(fuel.value, 0n);
    // Blocks without a check may overdraw; the next function or loop notices.
    fuel.value = consumed / 2n;
    assert.throws(() => run(1), WebAssembly.RuntimeError);
  }));
}

test('every kernel has a source and a size', () => assert.ok(allKernels().length >= 20));

test('a ratio stands for the low times, and its interval holds it', () => {
  assert.is(representative([4, 1, 3, 2, 5]), 2);
  const { each, mean } = estimateRatios([
    { numerator: [2, 2, 2, 9], denominator: [1, 1, 8, 1] }, { numerator: [8, 8, 8, 8], denominator: [1, 1, 1, 1] },
  ]);
  assert.equal(each.map(({ ratio }) => ratio), [2, 8]);
  assert.is(Math.round(mean.ratio * 1e6), 4e6);
  assert.ok(each[0].low <= 2 && each[0].high > 2);
  assert.equal([each[1].low, each[1].high], [8, 8]);
});

test('a program\'s ratio is the mean over sittings, with an interval that is wide for few', () => {
  assert.equal([[3, 1, 2], [4, 1, 3, 2]].map(median), [2, 2.5]);
  const { each, mean } = estimateFromSittings([
    { numerator: [2, 4, 8], denominator: [1, 1, 1] }, { numerator: [3, 3, 3], denominator: [3, 3, 3] },
  ]);
  assert.equal(each.map(({ ratio }) => Number(ratio.toFixed(6))), [4, 1]);
  // Logarithms of 2: 1, 2, 3; their deviation is 1, and t for two degrees of freedom 4.303.
  assert.ok(Math.abs(each[0].high - 4 * 2 ** (4.303 / Math.sqrt(3))) < 1e-3 && Math.abs(each[0].low * each[0].high - 16) < 1e-6);
  assert.equal([each[1].low, each[1].high], [1, 1]);
  assert.is(Number(mean.ratio.toFixed(6)), 2);
  assert.is(estimateFromSittings([{ numerator: [1], denominator: [1] }]).each[0].high, Number.POSITIVE_INFINITY);
});

test('of a profile, what an object itself executed is added up, not what its callees did', async () => {
  const profile = `positions: line\nevents: Ir\n\nob=(1) /lib/other.so\nfn=(1) outside\n0 7\ncob=(2) /some/program.so\ncfn=(2) inside\ncalls=1 0\n0 100\n+3 5\n
ob=(2)\nfn=(2)\n0 10\n+1 20\ncob=(1)\ncfn=(1)\ncalls=2 0\n* 1000\n-1 3\nob=(1)\n0 50\n`;
  const read = async (object: string) => addUpObject((async function* () { yield* profile.split('\n'); })(), object);
  assert.equal([await read('/some/program.so'), await read('/lib/other.so'), await read('/nowhere.so')], [33, 62, 0]);
});

test('a regression is a ratio whose interval lies above the earlier one', () => {
  const results = (low: number, high: number): Results => ({
    kernels: { fib: {} }, geomean: {}, programs: {}, programsGeomean: {}, milliseconds: {}, consumed: {}, rounds: 1,
    intervals: { kernels: { fib: { 'metered/v8': [low, high] } }, geomean: { 'metered/v8': [low, high] }, programs: {}, programsGeomean: {} },
  });
  assert.equal(findRegressions(results(1, 1.1), results(1.05, 1.3)), []);
  assert.equal(findRegressions(results(1, 1.1), results(1.12, 1.13)), ['geometric mean: metered/v8 was 1–1.1, is 1.12–1.13']);
  assert.is(findRegressions(results(1, 1.1), results(1.2, 1.3)).length, 2);
  assert.equal(findRegressions(results(1, 1.1), results(0.5, 0.6)), []);
});

test.run();
