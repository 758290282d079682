/**
 * Modules with typed function references, in the encoding that this Node's V8 reads: the standard's, or, in V8 before 12, the one of the proposal's drafts, which differs
 * in the codes of types, of recursion groups and of two operators. Importing this switches the feature on in V8.
 */
import { setFlagsFromString } from 'node:v8';
import type { Operator } from '../../compiler/wasm/module.js';
import { readOperator } from '../../compiler/wasm/read-operator.js';
import { Reader } from '../../compiler/wasm/reader.js';
import { leb, module, section, vec } from '../unit/module-bytes.js';

const isOld = Number(process.versions.v8.split('.')[0]) < 12;
if (isOld) for (const flag of ['--experimental-wasm-typed-funcref', '--experimental-wasm-gc', '--experimental-wasm-return-call']) setFlagsFromString(flag);

/** The last three are the standard's for nothing, and were the draft's for types of garbage collection. */
const OLD_TYPES: ReadonlyMap<number, number> = new Map([[0x63, 0x6c], [0x64, 0x6b], [0x73, 0x68], [0x72, 0x69], [0x65, 0x41], [0x66, 0x41], [0x67, 0x41]]);
const OLD_OPERATORS: ReadonlyMap<number, number> = new Map([[0xd4, 0xd3], [0xd5, 0xd4]]);
const OLD_GROUP = 0x4f;

/** Copies a range of a module, here and there another code for one that is there. */
class Transcoder {
  readonly out: number[] = [];
  readonly #reader: Reader;
  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#reader = new Reader(bytes, from, to);
  }
  get done(): boolean {
    return this.#reader.pos >= this.#reader.end;
  }
  peek(): number {
    return this.#reader.bytes[this.#reader.pos];
  }
  /** Copies whatever `read` reads. */
  copy<T>(read: (reader: Reader) => T): T {
    const from = this.#reader.pos;
    const value = read(this.#reader);
    for (let at = from; at < this.#reader.pos; at++) this.out.push(this.#reader.bytes[at]);
    return value;
  }
  u32(): number {
    return this.copy((reader) => reader.u32());
  }
  vector(item: () => void): void {
    for (let left = this.u32(); left > 0; left--) item();
  }
  /** A value type, which as a block type can be an index. */
  type(): void {
    const code = this.#reader.u8();
    this.out.push(OLD_TYPES.get(code) ?? code);
    if (code === 0x63 || code === 0x64) this.heap();
    else while (this.out[this.out.length - 1] >= 0x80) this.out.push(this.#reader.u8());
  }
  heap(): void {
    const from = this.out.length;
    this.copy((reader) => reader.s33());
    this.out[from] = OLD_TYPES.get(this.out[from]) ?? this.out[from];
  }
  limits(): void {
    const flags = this.u32();
    this.u32();
    if (flags & 1) this.u32();
  }
  operator(): Operator {
    const start = this.#reader.pos;
    const operator = readOperator(this.#reader);
    const end = this.#reader.pos;
    this.#reader.pos = start;
    const { code, immediates } = operator.op;
    if (code < 256) this.out.push(OLD_OPERATORS.get(this.#reader.u8()) ?? code);
    if (immediates === 'block') this.type();
    else if (immediates === 'ref_type') this.heap();
    else if (immediates === 'select_types') this.vector(() => this.type());
    else this.copy((reader) => { reader.pos = end; });
    return operator;
  }
  expression(): void {
    while (this.operator().op.name !== 'end');
  }
}

function types(t: Transcoder): void {
  const one = () => {
    t.u32();
    t.vector(() => t.type());
    t.vector(() => t.type());
  };
  t.vector(() => {
    if (t.peek() !== 0x4e) return one();
    t.u32();
    t.out[t.out.length - 1] = OLD_GROUP;
    t.vector(one);
  });
}

function imports(t: Transcoder): void {
  t.vector(() => {
    t.copy((reader) => [reader.name(), reader.name()]);
    const kind = t.u32();
    if (kind === 0) return void t.u32();
    if (kind !== 2) t.type();
    if (kind === 3) t.u32();
    else t.limits();
  });
}

function tables(t: Transcoder): void {
  t.vector(() => {
    const initialised = t.peek() === 0x40;
    // The zero byte behind it is not in the draft.
    if (initialised) t.copy((reader) => { reader.pos += 2; });
    if (initialised) t.out.pop();
    t.type();
    t.limits();
    if (initialised) t.expression();
  });
}

function elements(t: Transcoder): void {
  t.vector(() => {
    const flags = t.u32();
    if ((flags & 3) === 2) t.u32();
    if ((flags & 1) === 0) t.expression();
    if ((flags & 4) === 0) {
      if (flags & 3) t.u32();
      return t.vector(() => t.u32());
    }
    if (flags & 3) t.type();
    t.vector(() => t.expression());
  });
}

function code(t: Transcoder, bytes: Uint8Array, from: number, to: number): void {
  const reader = new Reader(bytes, from, to);
  t.out.push(...leb(reader.u32()));
  while (reader.pos < to) {
    const size = reader.u32();
    const body = new Transcoder(bytes, reader.pos, reader.pos + size);
    body.vector(() => {
      body.u32();
      body.type();
    });
    while (!body.done) body.operator();
    for (const byte of leb(body.out.length)) t.out.push(byte);
    for (const byte of body.out) t.out.push(byte);
    reader.pos += size;
  }
}

/** The module as this V8 reads it. @throws {CompileError} when it is malformed. */
export function forV8(bytes: Uint8Array): Uint8Array {
  if (!isOld) return bytes;
  const reader = new Reader(bytes, 8);
  const out: number[] = [...bytes.subarray(0, 8)];
  while (reader.pos < bytes.length) {
    const id = reader.u8();
    const part = reader.sub(reader.u32(), 'section');
    const t = new Transcoder(bytes, part.pos, part.end);
    if (id === 1) types(t);
    else if (id === 2) imports(t);
    else if (id === 4) tables(t);
    else if (id === 6) t.vector(() => { t.type(); t.u32(); t.expression(); });
    else if (id === 9) elements(t);
    else if (id === 10) code(t, bytes, part.pos, part.end);
    // What has no types, or is too much in a section.
    if (id !== 10) t.copy((rest) => { rest.pos = rest.end; });
    out.push(id, ...leb(t.out.length));
    for (const byte of t.out) out.push(byte);
  }
  return Uint8Array.from(out);
}

/** Whether this V8 has the feature at all, in one encoding or the other. */
export const v8HasTypedReferences: boolean = WebAssembly.validate(forV8(module(section(1, vec([[0x60, 1, 0x63, 0, 0]])))) as BufferSource);
