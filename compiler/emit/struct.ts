/** Structs. Fields are reached through helpers that hide the reference from LLVM: see llvm/prelude-heap.ts. */
import type { TypeName, Value } from '../llvm/builder.js';
import { irType } from '../llvm/builder.js';
import type { DefinedType, Operator, StorageType, StructType } from '../wasm/module.js';
import { refType, unpacked } from '../wasm/types.js';
import { fieldOffsets } from './layout.js';
import type { FunctionState, Operand } from './state.js';
import { nonNull } from './table.js';

/** What helpers call the values of a field. */
export function storageName(type: StorageType): 'i8' | 'i16' | TypeName {
  return type === 'i8' || type === 'i16' ? type : irType(type);
}

/** An operand as it is stored: of a constant the bits, which nothing folds with, so that it need not be hidden. */
export function storedValue(s: FunctionState, operand: Operand): Value {
  return operand.literal === undefined ? s.materialise(operand) : operand.value;
}

/** Writes a field, or an element at a fixed place, of an object that is not null. */
export function storeField(s: FunctionState, ref: Value, offset: number, type: StorageType, value: Value): void {
  s.b.callHelper(`field_set.${storageName(type)}`, 'void', ['i64', 'i64', irType(unpacked(type))], [ref, s.b.i64(BigInt(offset)), value]);
}

/** Pops as many operands as there are types, the topmost last. */
export function popStored(s: FunctionState, count: number): Value[] {
  const operands = Array.from({ length: count }, () => s.popOperand()).reverse();
  return operands.map((operand) => storedValue(s, operand));
}

function structType(s: FunctionState, index: number): StructType {
  const type: DefinedType = s.module.types[index];
  if (type.kind !== 'struct') throw new Error(`type ${index} is not one of structs: the module was not validated`);
  return type;
}

function newStruct(s: FunctionState, { op, a }: Operator): void {
  const struct = structType(s, a);
  const { offsets } = fieldOffsets(struct);
  const values = op.name === 'struct.new' ? popStored(s, offsets.length) : [];
  s.fuel.flush();
  const ref = s.b.callHelper('struct_new', 'i64', ['ptr', 'i32'], [s.vmctx, s.b.i32(a)]);
  values.forEach((value, i) => storeField(s, ref, offsets[i], struct.fields[i].type, value));
  s.push(refType(false, a), ref);
}

export function emitStruct(s: FunctionState, operator: Operator): void {
  const { op, a, b } = operator;
  if (op.name.startsWith('struct.new')) return newStruct(s, operator);
  const struct = structType(s, a);
  const { type } = struct.fields[b];
  const offset = fieldOffsets(struct).offsets[b];
  const value = op.name === 'struct.set' ? storedValue(s, s.popOperand()) : undefined;
  const object = s.popOperand();
  s.fuel.flush();
  const ref = nonNull(s, object, 'null_structure_reference');
  if (value) return storeField(s, ref, offset, type, value);
  const sign = op.name === 'struct.get' ? '' : op.name.slice(-2);
  s.push(unpacked(type), s.b.callHelper(`field_get.${storageName(type)}${sign}`, irType(unpacked(type)), ['i64', 'i64'], [ref, s.b.i64(BigInt(offset))]));
}
