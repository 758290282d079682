/** Random expressions for the generator of loops: values that never trap but for loads, and that hold no NaN, whose bits are the engine's choice. */
import type { Opcode, ValType } from '../../compiler/wasm/module.js';
import { OPCODES } from '../../compiler/wasm/opcodes.js';
import { leb } from '../unit/module-bytes.js';
import type { FunctionWriter } from './assembler.js';
import type { Random } from './random.js';

/** What a function of the program can refer to. */
export interface Program {
  /** Pages of memory at the start. */
  readonly pages: number;
  /** Mutable globals by type. */
  readonly globals: Readonly<Record<'i32' | 'i64' | 'f64', readonly number[]>>;
  /** Functions that may be called, all `(i32, i32) -> i32`: the host's, those of the module so far; and the slots of the table that are worth a call. */
  readonly hosts: readonly number[];
  readonly callees: number[];
  readonly slots: number;
  /** The passive element segment, of as many. */
  readonly elements: number;
  /** Index of their type. */
  readonly calleeType: number;
}

type NumberType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** What moves with the loop that is being written. */
export interface Induction {
  readonly local: number;
  readonly type: 'i32' | 'i64';
}

const EDGES_32 = [0, 1, -1, 2, 3, 4, 7, 8, 16, 31, 32, 63, 100, 255, 256, 1000, 0x7fff, 0xffff, 0x10000, 0x1ffff, 0x20000, 0x7fffffff, -0x80000000, -2, -8, 0x55555555];
const EDGES_64 = [0n, 1n, -1n, 2n, 10n, 255n, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn, 0x100000000n, -0x80000000n, 2n ** 63n - 1n, -(2n ** 63n), 0x5555555555555555n];

const named = (type: ValType, params: readonly ValType[], lowers: readonly string[]) =>
  OPCODES.filter((op) => lowers.includes(op.lower) && !op.traps && op.feature !== 'relaxed-simd' && op.immediates === 'none' && op.signature?.results[0] === type
    && op.signature.params.length === params.length && op.signature.params.every((param, i) => param === params[i])).map((op) => op.name);

const BINARY_32 = named('i32', ['i32', 'i32'], ['binary', 'shift']);
const COMPARE_32 = named('i32', ['i32', 'i32'], ['compare']);
const COMPARE_64 = named('i32', ['i64', 'i64'], ['compare']);
const COMPARE_F64 = named('i32', ['f64', 'f64'], ['compare']);
const UNARY_32 = [...named('i32', ['i32'], ['unary', 'convert']), 'i32.eqz'];
const BINARY_64 = named('i64', ['i64', 'i64'], ['binary', 'shift']);
const UNARY_64 = named('i64', ['i64'], ['unary', 'convert']);
const BINARY_F64 = named('f64', ['f64', 'f64'], ['binary']);
const UNARY_F64 = named('f64', ['f64'], ['unary']);
const BINARY_V128 = named('v128', ['v128', 'v128'], ['vector']).filter((name) => !/^f/.test(name));
const NUMBERS: readonly ValType[] = ['i32', 'i64', 'f32', 'f64', 'v128'];
/** Every operator without a trap whose only result is of a type, and whose immediates are none, a lane or a shuffle. */
const operatorsOf = (type: ValType): Opcode[] => OPCODES.filter((op) => !op.traps && op.feature !== 'relaxed-simd' && ['none', 'lane', 'shuffle'].includes(op.immediates) && op.signature?.results.join() === type
  && op.signature.params.length > 0 && op.signature.params.every((param) => NUMBERS.includes(param)));
const ANY: Readonly<Record<NumberType, readonly Opcode[]>> = { i32: operatorsOf('i32'), i64: operatorsOf('i64'), f32: operatorsOf('f32'), f64: operatorsOf('f64'), v128: operatorsOf('v128') };
const SATURATE = ['i32.trunc_sat_f64_s', 'i32.trunc_sat_f64_u'];

export class ValueWriter {
  /** The loops around, outermost first. */
  protected readonly inductions: Induction[] = [];

  constructor(protected readonly w: FunctionWriter, protected readonly random: Random, protected readonly program: Program) {}

  /** Some value of a type, as the only result; at most about 2 to the `budget` operators. */
  value(type: ValType, budget: number): void {
    switch (type) {
      case 'i32': return this.i32(budget);
      case 'i64': return this.i64(budget);
      case 'f32': return this.f32(budget);
      case 'f64': return this.f64(budget);
      case 'v128': return this.v128(budget);
      default: throw new Error(`no values of type ${type}`);
    }
  }

  /** Any operator of the table. */
  private any(type: NumberType, budget: number): void {
    const { w, random } = this;
    const op = random.pick(ANY[type]);
    const { params } = op.signature as { params: readonly ValType[] };
    const write = () => {
      for (const param of params) this.value(param, budget - 1);
      if (op.immediates === 'shuffle') w.op(op.name, ...Array.from({ length: 16 }, () => random.below(32)));
      else w.op(op.name, ...(op.immediates === 'lane' ? [random.below(Number(/x(\d+)/.exec(op.name)?.[1]))] : []));
    };
    if (type === 'f32' || type === 'f64') this.notNaN(write, type);
    else if (type === 'v128' && /^f.*\.(?!(eq|ne|lt|gt|le|ge)$)/.test(op.name)) this.notNaN(write, op.name.startsWith('f32') ? 'f32x4' : 'f64x2');
    else write();
  }

