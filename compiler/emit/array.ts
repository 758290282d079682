/** Arrays. Elements are reached through helpers that check the index and hide the reference from LLVM: see llvm/prelude-heap.ts. */
import type { StatusName } from '../../runtime-c/abi.js';
import type { TypeName, Value } from '../llvm/builder.js';
import { irType } from '../llvm/builder.js';
import type { Operator, StorageType, ValType } from '../wasm/module.js';
import { refType, unpacked } from '../wasm/types.js';
import { ELEMENTS_OFFSET, widthOf } from './layout.js';
import { callBuiltin, chargeBulk, popUnsigned } from './memory.js';
import type { FunctionState, Operand } from './state.js';
import { popStored, storageName, storedValue, storeField } from './struct.js';
import { nonNull } from './table.js';

type Argument = { readonly type: TypeName; readonly value: Value };
const word = (value: Value): Argument => ({ type: 'i64', value });

function elementType(s: FunctionState, index: number): StorageType {
  const type = s.module.types[index];
  if (type.kind !== 'array') throw new Error(`type ${index} is not one of arrays: the module was not validated`);
  return type.element.type;
}

/** A value's bits, zero-extended to 16 bytes: the low and the high half. */
function halves(s: FunctionState, type: ValType, value: Value): Argument[] {
  if (type === 'v128') return ['low', 'high'].map((half) => word(s.b.callHelper(`v128_${half}`, 'i64', ['v128'], [value])));
  const ir = irType(type);
  const bits = ir === 'f32' ? s.b.cast('BitCast', value, 'i32') : ir === 'f64' ? s.b.cast('BitCast', value, 'i64') : value;
  return [word(ir === 'i32' || ir === 'f32' ? s.b.cast('ZExt', bits, 'i64') : bits), word(s.b.zero('i64'))];
}

/** Traps when a builtin's result is a code. */
function trapOn(s: FunctionState, result: Value, code: Value, trap: StatusName): void {
  s.b.callHelper(`trap_if.${trap}`, 'void', ['i32'], [s.b.cast('ZExt', s.b.compare('ICmpEQ', result, code), 'i32')]);
}

const allocate = (s: FunctionState, type: number, length: Value): Value => s.b.callHelper('array_new', 'i64', ['ptr', 'i32', 'i64'], [s.vmctx, s.b.i32(type), length]);

function newArray(s: FunctionState, operator: Operator): void {
  const { op, a } = operator;
  const length = popUnsigned(s);
  const element = elementType(s, a);
  const value = op.name === 'array.new' ? storedValue(s, s.popOperand()) : undefined;
  chargeBulk(s, operator, length.value);
  const ref = allocate(s, a, length.value);
  if (value) {
    const args = [word(ref), length, ...halves(s, unpacked(element), value)];
    s.b.callHelper('array_fill_new', 'void', ['ptr', ...args.map(({ type }) => type)], [s.vmctx, ...args.map((arg) => arg.value)]);
  }
  s.push(refType(false, a), ref);
}

function newFixed(s: FunctionState, { a, b }: Operator): void {
  const element = elementType(s, a);
  const values = popStored(s, b);
  s.fuel.flush();
  const ref = allocate(s, a, s.b.i64(BigInt(b)));
  values.forEach((value, i) => storeField(s, ref, ELEMENTS_OFFSET + i * widthOf(element), element, value));
  s.push(refType(false, a), ref);
}

/** array.new_data, array.new_elem: out of the segment, or out of memory, says the builtin. */
function newFromSegment(s: FunctionState, operator: Operator): void {
  const { op, a, b } = operator;
  const length = popUnsigned(s);
  const from = popUnsigned(s);
  chargeBulk(s, operator, length.value);
  const ref = callBuiltin(s, op.name === 'array.new_data' ? 'array_new_data' : 'array_new_elem', 'i64', [a, b], [from, length]);
  trapOn(s, ref, s.b.i64(1n), op.name === 'array.new_data' ? 'out_of_bounds_memory_access' : 'out_of_bounds_table_access');
  trapOn(s, ref, s.b.zero('i64'), 'heap_exhausted');
  s.push(refType(false, a), ref);
}

