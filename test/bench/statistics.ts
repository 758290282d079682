/** Estimates of ratios from noisy times, and how far to trust them. */

/**
 * What stands for a set of times: their lower quartile. Noise on a shared machine only ever adds, so low times are the true ones; the very lowest
 * is less stable than its neighbours.
 */
export function representative(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (sorted.length - 1) / 4;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

export function geomean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Times of two engines on one kernel; element i of both was taken in the same round, so close together in time. */
export interface Pair { readonly numerator: readonly number[]; readonly denominator: readonly number[] }
/** A ratio and its 95 % interval. */
export interface Estimate { readonly ratio: number; readonly low: number; readonly high: number }

const ratioOf = ({ numerator, denominator }: Pair, rounds: readonly number[]) =>
  representative(rounds.map((i) => numerator[i])) / representative(rounds.map((i) => denominator[i]));

/** A small generator (mulberry32), so that the same times always give the same intervals. */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function interval(ratio: number, resampled: number[]): Estimate {
  resampled.sort((a, b) => a - b);
  const at = (q: number) => resampled[Math.round(q * (resampled.length - 1))];
  return { ratio, low: Math.min(ratio, at(0.025)), high: Math.max(ratio, at(0.975)) };
}

/**
 * The ratio of each pair, and their geometric mean, with 95 % intervals by the percentile bootstrap over rounds. The interval of the mean says how exactly it was
 * measured for these kernels, not how it would be for others.
 */
export function estimateRatios(pairs: readonly Pair[], resamples = 1000): { each: Estimate[]; mean: Estimate } {
  const random = randomSource(1);
  const rounds = pairs.map((pair) => pair.numerator.map((_, i) => i));
  const ratios = pairs.map((pair, i) => ratioOf(pair, rounds[i]));
  const eachResampled: number[][] = pairs.map(() => []);
  const meanResampled: number[] = [];
  for (let i = 0; i < resamples; i++) {
    const drawn = pairs.map((pair, k) => ratioOf(pair, rounds[k].map(() => Math.floor(random() * rounds[k].length))));
    drawn.forEach((ratio, k) => { eachResampled[k].push(ratio); });
    meanResampled.push(geomean(drawn));
  }
  return { each: ratios.map((ratio, i) => interval(ratio, eachResampled[i])), mean: interval(geomean(ratios), meanResampled) };
}

/** The middle of a set of values; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Student's t: 97.5 % of the distribution with 1, 2, ... degrees of freedom lie below. With more than these, it hardly changes. */
const STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131];

/** The ratio that the logarithms of some independent ones average to, and its 95 % interval: unbounded when there is only one. */
function averageRatio(logs: readonly number[]): Estimate {
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const variance = logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1);
  const half = logs.length === 1 ? Number.POSITIVE_INFINITY : STUDENT[Math.min(logs.length - 1, STUDENT.length) - 1] * Math.sqrt(variance / logs.length);
  return { ratio: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half) };
}

/**
 * As estimateRatios, where each element of a pair comes from processes of its own. Then what varies from process to process (where things lie in memory, what the JavaScript engine has optimised)
 * is between the elements, which are few: the interval is Student's, of the logarithms of their ratios.
 */
export function estimateFromSittings(pairs: readonly Pair[]): { each: Estimate[]; mean: Estimate } {
  const logs = pairs.map(({ numerator, denominator }) => numerator.map((value, i) => Math.log(value / denominator[i])));
  return { each: logs.map(averageRatio), mean: averageRatio(logs[0].map((_, i) => logs.reduce((sum, list) => sum + list[i], 0) / logs.length)) };
}