  i32(budget: number): void {
    const { w, random } = this;
    if (budget <= 0 || random.oneIn(4)) return this.leaf('i32');
    if (random.oneIn(10)) return this.any('i32', budget);
    const kind = random.below(12);
    if (kind < 6) this.two('i32', budget).op(random.pick(BINARY_32));
    else if (kind < 7) this.one('i32', budget).op(random.pick(UNARY_32));
    else if (kind < 8) this.condition(budget);
    else if (kind < 9) this.one('i64', budget).op('i32.wrap_i64');
    else if (kind < 10) this.one('f64', budget).op(random.pick(SATURATE));
    else this.select('i32', budget);
    return void w;
  }

  i64(budget: number): void {
    const { random } = this;
    if (budget <= 0 || random.oneIn(4)) return this.leaf('i64');
    if (random.oneIn(10)) return this.any('i64', budget);
    const kind = random.below(10);
    if (kind < 5) this.two('i64', budget).op(random.pick(BINARY_64));
    else if (kind < 6) this.one('i64', budget).op(random.pick(UNARY_64));
    else if (kind < 8) this.one('i32', budget).op(random.pick(['i64.extend_i32_s', 'i64.extend_i32_u']));
    else if (kind < 9) this.one('f64', budget).op(random.pick(['i64.trunc_sat_f64_s', 'i64.trunc_sat_f64_u']));
    else this.select('i64', budget);
  }

  f64(budget: number): void {
    const { random } = this;
    if (budget <= 0 || random.oneIn(3)) return this.leaf('f64');
    if (random.oneIn(5)) return this.any('f64', budget);
    const kind = random.below(8);
    if (kind < 2) this.one('i32', budget).op(random.pick(['f64.convert_i32_s', 'f64.convert_i32_u']));
    else if (kind < 3) this.one('i64', budget).op(random.pick(['f64.convert_i64_s', 'f64.convert_i64_u']));
    else if (kind < 6) this.notNaN(() => this.two('f64', budget).op(random.pick(BINARY_F64)));
    else if (kind < 7) this.notNaN(() => this.one('f64', budget).op(random.pick(UNARY_F64)));
    else this.select('f64', budget);
  }

  f32(budget: number): void {
    if (budget > 0 && this.random.below(2)) return this.any('f32', budget);
    this.f64(budget);
    this.w.op('f32.demote_f64');
  }

  v128(budget: number): void {
    const { w, random } = this;
    if (budget <= 0 || random.oneIn(3)) return this.leaf('v128');
    if (random.below(2)) return this.any('v128', budget);
    if (random.oneIn(3)) this.one('i32', budget).op(random.pick(['i8x16.splat', 'i16x8.splat', 'i32x4.splat']));
    else this.two('v128', budget).op(random.pick(BINARY_V128));
    return void w;
  }

  /** A condition, as an i32. */
  condition(budget: number): void {
    const { random } = this;
    const kind = random.below(8);
    if (kind < 5) this.two('i32', budget).op(random.pick(COMPARE_32));
    else if (kind < 6) this.two('i64', budget).op(random.pick(COMPARE_64));
    else if (kind < 7) this.two('f64', budget).op(random.pick(COMPARE_F64));
    else this.one('i32', budget).i32(random.pick([1, 3, 7])).op('i32.and');
  }

  /** The value, or 0 in place of a NaN; for vectors, in each lane. */
  notNaN(write: () => void, type: 'f32' | 'f64' | 'f32x4' | 'f64x2' = 'f64'): void {
    const { w } = this;
    const vector = type.length > 3;
    const kept = this.scratch(vector ? 'v128' : (type as 'f32' | 'f64'));
    write();
    w.tee(kept);
    if (type === 'f32') w.f32(0);
    if (type === 'f64') w.f64(0);
    w.get(kept).get(kept).op(`${type}.eq`).op(vector ? 'v128.and' : 'select');
  }

  /** Locals that hold no NaN. */
  protected locals(type: ValType): number[] {
    const scratch = this.scratches.get(type);
    return this.w.localsOf(type).filter((local) => local !== scratch);
  }

  /** A local of a type for a moment: operands of what is being kept may use it as well, and are done with it by then. */
  private readonly scratches = new Map<ValType, number>();
  private scratch(type: ValType): number {
    const local = this.scratches.get(type) ?? this.w.local(type);
    this.scratches.set(type, local);
    return local;
  }

  private one(type: ValType, budget: number): FunctionWriter {
    this.value(type, budget - 1);
    return this.w;
  }

  private two(type: ValType, budget: number): FunctionWriter {
    this.value(type, budget - 1);
    this.value(type, budget - 1);
    return this.w;
  }

  private select(type: ValType, budget: number): void {
    this.two(type, budget);
    this.condition(budget - 2);
    this.w.op('select');
  }

  /** A constant, a local (most of all what moves with a loop), or a global. */
  private leaf(type: 'i32' | 'i64' | 'f64' | 'v128'): void {
    const { w, random, program } = this;
    const moving = this.inductions.filter((induction) => induction.type === type);
    const locals = this.locals(type);
    const globals = type === 'v128' ? [] : program.globals[type];
    if (moving.length > 0 && random.below(2)) w.get(random.pick(moving).local);
    else if (locals.length > 0 && random.below(3)) w.get(random.pick(locals));
    else if (globals.length > 0 && random.oneIn(4)) w.op('global.get', ...leb(random.pick(globals)));
    else this.constant(type);
  }

  constant(type: 'i32' | 'i64' | 'f64' | 'v128'): void {
    const { w, random } = this;
    switch (type) {
      case 'i32': return void w.i32(random.oneIn(4) ? random.next() : random.pick(EDGES_32));
      case 'i64': return void w.i64(random.oneIn(4) ? BigInt(random.next()) * 0x10001n : random.pick(EDGES_64));
      case 'f64': return void w.f64(random.pick([0, -0, 1, 0.5, -1, 1e10, 3e-310, 1e300, random.next() / 7, -random.next()]));
      default: return void w.op('v128.const', ...random.bytes(16));
    }
  }
}
