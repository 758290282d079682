/**
 * Validation of one function's body: the algorithm of the spec's appendix (2.0, "Validation Algorithm"), in one pass over its operators.
 * A stack of operand types and a stack of open blocks; nothing recurses, so that nesting cannot overflow the JS stack.
 */
import type { FeatureSet } from './features.js';
import { arrayAt, structAt, TypeFault } from './construct.js';
import { Limit } from './limits.js';
import type { ArrayType, BlockType, Feature, FieldType, FuncBody, FuncType, RefType, ValType, WasmModule } from './module.js';
import { readOperator } from './read-operator.js';
import { Reader } from './reader.js';
import { functionType, isDefaultable, isReference, refParts, type TypeRelation } from './types.js';
import { CHECKS, PREFIXED_RULES, RULES } from './validate-rules.js';

/** A type on the operand stack; `unknown` stands, in unreachable code, for whatever is wanted, `unknown reference` for whatever reference. */
export type Operand = ValType | 'unknown' | 'unknown reference';

/** An open block. */
interface Frame {
  readonly op: 'function' | 'block' | 'loop' | 'if' | 'else';
  readonly params: readonly ValType[];
  readonly results: readonly ValType[];
  /** Operands below this one belong to enclosing blocks. */
  readonly height: number;
  /** How many locals without a default value had been set when the frame was opened: those set inside it are not set after it. */
  readonly initialised: number;
  unreachable: boolean;
  /** File offset of the br_table that checked this frame as a target last: a frame named often in one table is checked once. */
  checkedBy: number;
}

/** What all functions of a module are validated with. */
export interface FunctionContext { readonly features: FeatureSet; readonly relation: TypeRelation; readonly file?: string }

/**
 * Validates the body of a function.
 * @param index Of the function, in the function index space; its type index, and those of the whole module, must be in range.
 * @throws {CompileError} `invalid` or `malformed` with the operator's offset and the function; `unsupported` over an implementation limit.
 */
export function validateFunction(module: WasmModule, index: number, body: FuncBody, context: FunctionContext): void {
  const place = { file: context.file, func: { index, name: module.names.funcs.get(index) } };
  new FunctionValidator(module, body, context, new Reader(module.bytes, body.codeStart, body.codeEnd, place)).run(body);
}

const NONE: readonly ValType[] = [];
/** Parameters and results of a block whose block type is one value type, made once for each of the common ones. */
const VALUE_RESULTS: ReadonlyMap<ValType, FuncType> = new Map(
  (['i32', 'i64', 'f32', 'f64', 'v128', 'funcref', 'externref'] satisfies ValType[]).map((type): [ValType, FuncType] => [type, { params: NONE, results: [type] }]),
);
const EMPTY: FuncType = { params: NONE, results: NONE };

/** Of the locals that a function declares: those without a default value, by place; and the types that name a type of the module. */
interface LocalsFacts { readonly withoutDefault: readonly number[]; readonly referring: readonly ValType[] }
/** Functions with equal declarations share the array of their locals: it is looked through once. */
const FACTS = new WeakMap<readonly ValType[], LocalsFacts>();

function factsOf(locals: readonly ValType[]): LocalsFacts {
  let facts = FACTS.get(locals);
  if (facts === undefined) {
    facts = { withoutDefault: locals.flatMap((type, i) => (isDefaultable(type) ? [] : [i])), referring: [...new Set(locals)].filter((type) => typeof refParts(type)?.heap === 'number') };
    FACTS.set(locals, facts);
  }
  return facts;
}

/** The state of the algorithm: operands, open blocks, and look-ups in the module's index spaces that fail with the operator's offset. */
export class FunctionValidator {
  readonly module: WasmModule;
  readonly features: FeatureSet;
  readonly relation: TypeRelation;
  readonly #reader: Reader;
  readonly #params: readonly ValType[];
  readonly #locals: readonly ValType[];
  readonly #operands: Operand[] = [];
  readonly #frames: Frame[] = [];
  /** Locals without a default value that have not been set, or undefined where the function declares none; and those set, in order. */
  readonly #unset: Set<number> | undefined;
  readonly #initialised: number[] = [];
  /** The innermost frame; kept beside the stack because every pop asks for it. */
  #top: Frame;
  #offset = 0;

  constructor(module: WasmModule, body: FuncBody, context: FunctionContext, reader: Reader) {
    this.module = module;
    this.features = context.features;
    this.relation = context.relation;
    this.#reader = reader;
    const type = functionType(module, body.type);
    this.#params = type.params;
    this.#locals = body.locals;
    const { withoutDefault } = factsOf(body.locals);
    if (withoutDefault.length > 0) this.#unset = new Set(withoutDefault.map((i) => this.#params.length + i));
    this.#top = { op: 'function', params: NONE, results: type.results, height: 0, initialised: 0, unreachable: false, checkedBy: -1 };
    this.#frames.push(this.#top);
  }

