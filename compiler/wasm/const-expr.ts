/** Constant expressions (spec 3.0, 3.3.10): one constant operator, or several with arithmetic and with what makes structs and arrays; then `end`. */
import { MAX_CONST_HEIGHT } from '../../runtime-c/abi.js';
import { featureMessage, type FeatureSet } from './features.js';
import type { ConstExpr, ConstStep, Opcode, Operator, RefType } from './module.js';
import { readOperator } from './read-operator.js';
import type { Reader } from './reader.js';

/** Operators that are constant where structs and arrays are; the rest of what makes and uses them is not. */
const COLLECTED: ReadonlySet<string> = new Set([
  'ref.i31', 'struct.new', 'struct.new_default', 'array.new', 'array.new_default', 'array.new_fixed', 'any.convert_extern', 'extern.convert_any',
]);
/** Operators of extended constant expressions. */
const EXTENDED: ReadonlySet<string> = new Set(['i32.add', 'i32.sub', 'i32.mul', 'i64.add', 'i64.sub', 'i64.mul']);

/**
 * Reads a constant expression up to and including its `end`.
 * @throws {CompileError} `malformed` as for any operator; `invalid` when an operator is not constant or there is no value, or more than one. What the
 * expression's type ought to be, and whether its indices exist, is for validation to say.
 */
export function readConstExpr(reader: Reader, features: FeatureSet): ConstExpr {
  const start = reader.pos;
  const steps: ConstStep[] = [];
  let surplus: number | undefined; // where a second constant stands: an error, unless a better one follows
  let height = 0;
  let known = true; // how many operands each operator takes; of structs and arrays that depends on types, and validation counts
  for (;;) {
    const operator = readOperator(reader, features);
    if (operator.op.name === 'end') break;
    const next = constStepOf(operator, features);
    if (next === undefined) failNotConstant(reader, operator.op, operator.offset, features);
    if (steps.length > 0) surplus ??= operator.offset;
    if (COLLECTED.has(operator.op.name)) known = false;
    height += next.kind !== 'operator' ? 1 : known ? -1 : 0;
    if (known) reader.limit('values at once in a constant expression', height, MAX_CONST_HEIGHT, operator.offset);
    steps.push(next);
  }
  if (steps.length === 0) reader.fail('type mismatch: constant expression is empty', start, 'invalid');
  if (known && height > 1) reader.fail('type mismatch: constant expression leaves more than one value', surplus, 'invalid');
  if (steps.length === 1 && steps[0].kind !== 'operator') return steps[0];
  return foldConstants(steps) ?? { kind: 'extended', steps };
}

function failNotConstant(reader: Reader, op: Opcode, offset: number, features: FeatureSet): never {
  const why = EXTENDED.has(op.name) && !features.has('extended-const') ? ` (${featureMessage('extended-const')})` : '';
  return reader.fail(`constant expression required, found ${op.name}${why}`, offset, 'invalid');
}

function constStepOf(operator: Operator, features: FeatureSet): ConstStep | undefined {
  const { op, a, b, bits, types } = operator;
  if (op.lower === 'const' && op.signature) return { kind: 'const', type: op.signature.results[0], bits };
  if (op.name === 'ref.null') return { kind: 'null', type: (types as RefType[])[0] };
  if (op.name === 'ref.func') return { kind: 'func', index: a };
  if (op.name === 'global.get') return { kind: 'global', index: a };
  const constant = (EXTENDED.has(op.name) && features.has('extended-const')) || COLLECTED.has(op.name);
  return constant ? { kind: 'operator', op, a, b } : undefined;
}

/** The value of steps that are all constants of the right types; undefined where there are globals, or an error that validation will name. */
function foldConstants(steps: readonly ConstStep[]): ConstExpr | undefined {
  const stack: Extract<ConstExpr, { kind: 'const' }>[] = [];
  for (const step of steps) {
    if (step.kind === 'const') {
      stack.push(step);
      continue;
    }
    if (step.kind !== 'operator' || !EXTENDED.has(step.op.name)) return undefined;
    const [type, name] = step.op.name.split('.') as ['i32' | 'i64', 'add' | 'sub' | 'mul'];
    const b = stack.pop();
    const a = stack.pop();
    if (a?.type !== type || b?.type !== type) return undefined;
    const value = name === 'add' ? a.bits + b.bits : name === 'sub' ? a.bits - b.bits : a.bits * b.bits;
    stack.push({ kind: 'const', type, bits: BigInt.asUintN(type === 'i32' ? 32 : 64, value) });
  }
  return stack.length === 1 ? stack[0] : undefined;
}
