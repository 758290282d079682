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
import type { WasmModule } from './wasm/module.js';

/** Of a compile process with nothing to compile: Node, both LLVMs. Measured: 164 MiB with Node 20. */
export const PROCESS_BYTES = 200 << 20;
/** Of each byte of the module: the copies of the file. And of each byte of code that has been lowered: its object, constants and locations that the bindings never free, JavaScript's objects. */
const KEPT_PER_BYTE = 4;
const KEPT_PER_CODE_BYTE = 120;
/** JavaScript's heap grows at first and is collected later: beyond some 600 KB of code less stays of each byte (measured: 24, of 9 MB). */
const KEPT_LARGE = { bytes: 48 << 20, perCodeByte: 40 };
/** Of each character of the descriptor's IR, while it is compiled, when nothing else is: one element of a table is some 55. */
const DESCRIPTOR_FACTOR = 20;
/** Locations of all operators and DWARF make everything larger. */
const DEBUG_FACTOR = 1.3;

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** The default: half of the memory that this process can have. */
function defaultBudget(): number {
  const constrained = process.constrainedMemory();
  return Math.floor(Math.min(totalmem(), constrained || Infinity) / 2);
}

function functionNames({ importedFuncs }: WasmModule, { from, to }: PartitionPlan): string {
  const first = `func[${importedFuncs + from}]`;
  return to - from > 1 ? `${first} to func[${importedFuncs + to - 1}]` : first;
}

/** What compiling a partition takes. */
export const memoryOf = ({ memory }: PartitionPlan, { debug }: ResolvedOptions): number => memory * (debug ? DEBUG_FACTOR : 1);

/**
 * What the budget leaves for partitions that are compiled at a time.
 * @param levels CPU levels that code is made for. @param descriptor characters of the descriptor's IR.
 * @param resident bytes of this process now.
 * @throws {CompileError} of kind `memory` if the budget was asked for and some partition, or the descriptor, does not fit.
 */
export function budgetForPartitions({ module, partitions, options }: ModulePlan, levels: number, descriptor: number, resident = process.memoryUsage.rss()): number {
  const code = partitions.reduce((sum, { bytes }) => sum + bytes, 0);
  const fixed = Math.max(PROCESS_BYTES, resident);
  const lowered = Math.min(code * levels * KEPT_PER_CODE_BYTE, KEPT_LARGE.bytes + code * levels * KEPT_LARGE.perCodeByte);
  const kept = (module.bytes.length * KEPT_PER_BYTE + lowered) * (options.debug ? DEBUG_FACTOR : 1);
  const left = (options.memoryBudget ?? defaultBudget()) - fixed - kept;
  const jobs = partitions.map((partition) => ({ memory: memoryOf(partition, options), name: functionNames(module, partition) }));
  const most = jobs.reduce((x, y) => (y.memory > x.memory ? y : x), { memory: descriptor * DESCRIPTOR_FACTOR, name: 'what the artifact says of itself' });
  if (options.memoryBudget === undefined || left >= most.memory) return Math.max(0, left);
  throw new CompileError({
    kind: 'memory',
    message: `a memory budget of ${mebibytes(options.memoryBudget)} is too small: this module may take ${mebibytes(fixed + kept + most.memory)}`,
    place: { file: options.name },
    note: `${mebibytes(fixed)} for the compile process, ${mebibytes(kept)} for what stays of all functions, ${mebibytes(most.memory)} for compiling ${most.name}`,
  });
}

/** The most that this process has had resident, in bytes. (What getrusage calls that, which is all that other systems have, counts the parent on Linux, whose memory a fork shares until exec.) */
export function peakBytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return Number(peak?.[1] ?? 0) * 1024;
}
