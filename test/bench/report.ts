/** What the benchmark says: ratios as JSON and as a table in Markdown, and whether they have become worse. */
import type { EngineName } from './engines.js';
import type { Measurement } from './measure.js';
import { type Estimate, estimateRatios, representative } from './statistics.js';

/** The ratios, in the order of the table: time of the first over time of the second, so below 1 the first is faster. Those whose engines are not there are left out. */
const RATIOS: readonly (readonly [EngineName, EngineName])[] = [
  ['metered', 'unmetered'], ['metered', 'v8'], ['metered', 'v8-injected'], ['metered', 'native'], ['metered', 'wasmtime-fuel'], ['metered', 'wasmtime-epochs'],
  ['metered', 'wasmtime'], ['metered', 'wasm2c'], ['sync', 'unmetered'], ['unmetered', 'native'], ['native', 'v8'],
];

/** Values by ratio, as `metered/v8`. */
export type ByRatio<T> = Record<string, T>;
/** The results, as `--json` writes them. */
export interface Results {
  readonly kernels: Record<string, ByRatio<number>>;
  readonly geomean: ByRatio<number>;
  /** 95 % intervals, [low, high], of the same. */
  readonly intervals: { readonly kernels: Record<string, ByRatio<[number, number]>>; readonly geomean: ByRatio<[number, number]> };
  /** CPU time of one call in each engine, in milliseconds. */
  readonly milliseconds: Record<string, Partial<Record<EngineName, number>>>;
  /** Fuel of one call. */
  readonly consumed: Record<string, number>;
  readonly rounds: number;
}

const round = (value: number, digits = 4) => Number(value.toFixed(digits));
const bounds = ({ low, high }: Estimate): [number, number] => [round(low), round(high)];

/** Works out the ratios. */
export function summarize({ times, consumed }: Measurement, rounds: number): Results {
  const names = [...times.keys()];
  const results: Results = {
    kernels: Object.fromEntries(names.map((name) => [name, {}])), geomean: {},
    intervals: { kernels: Object.fromEntries(names.map((name) => [name, {}])), geomean: {} },
    milliseconds: Object.fromEntries([...times].map(([name, byEngine]) => [name, Object.fromEntries([...byEngine].map(([engine, list]) => [engine, round(representative(list) / 1e6, 3)]))])),
    consumed: Object.fromEntries([...consumed].map(([name, fuel]) => [name, Number(fuel)])),
    rounds,
  };
  for (const [top, bottom] of RATIOS) {
    const pairs = [...times.values()].map((byEngine) => ({ numerator: byEngine.get(top) ?? [], denominator: byEngine.get(bottom) ?? [] }));
    if (pairs.some(({ numerator, denominator }) => numerator.length === 0 || denominator.length === 0)) continue;
    const ratio = `${top}/${bottom}`;
    const { each, mean } = estimateRatios(pairs);
    each.forEach((estimate, i) => {
      results.kernels[names[i]][ratio] = round(estimate.ratio);
      results.intervals.kernels[names[i]][ratio] = bounds(estimate);
    });
    results.geomean[ratio] = round(mean.ratio);
    results.intervals.geomean[ratio] = bounds(mean);
  }
  return results;
}

/** The table: a line a kernel, with the half-width of the interval where it is 0.01 or more, and the geometric mean last. */
export function formatMarkdown({ kernels, geomean, intervals, milliseconds, rounds }: Results): string {
  const ratios = Object.keys(geomean);
  const cell = (value: number, [low, high]: [number, number]) => {
    const spread = (high - low) / 2;
    return spread < 0.01 ? value.toFixed(2) : `${value.toFixed(2)} ±${spread.toFixed(2)}`;
  };
  const rows = Object.entries(kernels).map(([name, values]) =>
    [name, (milliseconds[name].metered ?? 0).toFixed(1), ...ratios.map((ratio) => cell(values[ratio], intervals.kernels[name][ratio]))]);
  const mean = ratios.map((ratio) => `**${geomean[ratio].toFixed(3)}** (${intervals.geomean[ratio].map((bound) => bound.toFixed(3)).join('–')})`);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(['kernel', 'metered, ms', ...ratios]),
    line(['---', '---:', ...ratios.map(() => '---:')]),
    ...rows.map(line),
    line(['**geometric mean**', '', ...mean]),
    '',
    `Ratios of CPU time, below 1 where the first is faster; ${rounds} interleaved rounds, lower quartile of each engine's times; ± and the ranges are 95 % bootstrap intervals of the measurement.`,
    '',
  ].join('\n');
}

/** A kernel alone is noisy, there are many, and intervals don't cover what differs between two builds of the same (alignment, layout): below these changes nothing is reported. */
const LEAST_CHANGE = { kernel: 1.05, mean: 1.01 };

/** What became worse since `before`: ratios of `metered` of which the whole interval lies above the earlier one: by 1 % for the mean, 5 % for a kernel. */
export function findRegressions(before: Results, now: Results): string[] {
  const worse: string[] = [];
  const compare = (what: string, ratio: string, old: [number, number] | undefined, current: [number, number] | undefined, least: number) => {
    if (!old || !current || !ratio.startsWith('metered/')) return;
    if (current[0] > old[1] * least) worse.push(`${what}: ${ratio} was ${old.join('–')}, is ${current.join('–')}`);
  };
  for (const [name, byRatio] of Object.entries(now.intervals.kernels)) {
    for (const [ratio, current] of Object.entries(byRatio)) compare(name, ratio, before.intervals.kernels[name]?.[ratio], current, LEAST_CHANGE.kernel);
  }
  // Means over different kernels cannot be compared.
  if (Object.keys(before.kernels).sort().join() === Object.keys(now.kernels).sort().join()) {
    for (const [ratio, current] of Object.entries(now.intervals.geomean)) compare('geometric mean', ratio, before.intervals.geomean[ratio], current, LEAST_CHANGE.mean);
  }
  return worse;
}

/** Reads what `--json` wrote. @throws {Error} when it is something else. */
export function parseResults(json: string, file: string): Results {
  const value = JSON.parse(json) as Partial<Results>;
  if (!value.kernels || !value.geomean || !value.intervals?.kernels || !value.intervals.geomean) throw new Error(`${file} does not hold results of the benchmark`);
  return value as Results;
}
