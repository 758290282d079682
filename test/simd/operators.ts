/** Modules that run vector operators over arrays in memory: one exported function for each operator, lane and constant that is tried. */
import type { Opcode, ValType } from '../../compiler/wasm/module.js';
import { prefixedCode } from '../../compiler/wasm/opcodes.js';
import { PREFIX_SIMD } from '../../compiler/wasm/opcodes-simd.js';
import { body, END, funcType, I32, leb, module, name, section, vec } from '../unit/module-bytes.js';

/** Where the operands' arrays and the results are, in bytes. Each has room for `ROOM` slots of 16 bytes. */
export const ROOM = 1024;
export const SOURCES = [0x0000, 0x4000, 0x8000] as const;
export const RESULTS = 0xc000;

type Random = (n: number) => number;

const SPECIAL_32 = [
  0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7fa00000, 0xff800001, 0x00000001, 0x807fffff, 0x7f7fffff, 0x3effffff, 0x3f000000, 0x40200000,
  0x4b000001, 0xcb000001, 0x4effffff, 0x4f000000, 0xcf000000, 0x4f7fffff, 0x4f800000, 0x7fffffff, 0xffffffff, 0x00008000, 0x80008000, 0x7fff7fff, 0x00ff00ff, 0x80808080, 0x01010101, 0x0f10100f,
];
const SPECIAL_64 = [
  0n, 1n << 63n, 0x3ff0000000000000n, 0xbff0000000000000n, 0x7ff0000000000000n, 0xfff0000000000000n, 0x7ff8000000000000n, 0xfff4000000000000n, 0x7ff0000000000001n, 1n, 0x7fefffffffffffffn,
  0x41dfffffffc00000n, 0x41dfffffffe00000n, 0x41e0000000000000n, 0xc1e0000000000000n, 0xc1e0000000200000n, 0x41efffffffe00000n, 0x41effffffff00000n, 0x41f0000000000000n, 0xbfefffffffffffffn,
  0x3fe0000000000000n, 0x4004000000000000n, 0x4330000000000001n, 0x7fffffffffffffffn, 0xffffffffffffffffn, 0x36a0000000000000n, 0x47efffffe0000000n, 0x47effffff0000000n, 0x380fffffffffffffn,
];

/** Fills 16 bytes: random ones, special lanes, small numbers as floats, or a mixture. */
export function fill(rnd: Random, view: DataView, at: number): void {
  const kind = rnd(6);
  for (let lane = 0; lane < 4; lane++) {
    const bits = kind === 0 || rnd(4) === 0 ? rnd(65536) * 65536 + rnd(65536) : SPECIAL_32[rnd(SPECIAL_32.length)];
    view.setUint32(at + 4 * lane, bits, true);
    if (kind === 4) view.setFloat32(at + 4 * lane, (rnd(2000) - 1000) / [1, 2, 7][rnd(3)], true);
  }
  if (kind < 2 || kind === 4) return;
  for (let lane = 0; lane < 2; lane++) {
    if (kind === 5) view.setFloat64(at + 8 * lane, (rnd(2000) - 1000) * [1, 0.5, 1e9, 1e-310][rnd(4)], true);
    else if (rnd(3) > 0) view.setBigUint64(at + 8 * lane, SPECIAL_64[rnd(SPECIAL_64.length)], true);
  }
}

/** The immediates to try: every lane; shuffles at random and some with a shape that a compiler may treat apart; offsets of accesses. */
export function immediatesOf(op: Opcode, rnd: Random): number[][] {
  const lanes = (count: number) => Array.from({ length: count }, (_, lane) => lane);
  switch (op.immediates) {
    case 'lane': return lanes(Number(/x(\d+)/.exec(op.name)?.[1])).map((lane) => [lane]);
    case 'memarg': return op.signature?.results.length ? [[0, 0], [0, 3]] : [[0, 0]];
    case 'memarg_lane': return lanes(16 / (op.width as number)).map((lane) => [0, 0, lane]);
    case 'shuffle': {
      const all = lanes(16);
      const shapes = [all, all.map((i) => 15 - i), all.map((i) => i + 16), all.map((i) => (i % 2) * 16 + (i >> 1)), all.map((i) => 2 * i), all.map((i) => i + 5), all.map(() => 7), all.map((i) => i ^ 3)];
      return [...shapes, ...Array.from({ length: 24 }, () => all.map(() => rnd(32)))];
    }
    default: return [[]];
  }
}

/** One function: what it computes with, beside the operands in memory. */
export interface Trial {
  readonly op: Opcode;
  readonly export: string;
  /** The operator's immediates, encoded. */
  readonly immediates: readonly number[];
  /** Operands that are constants. */
  readonly constants?: readonly ConstantOperand[];
}

