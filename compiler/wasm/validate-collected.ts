/** Validation rules of structs, arrays, i31 and casts (spec 3.0, 3.4 "Aggregate Instructions", "Reference Instructions"). */
import { constructorSignature } from './construct.js';
import type { FieldType, Operator, RefType, StorageType, ValType } from './module.js';
import { isNullable, isPlain, isReference, type RefParts, refParts, refType, unpacked, withoutType } from './types.js';
import type { FunctionValidator } from './validate-function.js';
import type { Check } from './validate-rules.js';

const isPacked = (type: StorageType): boolean => type === 'i8' || type === 'i16';

/** The type as which a field is read. Packed ones are read with a sign or without; others have no such operators. */
function readAs(v: FunctionValidator, { op }: Operator, { type }: FieldType): ValType {
  const extends_ = op.name.endsWith('_s') || op.name.endsWith('_u');
  if (extends_ !== isPacked(type)) v.fail(`type mismatch: ${op.name} of a field that is ${isPacked(type) ? '' : 'not '}packed`);
  return unpacked(type);
}

const structGet: Check = (v, operator) => {
  const type = readAs(v, operator, v.field(operator.a, operator.b));
  v.pop(refType(true, operator.a));
  v.push(type);
};

const arrayGet: Check = (v, operator) => {
  const type = readAs(v, operator, v.array(operator.a).element);
  v.pop('i32');
  v.pop(refType(true, operator.a));
  v.push(type);
};

/** The element of an array that is written to. */
function mutableElement(v: FunctionValidator, index: number): StorageType {
  const { element } = v.array(index);
  return element.mutable ? element.type : v.fail(`immutable array: type ${index}`);
}

function needPlain(v: FunctionValidator, type: StorageType): void {
  if (!isPlain(type)) v.fail('array type is not numeric or vector');
}

/** An element segment's references must be right for an array. */
function needElements(v: FunctionValidator, segment: number, type: StorageType): void {
  const found = v.elemType(segment);
  if (!isReference(type) || !v.relation.matches(found, type)) v.fail(`type mismatch: elements of ${found} in an array of ${type}`);
}

const construct: Check = (v, operator) => v.apply(constructorSignature(v.module.types, operator));

/** array.new_data, array.new_elem: the segment is checked by the caller. */
function newFromSegment(v: FunctionValidator, index: number): void {
  v.apply({ params: ['i32', 'i32'], results: [refType(false, index)] });
}

/** Pops a count, what `operands` says, a start and an array: the order of the bulk operators. */
function bulk(v: FunctionValidator, index: number, operands: readonly ValType[]): void {
  v.popAll([refType(true, index), 'i32', ...operands, 'i32']);
}

const topOf = (v: FunctionValidator, type: RefType): RefType => {
  v.needType(type);
  return refType(true, v.relation.top((refParts(type) as RefParts).heap));
};

/** any.convert_extern and its inverse: null stays null, and what is not null is not. */
const convert = (from: 'any' | 'extern', to: 'any' | 'extern'): Check => (v) => {
  const found = v.popReference();
  if (found !== 'unknown reference' && !v.relation.matches(found, refType(true, from))) v.fail(`type mismatch: expected ${refType(true, from)}, found ${found}`);
  v.push(refType(found !== 'unknown reference' && isNullable(found), to));
};

/** br_on_cast and br_on_cast_fail: what goes with the branch, and what stays when it is not taken. */
function castBranch(v: FunctionValidator, { op, a, types }: Operator, taken: (from: RefType, to: RefType) => { readonly goes: RefType; readonly stays: RefType }): void {
  const [from, to] = types as readonly RefType[];
  for (const type of [from, to]) v.needType(type);
  if (!v.relation.matches(to, from)) v.fail(`type mismatch: ${op.name} from ${from} to ${to}, which is no subtype`);
  const { goes, stays } = taken(from, to);
  const label = v.labelTypes(a);
  const last = label[label.length - 1];
  if (last === undefined || !v.relation.matches(goes, last)) v.fail(`type mismatch: ${op.name} passes ${goes} to a label that takes ${last ?? 'nothing'}`);
  v.pop(from);
  v.passAll(label.slice(0, -1));
  v.push(stays);
}

/** By name; both encodings of ref.test, and of ref.cast, share one. */
export const COLLECTED_RULES: Readonly<Record<string, Check>> = {
  'struct.new': construct,
  'struct.new_default': construct,
  'struct.get': structGet,
  'struct.get_s': structGet,
  'struct.get_u': structGet,
  'struct.set': (v, { a, b }) => {
    const field = v.field(a, b);
    if (!field.mutable) v.fail(`immutable field: field ${b} of type ${a}`);
    v.popAll([refType(true, a), unpacked(field.type)]);
  },
  'array.new': construct,
  'array.new_default': construct,
  'array.new_fixed': (v, { a, b }) => {
    v.popRepeated(unpacked(v.array(a).element.type), b);
    v.push(refType(false, a));
  },
  'array.new_data': (v, { a, b }) => {
    needPlain(v, v.array(a).element.type);
    v.needData(b);
    newFromSegment(v, a);
  },
  'array.new_elem': (v, { a, b }) => {
    needElements(v, b, v.array(a).element.type);
    newFromSegment(v, a);
  },
  'array.get': arrayGet,
  'array.get_s': arrayGet,
  'array.get_u': arrayGet,
  'array.set': (v, { a }) => v.popAll([refType(true, a), 'i32', unpacked(mutableElement(v, a))]),
  'array.fill': (v, { a }) => bulk(v, a, [unpacked(mutableElement(v, a))]),
  'array.copy': (v, { a, b }) => {
    const to = mutableElement(v, a);
    const from = v.array(b).element.type;
    if (!v.relation.storageMatches(from, to)) v.fail(`array types do not match: elements of ${from} in an array of ${to}`);
    bulk(v, a, [refType(true, b), 'i32']);
  },
  'array.init_data': (v, { a, b }) => {
    needPlain(v, mutableElement(v, a));
    v.needData(b);
    bulk(v, a, ['i32']);
  },
  'array.init_elem': (v, { a, b }) => {
    needElements(v, b, mutableElement(v, a));
    bulk(v, a, ['i32']);
  },
  'ref.test': (v, { types }) => {
    v.pop(topOf(v, (types as readonly RefType[])[0]));
    v.push('i32');
  },
  'ref.cast': (v, { types }) => {
    const [type] = types as readonly RefType[];
    v.pop(topOf(v, type));
    v.push(type);
  },
  br_on_cast: (v, operator) => castBranch(v, operator, (from, to) => ({ goes: to, stays: withoutType(from, to) })),
  br_on_cast_fail: (v, operator) => castBranch(v, operator, (from, to) => ({ goes: withoutType(from, to), stays: to })),
  'any.convert_extern': convert('extern', 'any'),
  'extern.convert_any': convert('any', 'extern'),
  'ref.i31': construct,
};
