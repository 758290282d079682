/**
 * Vector operators: each is a helper of the prelude (llvm/prelude-simd.ts), called with v128 operands.
 *
 * Constants: integer operators may see and fold them. Floating-point ones must not, for the reasons that emit/numeric.ts gives (x * 1.0 folds to x, which may be a
 * signalling NaN), and a vector can become a constant in many more ways than a scalar (a splat, a mask, a zeroed local). So an operand of a floating-point
 * operator goes through an empty asm, which costs no instruction, unless it is the direct result of another one and hence no constant.
 */
import type { TypeName, Value } from '../llvm/builder.js';
import { irType } from '../llvm/builder.js';
import { shuffleName } from '../llvm/prelude-simd.js';
import type { FuncType, Operator } from '../wasm/module.js';
import { alwaysOut, emitAccess, emitOut, memoryBase } from './memory.js';
import type { FunctionState } from './state.js';

/** Operators that round, or that make scalars floats: their vector operands are hidden. Comparisons, minima, maxima and sign changes fold exactly. */
const ARITHMETIC = /^f(?:32x4|64x2)\.(?:add|sub|mul|div|sqrt|ceil|floor|trunc|nearest|splat|extract_lane|replace_lane|convert_\w+|promote_low_f32x4|demote_f64x2_zero|relaxed_n?madd)$/;
/** Those whose NaN results `--nan canonical` makes canonical; minima and maxima give the canonical one in any case. */
const MAKES_NAN = /^f(?:32x4|64x2)\.(?:add|sub|mul|div|sqrt|ceil|floor|trunc|nearest|promote_low_f32x4|demote_f64x2_zero|relaxed_n?madd)$/;
/** LLVM folds a demotion of a promotion to the original: its operand is hidden whatever it is. */
const DEMOTE = 'f32x4.demote_f64x2_zero';

/**
 * Relaxed operators that behave as another operator in the deterministic profile (spec 3.0, Profiles), which is the only one here: results never depend on the
 * machine.
 */
const DETERMINISTIC: Readonly<Record<string, string>> = {
  'i8x16.relaxed_swizzle': 'i8x16.swizzle',
  'i32x4.relaxed_trunc_f32x4_s': 'i32x4.trunc_sat_f32x4_s', 'i32x4.relaxed_trunc_f32x4_u': 'i32x4.trunc_sat_f32x4_u',
  'i32x4.relaxed_trunc_f64x2_s_zero': 'i32x4.trunc_sat_f64x2_s_zero', 'i32x4.relaxed_trunc_f64x2_u_zero': 'i32x4.trunc_sat_f64x2_u_zero',
  'i8x16.relaxed_laneselect': 'v128.bitselect', 'i16x8.relaxed_laneselect': 'v128.bitselect', 'i32x4.relaxed_laneselect': 'v128.bitselect', 'i64x2.relaxed_laneselect': 'v128.bitselect',
  'f32x4.relaxed_min': 'f32x4.min', 'f32x4.relaxed_max': 'f32x4.max', 'f64x2.relaxed_min': 'f64x2.min', 'f64x2.relaxed_max': 'f64x2.max',
  'i16x8.relaxed_q15mulr_s': 'i16x8.q15mulr_sat_s',
};

const signatureOf = (operator: Operator) => operator.op.signature as FuncType;

/** The operands, the topmost last; those of floating-point arithmetic hidden. */
function popArguments(s: FunctionState, operator: Operator): Value[] {
  const { name } = operator.op;
  const arithmetic = ARITHMETIC.test(name);
  return signatureOf(operator).params.map(() => s.popOperand()).reverse().map((operand) => {
    const value = s.materialise(operand);
    const needsHiding = arithmetic && operand.type === 'v128' && (!operand.hidden || name === DEMOTE);
    const becomesFloat = arithmetic && (operand.type === 'i32' || operand.type === 'i64');
    return needsHiding || becomesFloat ? s.opaque(operand.type, value) : value;
  });
}

function pushResult(s: FunctionState, operator: Operator, value: Value): void {
  const { name } = operator.op;
  const [type] = signatureOf(operator).results;
  const shape = name.split('.')[0];
  const canonical = s.plan.options.nan === 'canonical' && MAKES_NAN.test(name);
  const result = canonical ? s.b.callHelper(`canonical.${shape}`, 'v128', ['v128'], [value]) : value;
  s.pushOperand({ type, value: result, hidden: type === 'v128' && ARITHMETIC.test(name) && !canonical });
}

/** Loads and stores of one lane. */
function emitLaneAccess(s: FunctionState, operator: Operator): void {
  const vector = s.pop();
  const address = s.pop();
  if (alwaysOut(operator)) return emitOut(s);
  const args = [memoryBase(s, operator.a), address, s.b.i64(operator.bits), vector, s.b.i32(operator.lane)];
  const isLoad = signatureOf(operator).results.length > 0;
  const result = emitAccess(s, operator.op.name, isLoad ? 'v128' : 'void', ['ptr', 'i32', 'i64', 'v128', 'i32'], args);
  if (isLoad) s.push('v128', result);
}

export function emitVector(s: FunctionState, operator: Operator): void {
  const { name, immediates } = operator.op;
  if (immediates === 'memarg_lane') return emitLaneAccess(s, operator);
  const args = popArguments(s, operator);
  const types: TypeName[] = signatureOf(operator).params.map(irType);
  const [result] = signatureOf(operator).results;
  if (immediates === 'shuffle') return s.push('v128', s.b.callHelper(shuffleName(operator.bits), 'v128', types, args));
  if (immediates === 'lane') return pushResult(s, operator, s.b.callHelper(name, irType(result), [...types, 'i32'], [...args, s.b.i32(operator.lane)]));
  if (name.endsWith('_true')) return s.pushOperand({ type: 'i32', value: s.b.callHelper(name, 'i1', types, args), isBool: true });
  pushResult(s, operator, s.b.callHelper(DETERMINISTIC[name] ?? name, irType(result), types, args));
}