const popArray = (s: FunctionState): (() => Value) => {
  const array: Operand = s.popOperand();
  return () => nonNull(s, array, 'null_array_reference');
};

function getElement(s: FunctionState, { op, a }: Operator): void {
  const type = elementType(s, a);
  const index = s.pop();
  const array = popArray(s);
  s.fuel.flush();
  const sign = op.name === 'array.get' ? '' : op.name.slice(-2);
  s.push(unpacked(type), s.b.callHelper(`element_get.${storageName(type)}${sign}`, irType(unpacked(type)), ['i64', 'i32'], [array(), index]));
}

function setElement(s: FunctionState, { a }: Operator): void {
  const type = elementType(s, a);
  const value = storedValue(s, s.popOperand());
  const index = s.pop();
  const array = popArray(s);
  s.fuel.flush();
  s.b.callHelper(`element_set.${storageName(type)}`, 'void', ['i64', 'i32', irType(unpacked(type))], [array(), index, value]);
}

function fill(s: FunctionState, operator: Operator): void {
  const count = popUnsigned(s);
  const value = storedValue(s, s.popOperand());
  const start = popUnsigned(s);
  const array = popArray(s);
  s.fuel.flush();
  const ref = array();
  s.fuel.chargeUnits(count.value, s.plan.costs.perUnit.get(operator.op.name) ?? 0);
  const failed = callBuiltin(s, 'array_fill', 'i32', [], [word(ref), start, count, ...halves(s, unpacked(elementType(s, operator.a)), value)]);
  s.b.callHelper('trap_if.out_of_bounds_array_access', 'void', ['i32'], [failed]);
}

function copy(s: FunctionState, operator: Operator): void {
  const count = popUnsigned(s);
  const from = popUnsigned(s);
  const source = popArray(s);
  const to = popUnsigned(s);
  const target = popArray(s);
  s.fuel.flush();
  const refs = [target(), source()];
  s.fuel.chargeUnits(count.value, s.plan.costs.perUnit.get(operator.op.name) ?? 0);
  const failed = callBuiltin(s, 'array_copy', 'i32', [], [word(refs[0]), to, word(refs[1]), from, count]);
  s.b.callHelper('trap_if.out_of_bounds_array_access', 'void', ['i32'], [failed]);
}

function init(s: FunctionState, operator: Operator): void {
  const isData = operator.op.name === 'array.init_data';
  const count = popUnsigned(s);
  const from = popUnsigned(s);
  const to = popUnsigned(s);
  const array = popArray(s);
  s.fuel.flush();
  const ref = array();
  s.fuel.chargeUnits(count.value, s.plan.costs.perUnit.get(operator.op.name) ?? 0);
  const failed = callBuiltin(s, isData ? 'array_init_data' : 'array_init_elem', 'i32', [operator.b], [word(ref), to, from, count]);
  trapOn(s, failed, s.b.i32(1), 'out_of_bounds_array_access');
  trapOn(s, failed, s.b.i32(2), isData ? 'out_of_bounds_memory_access' : 'out_of_bounds_table_access');
}

export function emitArray(s: FunctionState, operator: Operator): void {
  switch (operator.op.name) {
    case 'array.new': case 'array.new_default': return newArray(s, operator);
    case 'array.new_fixed': return newFixed(s, operator);
    case 'array.new_data': case 'array.new_elem': return newFromSegment(s, operator);
    case 'array.get': case 'array.get_s': case 'array.get_u': return getElement(s, operator);
    case 'array.set': return setElement(s, operator);
    case 'array.len': {
      const array = popArray(s);
      s.fuel.flush();
      return s.push('i32', s.b.callHelper('array_len', 'i32', ['i64'], [array()]));
    }
    case 'array.fill': return fill(s, operator);
    case 'array.copy': return copy(s, operator);
    case 'array.init_data': case 'array.init_elem': return init(s, operator);
    default: throw new Error(`no lowering for array operator ${operator.op.name}`);
  }
}