  run(body: FuncBody): void {
    const reader = this.#reader;
    this.#offset = body.offset;
    for (const type of factsOf(body.locals).referring) this.needType(type);
    while (this.#frames.length > 0) {
      if (reader.pos >= reader.end) reader.fail('END opcode expected: the body ends inside a block', reader.end);
      const operator = readOperator(reader, this.features);
      this.#offset = operator.offset;
      const op = operator.op;
      const signature = op.signature;
      if (signature === undefined) {
        (op.code < 256 ? RULES[op.code] : PREFIXED_RULES[op.code >> 8][op.code & 0xff])(this, operator);
      } else {
        if (op.immediates !== 'none') CHECKS[op.immediates](this, operator);
        this.popAll(signature.params);
        this.pushAll(signature.results);
      }
    }
    if (reader.pos !== reader.end) reader.fail(`section size mismatch: ${reader.end - reader.pos} bytes after the function's END`);
  }

  fail(message: string): never {
    return this.#reader.fail(message, this.#offset, 'invalid');
  }
  malformed(message: string): never {
    return this.#reader.fail(message, this.#offset);
  }

  // The operand stack

  push(type: Operand): void {
    this.#operands.push(type);
  }

  pushAll(types: readonly ValType[]): void {
    for (let i = 0; i < types.length; i++) this.#operands.push(types[i]);
    if (types.length > 1) this.#reader.limit('operands on the stack', this.#operands.length, Limit.operands, this.#offset);
  }

  /** Pops an operand of any type. */
  popAny(): Operand {
    if (this.#operands.length > this.#top.height) return this.#operands.pop() as Operand;
    return this.#top.unreachable ? 'unknown' : this.fail('type mismatch: an operand is missing');
  }

  /** Whether an operand is one of the type, where the two are not spelt the same. */
  #stands(actual: Operand, expected: ValType): boolean {
    if (actual === 'unknown') return true;
    return actual === 'unknown reference' ? isReference(expected) : this.relation.matches(actual, expected);
  }

  /** Pops a reference of any type. In unreachable code it can be one of no known type, of which it is known that it is a reference. */
  popReference(): RefType | 'unknown reference' {
    const type = this.popAny();
    if (type === 'unknown' || type === 'unknown reference') return 'unknown reference';
    return isReference(type) ? type : this.fail(`type mismatch: expected a reference, found ${type}`);
  }

