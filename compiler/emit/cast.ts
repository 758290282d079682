/** Tests and casts of references, i31, and conversions between the hierarchies of wasm's and the host's values. */
import { TypeKind } from '../../runtime-c/abi.js';
import type { Value } from '../llvm/builder.js';
import type { DefinedType, Operator, RefType } from '../wasm/module.js';
import { type HeapType, isNullable, type RefParts, refParts, refType } from '../wasm/types.js';
import type { FunctionState, Operand } from './state.js';
import { nonNull } from './table.js';

/** Whether an interned type, or NULL for none, is the module's type with an index, or is declared below it. Types that are final are compared as pointers. */
export function isOfType(s: FunctionState, found: Value, index: number): Value {
  const { types } = s.module;
  const wanted = s.b.callHelper('type_at', 'ptr', ['ptr', 'i64'], [s.vmctx, s.b.i64(BigInt(index * 8))]);
  if (types[index].final) return s.b.callHelper('is_same_type', 'i1', ['ptr', 'ptr'], [found, wanted]);
  let depth = 0;
  for (let at: DefinedType = types[index]; at.supertype !== undefined; at = types[at.supertype]) depth++;
  return s.b.callHelper('is_subtype', 'i1', ['ptr', 'ptr', 'i32'], [found, wanted, s.b.i32(depth)]);
}

const always = (s: FunctionState, holds: boolean): Value => s.b.compare(holds ? 'ICmpEQ' : 'ICmpNE', s.b.i32(0), s.b.i32(0));
const isNull = (s: FunctionState, ref: Value): Value => s.b.compare('ICmpEQ', ref, s.b.zero('i64'));

/** Whether a reference is not null and of a heap type of its hierarchy, to which its static type does not match. */
function isOfHeapType(s: FunctionState, ref: Value, heap: HeapType): Value {
  switch (heap) {
    case 'eq': return s.b.callHelper('is_eq', 'i1', ['i64'], [ref]);
    case 'i31': return s.b.callHelper('is_i31', 'i1', ['i64'], [ref]);
    case 'struct': case 'array': return s.b.callHelper('is_kind', 'i1', ['i64', 'i32'], [ref, s.b.i32(TypeKind[heap])]);
    case 'none': case 'nofunc': case 'noextern': return always(s, false);
    case 'any': case 'func': case 'extern': throw new Error(`every reference matches ${heap}: the module was not validated`);
    default: {
      const found = s.module.types[heap].kind === 'func' ? 'func_type_of' : 'object_type_of';
      return isOfType(s, s.b.callHelper(found, 'ptr', ['i64'], [ref]), heap);
    }
  }
}

/** Whether a reference is of a type of its hierarchy, as an i1. */
export function testReference(s: FunctionState, { type, value }: Operand, to: RefType): Value {
  const from = refParts(type) as RefParts;
  const wanted = refParts(to) as RefParts;
  const mayBeNull = isNullable(type);
  if (s.partition.relation.heapMatches(from.heap, wanted.heap)) return wanted.nullable || !mayBeNull ? always(s, true) : s.b.compare('ICmpNE', value, s.b.zero('i64'));
  const test = isOfHeapType(s, value, wanted.heap);
  return wanted.nullable && mayBeNull ? s.b.binary('Or', isNull(s, value), test) : test;
}

/** any.convert_extern and its inverse. */
function convert(s: FunctionState, { op }: Operator): void {
  const { type, value } = s.popOperand();
  s.fuel.flush();
  const to = op.name === 'any.convert_extern' ? 'any' : 'extern';
  s.push(refType(isNullable(type), to), s.b.callHelper(op.name, 'i64', ['ptr', 'i64'], [s.vmctx, value]));
}

export function emitCast(s: FunctionState, operator: Operator): void {
  const { op, types } = operator;
  switch (op.name) {
    case 'ref.test':
      return s.pushOperand({ type: 'i32', value: testReference(s, s.popOperand(), (types as readonly RefType[])[0]), isBool: true });
    case 'ref.cast': {
      const [to] = types as readonly RefType[];
      const operand = s.popOperand();
      s.fuel.flush();
      s.b.callHelper('trap_unless.cast_failure', 'void', ['i1'], [testReference(s, operand, to)]);
      return s.push(to, operand.value);
    }
    case 'any.convert_extern': case 'extern.convert_any':
      return convert(s, operator);
    case 'ref.i31':
      return s.push('(ref i31)', s.b.callHelper('i31_new', 'i64', ['i32'], [s.pop()]));
    case 'i31.get_s': case 'i31.get_u': {
      const operand = s.popOperand();
      s.fuel.flush();
      return s.push('i32', s.b.callHelper(op.name.replace('.', '_'), 'i32', ['i64'], [nonNull(s, operand, 'null_i31_reference')]));
    }
    default: throw new Error(`no lowering for cast operator ${op.name}`);
  }
}
