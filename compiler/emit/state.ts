/** The state of lowering one function: operand stack, control frames, pending charge. Emitters work on it and on the builder. */
import type { Block, Func, ModuleBuilder, Phi, Value } from '../llvm/builder.js';
import { irType } from '../llvm/builder.js';
import type { FuncType, Opcode, ValType, WasmModule } from '../wasm/module.js';
import { functionType, type TypeRelation } from '../wasm/types.js';
import { createFuel, type Fuel } from './fuel.js';
import type { ModulePlan } from './plan.js';

/** One operand. */
export interface Operand {
  readonly type: ValType;
  readonly value: Value;
  /** The operand is a floating-point constant with these bits, as written in the module: see `pop` and emit/numeric.ts. */
  readonly literal?: bigint;
  /** The operand is a vector of floats that LLVM cannot take for a constant: see emit/vector.ts. */
  readonly hidden?: boolean;
  /** The operand is the truth value of a comparison, not yet widened to i32; `value` is then the i1. */
  readonly isBool?: boolean;
}

export interface Frame {
  readonly kind: 'func' | 'block' | 'loop' | 'if' | 'else';
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
  /** Height of the operand stack at the frame's start, below its parameters. */
  readonly height: number;
  /** Where a branch to the frame's label goes: for loops the header, from the start; else the end, made with the first branch. */
  target?: { readonly block: Block; readonly phis: readonly Phi[] };
  /** `if` without an `else` so far: where the condition's being zero leads, and the parameters there. */
  otherwise?: { readonly block: Block; readonly params: readonly Operand[] };
}

/** What all functions of one partition share. */
export interface Partition {
  readonly plan: ModulePlan;
  readonly builder: ModuleBuilder;
  /** The IR function of a defined function, declared on first use. */
  readonly funcOf: (index: number) => Func;
  /** Matching of the module's types. */
  readonly relation: TypeRelation;
}

/** A local. What it is known to hold needs no load: since the last place where ways met, that is, while `epoch` is the function's. */
interface Local { readonly type: ValType; readonly slot: Value; known?: Value; epoch: number }

export class FunctionState {
  readonly plan: ModulePlan;
  readonly module: WasmModule;
  readonly b: ModuleBuilder;
  readonly type: FuncType;
  readonly vmctx: Value;
  readonly fuel: Fuel;
  readonly frames: Frame[] = [];
  private readonly locals: Local[] = [];
  private epoch = 0;
  /** Base of the first memory, loaded at the function's start. */
  firstMemory?: Value;
  /** After an operator that never falls through: operators are passed over until the frame's `else` or `end`; blocks nested in there are counted. */
  skipping = false;
  skippedNest = 0;
  private readonly stack: Operand[] = [];

  constructor(readonly partition: Partition, readonly func: Func, readonly index: number) {
    this.plan = partition.plan;
    this.module = partition.plan.module;
    this.b = partition.builder;
    this.type = functionType(this.module, this.module.funcs[index]);
    this.vmctx = this.b.param(func, 0);
    this.fuel = createFuel(this.plan, this.b);
  }

  get height(): number {
    return this.stack.length;
  }

  /** Makes the next local, with what it holds at first. */
  declareLocal(type: ValType, value: Value): void {
    this.locals.push({ type, slot: this.b.local(irType(type)), epoch: 0 });
    this.setLocal(this.locals.length - 1, value);
  }

  localType(index: number): ValType {
    return this.locals[index].type;
  }

  getLocal(index: number): Value {
    const local = this.locals[index];
    if (local.known === undefined || local.epoch !== this.epoch) {
      local.known = this.b.load(irType(local.type), local.slot);
      local.epoch = this.epoch;
    }
    return local.known;
  }

  setLocal(index: number, value: Value): void {
    const local = this.locals[index];
    this.b.store(value, local.slot);
    local.known = value;
    local.epoch = this.epoch;
  }

  /** Ways meet here, or another arm begins: what was known of locals need not hold, or have been computed. Where a branch is not taken, and in the first arm of an `if`, it does. */
  forgetLocals(): void {
    this.epoch++;
  }

  push(type: ValType, value: Value): void {
    this.stack.push({ type, value });
  }

  pushOperand(operand: Operand): void {
    this.stack.push(operand);
  }

  /** Pops an operand as it is, for emitters that treat literals or truth values themselves. */
  popOperand(): Operand {
    const operand = this.stack.pop();
    if (!operand) throw new Error(`operand stack underflow in function ${this.index}: the module was not validated`);
    return operand;
  }

  /** Pops an operand as a value of its type that may go anywhere. */
  pop(): Value {
    return this.materialise(this.popOperand());
  }

  popMany(count: number): Value[] {
    const values = new Array<Value>(count);
    for (let i = count - 1; i >= 0; i--) values[i] = this.pop();
    return values;
  }

  /** Pops an i32 as an i1: whether it is not zero. */
  popCondition(): Value {
    const operand = this.popOperand();
    return operand.isBool ? operand.value : this.b.compare('ICmpNE', operand.value, this.b.i32(0));
  }

  /** An operand as a plain value: truth values widened, floating-point constants made opaque (so that LLVM never folds with them: emit/numeric.ts). */
  materialise(operand: Operand): Value {
    if (operand.isBool) return this.b.cast('ZExt', operand.value, 'i32');
    return operand.literal === undefined ? operand.value : this.opaque(operand.type, operand.value);
  }

  /** The value, hidden from LLVM's folding. */
  opaque(type: ValType, value: Value): Value {
    const ir = irType(type);
    return this.b.callHelper(`opaque.${ir}`, ir, [ir], [value]);
  }

  /** Drops operands down to a height. */
  truncate(height: number): void {
    this.stack.length = height;
  }

  /** Marks the rest of the frame as never reached. */
  skipRest(): void {
    this.skipping = true;
    this.skippedNest = 0;
  }

  /** The price of an operator. */
  cost(op: Opcode): number {
    return this.plan.costs.cost.get(op.name) ?? 0;
  }
}
