/**
 * The byte reader: numbers and names of the binary format (spec 2.0, 5.2), and one operator with its immediates (5.4).
 *
 * Offsets are always those of the file, so that errors and debug information need no translation. `readOperator` runs twice over
 * every operator of a module (validation, lowering), hence the fast paths for one-byte numbers and the shared block types.
 */
import { CompileError, type DiagnosticKind, type Place } from '../diagnostics.js';
import { DEFAULT_FEATURES, featureMessage, type FeatureSet, hasWideNumbers, notSupported, proposalOfOpcode, proposalOfValType } from './features.js';
import { Limit } from './limits.js';
import type { BlockType, Feature, Immediates, Opcode, Operator, RefType, StorageType, ValType } from './module.js';
import { opcodeByCode, PREFIX_GC, PREFIX_MISC, prefixedCode } from './opcodes.js';
import { PREFIX_SIMD } from './opcodes-simd.js';
import { type HeapType, isReference, refType } from './types.js';

/** What a reader adds to the offset in its errors. */
export type Context = Pick<Place, 'file' | 'func'>;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// Offsets and constants are mostly small, and making a BigInt is the dearest part of reading an operator.
const SMALL_BIGINTS: readonly bigint[] = Array.from({ length: 1024 }, (_, i) => BigInt(i));
const toBigInt = (n: number): bigint => (n < 1024 ? SMALL_BIGINTS[n] : BigInt(n));

/** Reads a range of a file. Every method throws a CompileError of kind `malformed`, with the offset, when the bytes are not what it reads. */
export class Reader {
  readonly bytes: Uint8Array;
  /** File offset of the next byte. */
  pos: number;
  /** File offset at which reading ends, at most the length of the file. */
  end: number;
  readonly context: Context;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, pos = 0, end = bytes.length, context: Context = {}) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
    this.context = context;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Throws a CompileError at `offset`. */
  fail(message: string, offset = this.pos, kind: DiagnosticKind = 'malformed'): never {
    throw new CompileError({ kind, message, place: { ...this.context, offset } });
  }

  /** Throws a CompileError of kind `unsupported` unless `feature` is on. */
  need(feature: Feature, features: FeatureSet, offset: number): void {
    if (feature !== 'mvp' && !features.has(feature)) this.fail(featureMessage(feature), offset, 'unsupported');
  }

  /** Throws a CompileError of kind `unsupported` when there are more of something than the implementation takes. */
  limit(what: string, count: number, most: number, offset = this.pos): void {
    if (count > most) this.fail(`too many ${what}: ${count} (the implementation limit is ${most})`, offset, 'unsupported');
  }

  /** A reader of the next `length` bytes, which this one skips; `what` names them in the error. */
  sub(length: number, what: string): Reader {
    const start = this.pos;
    this.skip(length, what);
    return new Reader(this.bytes, start, this.pos, this.context);
  }

  /** Skips bytes; `what` names them in the error when there are not as many. */
  skip(length: number, what: string): void {
    if (length > this.end - this.pos) this.fail(`length out of bounds: ${what} of ${length} bytes, ${this.end - this.pos} left`);
    this.pos += length;
  }

  u8(): number {
    if (this.pos >= this.end) this.#failEnd();
    return this.bytes[this.pos++];
  }

  /** An unsigned LEB128 number below 2^32. */
  u32(): number {
    if (this.pos < this.end) {
      const byte = this.bytes[this.pos];
      if (byte < 0x80) {
        this.pos++;
        return byte;
      }
    }
    return this.#u32();
  }

  #u32(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    if (last > 0x0f) this.#failLarge();
    return value + last * 0x1000_0000;
  }

  /** An unsigned LEB128 number below 2^64. */
  u64(): bigint {
    if (this.pos < this.end && this.bytes[this.pos] < 0x80) return toBigInt(this.bytes[this.pos++]);
    let value = 0n;
    for (let shift = 0n; shift < 63n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    if (last > 1) this.#failLarge();
    return value | (BigInt(last) << 63n);
  }

  /** A signed LEB128 number of 32 bits. */
  s32(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value << (25 - shift)) >> (25 - shift);
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    const sign = last & 0x78; // bit 31 and its three copies
    if (sign !== 0 && sign !== 0x78) this.#failLarge();
    return value | (last << 28);
  }

  /** A signed LEB128 number of 33 bits: exact in a JS number. */
  s33(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value << (25 - shift)) >> (25 - shift);
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    const sign = last & 0x70; // bit 32 and its two copies
    if (sign !== 0 && sign !== 0x70) this.#failLarge();
    return value + ((last & 0x0f) - (last & 0x10)) * 0x1000_0000;
  }

  /** A signed LEB128 number of 64 bits, as its unsigned bit pattern. */
  s64(): bigint {
    const start = this.pos;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        const value = (low << (25 - shift)) >> (25 - shift);
        return value >= 0 ? toBigInt(value) : BigInt.asUintN(64, BigInt(value));
      }
    }
    return this.#s64(start);
  }

  #s64(start: number): bigint {
    this.pos = start;
    let value = 0n;
    for (let shift = 0n; shift < 63n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, BigInt.asIntN(Number(shift) + 7, value));
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    if (last !== 0 && last !== 0x7f) this.#failLarge();
    return BigInt.asUintN(64, value | (BigInt(last) << 63n));
  }

  /** The bit pattern of an f32. */
  f32(): bigint {
    if (this.end - this.pos < 4) this.#failEnd();
    const bits = this.#view.getUint32(this.pos, true);
    this.pos += 4;
    return toBigInt(bits);
  }

  /** The bit pattern of an f64. */
  f64(): bigint {
    if (this.end - this.pos < 8) this.#failEnd();
    const bits = this.#view.getBigUint64(this.pos, true);
    this.pos += 8;
    return bits;
  }

  /** 16 bytes as a number, the first lowest: the bit pattern of a v128. */
  v128(): bigint {
    if (this.end - this.pos < 16) this.#failEnd();
    const low = this.#view.getBigUint64(this.pos, true);
    const high = this.#view.getBigUint64(this.pos + 8, true);
    this.pos += 16;
    return (high << 64n) | low;
  }

  /** A name: a length in bytes and that much well-formed UTF-8. */
  name(): string {
    const length = this.u32();
    const start = this.pos;
    this.skip(length, 'name');
    try {
      return UTF8.decode(this.bytes.subarray(start, this.pos));
    } catch {
      return this.fail('malformed UTF-8 encoding', start);
    }
  }

  #failEnd(): never {
    return this.fail('unexpected end of section or function', this.end);
  }
  #failLong(): never {
    return this.fail('integer representation too long', this.pos - 1);
  }
  #failLarge(): never {
    return this.fail('integer too large', this.pos - 1);
  }
}

