/**
 * Numeric operators: constants, comparisons, arithmetic, conversions.
 *
 * Floating-point constants need care. LLVM folds `x * 1.0`, `x / 1.0`, `x - 0.0`, `x + -0.0` and the like to `x`, and so returns a signalling NaN as it is, where
 * wasm demands a quiet one (spec 4.3.3, NaN propagation); folding two constants may also give a NaN of another sign than the machine does. So LLVM sees a
 * floating-point constant only as the direct operand of an arithmetic operator whose other operand is not one, and only when it is none of those that fold away;
 * everywhere else the constant is hidden behind an empty asm. Integers that become floats are hidden likewise.
 */
import type { BinaryOp, CompareOp, Value } from '../llvm/builder.js';
import { irType } from '../llvm/builder.js';
import type { Operator, ValType } from '../wasm/module.js';
import type { FunctionState, Operand } from './state.js';

const BINARY: Readonly<Record<string, BinaryOp>> = {
  'i32.add': 'Add', 'i32.sub': 'Sub', 'i32.mul': 'Mul', 'i32.and': 'And', 'i32.or': 'Or', 'i32.xor': 'Xor',
  'i64.add': 'Add', 'i64.sub': 'Sub', 'i64.mul': 'Mul', 'i64.and': 'And', 'i64.or': 'Or', 'i64.xor': 'Xor',
  'f32.add': 'FAdd', 'f32.sub': 'FSub', 'f32.mul': 'FMul', 'f32.div': 'FDiv', 'f64.add': 'FAdd', 'f64.sub': 'FSub', 'f64.mul': 'FMul', 'f64.div': 'FDiv',
};
const SHIFT: Readonly<Record<string, BinaryOp>> = { shl: 'Shl', shr_s: 'AShr', shr_u: 'LShr' };
const INT_COMPARE: Readonly<Record<string, CompareOp>> = {
  eq: 'ICmpEQ', ne: 'ICmpNE', lt_s: 'ICmpSLT', lt_u: 'ICmpULT', gt_s: 'ICmpSGT', gt_u: 'ICmpUGT', le_s: 'ICmpSLE', le_u: 'ICmpULE', ge_s: 'ICmpSGE', ge_u: 'ICmpUGE',
};
/** `ne` is unordered: a NaN differs from everything; the others are false for it. */
const FLOAT_COMPARE: Readonly<Record<string, CompareOp>> = { eq: 'FCmpOEQ', ne: 'FCmpUNE', lt: 'FCmpOLT', gt: 'FCmpOGT', le: 'FCmpOLE', ge: 'FCmpOGE' };
/** Operators whose NaN results `--nan canonical` makes canonical: those that compute, not those that move or flip bits. */
const MAKES_NAN = /^f(32|64)\.(add|sub|mul|div|min|max|ceil|floor|trunc|nearest|sqrt|demote_f64|promote_f32)$/;

const isFloat = (type: ValType) => type === 'f32' || type === 'f64';

export function emitConst(s: FunctionState, { op, a, bits }: Operator): void {
  switch (op.immediates) {
    case 'i32': return s.push('i32', s.b.i32(a));
    case 'i64': return s.push('i64', s.b.i64(bits));
    case 'f32': return s.pushOperand({ type: 'f32', value: s.b.float('f32', bits), literal: bits });
    case 'f64': return s.pushOperand({ type: 'f64', value: s.b.float('f64', bits), literal: bits });
    case 'v128': return s.push('v128', s.b.vectorBits(bits));
    default: throw new Error(`no lowering for constant ${op.name}`);
  }
}

/** Constants with which LLVM folds an operator away: zero, one and infinity of either sign, and NaNs. */
function foldsAway(type: ValType, bits: bigint): boolean {
  const [magnitude, one, infinity] = type === 'f32' ? [bits & 0x7fffffffn, 0x3f800000n, 0x7f800000n] : [bits & 0x7fffffffffffffffn, 0x3ff0000000000000n, 0x7ff0000000000000n];
  return magnitude === 0n || magnitude === one || magnitude >= infinity;
}

/** An operand of floating-point arithmetic: the constant itself where LLVM may see it. */
function arithmeticOperand(s: FunctionState, operand: Operand, other: Operand): Value {
  const visible = operand.literal === undefined || (other.literal === undefined && !foldsAway(operand.type, operand.literal));
  return visible ? operand.value : s.materialise(operand);
}

