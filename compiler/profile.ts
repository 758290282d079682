/** `--profile-compile`: where a build's time went, by stage, partition, pass and function. Gathered in the compile process, printed by cli/profile.ts. */
import type { Effort } from './emit/effort.js';
import type { JobTimes } from './llvm/codegen.js';

/** Milliseconds of CPU time of one partition, stage by stage. */
export interface PartitionTimes extends JobTimes { readonly lower: number; readonly bitcode: number; readonly scan: number }

/** What one partition took. */
export interface PartitionProfile {
  /** Index of its first function, and how many there are. The partition of the descriptor has none. */
  readonly from: number;
  readonly functions: number;
  /** Bytes of wasm, and of what was made of them. */
  readonly bytes: number;
  readonly outputBytes: number;
  readonly effort: Effort;
  readonly cpu: PartitionTimes;
}

/** A pass of LLVM's, or a function, and the milliseconds of wall time that it took in all partitions. */
export interface TimedName { readonly name: string; readonly milliseconds: number }

/** Where a build's time went. */
export interface CompileProfile {
  readonly partitions: readonly PartitionProfile[];
  /** The slowest first. Time below 0.1 ms at a time is not counted. */
  readonly passes: readonly TimedName[];
  readonly functions: readonly TimedName[];
}

interface TraceEvent { readonly ph: string; readonly name: string; readonly ts: number; readonly dur: number; readonly args?: { readonly detail?: string } }

/** How many passes and functions a profile names. */
const LISTED = 40;

/** Adds up the traces of LLVM (Chrome's format, one a job). */
export class TraceSum {
  private readonly passes = new Map<string, number>();
  private readonly functions = new Map<string, number>();

  /** @param names the functions of the job, as LLVM knows them. */
  add(trace: string, names: ReadonlySet<string>): void {
    const { traceEvents } = JSON.parse(trace) as { traceEvents: TraceEvent[] };
    const events = traceEvents.filter((event) => event.ph === 'X' && !event.name.startsWith('Total ')).sort((a, b) => a.ts - b.ts || b.dur - a.dur);
    const open: { end: number; name: string; func: string | undefined }[] = [];
    for (const event of events) {
      while (open.length > 0 && open[open.length - 1].end <= event.ts) open.pop();
      const outer = open.at(-1);
      const detail = event.args?.detail;
      // The code generator's passes are all called RunPass, and are named in the detail; the optimiser's have what they run on there.
      const name = event.name === 'RunPass' && detail ? detail : event.name;
      bump(this.passes, name, event.dur);
      if (outer) bump(this.passes, outer.name, -event.dur);
      const func = outer?.func ?? (detail !== undefined && names.has(detail) ? detail : undefined);
      // A function is mentioned at many depths: its time is that of the outermost.
      if (func !== undefined && outer?.func === undefined) bump(this.functions, func, event.dur);
      open.push({ end: event.ts + event.dur, name, func });
    }
  }

  /** What took the most time. */
  slowest(): { passes: TimedName[]; functions: TimedName[] } {
    const sorted = (sums: Map<string, number>): TimedName[] =>
      [...sums].map(([name, us]) => ({ name, milliseconds: us / 1000 })).sort((a, b) => b.milliseconds - a.milliseconds).slice(0, LISTED);
    return { passes: sorted(this.passes), functions: sorted(this.functions) };
  }
}

function bump(sums: Map<string, number>, name: string, by: number): void {
  sums.set(name, (sums.get(name) ?? 0) + by);
}
