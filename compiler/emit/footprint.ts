/**
 * How much memory the code generator takes for a partition, from what is known before anything is lowered: a bound fitted to measurements (`npm run bench:memory` repeats them), not an average. It is
 * rather too high, by 3 for most partitions of programs from npm.
 *
 * Of every function some memory is taken as long as its partition is compiled: its IR, in the bindings and in LLVM 22. Machine code, and what passes know of a function, there is of one function at a time.
 */
import type { Effort, FunctionMeasure } from './effort.js';

/** Bytes: of each function of a partition, and of the one of them that takes most of its own. */
export interface Footprint { readonly shared: number; readonly own: number }

/** Of a partition without functions: the tables of targets and passes, the prelude. */
const JOB_BYTES = 20 << 20;
/** Of a function, as long as its partition is compiled, by what it has. Declared locals and parameters are instructions; calls by index may be inlined, loops unrolled. */
const SHARED = { functions: 8_000, operators: 900, locals: 1_800, merges: 200, calls: 5_500, loops: 30_000, results: 900 };
/** Of a function while its code is being made. The last two efforts know little about operators; but where registers are allocated within blocks, every merge is moved through memory. */
const OWN: Readonly<Record<Effort, { readonly operators: number; readonly merges: number; /** Of each pair of loops. */ readonly loopPairs: number }>> = {
  full: { operators: 5_200, merges: 1_300, loopPairs: 6_500 },
  lean: { operators: 5_200, merges: 1_300, loopPairs: 6_500 },
  plain: { operators: 1_600, merges: 3_600, loopPairs: 0 },
  none: { operators: 1_600, merges: 1_300, loopPairs: 0 },
};

/** What a function takes, compiled with an effort. */
export function footprintOf({ operators, locals, merges: all, carried, calls, loops, results }: FunctionMeasure, effort: Effort): Footprint {
  const own = OWN[effort];
  const merges = effort === 'none' ? carried : all;
  return {
    shared: SHARED.functions + SHARED.operators * operators + SHARED.locals * locals + SHARED.merges * merges + SHARED.calls * calls + SHARED.loops * loops + SHARED.results * results,
    // These are alternatives: each is of functions that have little else.
    own: Math.max(own.operators * operators, own.merges * merges + SHARED.operators * operators, own.loopPairs * loops * loops),
  };
}

/** What a partition takes. */
export const partitionMemory = ({ shared, own }: Footprint): number => JOB_BYTES + shared + own;

/** The functions of both. */
export const joinFootprints = (a: Footprint, b: Footprint): Footprint => ({ shared: a.shared + b.shared, own: Math.max(a.own, b.own) });

export const NO_FOOTPRINT: Footprint = { shared: 0, own: 0 };
