/** Modules that run vector operators over arrays in memory: one exported function for each operator, lane and constant that is tried. */
import type { Opcode } from '../../compiler/wasm/module.js';
import { prefixedCode } from '../../compiler/wasm/opcodes.js';
import { PREFIX_SIMD } from '../../compiler/wasm/opcodes-simd.js';
import { body, END, funcType, I32, leb, module, name, section, vec } from '../unit/module-bytes.js';

/** Where the operands' arrays and the results are, in bytes. Each has room for `ROOM` slots of 16 bytes. */
export const ROOM = 1024;
export const SOURCES = [0x0000, 0x4000, 0x8000] as const;
export const RESULTS = 0xc000;

/** One function: what it computes with, beside the operands in memory. */
export interface Trial {
  readonly op: Opcode;
  readonly export: string;
  /** The operator's immediates, encoded. */
  readonly immediates: readonly number[];
  /** An operand that is a constant: its position, its 16 bytes, and whether it goes through a local or is a splat of its first lane. */
  readonly constant?: { readonly at: number; readonly bytes: readonly number[]; readonly how: 'direct' | 'local' | 'splat' };
}

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
const addressOf = (base: number): number[] => [...i32Const(base), 0x20, AT, 0x6a];

function constantOperand({ how, bytes }: NonNullable<Trial['constant']>): number[] {
  if (how === 'splat') return [...i32Const(new DataView(Uint8Array.from(bytes).buffer).getInt32(0, true)), PREFIX_SIMD, 0x11];
  const value = [PREFIX_SIMD, 0x0c, ...bytes];
  if (how === 'direct') return value;
  return [...value, 0x21, VECTOR, 0x20, VECTOR];
}

/** `for (at = 0; at != count * 16; at += 16) results[at] = op(sources[0][at], ...)`. */
function functionBody(trial: Trial): number[] {
  const { op, constant } = trial;
  const { params, results } = op.signature as NonNullable<Opcode['signature']>;
  const stores = results.length === 0;
  const operands = params.flatMap((type, i) => {
    if (constant?.at === i) return constantOperand(constant);
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

/** A module with a function `(count: i32)` for each trial, and its memory, exported as `memory`. */
export function moduleOf(trials: readonly Trial[]): Uint8Array {
  return module(
    section(1, vec([funcType([I32], [])])), section(3, vec(trials.map(() => [0]))), section(5, vec([[0, 1]])),
    section(7, vec([[...name('memory'), 2, 0], ...trials.map((trial, i) => [...name(trial.export), 0, ...leb(i)])])),
    section(10, vec(trials.map(functionBody))),
  );
}