/** An operand that is a constant: its position, its 16 bytes (of a scalar, those at the front), and whether a vector goes through a local or is a splat of its first lane. */
export interface ConstantOperand { readonly at: number; readonly bytes: readonly number[]; readonly how: 'direct' | 'local' | 'splat' }

const LOAD: Record<string, number[]> = { i32: [0x28], i64: [0x29], f32: [0x2a], f64: [0x2b], v128: [PREFIX_SIMD, 0x00] };
const STORE: Record<string, number[]> = { i32: [0x36], i64: [0x37], f32: [0x38], f64: [0x39], v128: [PREFIX_SIMD, 0x0b] };
const V128 = 0x7b;
/** Locals of each function: the number of slots (the parameter), the byte offset of the slot, a vector. */
const [COUNT, AT, VECTOR] = [0, 1, 2];

const operator = ({ op, immediates }: Trial): number[] => {
  const sub = op.code >= 0x10000 ? op.code & 0xffff : op.code & 0xff;
  if (prefixedCode(PREFIX_SIMD, sub) !== op.code) throw new Error(`${op.name} is no vector operator`);
  return [PREFIX_SIMD, ...leb(sub), ...immediates];
};
const i32Const = (n: number): number[] => {
  const bytes: number[] = [0x41];
  for (let rest = n; ; rest >>= 7) {
    if (rest >= -64 && rest < 64) return [...bytes, rest & 0x7f];
    bytes.push((rest & 0x7f) | 0x80);
  }
};
const i64Const = (n: bigint): number[] => {
  const bytes: number[] = [0x42];
  for (let rest = n; ; rest >>= 7n) {
    if (rest >= -64n && rest < 64n) return [...bytes, Number(rest & 0x7fn)];
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
};
const addressOf = (base: number): number[] => [...i32Const(base), 0x20, AT, 0x6a];

function constantOperand(type: ValType, { how, bytes }: ConstantOperand): number[] {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  switch (type) {
    case 'i32': return i32Const(view.getInt32(0, true));
    case 'i64': return i64Const(view.getBigInt64(0, true));
    case 'f32': return [0x43, ...bytes.slice(0, 4)];
    case 'f64': return [0x44, ...bytes.slice(0, 8)];
    default: return constantVector(how, bytes);
  }
}

function constantVector(how: ConstantOperand['how'], bytes: readonly number[]): number[] {
  if (how === 'splat') return [...i32Const(new DataView(Uint8Array.from(bytes).buffer).getInt32(0, true)), PREFIX_SIMD, 0x11];
  const value = [PREFIX_SIMD, 0x0c, ...bytes];
  if (how === 'direct') return value;
  return [...value, 0x21, VECTOR, 0x20, VECTOR];
}

/** `for (at = 0; at != count * 16; at += 16) results[at] = op(sources[0][at], ...)`. */
function functionBody(trial: Trial): number[] {
  const { op, constants = [] } = trial;
  const { params, results } = op.signature as NonNullable<Opcode['signature']>;
  const stores = results.length === 0;
  const operands = params.flatMap((type, i) => {
    const constant = constants.find(({ at }) => at === i);
    if (constant) return constantOperand(type, constant);
    // The address of a load or store of the operator itself; else the operand is loaded.
    if (i === 0 && op.traps) return addressOf(stores ? RESULTS : SOURCES[0]);
    return [...addressOf(SOURCES[i]), ...LOAD[type], 0, 0];
  });
  return body([
    0x03, 0x40,
    ...(stores ? [] : addressOf(RESULTS)), ...operands, ...operator(trial), ...(stores ? [] : [...STORE[results[0]], 0, 0]),
    0x20, AT, ...i32Const(16), 0x6a, 0x22, AT, 0x20, COUNT, ...i32Const(4), 0x74, 0x47, 0x0d, 0,
    END, END,
  ], [[1, I32], [1, V128]]);
}

/** A module with a function `(count: i32)` for each trial, and its memory, exported as `memory`, which begins with `data`. */
export function moduleOf(trials: readonly Trial[], data = new Uint8Array()): Uint8Array {
  return module(
    section(1, vec([funcType([I32], [])])), section(3, vec(trials.map(() => [0]))), section(5, vec([[0, 1]])),
    section(7, vec([[...name('memory'), 2, 0], ...trials.map((trial, i) => [...name(trial.export), 0, ...leb(i)])])),
    section(10, vec(trials.map(functionBody))), section(11, vec([[0, 0x41, 0, END, ...leb(data.length), ...data]])),
  );
}