/** Value types that one byte says, by that byte, and the feature that each needs. */
const VALUE_TYPES: ({ readonly type: ValType; readonly feature: Feature } | undefined)[] = new Array(256).fill(undefined);
(['i32', 'i64', 'f32', 'f64'] as const).forEach((type, i) => { VALUE_TYPES[0x7f - i] = { type, feature: 'mvp' }; });
VALUE_TYPES[0x7b] = { type: 'v128', feature: 'simd' };
VALUE_TYPES[0x70] = { type: 'funcref', feature: 'reference-types' };
VALUE_TYPES[0x6f] = { type: 'externref', feature: 'reference-types' };
VALUE_TYPES[0x73] = { type: 'nullfuncref', feature: 'function-references' };
VALUE_TYPES[0x72] = { type: 'nullexternref', feature: 'function-references' };

/** Heap types that one byte says; others are type indices. Those of garbage collection have short names as value types too, by the same byte. */
const HEAP_TYPES: ReadonlyMap<number, HeapType> = new Map([[0x70, 'func'], [0x6f, 'extern'], [0x73, 'nofunc'], [0x72, 'noextern']]);
const GC_HEAP_TYPES: ReadonlyMap<number, HeapType> = new Map([[0x6e, 'any'], [0x6d, 'eq'], [0x6c, 'i31'], [0x6b, 'struct'], [0x6a, 'array'], [0x71, 'none']]);
for (const [byte, heap] of GC_HEAP_TYPES) VALUE_TYPES[byte] = { type: refType(true, heap), feature: 'gc' };
/** Packed types, by their byte. */
const PACKED_TYPES: ReadonlyMap<number, 'i8' | 'i16'> = new Map([[0x78, 'i8'], [0x77, 'i16']]);
const REF_NULL = 0x63;
const REF = 0x64;

