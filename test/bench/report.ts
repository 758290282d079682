/** What the benchmark says: ratios as JSON and as tables in Markdown, and whether they have become worse. */
import type { EngineName } from './engines.js';
import { countSittings, type Measurement, type Times } from './measure.js';
import { type Estimate, estimateFromSittings, estimateRatios, median, representative } from './statistics.js';

/** The ratios, in the order of the table: time of the first over time of the second, so below 1 the first is faster. Those whose engines are not there are left out. */
const RATIOS: readonly (readonly [EngineName, EngineName])[] = [
  ['metered', 'unmetered'], ['metered', 'plain'], ['metered', 'v8'], ['metered', 'v8-injected'], ['metered', 'native'], ['metered', 'wasmtime-fuel'], ['metered', 'wasmtime-epochs'],
  ['metered', 'wasmtime'], ['metered', 'wasm2c'], ['sync', 'unmetered'], ['unmetered', 'native'], ['native', 'v8'],
];

/** Values by ratio, as `metered/v8`. */
export type ByRatio<T> = Record<string, T>;
/** Ratios of each kernel and each program, and the geometric means over either. */
export interface Ratios<T> {
  readonly kernels: Record<string, ByRatio<T>>;
  readonly geomean: ByRatio<T>;
  readonly programs: Record<string, ByRatio<T>>;
  readonly programsGeomean: ByRatio<T>;
}
/** The results, as `--json` writes them. */
export interface Results extends Ratios<number> {
  /** 95 % intervals, [low, high], of the same. */
  readonly intervals: Ratios<[number, number]>;
  /** CPU time of one call in each engine, in milliseconds, of kernels and programs. */
  readonly milliseconds: Record<string, Partial<Record<EngineName, number>>>;
  /** Fuel of one call. */
  readonly consumed: Record<string, number>;
  readonly rounds: number;
}

const round = (value: number, digits = 4) => Number(value.toFixed(digits));
const bounds = ({ low, high }: Estimate): [number, number] => [round(low), round(high)];

/** The ratios of some workloads, each and the mean. */
function estimate(times: Times, estimateAll: typeof estimateRatios): { each: Record<string, ByRatio<Estimate>>; mean: ByRatio<Estimate> } {
  const names = [...times.keys()];
  const each: Record<string, ByRatio<Estimate>> = Object.fromEntries(names.map((name) => [name, {}]));
  const mean: ByRatio<Estimate> = {};
  for (const [top, bottom] of RATIOS) {
    const pairs = [...times.values()].map((byEngine) => ({ numerator: byEngine.get(top) ?? [], denominator: byEngine.get(bottom) ?? [] }));
    if (pairs.length === 0 || pairs.some(({ numerator, denominator }) => numerator.length === 0 || denominator.length === 0)) continue;
    const estimates = estimateAll(pairs);
    estimates.each.forEach((value, i) => { each[names[i]][`${top}/${bottom}`] = value; });
    mean[`${top}/${bottom}`] = estimates.mean;
  }
  return { each, mean };
}

const mapRatios = <T, U>(ratios: ByRatio<T>, change: (value: T) => U): ByRatio<U> => Object.fromEntries(Object.entries(ratios).map(([ratio, value]) => [ratio, change(value)]));
const mapEach = <T, U>(each: Record<string, ByRatio<T>>, change: (value: T) => U) => Object.fromEntries(Object.entries(each).map(([name, ratios]) => [name, mapRatios(ratios, change)]));

/** Works out the ratios. */
export function summarize(kernels: Measurement, programs: Measurement, rounds: number): Results {
  const [ofKernels, ofPrograms] = [estimate(kernels.times, estimateRatios), estimate(programs.times, estimateFromSittings)];
  const collect = <T>(change: (value: Estimate) => T): Ratios<T> => ({
    kernels: mapEach(ofKernels.each, change), geomean: mapRatios(ofKernels.mean, change), programs: mapEach(ofPrograms.each, change), programsGeomean: mapRatios(ofPrograms.mean, change),
  });
  const milliseconds = ({ times }: Measurement, middle: (list: readonly number[]) => number) =>
    [...times].map(([name, byEngine]) => [name, Object.fromEntries([...byEngine].map(([engine, list]) => [engine, round(middle(list) / 1e6, 3)]))]);
  return {
    ...collect(({ ratio }) => round(ratio)),
    intervals: collect(bounds),
    milliseconds: Object.fromEntries([...milliseconds(kernels, representative), ...milliseconds(programs, median)]),
    consumed: Object.fromEntries([...kernels.consumed, ...programs.consumed].map(([name, fuel]) => [name, Number(fuel)])),
    rounds,
  };
}