  pop(expected: ValType): void {
    if (this.#operands.length > this.#top.height) {
      const actual = this.#operands.pop() as Operand;
      if (actual !== expected && !this.#stands(actual, expected)) this.fail(`type mismatch: expected ${expected}, found ${actual}`);
    } else if (!this.#top.unreachable) {
      this.fail(`type mismatch: expected ${expected}, found nothing`);
    }
  }

  popAll(types: readonly ValType[]): void {
    for (let i = types.length - 1; i >= 0; i--) {
      // In code that cannot be reached the rest is there, whatever it is.
      if (this.#top.unreachable && this.#operands.length <= this.#top.height) return;
      this.pop(types[i]);
    }
  }

  /** Pops as many operands of one type as array.new_fixed names, of which code that cannot be reached needs none: no list of them is made. */
  popRepeated(type: ValType, count: number): void {
    this.#reader.limit('operands of array.new_fixed', count, Limit.fields, this.#offset);
    for (let i = 0; i < count && !(this.#top.unreachable && this.#operands.length <= this.#top.height); i++) this.pop(type);
  }

  /** Checks the topmost operands as `popAll` does, without popping them. */
  peekAll(types: readonly ValType[]): void {
    let at = this.#operands.length;
    for (let i = types.length - 1; i >= 0; i--) {
      if (--at < this.#top.height) {
        if (this.#top.unreachable) return;
        this.fail(`type mismatch: expected ${types[i]}, found nothing`);
      }
      const actual = this.#operands[at];
      if (actual !== types[i] && !this.#stands(actual, types[i])) this.fail(`type mismatch: expected ${types[i]}, found ${actual}`);
    }
  }

  /** Passes the values that a label wants, which stay on the stack when the branch is not taken. */
  passAll(types: readonly ValType[]): void {
    this.popAll(types);
    this.pushAll(types);
  }

  // The stack of blocks

  open(op: Frame['op'], type: FuncType): void {
    this.#reader.limit('nested blocks', this.#frames.length, Limit.nesting, this.#offset);
    this.#top = { op, params: type.params, results: type.results, height: this.#operands.length, initialised: this.#initialised.length, unreachable: false, checkedBy: -1 };
    this.#frames.push(this.#top);
    this.pushAll(type.params);
  }

  close(): Frame {
    const frame = this.#top;
    this.popAll(frame.results);
    const extra = this.#operands.length - frame.height;
    if (extra > 0) this.fail(`type mismatch: ${extra} ${extra === 1 ? 'value' : 'values'} too many at the end of the ${frame.op}`);
    while (this.#initialised.length > frame.initialised) this.#unset?.add(this.#initialised.pop() as number);
    this.#frames.pop();
    if (this.#frames.length > 0) this.#top = this.#frames[this.#frames.length - 1];
    return frame;
  }

  /** The code up to the end of the innermost block cannot be reached. */
  setUnreachable(): void {
    this.#operands.length = this.#top.height;
    this.#top.unreachable = true;
  }

  frame(label: number): Frame {
    if (label >= this.#frames.length) this.fail(`unknown label ${label}`);
    return this.#frames[this.#frames.length - 1 - label];
  }

  labelTypes(label: number): readonly ValType[] {
    const frame = this.frame(label);
    return frame.op === 'loop' ? frame.params : frame.results;
  }

  get functionResults(): readonly ValType[] {
    return this.#frames[0].results;
  }

  brTable(labels: readonly number[]): void {
    this.pop('i32');
    const arity = this.labelTypes(labels[labels.length - 1]).length;
    for (const label of labels) {
      const frame = this.frame(label);
      if (frame.checkedBy === this.#offset) continue;
      frame.checkedBy = this.#offset;
      const types = this.labelTypes(label);
      if (types.length !== arity) this.fail(`type mismatch: br_table's labels take ${arity} and ${types.length} values`);
      this.peekAll(types);
    }
    this.setUnreachable();
  }

  // Locals without a default value (spec 3.0, 3.3 "Locals"): set before they are read, in the same block or in one around it

  setInitialised(index: number): void {
    if (this.#unset?.delete(index)) this.#initialised.push(index);
  }

  needInitialised(index: number): void {
    if (this.#unset?.has(index)) this.fail(`uninitialized local ${index} of type ${this.local(index)}`);
  }

  // Index spaces

  local(index: number): ValType {
    if (index < this.#params.length) return this.#params[index];
    return this.#locals[index - this.#params.length] ?? this.fail(`unknown local ${index}`);
  }

  blockType(block: BlockType): FuncType {
    if (block.kind === 'empty') return EMPTY;
    if (block.kind === 'func') return this.type(block.index);
    const known = VALUE_RESULTS.get(block.type);
    if (known !== undefined) return known;
    this.needType(block.type);
    return { params: NONE, results: [block.type] };
  }

  /** The function type with this index. */
  type(index: number): FuncType {
    const type = this.module.types[index] ?? this.fail(`unknown type ${index}`);
    return type.kind === 'func' ? type : this.fail(`type mismatch: type ${index} is not one of functions`);
  }

  struct(index: number): readonly FieldType[] {
    return this.#found(structAt(this.module.types, index)).fields;
  }

  field(index: number, field: number): FieldType {
    return this.struct(index)[field] ?? this.fail(`unknown field ${field} of type ${index}`);
  }

  array(index: number): ArrayType {
    return this.#found(arrayAt(this.module.types, index));
  }

  /** What was looked for, or the failure to find it. */
  #found<T>(result: T | TypeFault): T {
    if (!(result instanceof TypeFault)) return result;
    return this.#reader.fail(result.message, this.#offset, result.isLimit ? 'unsupported' : 'invalid');
  }

  /** Pops what an operator takes and pushes what it gives. */
  apply(signature: FuncType | TypeFault): void {
    const { params, results } = this.#found(signature);
    this.popAll(params);
    this.pushAll(results);
  }

  /** A type that the code names must be there, where it is one of references to values of a type. */
  needType(type: ValType): void {
    const heap = refParts(type)?.heap;
    if (typeof heap === 'number' && heap >= this.module.types.length) this.fail(`unknown type ${heap}`);
  }

  needFeature(feature: Feature): void {
    this.#reader.need(feature, this.features, this.#offset);
  }

  funcType(index: number): FuncType {
    const type = this.module.funcs[index];
    return type === undefined ? this.fail(`unknown function ${index}`) : functionType(this.module, type);
  }

  tableType(index: number): RefType {
    return this.module.tables[index]?.element ?? this.fail(`unknown table ${index}`);
  }

  needMemory(index: number): void {
    if (index >= this.module.memories.length) this.fail(`unknown memory ${index}`);
  }

  /** Data segments come after the code: without the data count section, one pass cannot know them (spec 2.0, 5.5.16). */
  needData(index: number): void {
    if (this.module.dataCount === undefined) this.malformed('data count section required');
    if (index >= (this.module.dataCount as number)) this.fail(`unknown data segment ${index}`);
  }

  elemType(index: number): RefType {
    return this.module.elems[index]?.type ?? this.fail(`unknown elem segment ${index}`);
  }
}