/** A value type (5.3.4). Types of proposals that are not supported are refused by name. */
export function readValType(reader: Reader, features: FeatureSet = DEFAULT_FEATURES): ValType {
  const offset = reader.pos;
  return valTypeOf(reader, reader.u8(), offset, features, 'malformed value type');
}

/** A reference type (5.3.3). */
export function readRefType(reader: Reader, features: FeatureSet = DEFAULT_FEATURES): RefType {
  const offset = reader.pos;
  const byte = reader.u8();
  // Without reference types, funcref is still the type of table elements.
  if (byte === 0x70) return 'funcref';
  const type = valTypeOf(reader, byte, offset, features, 'malformed reference type');
  if (!isReference(type)) reader.fail(`malformed reference type: ${type}`, offset);
  return type;
}

/** What a field of a struct or an array holds (spec 3.0, 5.3.6). */
export function readStorageType(reader: Reader, features: FeatureSet): StorageType {
  const packed = reader.pos < reader.end ? PACKED_TYPES.get(reader.bytes[reader.pos]) : undefined;
  if (packed === undefined) return readValType(reader, features);
  reader.u8();
  return packed;
}

/** A heap type (spec 3.0, 5.3.3). */
function readHeapType(reader: Reader, features: FeatureSet): HeapType {
  const offset = reader.pos;
  const byte = reader.u8();
  const type = HEAP_TYPES.get(byte);
  if (type !== undefined) return type;
  const collected = GC_HEAP_TYPES.get(byte);
  if (collected !== undefined) {
    reader.need('gc', features, offset);
    return collected;
  }
  const proposal = proposalOfValType(byte);
  if (proposal !== undefined) reader.fail(notSupported(proposal), offset, 'unsupported');
  reader.pos = offset;
  const index = reader.s33();
  return index >= 0 ? index : reader.fail(`malformed heap type: ${hex(byte)}`, offset);
}

/** The type that a ref.null names: by its heap type or, in 2.0, which has no others, by the code of the reference type. */
function readNullType(reader: Reader, features: FeatureSet): RefType {
  return features.has('function-references') ? refType(true, readHeapType(reader, features)) : readRefType(reader, features);
}

function valTypeOf(reader: Reader, byte: number, offset: number, features: FeatureSet, message: string): ValType {
  const type = VALUE_TYPES[byte];
  if (type !== undefined) {
    reader.need(type.feature, features, offset);
    return type.type;
  }
  if (byte === REF_NULL || byte === REF) {
    reader.need('function-references', features, offset);
    return refType(byte === REF_NULL, readHeapType(reader, features));
  }
  if (byte >= 0x80) reader.fail('integer representation too long', offset);
  const proposal = proposalOfValType(byte);
  if (proposal !== undefined) reader.fail(notSupported(proposal), offset, 'unsupported');
  return reader.fail(`${message}: ${hex(byte)}`, offset);
}

const hex = (n: number): string => `0x${n.toString(16).padStart(2, '0')}`;

const EMPTY_BLOCK: BlockType = { kind: 'empty' };
/** Block types of one value, by that type, for the types that one byte says. */
const VALUE_BLOCKS: ReadonlyMap<ValType, BlockType> = new Map(VALUE_TYPES.flatMap((row) => (row ? [[row.type, { kind: 'value', type: row.type }]] : [])));

function readBlockType(reader: Reader, features: FeatureSet): BlockType {
  const offset = reader.pos;
  const byte = reader.u8();
  if (byte === 0x40) return EMPTY_BLOCK;
  // One byte with bit 6 set is a negative number: a value type, or nothing.
  if (byte > 0x40 && byte < 0x80) {
    const type = valTypeOf(reader, byte, offset, features, 'malformed block type');
    return VALUE_BLOCKS.get(type) ?? { kind: 'value', type };
  }
  reader.pos = offset;
  const index = reader.s33();
  if (index < 0) reader.fail(`malformed block type: ${index}`, offset);
  reader.need('multi-value', features, offset);
  return { kind: 'func', index };
}

/** A memory index; without multiple memories, the byte 0 that stands in its place. */
function readMemoryIndex(reader: Reader, features: FeatureSet): number {
  if (features.has('multi-memory')) return reader.u32();
  const offset = reader.pos;
  const byte = reader.u8();
  if (byte !== 0) reader.fail(`zero byte expected, found ${hex(byte)} (${featureMessage('multi-memory')})`, offset);
  return 0;
}

