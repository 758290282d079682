/**
 * The memory budget: bytes that the compile process may have resident. Known beforehand are what it takes with nothing to compile, what stays of every function that it has lowered, and what each partition takes
 * while it is compiled (emit/footprint.ts); what a budget leaves decides how many partitions are compiled at a time. It never decides how: the same input gives the same bytes under any budget.
 *
 * The caller's own process, which holds the module and the artifact, and the linker, which runs when the partitions are done, are not counted.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { ModulePlan, PartitionPlan } from './emit/plan.js';
import { CompileError } from './diagnostics.js';
import type { ResolvedOptions } from './options.js';

/** Of a compile process with nothing to compile: Node, both LLVMs. Measured: 164 MiB with Node 20. */
export const PROCESS_BYTES = 200 << 20;
/** Of each byte of the module: the copies of the file. And of each byte of code that has been lowered: its object, constants and locations that the bindings never free, JavaScript's objects. */
const KEPT_PER_BYTE = 4;
const KEPT_PER_CODE_BYTE = 120;
/** Locations of all operators and DWARF make everything larger. */
const DEBUG_FACTOR = 1.3;

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** The default: half of the memory that this process can have. */
function defaultBudget(): number {
  const constrained = process.constrainedMemory();
  return Math.floor(Math.min(totalmem(), constrained || Infinity) / 2);
}

/** What compiling a partition takes. */
export const memoryOf = ({ memory }: PartitionPlan, { debug }: ResolvedOptions): number => memory * (debug ? DEBUG_FACTOR : 1);

/**
 * What the budget leaves for partitions that are compiled at a time.
 * @param levels CPU levels that code is made for.
 * @param resident bytes of this process now.
 * @throws {CompileError} of kind `memory` if the budget was asked for and no partition, or not every one, fits.
 */
export function budgetForPartitions({ module, partitions, options }: ModulePlan, levels: number, resident = process.memoryUsage.rss()): number {
  const code = partitions.reduce((sum, { bytes }) => sum + bytes, 0);
  const fixed = Math.max(PROCESS_BYTES, resident);
  const kept = (module.bytes.length * KEPT_PER_BYTE + code * KEPT_PER_CODE_BYTE * levels) * (options.debug ? DEBUG_FACTOR : 1);
  const left = (options.memoryBudget ?? defaultBudget()) - fixed - kept;
  const largest = partitions.reduce((a, b) => (b.memory > a.memory ? b : a), { from: 0, to: 0, memory: 0 } as PartitionPlan);
  const most = memoryOf(largest, options);
  if (options.memoryBudget === undefined || left >= most) return Math.max(0, left);
  const { from, to } = largest;
  const first = module.importedFuncs + from;
  throw new CompileError({
    kind: 'memory',
    message: `a memory budget of ${mebibytes(options.memoryBudget)} is too small: this module may take ${mebibytes(fixed + kept + most)}`,
    place: { file: options.name },
    note: `${mebibytes(fixed)} for the compile process, ${mebibytes(kept)} for what stays of all functions, ${mebibytes(most)} for compiling ${to - from > 1 ? `func[${first}] to func[${first + to - from - 1}]` : `func[${first}]`}`,
  });
}

/** The most that this process has had resident, in bytes. (What getrusage calls that counts the parent too, whose memory a fork shares until exec.) */
export function peakBytes(): number {
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return Number(peak?.[1] ?? 0) * 1024;
}
