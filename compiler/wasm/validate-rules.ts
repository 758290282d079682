/** Validation rules of the operators (spec 2.0, 3.3): what each asks of its immediates, and the types of those that have no fixed signature. */
import type { BlockType, FuncType, Immediates, Opcode, Operator, RefType, ValType } from './module.js';
import { OPCODES, PREFIX_GC, PREFIX_MISC } from './opcodes.js';
import { isReference, refParts, refType, withoutNull } from './types.js';
import { COLLECTED_RULES } from './validate-collected.js';
import type { FunctionValidator, Operand } from './validate-function.js';

/** What an operator with a fixed signature asks of its immediates. */
export type Check = (v: FunctionValidator, operator: Operator) => void;

/** By the shape of the immediates. */
export const CHECKS: Record<Immediates, Check> = {
  memarg: (v, { op, a, b, bits }) => {
    v.needMemory(a);
    if (bits >= 2n ** 32n) v.fail(`offset out of range: ${bits} in a 32-bit memory`);
    if (2 ** b > (op.width as number)) v.fail(`alignment must not be larger than natural: 2^${b} bytes for ${op.name}`);
  },
  memory: (v, { a }) => v.needMemory(a),
  memory_init: (v, { a, b }) => {
    v.needMemory(b);
    v.needData(a);
  },
  data: (v, { a }) => v.needData(a),
  memory_copy: (v, { a, b }) => {
    v.needMemory(a);
    v.needMemory(b);
  },
  table: (v, { a }) => void v.tableType(a),
  table_init: (v, { a, b }) => {
    const table = v.tableType(b);
    const segment = v.elemType(a);
    if (!v.relation.matches(segment, table)) v.fail(`type mismatch: table of ${table}, elements of ${segment}`);
  },
  elem: (v, { a }) => void v.elemType(a),
  table_copy: (v, { a, b }) => {
    const to = v.tableType(a);
    const from = v.tableType(b);
    if (!v.relation.matches(from, to)) v.fail(`type mismatch: table of ${to}, elements of ${from}`);
  },
  lane: (v, { op, lane }) => {
    const lanes = Number(/^[if]\d+x(\d+)/.exec(op.name)?.[1]);
    if (lane >= lanes) v.fail(`invalid lane index ${lane} of ${op.name}`);
  },
  memarg_lane: (v, operator) => {
    CHECKS.memarg(v, operator);
    const lanes = 16 / (operator.op.width as number);
    if (operator.lane >= lanes) v.fail(`invalid lane index ${operator.lane} of ${operator.op.name}`);
  },
  shuffle: (v, { bits }) => {
    for (let lanes = bits; lanes > 0n; lanes >>= 8n) if ((lanes & 0xffn) >= 32n) v.fail(`invalid lane index ${lanes & 0xffn} of i8x16.shuffle`);
  },
  none: () => {},
  v128: () => {},
  i32: () => {},
  i64: () => {},
  f32: () => {},
  f64: () => {},
  ...ruleOnly(
    'block', 'label', 'br_table', 'func', 'type', 'call_indirect', 'local', 'global', 'ref_type', 'select_types',
    'type_field', 'type_count', 'type_data', 'type_elem', 'type_type', 'heap', 'heap_null', 'cast_branch',
  ),
};

/** Immediates that no operator with a fixed signature has yet. */
function ruleOnly<K extends Immediates>(...kinds: K[]): Record<K, Check> {
  const check: Check = (_v, { op }) => {
    throw new Error(`${op.name}: no check of ${op.immediates}`);
  };
  return Object.fromEntries(kinds.map((kind) => [kind, check])) as Record<K, Check>;
}

const nonNull = (type: RefType | 'unknown reference'): Operand => (type === 'unknown reference' ? type : withoutNull(type));

function openBlock(op: 'block' | 'loop' | 'if'): Check {
  return (v, { block }) => {
    const type = v.blockType(block as BlockType);
    if (op === 'if') v.pop('i32');
    v.popAll(type.params);
    v.open(op, type);
  };
}

function call(v: FunctionValidator, type: FuncType): void {
  v.popAll(type.params);
  v.pushAll(type.results);
}

/** Checks the table and pops the index. Returns the callee's type. */
function indirectType(v: FunctionValidator, { op, a, b }: Operator): FuncType {
  const element = v.tableType(b);
  if (!v.relation.matches(element, 'funcref')) v.fail(`type mismatch: ${op.name} through a table of ${element}`);
  v.pop('i32');
  return v.type(a);
}

/** Pops the function that a call_ref calls. Returns its type. */
function referencedType(v: FunctionValidator, { a }: Operator): FuncType {
  const type = v.type(a);
  v.pop(refType(true, a));
  return type;
}

function returnCall(v: FunctionValidator, type: FuncType): void {
  if (!v.relation.allMatch(type.results, v.functionResults)) v.fail(`type mismatch: the callee returns (${type.results.join(' ')}), the function (${v.functionResults.join(' ')})`);
  v.popAll(type.params);
  v.setUnreachable();
}

function select(v: FunctionValidator, { types }: Operator): void {
  v.pop('i32');
  if (types !== undefined) {
    if (types.length !== 1) v.fail(`invalid result arity: select with ${types.length} types`);
    v.needType(types[0]);
    v.pop(types[0]);
    v.pop(types[0]);
    v.push(types[0]);
    return;
  }
  const second = v.popAny();
  const first = v.popAny();
  for (const type of [first, second]) {
    if (type === 'unknown reference' || (type !== 'unknown' && isReference(type))) v.fail(`type mismatch: select of ${type} must name its type`);
  }
  if (first !== second && first !== 'unknown' && second !== 'unknown') v.fail(`type mismatch: select of ${first} and ${second}`);
  v.push(first === 'unknown' ? second : first);
}