/** A table index where version 1.0 has a byte 0. */
function readTableIndex(reader: Reader, features: FeatureSet): number {
  if (!features.has('reference-types')) {
    const offset = reader.pos;
    if (reader.u8() !== 0) reader.fail(`zero byte expected (${featureMessage('reference-types')})`, offset);
    return 0;
  }
  return reader.u32();
}

/** Every operator has the same fields in the same order, so that the code that reads them stays monomorphic. */
function make(op: Opcode, offset: number, a: number, b: number, bits: bigint, block?: BlockType, labels?: readonly number[], types?: readonly ValType[], lane = 0): Operator {
  return { op, offset, a, b, bits, lane, block, labels, types };
}

type ReadImmediates = (reader: Reader, op: Opcode, offset: number, features: FeatureSet) => Operator;

const readIndex: ReadImmediates = (reader, op, offset) => make(op, offset, reader.u32(), 0, 0n);

const readTwoIndices: ReadImmediates = (reader, op, offset) => {
  const first = reader.u32();
  return make(op, offset, first, reader.u32(), 0n);
};

const withTypes = (op: Opcode, offset: number, types: readonly ValType[], label = 0): Operator => make(op, offset, label, 0, 0n, undefined, undefined, types);

/** The label of br_on_cast and br_on_cast_fail, the operand's type and the wanted one; whether null is of them stands in the flags before all. */
const readCastBranch: ReadImmediates = (reader, op, offset, features) => {
  const at = reader.pos;
  const flags = reader.u8();
  if (flags > 3) reader.fail(`malformed br_on_cast flags: ${hex(flags)}`, at);
  const label = reader.u32();
  const from = refType((flags & 1) !== 0, readHeapType(reader, features));
  return withTypes(op, offset, [from, refType((flags & 2) !== 0, readHeapType(reader, features))], label);
};

/** A memory access's alignment and offset, and for some vector operators a lane. */
function readMemarg(reader: Reader, op: Opcode, offset: number, features: FeatureSet, hasLane = false): Operator {
  const at = reader.pos;
  let align = reader.u32();
  let memory = 0;
  const wide = hasWideNumbers(features);
  if (align >= (wide ? 64 : 32)) {
    // Bit 6 says that the index of a memory follows.
    const named = align >= 64 && align < (wide ? 128 : 96);
    if (!named || !features.has('multi-memory')) reader.fail(`malformed memop flags: ${hex(align)}${named ? ` (${featureMessage('multi-memory')})` : ''}`, at);
    align -= 64;
    memory = reader.u32();
  }
  const bits = wide ? reader.u64() : toBigInt(reader.u32());
  return make(op, offset, memory, align, bits, undefined, undefined, undefined, hasLane ? reader.u8() : 0);
}

const readVectorBits: ReadImmediates = (reader, op, offset) => make(op, offset, 0, 0, reader.v128());

