/**
 * How much optimisation a function gets. Several of LLVM's passes take time that grows with the square of a function's length: 20,000 `if`s in one function kept it busy for minutes. No program that
 * a person wrote has such functions, but programs that make programs do, and so do attackers. So functions beyond any usual size are compiled apart from the others, with passes that
 * are linear. The decision depends on the function's operators alone, so a build gives the same bytes everywhere; fuel does not depend on it, as on no optimisation.
 */
import type { FuncBody, Opcode, Operator } from '../wasm/module.js';

/** `full`: as the level says. `lean`: the passes that are all but linear, and the level's code generation. `plain`: next to no optimisation, registers allocated within each block. */
export type Effort = 'full' | 'lean' | 'plain';

/** What makes LLVM slow, of one function. */
export interface FunctionSize {
  /** Operators. */
  operators: number;
  /** Branches: operators that begin or end basic blocks, those that can trap by a test included. */
  branches: number;
  /** Loops. */
  loops: number;
  /** Operators in the longest run without a branch. */
  straight: number;
}

/**
 * The largest sizes that get an effort. In the programs from npm that the tests run, the largest function (sqlite's interpreter) has 16,493 operators, 1,495 branches and 65 loops; the longest
 * straight line has 157 operators. At the limits compiling takes seconds: see test/bench-compile. Loops have one limit: where
 * each depends on the one before, scalar evolution, on which the code generator calls as well, takes cubic time.
 */
export const LIMITS: Readonly<Record<'full' | 'lean', Readonly<FunctionSize>>> = {
  full: { operators: 30_000, branches: 2_500, loops: 150, straight: 4_000 },
  lean: { operators: 60_000, branches: 5_000, loops: 150, straight: 8_000 },
};

/** A function of fewer bytes is within all limits, for an operator and a branch have at least a byte. */
const SMALL_BYTES = Math.min(LIMITS.full.operators, LIMITS.full.branches, LIMITS.full.loops * 4, LIMITS.full.straight);

/** Operators of control that begin no basic block of their own. */
const SILENT: ReadonlySet<string> = new Set(['nop', 'block', 'end']);

/** Whether an operator tests something and traps, in a basic block of its own; accesses to memory trap by a fault, without a test. */
const tests = (op: Opcode): boolean => op.traps === true && op.lower !== 'load' && op.lower !== 'store' && op.lower !== 'vector';

/** Operators that become several basic blocks, whether or not they trap. */
const BRANCHING: ReadonlySet<Opcode['lower']> = new Set(['struct', 'array', 'cast']);

/** Measures a function by its operators. */
export function measureFunction(operators: Iterable<Operator>): FunctionSize {
  const size: FunctionSize = { operators: 0, branches: 0, loops: 0, straight: 0 };
  let line = 0;
  for (const { op, labels } of operators) {
    size.operators++;
    line++;
    if (op.name === 'loop') size.loops++;
    const isControl = op.lower === 'control' && !SILENT.has(op.name);
    if (isControl || tests(op) || BRANCHING.has(op.lower)) {
      // A table of branches has an edge for each of its labels.
      size.branches += isControl ? Math.max(1, labels?.length ?? 1) : 2;
      line = 0;
    }
    size.straight = Math.max(size.straight, line);
  }
  return size;
}

const fits = (size: FunctionSize, limits: Readonly<FunctionSize>): boolean =>
  (Object.keys(limits) as (keyof FunctionSize)[]).every((key) => size[key] <= limits[key]);

/** The effort that a function of a size gets. */
export function effortOf(size: FunctionSize): Effort {
  return fits(size, LIMITS.full) ? 'full' : fits(size, LIMITS.lean) ? 'lean' : 'plain';
}

/** The effort for a body; `read` gives its operators, and is not called for small ones. */
export function effortOfBody(body: FuncBody, read: () => Iterable<Operator>): Effort {
  return body.codeEnd - body.codeStart < SMALL_BYTES ? 'full' : effortOf(measureFunction(read()));
}