function end(v: FunctionValidator): void {
  const frame = v.close();
  // An `if` without `else` passes its parameters through when the condition is false.
  if (frame.op === 'if' && !v.relation.allMatch(frame.params, frame.results)) v.fail('type mismatch: an if whose results differ from its parameters needs an else');
  if (frame.op !== 'function') v.pushAll(frame.results);
}

function branchOnNonNull(v: FunctionValidator, label: number): void {
  const types = v.labelTypes(label);
  const last = types[types.length - 1];
  const parts = last === undefined ? undefined : refParts(last);
  if (parts === undefined) return v.fail(`type mismatch: br_on_non_null to a label that takes ${last ?? 'nothing'}`);
  v.pop(refType(true, parts.heap));
  v.passAll(types.slice(0, -1));
}

/** The rules of the operators whose types depend on immediates or context, by name (both encodings of `select` share one); those of structs, arrays and casts are in validate-collected.ts. */
const CONTEXT_RULES: Readonly<Record<string, Check>> = {
  unreachable: (v) => v.setUnreachable(),
  block: openBlock('block'),
  loop: openBlock('loop'),
  if: openBlock('if'),
  else: (v) => {
    if (v.frame(0).op !== 'if') v.malformed('END opcode expected, found else outside an if');
    const { params, results } = v.close();
    v.open('else', { params, results });
  },
  end,
  br: (v, { a }) => {
    v.popAll(v.labelTypes(a));
    v.setUnreachable();
  },
  br_if: (v, { a }) => {
    v.pop('i32');
    v.passAll(v.labelTypes(a));
  },
  br_on_null: (v, { a }) => {
    const type = v.popReference();
    v.passAll(v.labelTypes(a));
    v.push(nonNull(type));
  },
  br_on_non_null: (v, { a }) => branchOnNonNull(v, a),
  br_table: (v, { labels }) => v.brTable(labels as readonly number[]),
  return: (v) => {
    v.popAll(v.functionResults);
    v.setUnreachable();
  },
  call: (v, { a }) => call(v, v.funcType(a)),
  call_indirect: (v, operator) => call(v, indirectType(v, operator)),
  return_call: (v, { a }) => returnCall(v, v.funcType(a)),
  return_call_indirect: (v, operator) => returnCall(v, indirectType(v, operator)),
  call_ref: (v, operator) => call(v, referencedType(v, operator)),
  return_call_ref: (v, operator) => {
    v.needFeature('tail-call');
    returnCall(v, referencedType(v, operator));
  },
  drop: (v) => void v.popAny(),
  select,
  'local.get': (v, { a }) => {
    v.needInitialised(a);
    v.push(v.local(a));
  },
  'local.set': (v, { a }) => {
    v.pop(v.local(a));
    v.setInitialised(a);
  },
  'local.tee': (v, { a }) => {
    const type = v.local(a);
    v.pop(type);
    v.setInitialised(a);
    v.push(type);
  },
  'global.get': (v, { a }) => v.push((v.module.globals[a] ?? v.fail(`unknown global ${a}`)).type),
  'global.set': (v, { a }) => {
    const global = v.module.globals[a] ?? v.fail(`unknown global ${a}`);
    if (!global.mutable) v.fail(`global is immutable: global ${a}`);
    v.pop(global.type);
  },
  'table.get': (v, { a }) => {
    const type = v.tableType(a);
    v.pop('i32');
    v.push(type);
  },
  'table.set': (v, { a }) => {
    const type = v.tableType(a);
    v.pop(type);
    v.pop('i32');
  },
  'table.grow': (v, { a }) => {
    const type = v.tableType(a);
    v.pop('i32');
    v.pop(type);
    v.push('i32');
  },
  'table.fill': (v, { a }) => {
    const type = v.tableType(a);
    v.pop('i32');
    v.pop(type);
    v.pop('i32');
  },
  'ref.null': (v, { types }) => {
    const [type] = types as readonly ValType[];
    v.needType(type);
    v.push(type);
  },
  'ref.is_null': (v) => {
    v.popReference();
    v.push('i32');
  },
  'ref.func': (v, { a }) => {
    v.funcType(a);
    if (!v.module.refs.has(a)) v.fail(`undeclared function reference ${a}`);
    v.push(v.features.has('function-references') ? refType(false, v.module.funcs[a]) : 'funcref');
  },
  'ref.as_non_null': (v) => v.push(nonNull(v.popReference())),
};

function ruleOf(op: Opcode): Check {
  const rule = CONTEXT_RULES[op.name] ?? COLLECTED_RULES[op.name];
  if (rule === undefined) throw new Error(`${op.name} has neither a signature nor a rule`);
  return rule;
}

/** The same by opcode, and by prefix and sub-opcode; every row without a signature must have one. */
export const RULES: Check[] = [];
export const PREFIXED_RULES: Check[][] = [];
for (const prefix of [PREFIX_GC, PREFIX_MISC]) PREFIXED_RULES[prefix] = [];
for (const op of OPCODES) {
  if (op.signature === undefined) (op.code < 256 ? RULES : PREFIXED_RULES[op.code >> 8])[op.code & 0xff] = ruleOf(op);
}
