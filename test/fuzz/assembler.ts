/** Writes function bodies in the binary format, operator by operator: names from the opcode table, labels by what opened them. */
import type { ValType } from '../../compiler/wasm/module.js';
import { opcodeByName } from '../../compiler/wasm/opcodes.js';
import { leb } from '../unit/module-bytes.js';

/** Codes of value types in the binary format. */
export const TYPE_CODE: Readonly<Record<string, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, funcref: 0x70, externref: 0x6f };

const VOID = 0x40;
const END = 0x0b;

/** Signed LEB128 (spec 5.2.2). */
export function sleb(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    const low = Number(rest & 0x7fn);
    if (rest >= -64n && rest < 64n) return [...bytes, low];
    bytes.push(low | 0x80);
  }
}

/** The bytes of an operator without its immediates. */
function opcodeBytes(name: string): number[] {
  const op = opcodeByName(name);
  if (!op) throw new Error(`no operator is called ${name}`);
  if (op.code < 0x100) return [op.code];
  return op.code < 0x10000 ? [op.code >> 8, ...leb(op.code & 0xff)] : [op.code >> 16, ...leb(op.code & 0xffff)];
}

const floatBytes = (size: 4 | 8, value: number): number[] => {
  const view = new DataView(new ArrayBuffer(size));
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return [...new Uint8Array(view.buffer)];
};

/** A label: how many were open when it was opened. */
export type Label = number;

/** One function being written. */
export class FunctionWriter {
  private readonly code: number[] = [];
  private readonly types: ValType[];
  private open = 0;

  /** @param memory which memory an access is to be of; asked for each. */
  constructor(readonly params: readonly ValType[], readonly results: readonly ValType[], private readonly memory: () => number = () => 0) {
    this.types = [...params];
  }

  /** A new local. */
  local(type: ValType): number {
    return this.types.push(type) - 1;
  }
  /** Locals, parameters included, of one type. */
  localsOf(type: ValType): number[] {
    return this.types.flatMap((other, i) => (other === type ? [i] : []));
  }
  /** An operator with its immediates, encoded. */
  op(name: string, ...immediates: readonly number[]): this {
    this.code.push(...opcodeBytes(name), ...immediates);
    return this;
  }
  get(local: number): this {
    return this.op('local.get', ...leb(local));
  }
  set(local: number): this {
    return this.op('local.set', ...leb(local));
  }
  tee(local: number): this {
    return this.op('local.tee', ...leb(local));
  }
  i32(value: number): this {
    return this.op('i32.const', ...sleb(BigInt(value | 0)));
  }
  i64(value: bigint): this {
    return this.op('i64.const', ...sleb(BigInt.asIntN(64, value)));
  }
  f32(value: number): this {
    return this.op('f32.const', ...floatBytes(4, value));
  }
  f64(value: number): this {
    return this.op('f64.const', ...floatBytes(8, value));
  }
  /** A load or store: `offset` in bytes, an alignment hint of one byte. */
  access(name: string, offset: number, ...lane: readonly number[]): this {
    const memory = this.memory();
    return this.op(name, ...(memory === 0 ? [0] : [0x40, ...leb(memory)]), ...leb(offset), ...lane);
  }
  /** An operator whose immediates are indices of memories, after a segment's perhaps. */
  memoryOp(name: string, ...segment: readonly number[]): this {
    return this.op(name, ...segment, ...leb(this.memory()), ...(name === 'memory.copy' ? leb(this.memory()) : []));
  }
  /** A construct without parameters or results; for `if`, the condition is on the stack, and `otherwise` is its else. */
  block(kind: 'block' | 'loop' | 'if', body: (label: Label) => void, otherwise?: () => void): void {
    this.op(kind, VOID);
    const label = this.open++;
    body(label);
    if (otherwise) {
      this.op('else');
      otherwise();
    }
    this.open--;
    this.code.push(END);
  }
  /** The immediate of a branch to a label. */
  depth(label: Label): number[] {
    return leb(this.open - 1 - label);
  }
  /** The body as the code section has it: size, locals, operators. */
  finish(): number[] {
    const locals = this.types.slice(this.params.length).map((type) => [1, TYPE_CODE[type]]);
    const contents = [...leb(locals.length), ...locals.flat(), ...this.code, END];
    return [...leb(contents.length), ...contents];
  }
}
