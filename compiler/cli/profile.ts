/** `build --profile-compile`: where the time of a build went, as text. */
import type { BuildStats } from '../options.js';
import type { CompileProfile, PartitionProfile, TimedName } from '../profile.js';
import { formatBytes } from './output.js';

/** How many partitions, passes and functions are listed. */
const LISTED = 12;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
const percent = (part: number, whole: number): string => `${((100 * part) / Math.max(whole, 1e-9)).toFixed(1)} %`;
const cpuOf = ({ cpu }: PartitionProfile): number => Object.values(cpu).reduce((sum, ms) => sum + ms, 0);

/** Rows as columns: the first to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) => `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')}\n`).join('');
}

function listed(title: string, names: readonly TimedName[], whole: number): string {
  if (names.length === 0) return '';
  return `${title}\n${table(names.slice(0, LISTED).map(({ name, milliseconds }) => [name.length > 60 ? `${name.slice(0, 57)}...` : name, seconds(milliseconds), percent(milliseconds, whole)]))}`;
}

/** The whole profile, for people. */
export function describeProfile(stats: BuildStats, { partitions, passes, functions }: CompileProfile): string {
  const steps = ['lower', 'bitcode', 'read', 'passes', 'emit', 'scan'] as const;
  const total = (step: (typeof steps)[number]): number => partitions.reduce((sum, { cpu }) => sum + cpu[step], 0);
  const { validate = 0, link = 0, 'parse (cpu)': parse = 0 } = stats.stages;
  const stages: readonly (readonly [string, number])[] = [['validate', validate], ['parse', parse], ...steps.map((step) => [step, total(step)] as const), ['link, seal', link]];
  const sum = stages.reduce((all, [, ms]) => all + ms, 0);
  const slowest = [...partitions].sort((a, b) => cpuOf(b) - cpuOf(a)).slice(0, LISTED);
  const llvm = total('read') + total('passes') + total('emit');
  return `stages (read, passes and emit: CPU time, of all threads; the others: wall time)\n${table(stages.map(([name, ms]) => [name, seconds(ms), percent(ms, sum)]))}`
    + `  wall ${seconds(stats.milliseconds)}, peak ${formatBytes(stats.peakBytes)}\n`
    + `partitions, the slowest of ${partitions.length} (read + passes + emit)\n${table(slowest.map((p) => [
      p.functions ? `functions ${p.from}..${p.from + p.functions - 1}${p.effort === 'full' ? '' : `, ${p.effort}`}` : 'descriptor',
      formatBytes(p.bytes), formatBytes(p.outputBytes), ...(['read', 'passes', 'emit'] as const).map((step) => seconds(p.cpu[step])),
    ]))}`
    + listed('passes of LLVM, the slowest (wall time of all threads)', passes, llvm)
    + listed('functions, the slowest (wall time in LLVM)', functions, llvm);
}
