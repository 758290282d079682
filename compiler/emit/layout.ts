/** How structs and arrays lie on the heap: the one place that decides it. Descriptors tell the runtime. */
import { SIZES } from '../../runtime-c/abi.js';
import type { ArrayType, DefinedType, StorageType, StructType, WasmModule } from '../wasm/module.js';
import { type RefParts, refParts, TypeRelation, valuesOf } from '../wasm/types.js';

/** Bytes of a value in a field: references are 8 bytes. */
export function widthOf(type: StorageType): 1 | 2 | 4 | 8 | 16 {
  switch (type) {
    case 'i8': return 1;
    case 'i16': return 2;
    case 'i32': case 'f32': return 4;
    case 'v128': return 16;
    default: return 8;
  }
}

/** Bytes from the start of an array to its first element. */
export const ELEMENTS_OFFSET = SIZES.object;

export interface ObjectLayout {
  /** Structs: bytes of the object, a multiple of 8. Arrays: bytes of an element. */
  readonly size: number;
  /** From the start of the object to each field, or to the first element: multiples of their widths. */
  readonly offsets: readonly number[];
  /** Those of values that the collector follows: all references but those to functions. */
  readonly references: readonly number[];
}

interface FieldOffsets { readonly offsets: readonly number[]; readonly size: number }
/** A struct can have many fields, and code look for one of them over and over. */
const KNOWN = new WeakMap<StructType, FieldOffsets>();

/** Offsets of a struct's fields, in order, and its size. */
export function fieldOffsets(struct: StructType): FieldOffsets {
  const known = KNOWN.get(struct);
  if (known !== undefined) return known;
  let end = SIZES.object;
  const offsets = struct.fields.map(({ type }) => {
    const width = widthOf(type);
    const offset = Math.ceil(end / width) * width;
    end = offset + width;
    return offset;
  });
  const made = { offsets, size: Math.ceil(end / 8) * 8 };
  KNOWN.set(struct, made);
  return made;
}

/** The layout of a struct or array type. */
export function layoutOf(module: WasmModule, type: DefinedType & (StructType | ArrayType)): ObjectLayout {
  const { offsets, size } = 'fields' in type ? fieldOffsets(type) : { offsets: [ELEMENTS_OFFSET], size: widthOf(type.element.type) };
  const relation = new TypeRelation(module);
  const isFollowed = (value: StorageType) => {
    const parts: RefParts | undefined = refParts(value);
    return parts !== undefined && relation.top(parts.heap) !== 'func';
  };
  const values = valuesOf(type);
  return { size, offsets, references: offsets.filter((_, i) => isFollowed(values[i])) };
}
