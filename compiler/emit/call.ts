/** Calls: direct, of imports, through tables, through references. */
import type { Value } from '../llvm/builder.js';
import { OFFSETS, SIZES } from '../../runtime-c/abi.js';
import type { FuncType, Operator } from '../wasm/module.js';
import { functionType } from '../wasm/types.js';
import type { FunctionState } from './state.js';
import { isOfType } from './cast.js';
import { nonNull, tableOffset } from './table.js';

function pushResults(s: FunctionState, type: FuncType, value: Value): void {
  s.b.results(type, value).forEach((result, i) => s.push(type.results[i], result));
}

function callFunction(s: FunctionState, index: number): void {
  const type = functionType(s.module, s.module.funcs[index]);
  const args = s.popMany(type.params.length);
  s.fuel.flush();
  if (index >= s.module.importedFuncs) return pushResults(s, type, s.b.call(s.partition.funcOf(index), [s.vmctx, ...args]));
  const at = s.plan.layout.imports + index * SIZES.vm_import;
  const field = (name: 'code' | 'vmctx') => s.b.callHelper(`import_${name}`, 'ptr', ['ptr', 'i64'], [s.vmctx, s.b.i64(BigInt(at + OFFSETS.vm_import[name]))]);
  pushResults(s, type, s.b.callIndirect(type, field('code'), [field('vmctx'), ...args]));
}

/** A function that is called through a reference; its instance, where that is known. */
interface Callee { readonly func: Value; readonly vmctx?: Value }

/**
 * The function reference at an index of a table, or a trap: out of range, null, of another type. A type that is not final is that of functions of its subtypes as well.
 * Where the table never changes and the functions that may be called are beside each other, one comparison of the index says all that.
 */
function lookUp(s: FunctionState, typeIndex: number, table: number, index: Value): Callee {
  const constant = s.plan.constantTables.get(table);
  const range = constant?.callable(typeIndex, s.partition.relation);
  if (constant && range) {
    const bounds = [s.b.i32(range.from), s.b.i32(range.to - range.from)];
    const func = s.b.callHelper('known_element_func', 'ptr', ['ptr', 'i64', 'i32', 'i32', 'i32'], [s.vmctx, tableOffset(s, table), index, ...bounds]);
    return { func, vmctx: constant.isOwn(range) ? s.vmctx : undefined };
  }
  const func = s.b.callHelper('element_func', 'ptr', ['ptr', 'i64', 'i32'], [s.vmctx, tableOffset(s, table), index]);
  const found = s.b.callHelper('func_type', 'ptr', ['ptr'], [func]);
  s.b.callHelper('trap_unless.indirect_call_type_mismatch', 'void', ['i1'], [isOfType(s, found, typeIndex)]);
  return { func };
}

/** The function reference of an imported function. */
function importedFunction(s: FunctionState, index: number): Value {
  return s.b.callHelper('funcref_pointer', 'ptr', ['ptr', 'i64'], [s.vmctx, s.b.i64(BigInt(index * 8))]);
}

const vmctxOf = (s: FunctionState, { func, vmctx }: Callee): Value => vmctx ?? s.b.callHelper('func_vmctx', 'ptr', ['ptr'], [func]);

/** The function that is called: by an index in a table, or as a reference. The operand that says which has been popped; looking it up can trap. */
function popCallee(s: FunctionState, { op, a, b }: Operator): () => Callee {
  if (op.immediates === 'call_indirect') {
    const index = s.pop();
    return () => lookUp(s, a, b, index);
  }
  const ref = s.popOperand();
  return () => ({ func: s.b.callHelper('func_pointer', 'ptr', ['i64'], [nonNull(s, ref, 'null_function_reference')]) });
}

function callReference(s: FunctionState, operator: Operator): void {
  const type = functionType(s.module, operator.a);
  const callee = popCallee(s, operator);
  const args = s.popMany(type.params.length);
  s.fuel.flush();
  const found = callee();
  const code = s.b.callHelper('func_code', 'ptr', ['ptr'], [found.func]);
  pushResults(s, type, s.b.callIndirect(type, code, [vmctxOf(s, found), ...args]));
}

/**
 * A tail call through a function reference. Code of modules with tail calls is entered in the tail-calling convention and runs in place of the caller; other modules'
 * functions and the host's have C's only: they are called, and what they return is returned. They make no tail calls, so the stack grows by one frame, once.
 */
function returnCallReference(s: FunctionState, type: FuncType, callee: Callee, args: Value[]): void {
  const { func } = callee;
  const tail = s.b.callHelper('func_tail_code', 'ptr', ['ptr'], [func]);
  const vmctx = vmctxOf(s, callee);
  const plain = s.b.block(s.func, 'plain');
  const inPlace = s.b.block(s.func, 'tail');
  s.b.condBr(s.b.isNull(tail), plain, inPlace);
  s.b.moveTo(inPlace);
  s.b.markTailCall();
  s.b.retCall(type, () => s.b.callIndirect(type, tail, [vmctx, ...args]));
  s.b.moveTo(plain);
  const code = s.b.callHelper('func_code', 'ptr', ['ptr'], [func]);
  s.b.retCall(type, () => s.b.callIndirect(type, code, [vmctx, ...args]));
}

function returnCall(s: FunctionState, operator: Operator): void {
  const { op, a } = operator;
  const direct = op.name === 'return_call';
  const type = functionType(s.module, direct ? s.module.funcs[a] : a);
  const callee = direct ? undefined : popCallee(s, operator);
  const args = s.popMany(type.params.length);
  s.fuel.flush();
  if (callee) returnCallReference(s, type, callee(), args);
  else if (a < s.module.importedFuncs) returnCallReference(s, type, { func: importedFunction(s, a) }, args);
  else {
    s.b.markTailCall();
    s.b.retCall(type, () => s.b.call(s.partition.funcOf(a), [s.vmctx, ...args]));
  }
  s.skipRest();
}

export function emitCall(s: FunctionState, operator: Operator): void {
  const { op, a } = operator;
  if (op.name === 'call') callFunction(s, a);
  else if (op.name === 'call_indirect' || op.name === 'call_ref') callReference(s, operator);
  else returnCall(s, operator);
}