const IMMEDIATES: Record<Immediates, ReadImmediates> = {
  none: (_reader, op, offset) => make(op, offset, 0, 0, 0n),
  block: (reader, op, offset, features) => make(op, offset, 0, 0, 0n, readBlockType(reader, features)),
  label: readIndex,
  func: readIndex,
  type: readIndex,
  local: readIndex,
  global: readIndex,
  table: readIndex,
  data: readIndex,
  elem: readIndex,
  br_table: readBrTable,
  call_indirect: (reader, op, offset, features) => {
    const type = reader.u32();
    return make(op, offset, type, readTableIndex(reader, features), 0n);
  },
  memarg: (reader, op, offset, features) => readMemarg(reader, op, offset, features),
  memory: (reader, op, offset, features) => make(op, offset, readMemoryIndex(reader, features), 0, 0n),
  memory_init: (reader, op, offset, features) => {
    const segment = reader.u32();
    return make(op, offset, segment, readMemoryIndex(reader, features), 0n);
  },
  memory_copy: (reader, op, offset, features) => {
    const to = readMemoryIndex(reader, features);
    return make(op, offset, to, readMemoryIndex(reader, features), 0n);
  },
  table_init: (reader, op, offset, features) => {
    const segment = reader.u32();
    return make(op, offset, segment, readTableIndex(reader, features), 0n);
  },
  table_copy: (reader, op, offset, features) => {
    const to = readTableIndex(reader, features);
    return make(op, offset, to, readTableIndex(reader, features), 0n);
  },
  i32: (reader, op, offset) => {
    const value = reader.s32();
    return make(op, offset, value, 0, toBigInt(value >>> 0));
  },
  i64: (reader, op, offset) => make(op, offset, 0, 0, reader.s64()),
  f32: (reader, op, offset) => make(op, offset, 0, 0, reader.f32()),
  f64: (reader, op, offset) => make(op, offset, 0, 0, reader.f64()),
  ref_type: (reader, op, offset, features) => make(op, offset, 0, 0, 0n, undefined, undefined, [readNullType(reader, features)]),
  select_types: (reader, op, offset, features) => {
    const count = reader.u32();
    const types: ValType[] = [];
    for (let i = 0; i < count; i++) types.push(readValType(reader, features));
    return make(op, offset, 0, 0, 0n, undefined, undefined, types);
  },
  memarg_lane: (reader, op, offset, features) => readMemarg(reader, op, offset, features, true),
  lane: (reader, op, offset) => make(op, offset, 0, 0, 0n, undefined, undefined, undefined, reader.u8()),
  shuffle: readVectorBits,
  v128: readVectorBits,
  type_field: readTwoIndices,
  type_count: readTwoIndices,
  type_data: readTwoIndices,
  type_elem: readTwoIndices,
  type_type: readTwoIndices,
  heap: (reader, op, offset, features) => withTypes(op, offset, [refType(false, readHeapType(reader, features))]),
  heap_null: (reader, op, offset, features) => withTypes(op, offset, [refType(true, readHeapType(reader, features))]),
  cast_branch: readCastBranch,
};

function readBrTable(reader: Reader, op: Opcode, offset: number): Operator {
  const count = reader.u32();
  // Each label takes a byte at least: a count that the bytes cannot hold never gets to allocate.
  if (count >= reader.end - reader.pos) reader.fail(`unexpected end of section or function: br_table with ${count} labels`, reader.end);
  reader.limit('labels of a br_table', count, Limit.brTableLabels, offset);
  const labels: number[] = [];
  for (let i = 0; i <= count; i++) labels.push(reader.u32());
  return make(op, offset, 0, 0, 0n, undefined, labels);
}

/** The table by first byte. */
const ONE_BYTE: readonly (Opcode | undefined)[] = Array.from({ length: 256 }, (_, code) => opcodeByCode(code));
const READERS: readonly (ReadImmediates | undefined)[] = ONE_BYTE.map((op) => op && IMMEDIATES[op.immediates]);

/**
 * Reads the operator at the reader's position, with its immediates. `ref.null` has its type in `types[0]`.
 * @throws {CompileError} `malformed`: illegal opcode, ill-encoded immediate; `unsupported`: an operator of a feature that is off or not
 * supported, which the message names.
 */
export function readOperator(reader: Reader, features: FeatureSet = DEFAULT_FEATURES): Operator {
  const offset = reader.pos;
  const byte = reader.u8();
  const op = ONE_BYTE[byte];
  if (op === undefined) return readPrefixed(reader, byte, offset, features);
  if (op.feature !== 'mvp') reader.need(op.feature, features, offset);
  return (READERS[byte] as ReadImmediates)(reader, op, offset, features);
}

function readPrefixed(reader: Reader, byte: number, offset: number, features: FeatureSet): Operator {
  const prefixed = byte >= 0xfb && byte <= 0xfe;
  const sub = prefixed ? reader.u32() : 0;
  const op = byte === PREFIX_MISC || byte === PREFIX_SIMD || byte === PREFIX_GC ? opcodeByCode(prefixedCode(byte, sub)) : undefined;
  if (op === undefined) {
    const proposal = proposalOfOpcode(byte, sub);
    if (proposal !== undefined) reader.fail(notSupported(proposal), offset, 'unsupported');
    return reader.fail(`illegal opcode ${hex(byte)}${prefixed ? ` ${hex(sub)}` : ''}`, offset);
  }
  reader.need(op.feature, features, offset);
  return IMMEDIATES[op.immediates](reader, op, offset, features);
}
