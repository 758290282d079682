/** Linear memory: loads, stores, size, growth, bulk operators. */
import type { Block, TypeName, Value } from '../llvm/builder.js';
import { irType } from '../llvm/builder.js';
import { OFFSETS, SIZES } from '../../runtime-c/abi.js';
import type { Operator, ValType } from '../wasm/module.js';
import type { FunctionState } from './state.js';
import { emitTrap } from './trap.js';

/** Bytes of address space that 32-bit indices can name, and the most that a memory can hold. */
const MEMORY_SPACE = 2n ** 32n;

function loadBase(s: FunctionState, memory: number): Value {
  return s.b.callHelper('memory_base', 'ptr', ['ptr', 'i64'], [s.vmctx, s.b.i64(BigInt(s.plan.layout.memories + memory * SIZES.vm_memory))]);
}

/** Loads the base of the first memory at the function's start: it never changes while the instance lives. */
export function loadFirstMemory(s: FunctionState): void {
  if (s.module.memories.length > 0) s.firstMemory = loadBase(s, 0);
}

/** The base of a memory. Others than the first are loaded where they are used; the loads are invariant, so that LLVM merges and hoists them. */
export function memoryBase(s: FunctionState, memory: number): Value {
  return memory === 0 && s.firstMemory ? s.firstMemory : loadBase(s, memory);
}

/**
 * Whether the access is out of bounds whatever the index. Below that, index + offset + width is at most 8 GiB: inside the reservation, where the guard
 * region faults; no check is needed.
 */
export function alwaysOut(operator: Operator): boolean {
  return operator.bits + BigInt(operator.op.width as number) > MEMORY_SPACE;
}

/** The access is out of bounds for certain. */
export function emitOut(s: FunctionState): void {
  s.fuel.flush();
  emitTrap(s, 'out_of_bounds_memory_access');
}

/** Calls the helper of a load or store, with the charge before it. */
export function emitAccess(s: FunctionState, name: string, result: TypeName, types: readonly TypeName[], args: Value[]): Value {
  const owed = s.fuel.take();
  if (owed === 0) return s.b.callHelper(name, result, types, args);
  return s.b.callHelper(`charged.${name}`, result, [...types, 'i64'], [...args, s.b.i64(BigInt(owed))]);
}

export function emitLoad(s: FunctionState, operator: Operator): void {
  const type = (operator.op.signature as { results: readonly ValType[] }).results[0];
  const address = s.pop();
  if (alwaysOut(operator)) return emitOut(s);
  s.push(type, emitAccess(s, operator.op.name, irType(type), ['ptr', 'i32', 'i64'], [memoryBase(s, operator.a), address, s.b.i64(operator.bits)]));
}

export function emitStore(s: FunctionState, operator: Operator): void {
  const type = (operator.op.signature as { params: readonly ValType[] }).params[1];
  const operand = s.popOperand();
  // A constant is stored as its bits: nothing folds, so it need not be hidden.
  const value = operand.literal === undefined ? s.materialise(operand) : operand.value;
  const address = s.pop();
  if (alwaysOut(operator)) return emitOut(s);
  emitAccess(s, operator.op.name, 'void', ['ptr', 'i32', 'i64', irType(type)], [memoryBase(s, operator.a), address, s.b.i64(operator.bits), value]);
}

/** Charges what the operator costs per unit, and what is owed: before a builtin runs. */
export function chargeBulk(s: FunctionState, operator: Operator, count: Value): void {
  s.fuel.flush();
  s.fuel.chargeUnits(count, s.plan.costs.perUnit.get(operator.op.name) ?? 0);
}

/** Calls a builtin: vmctx first, then 32-bit indices, then 64-bit operands. */
export function callBuiltin(s: FunctionState, name: string, result: TypeName, indices: readonly number[], operands: readonly { type: TypeName; value: Value }[]): Value {
  const types: TypeName[] = ['ptr', ...indices.map(() => 'i32' as const), ...operands.map((o) => o.type)];
  return s.b.callHelper(`builtin.${name}`, result, types, [s.vmctx, ...indices.map((i) => s.b.i32(i)), ...operands.map((o) => o.value)]);
}

/** Pops an i32 as an unsigned 64-bit operand of a builtin. */
export function popUnsigned(s: FunctionState): { type: 'i64'; value: Value } {
  return { type: 'i64', value: s.b.cast('ZExt', s.pop(), 'i64') };
}

/**
 * Does a copy within one memory, or a fill, without the builtin when it is short. Leaves the builder where it was not done.
 * @returns where to go on when it is done.
 */
function tryShort(s: FunctionState, helper: 'copy_short' | 'fill_short', memory: number, operands: readonly { type: TypeName; value: Value }[]): Block {
  const offset = s.b.i64(BigInt(s.plan.layout.memories + memory * SIZES.vm_memory + OFFSETS.vm_memory.memory));
  const types: TypeName[] = ['ptr', 'i64', 'ptr', ...operands.map((o) => o.type)];
  const done = s.b.callHelper(helper, 'i32', types, [s.vmctx, offset, memoryBase(s, memory), ...operands.map((o) => o.value)]);
  const long = s.b.block(s.func, 'long');
  const next = s.b.block(s.func, 'moved');
  s.b.condBr(s.b.compare('ICmpNE', done, s.b.i32(0)), next, long);
  s.b.moveTo(long);
  return next;
}

function bulk(s: FunctionState, operator: Operator, name: string, indices: readonly number[]): void {
  const count = popUnsigned(s);
  const second = name === 'memory_fill' ? { type: 'i32' as const, value: s.pop() } : popUnsigned(s);
  const first = popUnsigned(s);
  chargeBulk(s, operator, count.value);
  const operands = [first, second, count];
  const helper = name === 'memory_fill' ? 'fill_short' : name === 'memory_copy' && operator.a === operator.b ? 'copy_short' : undefined;
  const next = helper && s.plan.options.optLevel > 0 ? tryShort(s, helper, operator.a, operands) : undefined;
  const failed = callBuiltin(s, name, 'i32', indices, operands);
  s.b.callHelper('trap_if.out_of_bounds_memory_access', 'void', ['i32'], [failed]);
  if (!next) return;
  s.b.br(next);
  s.b.moveTo(next);
}

export function emitMemory(s: FunctionState, operator: Operator): void {
  switch (operator.op.name) {
    case 'memory.size':
      s.fuel.flush();
      return s.push('i32', s.b.cast('Trunc', callBuiltin(s, 'memory_size', 'i64', [operator.a], []), 'i32'));
    case 'memory.grow': {
      const delta = popUnsigned(s);
      chargeBulk(s, operator, delta.value);
      return s.push('i32', s.b.cast('Trunc', callBuiltin(s, 'memory_grow', 'i64', [operator.a], [delta]), 'i32'));
    }
    case 'memory.fill': return bulk(s, operator, 'memory_fill', [operator.a]);
    case 'memory.copy': return bulk(s, operator, 'memory_copy', [operator.a, operator.b]);
    case 'memory.init': return bulk(s, operator, 'memory_init', [operator.b, operator.a]);
    case 'data.drop':
      s.fuel.flush();
      callBuiltin(s, 'data_drop', 'void', [operator.a], []);
      return;
    default: throw new Error(`no lowering for memory operator ${operator.op.name}`);
  }
}