const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;

/** A table: a line a workload, with the half-width of the interval where it is 0.01 or more, and the geometric mean last. */
function formatTable(kind: 'kernel' | 'program', { intervals, milliseconds, ...results }: Results): string[] {
  const [values, bounds, mean, meanBounds] = kind === 'kernel'
    ? [results.kernels, intervals.kernels, results.geomean, intervals.geomean]
    : [results.programs, intervals.programs, results.programsGeomean, intervals.programsGeomean];
  if (Object.keys(values).length === 0) return [];
  const ratios = Object.keys(mean);
  const cell = (value: number, [low, high]: [number, number]) => {
    const spread = (high - low) / 2;
    return spread < 0.01 ? value.toFixed(2) : `${value.toFixed(2)} ±${spread.toFixed(2)}`;
  };
  const rows = Object.entries(values).map(([name, byRatio]) => [name, (milliseconds[name].metered ?? 0).toFixed(1), ...ratios.map((ratio) => cell(byRatio[ratio], bounds[name][ratio]))]);
  return [
    line([kind, 'metered, ms', ...ratios]),
    line(['---', '---:', ...ratios.map(() => '---:')]),
    ...rows.map(line),
    line(['**geometric mean**', '', ...ratios.map((ratio) => `**${mean[ratio].toFixed(3)}** (${meanBounds[ratio].map((bound) => bound.toFixed(3)).join('–')})`)]),
    '',
  ];
}

/** The tables of kernels and programs. */
export function formatMarkdown(results: Results): string {
  return [
    ...formatTable('kernel', results),
    ...formatTable('program', results),
    `Ratios of CPU time, below 1 where the first is faster; ± and the ranges are 95 % intervals of the measurement. Kernels: lower quartile of ${results.rounds} interleaved rounds, bootstrap intervals. Programs: mean of ${countSittings(results.rounds)} sittings in new processes, Student's intervals.`,
    '',
  ].join('\n');
}

/** One alone is noisy, there are many, and intervals don't cover what differs between two builds of the same (alignment, layout): below these changes nothing is reported. */
const LEAST_CHANGE = { each: 1.05, mean: 1.01 };

/** What became worse since `before`: ratios of `metered` of which the whole interval lies above the earlier one: by 1 % for a mean, 5 % for a kernel or program. */
export function findRegressions(before: Results, now: Results): string[] {
  const worse: string[] = [];
  const compare = (what: string, old: ByRatio<[number, number]> = {}, current: ByRatio<[number, number]>, least: number) => {
    for (const [ratio, [low, high]] of Object.entries(current)) {
      if (old[ratio] && ratio.startsWith('metered/') && low > old[ratio][1] * least) worse.push(`${what}: ${ratio} was ${old[ratio].join('–')}, is ${low}–${high}`);
    }
  };
  for (const [kind, mean, title] of [['kernels', 'geomean', 'geometric mean'], ['programs', 'programsGeomean', 'geometric mean of programs']] as const) {
    for (const [name, byRatio] of Object.entries(now.intervals[kind])) compare(name, before.intervals[kind][name], byRatio, LEAST_CHANGE.each);
    // Means over different workloads cannot be compared.
    if (Object.keys(before[kind]).sort().join() === Object.keys(now[kind]).sort().join()) compare(title, before.intervals[mean], now.intervals[mean], LEAST_CHANGE.mean);
  }
  return worse;
}

/** Reads what `--json` wrote. @throws {Error} when it is something else. */
export function parseResults(json: string, file: string): Results {
  const value = JSON.parse(json) as Partial<Results>;
  const { kernels, geomean, programs = {}, programsGeomean = {}, intervals } = value;
  if (!kernels || !geomean || !intervals?.kernels || !intervals.geomean) throw new Error(`${file} does not hold results of the benchmark`);
  return { ...value, kernels, geomean, programs, programsGeomean, intervals: { ...intervals, programs: intervals.programs ?? {}, programsGeomean: intervals.programsGeomean ?? {} } } as Results;
}
