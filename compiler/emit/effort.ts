/**
 * How much optimisation a function gets. Several of LLVM's passes take time that grows with the square of a function's length: 20,000 `if`s in one function kept it busy for minutes. No program that
 * a person wrote has such functions, but programs that make programs do, and so do attackers. So functions beyond any usual size are compiled apart from the others, with passes that
 * are linear. The decision depends on the function's operators alone, so a build gives the same bytes everywhere; fuel does not depend on it, as on no optimisation.
 */
import type { FuncBody, Opcode, Operator, WasmModule } from '../wasm/module.js';
import { functionType } from '../wasm/types.js';

/**
 * `full`: as the level says. `lean`: the passes that are all but linear, and the level's code generation. `plain`: next to no optimisation, registers allocated within each block. `none`: as -O0, locals in
 * memory.
 */
export type Effort = 'full' | 'lean' | 'plain' | 'none';

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
  /** Values that can flow together where branches meet: of each label its branches times the locals that are set within, and its operands. Each may become an operand of a phi. */
  merges: number;
}

/** What, besides, makes LLVM take memory (footprint.ts). */
export interface FunctionMeasure extends FunctionSize {
  /** Parameters and locals: a few bytes declare 50,000. */
  locals: number;
  /** Calls of functions by index, which may be inlined. */
  calls: number;
  /** Results of calls, of which two bytes can have 1,000. */
  results: number;
  /** Those of the merges that are operands of labels: phis at every effort. */
  carried: number;
}

/**
 * The largest sizes that get an effort. In the programs from npm that the tests run, the largest function (sqlite's interpreter) has 16,493 operators, 1,868 branches, 65 loops and 51,089 merges; the longest
 * straight line has 157 operators. At the limits compiling takes seconds: see test/bench-compile. Loops have one limit: where
 * each depends on the one before, scalar evolution, on which the code generator calls as well, takes cubic time. So have merges, which no effort but the last is spared: 200,000 took 650 MiB at `plain`.
 */
export const LIMITS: Readonly<Record<'full' | 'lean', Readonly<FunctionSize>>> = {
  full: { operators: 30_000, branches: 2_500, loops: 150, straight: 4_000, merges: 100_000 },
  lean: { operators: 60_000, branches: 5_000, loops: 150, straight: 8_000, merges: 100_000 },
};

/** Beyond this many merges locals stay in memory. */
export const MAX_MERGES = 250_000;

/** Operators of control that begin no basic block of their own. */
const SILENT: ReadonlySet<string> = new Set(['nop', 'block', 'end']);

/** Whether an operator tests something and traps, in a basic block of its own; accesses to memory trap by a fault, without a test. */
const tests = (op: Opcode): boolean => op.traps === true && op.lower !== 'load' && op.lower !== 'store' && op.lower !== 'vector';

/** Operators that become several basic blocks, whether or not they trap. */
const BRANCHING: ReadonlySet<Opcode['lower']> = new Set(['struct', 'array', 'cast']);

/** A label: how many values its branches carry, how many branches there are, and the sets of locals before it. */
interface Label { readonly arity: number; readonly setsBefore: number; branches: number }

/** Counts what flows together at labels. */
class MergeCount {
  merges = 0;
  carried = 0;
  private sets = 0;
  private readonly labels: Label[];

  constructor(private readonly module: WasmModule, private readonly locals: number, results: number) {
    this.labels = [{ arity: results, setsBefore: 0, branches: 0 }];
  }

  take({ op, a, block, labels }: Operator): void {
    if (block) {
      const type = block.kind === 'func' ? functionType(this.module, block.index) : { params: [], results: block.kind === 'value' ? [block.type] : [] };
      this.labels.push({ arity: (op.name === 'loop' ? type.params : type.results).length, setsBefore: this.sets, branches: 1 });
    } else if (op.name === 'end') {
      const { arity, setsBefore, branches } = this.labels.pop() as Label;
      this.merges += branches * (arity + Math.min(this.sets - setsBefore, this.locals));
      this.carried += branches * arity;
    } else if (op.immediates === 'label' || op.immediates === 'cast_branch') this.branch(a);
    else if (labels) for (const label of labels) this.branch(label);
    else if (op.name === 'local.set' || op.name === 'local.tee') this.sets++;
  }

  private branch(label: number): void {
    this.labels[this.labels.length - 1 - label].branches++;
  }
}

/** Measures a function of a valid module by its operators. */
export function measureFunction(module: WasmModule, body: FuncBody, operators: Iterable<Operator>): FunctionMeasure {
  const { params, results } = functionType(module, body.type);
  const locals = params.length + body.locals.length;
  const size: FunctionMeasure = { operators: 0, branches: 0, loops: 0, straight: 0, merges: 0, locals, calls: 0, results: 0, carried: 0 };
  const merged = new MergeCount(module, locals, results.length);
  let line = 0;
  for (const operator of operators) {
    const { op, a, labels } = operator;
    size.operators++;
    line++;
    merged.take(operator);
    if (op.name === 'loop') size.loops++;
    if (op.lower === 'call') {
      if (op.immediates === 'func') size.calls++;
      size.results += functionType(module, op.immediates === 'func' ? module.funcs[a] : a).results.length;
    }
    const isControl = op.lower === 'control' && !SILENT.has(op.name);
    if (isControl || tests(op) || BRANCHING.has(op.lower)) {
      // A table of branches has an edge for each of its labels.
      size.branches += isControl ? Math.max(1, labels?.length ?? 1) : 2;
      line = 0;
    }
    size.straight = Math.max(size.straight, line);
  }
  return { ...size, merges: merged.merges, carried: merged.carried };
}

const fits = (size: FunctionSize, limits: Readonly<FunctionSize>): boolean =>
  (Object.keys(limits) as (keyof FunctionSize)[]).every((key) => size[key] <= limits[key]);

/** The effort that a function of a size gets. */
export function effortOf(size: FunctionSize): Effort {
  if (size.merges > MAX_MERGES) return 'none';
  return fits(size, LIMITS.full) ? 'full' : fits(size, LIMITS.lean) ? 'lean' : 'plain';
}