function pushResult(s: FunctionState, operator: Operator, type: ValType, value: Value): void {
  const canonical = s.plan.options.nan === 'canonical' && MAKES_NAN.test(operator.op.name);
  const ir = irType(type);
  s.push(type, canonical ? s.b.callHelper(`canonical.${ir}`, ir, [ir], [value]) : value);
}

const resultOf = (operator: Operator) => (operator.op.signature as { results: readonly ValType[] }).results[0];
const paramsOf = (operator: Operator) => (operator.op.signature as { params: readonly ValType[] }).params;

export function emitBinary(s: FunctionState, operator: Operator): void {
  const type = resultOf(operator);
  const direct = BINARY[operator.op.name];
  if (!direct) return emitHelper(s, operator);
  const right = s.popOperand();
  const left = s.popOperand();
  const [a, b] = isFloat(type) ? [arithmeticOperand(s, left, right), arithmeticOperand(s, right, left)] : [s.materialise(left), s.materialise(right)];
  pushResult(s, operator, type, s.b.binary(direct, a, b));
}

/** Shift counts are taken modulo the width in wasm; a count of the width or more is poison in LLVM. */
export function emitShift(s: FunctionState, operator: Operator): void {
  const [type, name] = operator.op.name.split('.') as ['i32' | 'i64', string];
  const direct = SHIFT[name];
  if (!direct) return emitHelper(s, operator);
  const count = s.pop();
  const value = s.pop();
  const mask = type === 'i32' ? s.b.i32(31) : s.b.i64(63n);
  s.push(type, s.b.binary(direct, value, s.b.binary('And', count, mask)));
}

export function emitCompare(s: FunctionState, operator: Operator): void {
  const name = operator.op.name.split('.')[1];
  const [type] = paramsOf(operator);
  if (name === 'eqz') {
    const operand = s.popOperand();
    const value = operand.isBool ? s.b.binary('Xor', operand.value, s.b.cast('Trunc', s.b.i32(1), 'i1')) : s.b.compare('ICmpEQ', operand.value, s.b.zero(irType(type)));
    return s.pushOperand({ type: 'i32', value, isBool: true });
  }
  // A comparison gives no float back, so the constants may stay visible; two of them would only fold to the right answer.
  const right = s.popOperand();
  const left = s.popOperand();
  const plain = (operand: Operand) => (operand.literal === undefined ? s.materialise(operand) : operand.value);
  const a = plain(left);
  const b = plain(right);
  s.pushOperand({ type: 'i32', value: s.b.compare((isFloat(type) ? FLOAT_COMPARE : INT_COMPARE)[name], a, b), isBool: true });
}

/** Lowers an operator to the prelude helper of the same name. */
export function emitHelper(s: FunctionState, operator: Operator): void {
  const params = paramsOf(operator);
  const type = resultOf(operator);
  const args = s.popMany(params.length);
  pushResult(s, operator, type, s.b.callHelper(operator.op.name, irType(type), params.map(irType), args));
}

export function emitConvert(s: FunctionState, operator: Operator): void {
  const { name } = operator.op;
  if (name.includes('extend') && !name.includes('extend_i32')) return emitHelper(s, operator);
  const [from] = paramsOf(operator);
  const to = resultOf(operator);
  const value = s.pop();
  const hidden = () => s.opaque(from, value);
  switch (name.split('.')[1]) {
    case 'wrap_i64': return s.push(to, s.b.cast('Trunc', value, 'i32'));
    case 'extend_i32_s': return s.push(to, s.b.cast('SExt', value, 'i64'));
    case 'extend_i32_u': return s.push(to, s.b.cast('ZExt', value, 'i64'));
    case 'reinterpret_f32': case 'reinterpret_f64': return s.push(to, s.b.cast('BitCast', value, irType(to)));
    case 'reinterpret_i32': case 'reinterpret_i64': return s.push(to, s.b.cast('BitCast', hidden(), irType(to)));
    case 'convert_i32_s': case 'convert_i64_s': return s.push(to, s.b.cast('SIToFP', hidden(), irType(to)));
    case 'convert_i32_u': case 'convert_i64_u': return s.push(to, s.b.cast('UIToFP', hidden(), irType(to)));
    case 'promote_f32': return pushResult(s, operator, to, s.b.cast('FPExt', value, 'f64'));
    // LLVM folds a demotion of a promotion to the original, which may be a signalling NaN.
    case 'demote_f64': return pushResult(s, operator, to, s.b.cast('FPTrunc', hidden(), 'f32'));
    default: throw new Error(`no lowering for conversion ${name}`);
  }
}
