/** Constant expressions (spec 2.0, 3.3.10): one constant operator and `end`. */
import type { FeatureSet } from './features.js';
import { notSupported, Proposal } from './features.js';
import type { ConstExpr, Opcode, Operator, RefType } from './module.js';
import { type Reader, readOperator } from './reader.js';

/** Operators that the proposal of extended constant expressions adds. */
const EXTENDED: ReadonlySet<string> = new Set(['i32.add', 'i32.sub', 'i32.mul', 'i64.add', 'i64.sub', 'i64.mul']);

/**
 * Reads a constant expression up to and including its `end`.
 * @throws {CompileError} `malformed` as for any operator; `invalid` when an operator is not constant or there is not exactly one. What the
 * expression's type ought to be, and whether its indices exist, is for validation to say.
 */
export function readConstExpr(reader: Reader, features: FeatureSet): ConstExpr {
  const start = reader.pos;
  let expr: ConstExpr | undefined;
  let surplus: number | undefined; // where a second constant stands: an error, unless a better one follows
  for (;;) {
    const operator = readOperator(reader, features);
    if (operator.op.name === 'end') break;
    const next = constExprOf(operator);
    if (next === undefined) failNotConstant(reader, operator.op, operator.offset);
    if (expr !== undefined) surplus ??= operator.offset;
    expr = next;
  }
  if (surplus !== undefined) reader.fail('type mismatch: constant expression leaves more than one value', surplus, 'invalid');
  return expr ?? reader.fail('type mismatch: constant expression is empty', start, 'invalid');
}

function failNotConstant(reader: Reader, op: Opcode, offset: number): never {
  const why = EXTENDED.has(op.name) ? ` (${notSupported(Proposal.extendedConst)})` : '';
  return reader.fail(`constant expression required, found ${op.name}${why}`, offset, 'invalid');
}

function constExprOf({ op, a, bits, types }: Operator): ConstExpr | undefined {
  if (op.lower === 'const' && op.signature) return { kind: 'const', type: op.signature.results[0], bits };
  if (op.name === 'ref.null') return { kind: 'null', type: (types as RefType[])[0] };
  if (op.name === 'ref.func') return { kind: 'func', index: a };
  if (op.name === 'global.get') return { kind: 'global', index: a };
  return undefined;
}
