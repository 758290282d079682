/** Calls: direct, of imports, through tables. */
import type { Value } from '../llvm/builder.js';
import { OFFSETS, SIZES } from '../../runtime-c/abi.js';
import type { FuncType, Operator } from '../wasm/module.js';
import type { FunctionState } from './state.js';
import { tableOffset } from './table.js';

function pushResults(s: FunctionState, type: FuncType, value: Value): void {
  s.b.results(type, value).forEach((result, i) => s.push(type.results[i], result));
}

function callFunction(s: FunctionState, index: number): void {
  const type = s.module.types[s.module.funcs[index]];
  const args = s.popMany(type.params.length);
  s.fuel.flush();
  if (index >= s.module.importedFuncs) return pushResults(s, type, s.b.call(s.partition.funcOf(index), [s.vmctx, ...args]));
  const at = s.plan.layout.imports + index * SIZES.vm_import;
  const field = (name: 'code' | 'vmctx') => s.b.callHelper(`import_${name}`, 'ptr', ['ptr', 'i64'], [s.vmctx, s.b.i64(BigInt(at + OFFSETS.vm_import[name]))]);
  pushResults(s, type, s.b.callIndirect(type, field('code'), [field('vmctx'), ...args]));
}

function callTable(s: FunctionState, typeIndex: number, table: number): void {
  const type = s.module.types[typeIndex];
  const index = s.pop();
  const args = s.popMany(type.params.length);
  s.fuel.flush();
  const func = s.b.callHelper('callee', 'ptr', ['ptr', 'i64', 'i32', 'i64'], [s.vmctx, tableOffset(s, table), index, s.b.i64(BigInt(typeIndex * 8))]);
  const code = s.b.callHelper('func_code', 'ptr', ['ptr'], [func]);
  pushResults(s, type, s.b.callIndirect(type, code, [s.b.callHelper('func_vmctx', 'ptr', ['ptr'], [func]), ...args]));
}

export function emitCall(s: FunctionState, { op, a, b }: Operator): void {
  if (op.name === 'call') callFunction(s, a);
  else callTable(s, a, b);
}
