/** Reading types (spec 2.0, 5.3), and the block types of operators (5.4.1). */
import { DEFAULT_FEATURES, type FeatureSet, notSupported, proposalOfValType } from './features.js';
import type { BlockType, Feature, RefType, StorageType, ValType } from './module.js';
import { hex, type Reader } from './reader.js';
import { type HeapType, isReference, refType } from './types.js';

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
export function readHeapType(reader: Reader, features: FeatureSet): HeapType {
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
export function readNullType(reader: Reader, features: FeatureSet): RefType {
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

const EMPTY_BLOCK: BlockType = { kind: 'empty' };
/** Block types of one value, by that type, for the types that one byte says. */
const VALUE_BLOCKS: ReadonlyMap<ValType, BlockType> = new Map(VALUE_TYPES.flatMap((row) => (row ? [[row.type, { kind: 'value', type: row.type }]] : [])));

/** A block type (5.4.1). */
export function readBlockType(reader: Reader, features: FeatureSet): BlockType {
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
