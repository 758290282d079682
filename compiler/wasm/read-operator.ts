/** Reading one operator with its immediates (spec 2.0, 5.4). */
import { DEFAULT_FEATURES, featureMessage, type FeatureSet, hasWideNumbers, notSupported, proposalOfOpcode } from './features.js';
import { Limit } from './limits.js';
import type { BlockType, Immediates, Opcode, Operator, ValType } from './module.js';
import { opcodeByCode, PREFIX_GC, PREFIX_MISC, prefixedCode } from './opcodes.js';
import { PREFIX_SIMD } from './opcodes-simd.js';
import { readBlockType, readHeapType, readNullType, readValType } from './read-types.js';
import { hex, type Reader, toBigInt } from './reader.js';
import { refType } from './types.js';

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
