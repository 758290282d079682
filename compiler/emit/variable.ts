/** Variables and the parametric operators. */
import { irType, type Value } from '../llvm/builder.js';
import { VALUE_SIZE } from '../../runtime-c/abi.js';
import type { Operator, ValType } from '../wasm/module.js';
import type { FunctionState } from './state.js';

/** Makes the locals: parameters first, then the declared ones as zeros. Floating-point zeros are hidden from LLVM (see numeric.ts). */
export function declareLocals(s: FunctionState, declared: readonly ValType[]): void {
  s.type.params.forEach((type, i) => s.declareLocal(type, s.b.param(s.func, i + 1)));
  const zeros = new Map<ValType, Value>();
  for (const type of declared) {
    let zero = zeros.get(type);
    if (!zero) {
      zero = s.b.zero(irType(type));
      if (type === 'f32' || type === 'f64') zero = s.opaque(type, zero);
      zeros.set(type, zero);
    }
    s.declareLocal(type, zero);
  }
}

export function emitLocal(s: FunctionState, { op, a }: Operator): void {
  const type = s.localType(a);
  if (op.name === 'local.get') return s.push(type, s.getLocal(a));
  const value = s.pop();
  s.setLocal(a, value);
  if (op.name === 'local.tee') s.push(type, value);
}

export function emitGlobal(s: FunctionState, { op, a }: Operator): void {
  const { type } = s.module.globals[a];
  const ir = irType(type);
  const offset = s.b.i64(BigInt(s.plan.layout.globals + a * VALUE_SIZE));
  const slot = s.b.callHelper(a < s.module.importedGlobals ? 'imported_global' : 'own_global', 'ptr', ['ptr', 'i64'], [s.vmctx, offset]);
  if (op.name === 'global.get') return s.push(type, s.b.callHelper(`global_get.${ir}`, ir, ['ptr'], [slot]));
  s.b.callHelper(`global_set.${ir}`, 'void', ['ptr', ir], [slot, s.pop()]);
}

export function emitParametric(s: FunctionState, { op, types }: Operator): void {
  if (op.name === 'drop') {
    s.popOperand();
    return;
  }
  const condition = s.popCondition();
  const otherwise = s.popOperand();
  const then = s.popOperand();
  // Of references the type that is named: one of the two may be null where the other cannot.
  s.push(types?.[0] ?? then.type, s.b.select(condition, s.materialise(then), s.materialise(otherwise)));
}
