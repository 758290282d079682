/** Tables and references. */
import type { StatusName } from '../../runtime-c/abi.js';
import type { Value } from '../llvm/builder.js';
import type { Operator, RefType } from '../wasm/module.js';
import { callBuiltin, chargeBulk, popUnsigned } from './memory.js';
import { isNullable, refType, withoutNull } from '../wasm/types.js';
import type { FunctionState, Operand } from './state.js';

/** Offset in the vmctx of a table's pointer, as an operand. */
export function tableOffset(s: FunctionState, table: number): Value {
  return s.b.i64(BigInt(s.plan.layout.tables + table * 8));
}

function bulk(s: FunctionState, operator: Operator, name: string, indices: readonly number[]): void {
  const count = popUnsigned(s);
  const second = name === 'table_fill' ? { type: 'i64' as const, value: s.pop() } : popUnsigned(s);
  const first = popUnsigned(s);
  chargeBulk(s, operator, count.value);
  const failed = callBuiltin(s, name, 'i32', indices, [first, second, count]);
  s.b.callHelper('trap_if.out_of_bounds_table_access', 'void', ['i32'], [failed]);
}

export function emitTable(s: FunctionState, operator: Operator): void {
  const { a, b } = operator;
  switch (operator.op.name) {
    case 'table.get': {
      const index = s.pop();
      s.fuel.flush();
      return s.push(s.module.tables[a].element, s.b.callHelper('table_get', 'i64', ['ptr', 'i64', 'i32'], [s.vmctx, tableOffset(s, a), index]));
    }
    case 'table.set': {
      const value = s.pop();
      const index = s.pop();
      s.fuel.flush();
      s.b.callHelper('table_set', 'void', ['ptr', 'i64', 'i32', 'i64'], [s.vmctx, tableOffset(s, a), index, value]);
      return;
    }
    case 'table.size':
      return s.push('i32', s.b.callHelper('table_size', 'i32', ['ptr', 'i64'], [s.vmctx, tableOffset(s, a)]));
    case 'table.grow': {
      const delta = popUnsigned(s);
      const init = { type: 'i64' as const, value: s.pop() };
      chargeBulk(s, operator, delta.value);
      return s.push('i32', s.b.cast('Trunc', callBuiltin(s, 'table_grow', 'i64', [a], [init, delta]), 'i32'));
    }
    case 'table.fill': return bulk(s, operator, 'table_fill', [a]);
    case 'table.copy': return bulk(s, operator, 'table_copy', [a, b]);
    case 'table.init': return bulk(s, operator, 'table_init', [b, a]);
    case 'elem.drop':
      s.fuel.flush();
      callBuiltin(s, 'elem_drop', 'void', [a], []);
      return;
    default: throw new Error(`no lowering for table operator ${operator.op.name}`);
  }
}

/** Traps for null. */
export type NullTrap = Extract<StatusName, `null_${string}`>;

/** A reference that is not null, or a trap; nothing where its type says so. What the line of code owes must have been charged. */
export function nonNull(s: FunctionState, { type, value }: Operand, trap: NullTrap): Value {
  return isNullable(type) ? s.b.callHelper(`non_null.${trap}`, 'i64', ['i64'], [value]) : value;
}

export function emitReference(s: FunctionState, operator: Operator): void {
  switch (operator.op.name) {
    case 'ref.null':
      return s.push(operator.types?.[0] ?? 'funcref', s.b.zero('i64'));
    case 'ref.eq':
      return s.pushOperand({ type: 'i32', value: s.b.compare('ICmpEQ', s.pop(), s.pop()), isBool: true });
    case 'ref.is_null':
      return s.pushOperand({ type: 'i32', value: s.b.compare('ICmpEQ', s.pop(), s.b.zero('i64')), isBool: true });
    case 'ref.func': {
      const slot = s.plan.slots.get(operator.a);
      if (slot === undefined) throw new Error(`function ${operator.a} is referenced but has no funcref slot`);
      return s.push(refType(false, s.module.funcs[operator.a]), s.b.callHelper('funcref', 'i64', ['ptr', 'i64'], [s.vmctx, s.b.i64(BigInt(slot * 8))]));
    }
    case 'ref.as_non_null': {
      const ref = s.popOperand();
      s.fuel.flush();
      return s.push(withoutNull(ref.type as RefType), nonNull(s, ref, 'null_reference'));
    }
    default: throw new Error(`no lowering for reference operator ${operator.op.name}`);
  }
}
