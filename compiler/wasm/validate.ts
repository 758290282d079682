/** Validation of a module (spec 2.0, 3.4): index spaces, limits, constant expressions, exports, segments; then every function's body. */
import { CompileError, type Diagnostic } from '../diagnostics.js';
import { DEFAULT_FEATURES, featureMessage, type FeatureSet } from './features.js';
import { Limit } from './limits.js';
import { MAX_CONST_HEIGHT } from '../../runtime-c/abi.js';
import { constructorSignature, TypeFault } from './construct.js';
import type { ConstExpr, ConstStep, ElemSegment, ExternKind, FuncType, Limits, StorageType, TableType, ValType, WasmModule } from './module.js';
import { isDefaultable, isNullable, refParts, refType, TypeRelation, valuesOf } from './types.js';
import { validateFunction } from './validate-function.js';

export interface ValidateOptions {
  /** Name of the file, for messages. */
  readonly name?: string;
  /** Features that are on: those that the module was parsed with. Default: `DEFAULT_FEATURES`. */
  readonly features?: FeatureSet;
  /** Called now and then with the functions validated so far, and their number. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Errors after which validation gives up. */
const MAX_ERRORS = 10;
/** Repetitions of an error, not collected, after which it gives up as well. */
const MAX_REPEATS = 1000;
/** Functions between two calls of `onProgress`. */
const PROGRESS_STEP = 256;

/**
 * Validates a decoded module. Each function is checked up to its first error, and up to ten errors are collected.
 * @throws {CompileError} with those errors, in the order of sections and functions. Their kinds: `invalid`; `malformed` where operators of a body
 * cannot be decoded; `unsupported` for features that are off or not supported and for implementation limits.
 */
export function validateModule(module: WasmModule, options: ValidateOptions = {}): void {
  const errors = new Errors(options.name);
  const checker = new ModuleValidator(module, options.features ?? DEFAULT_FEATURES, errors);
  try {
    // Whatever is compared below looks up types: without those there is nothing to check it against.
    const typesInRange = checker.checkTypes();
    const functionTypesInRange = checker.checkFunctionTypes();
    if (typesInRange) {
      checker.checkAll();
      if (functionTypesInRange) checker.checkBodies(options);
    }
  } catch (error) {
    if (error !== TOO_MANY) throw error;
  }
  if (errors.list.length > 0) throw new CompileError(...errors.list);
}

const TOO_MANY = Symbol('too many errors');

class Errors {
  readonly list: Diagnostic[] = [];
  readonly file?: string;
  #repeats = 0;
  constructor(file?: string) {
    this.file = file;
  }
  /** A feature that a module needs is named once, not for each function that uses it. */
  add(...errors: readonly Diagnostic[]): void {
    for (const error of errors) {
      const known = error.kind === 'unsupported' && this.list.some((other) => other.message === error.message);
      if (!known) this.list.push(error);
      else if (++this.#repeats >= MAX_REPEATS) throw TOO_MANY;
    }
    if (this.list.length >= MAX_ERRORS) throw TOO_MANY;
  }
}

class ModuleValidator {
  readonly #module: WasmModule;
  readonly #features: FeatureSet;
  readonly #errors: Errors;
  readonly #relation: TypeRelation;

  constructor(module: WasmModule, features: FeatureSet, errors: Errors) {
    this.#module = module;
    this.#features = features;
    this.#errors = errors;
    this.#relation = new TypeRelation(module);
  }

  #add(message: string, offset: number | undefined, kind: Diagnostic['kind'] = 'invalid'): void {
    this.#errors.add({ kind, message, place: { file: this.#errors.file, offset } });
  }

  /** Whether every type that types, imports, tables, globals and segments name is there: in the type section, in the type's own recursion group or before it. */
  checkTypes(): boolean {
    const { types, typeGroups, imports, tables, definedGlobals, elems, importedTables, offsets } = this.#module;
    let good = true;
    const check = (type: StorageType, end: number, offset: number | undefined) => {
      const heap = refParts(type)?.heap;
      if (typeof heap !== 'number' || heap < end) return;
      good = false;
      this.#add(`unknown type ${heap}`, offset);
    };
    let end = 0; // of the recursion group
    types.forEach((type, i) => {
      if (i >= end) for (end = i + 1; end < types.length && typeGroups[end] === i; ) end++;
      for (const value of valuesOf(type)) check(value, end, offsets?.types[i]);
      if (type.supertype !== undefined && type.supertype >= i) {
        good = false;
        this.#add(`unknown type ${type.supertype}: a supertype comes before its subtypes`, offsets?.types[i]);
      }
    });
    for (const { desc, offset } of imports) {
      if (desc.kind === 'table') check(desc.type.element, types.length, offset);
      else if (desc.kind === 'global') check(desc.type.type, types.length, offset);
    }
    for (const [i, table] of tables.slice(importedTables).entries()) check(table.element, types.length, offsets?.tables[i]);
    for (const { type, offset } of definedGlobals) check(type.type, types.length, offset);
    for (const { type, offset } of elems) check(type, types.length, offset);
    return good && this.#checkSupertypes();
  }

  /** Whether every type is what it is declared to be: a subtype of one that may have some. */
  #checkSupertypes(): boolean {
    const { types, offsets } = this.#module;
    const depths: number[] = [];
    let good = true;
    const fault = (i: number, message: string, kind?: Diagnostic['kind']) => {
      good = false;
      this.#add(message, offsets?.types[i], kind);
    };
    types.forEach((type, i) => {
      depths.push(type.supertype === undefined ? 0 : depths[type.supertype] + 1);
      if (type.supertype === undefined) return;
      const above = types[type.supertype];
      if (depths[i] > Limit.supertypes) fault(i, `too many supertypes: ${depths[i]} (the implementation limit is ${Limit.supertypes})`, 'unsupported');
      else if (above.final) fault(i, `sub type ${i} does not match super type ${type.supertype}, which is final`);
      else if (!this.#relation.extendsType(type, above)) fault(i, `sub type ${i} does not match super type ${type.supertype}`);
    });
    return good;
  }

  /** Whether every function's type index is in range; those that are not are errors. */
  checkFunctionTypes(): boolean {
    const { funcs, types, imports, importedFuncs, offsets } = this.#module;
    const importOffsets = imports.filter((item) => item.desc.kind === 'func').map((item) => item.offset);
    let good = true;
    funcs.forEach((type, index) => {
      if (types[type]?.kind === 'func') return;
      good = false;
      this.#add(type < types.length ? `type mismatch: type ${type} is not one of functions` : `unknown type ${type}`, index < importedFuncs ? importOffsets[index] : offsets?.funcs[index - importedFuncs]);
    });
    return good;
  }

  checkAll(): void {
    this.#checkTablesAndMemories();
    this.#checkGlobals();
    this.#checkExports();
    this.#checkStart();
    this.#checkElems();
    this.#checkDatas();
  }

  #checkTablesAndMemories(): void {
    const { imports, tables, tableInits, memories, importedTables, importedMemories, offsets } = this.#module;
    for (const { desc, offset } of imports) {
      if (desc.kind === 'table') this.#checkTableSize(desc.type.limits, offset);
      else if (desc.kind === 'memory') this.#checkMemory(desc.type.limits, offset);
    }
    for (const [i, table] of tables.slice(importedTables).entries()) this.#checkTable(table, tableInits[i], offsets?.tables[i] as number);
    for (const [i, memory] of memories.slice(importedMemories).entries()) this.#checkMemory(memory.limits, offsets?.memories[i]);
    if (tables.length > 1 && !this.#features.has('reference-types')) {
      this.#add(`multiple tables: ${featureMessage('reference-types')}`, offsets?.tables.at(-1), 'unsupported');
    }
    if (memories.length > 1 && !this.#features.has('multi-memory')) {
      const lastImport = imports.filter((item) => item.desc.kind === 'memory').at(-1)?.offset;
      this.#add(`multiple memories: ${memories.length}, at most one is supported`, offsets?.memories.at(-1) ?? lastImport);
    }
  }

  #checkTable({ limits, element }: TableType, init: ConstExpr | undefined, offset: number): void {
    this.#checkTableSize(limits, offset);
    // Tables come before the globals that the module defines.
    if (init) this.#checkConst(init, element, offset, this.#module.importedGlobals);
    else if (!isDefaultable(element)) this.#add(`type mismatch: a table of ${element} needs an initialiser, for null is none`, offset);
  }

  #checkTableSize(limits: Limits, offset: number | undefined): void {
    this.#checkRange(limits, offset);
    const most = Math.max(limits.min, limits.max ?? 0);
    if (most >= 2 ** 32) this.#add(`table size must be at most 2^32-1 elements, not ${most}`, offset);
    if (limits.min > Limit.tableElements) {
      this.#add(`too many elements in a table: ${limits.min} (the implementation limit is ${Limit.tableElements})`, offset, 'unsupported');
    }
  }

  #checkMemory(limits: Limits, offset: number | undefined): void {
    this.#checkRange(limits, offset);
    const most = Math.max(limits.min, limits.max ?? 0);
    if (most > Limit.memoryPages) this.#add(`memory size must be at most 65536 pages (4GiB), not ${most}`, offset);
  }

  #checkRange({ min, max }: Limits, offset: number | undefined): void {
    if (max !== undefined && min > max) this.#add(`size minimum must not be greater than maximum: ${min} > ${max}`, offset);
  }

  #checkGlobals(): void {
    const { definedGlobals, importedGlobals } = this.#module;
    definedGlobals.forEach(({ type, init, offset }, i) => this.#checkConst(init, type.type, offset, importedGlobals + i));
  }

  /**
   * A constant expression can see functions, and those immutable globals that are imported; extended ones also those that the module has defined before.
   * `defined`: the globals that precede it.
   */
  #checkConst(expr: ConstExpr, expected: ValType, offset: number, defined = this.#module.globals.length): void {
    const visible = this.#seesOwnGlobals() ? defined : this.#module.importedGlobals;
    const found = expr.kind === 'extended' ? this.#extendedType(expr.steps, offset, visible) : this.#constType(expr, offset, visible);
    if (found !== undefined && !this.#relation.matches(found, expected)) this.#add(`type mismatch: expected ${expected}, found ${found} in a constant expression`, offset);
  }

  #seesOwnGlobals(): boolean {
    return this.#features.has('extended-const') || this.#features.has('gc');
  }

  /** The type of a list of steps in postfix order; undefined after an error. */
  #extendedType(steps: readonly ConstStep[], offset: number, visible: number): ValType | undefined {
    const stack: ValType[] = [];
    for (const step of steps) {
      const signature = step.kind === 'operator' ? this.#stepSignature(step, stack, offset) : { params: [], results: [this.#constType(step, offset, visible)] };
      const result = signature?.results[0];
      if (signature === undefined || result === undefined) return undefined;
      for (const expected of [...signature.params].reverse()) {
        const found = stack.pop();
        if (found !== undefined && this.#relation.matches(found, expected)) continue;
        this.#add(`type mismatch: expected ${expected}, found ${found ?? 'nothing'} in a constant expression`, offset);
        return undefined;
      }
      stack.push(result);
      if (stack.length > MAX_CONST_HEIGHT) {
        this.#add(`too many values at once in a constant expression: ${stack.length} (the implementation limit is ${MAX_CONST_HEIGHT})`, offset, 'unsupported');
        return undefined;
      }
    }
    if (stack.length === 1) return stack[0];
    this.#add(`type mismatch: constant expression leaves ${stack.length === 0 ? 'no value' : 'more than one value'}`, offset);
    return undefined;
  }

  /** Parameters and results of an operator in a constant expression; undefined after an error. */
  #stepSignature(step: Extract<ConstStep, { kind: 'operator' }>, stack: readonly ValType[], offset: number): FuncType | undefined {
    if (step.op.signature) return step.op.signature;
    if (step.op.name === 'any.convert_extern' || step.op.name === 'extern.convert_any') {
      const [from, to] = step.op.name === 'any.convert_extern' ? (['extern', 'any'] as const) : (['any', 'extern'] as const);
      const nullable = stack.length === 0 || isNullable(stack[stack.length - 1]);
      return { params: [refType(nullable, from)], results: [refType(nullable, to)] };
    }
    const signature = constructorSignature(this.#module.types, step);
    if (!(signature instanceof TypeFault)) return signature;
    this.#add(signature.message, offset, signature.isLimit ? 'unsupported' : 'invalid');
    return undefined;
  }

  #constType(expr: Exclude<ConstStep, { kind: 'operator' }>, offset: number, visible: number): ValType | undefined {
    const { globals, funcs } = this.#module;
    switch (expr.kind) {
      case 'const':
        return expr.type;
      case 'null': {
        const heap = refParts(expr.type)?.heap;
        if (typeof heap !== 'number' || heap < this.#module.types.length) return expr.type;
        this.#add(`unknown type ${heap}`, offset);
        return undefined;
      }
      case 'func':
        if (expr.index < funcs.length) return this.#features.has('function-references') ? refType(false, funcs[expr.index]) : 'funcref';
        this.#add(`unknown function ${expr.index}`, offset);
        return undefined;
      case 'global':
        if (expr.index >= visible) {
          const why = expr.index < globals.length ? ` in a constant expression, which sees ${this.#seesOwnGlobals() ? 'earlier' : 'imported'} globals only` : '';
          this.#add(`unknown global ${expr.index}${why}`, offset);
          return undefined;
        }
        if (globals[expr.index].mutable) this.#add(`constant expression required: global ${expr.index} is mutable`, offset);
        return globals[expr.index].type;
    }
  }

  #checkExports(): void {
    const { funcs, tables, memories, globals, exports } = this.#module;
    const counts: Record<ExternKind, number> = { func: funcs.length, table: tables.length, memory: memories.length, global: globals.length };
    const titles: Record<ExternKind, string> = { func: 'function', table: 'table', memory: 'memory', global: 'global' };
    const seen = new Set<string>();
    for (const { name, kind, index, offset } of exports) {
      if (seen.has(name)) this.#add(`duplicate export name ${JSON.stringify(name)}`, offset);
      seen.add(name);
      if (index >= counts[kind]) this.#add(`unknown ${titles[kind]} ${index}`, offset);
      else if (kind === 'global' && globals[index].mutable && !this.#features.has('mutable-globals')) {
        this.#add(featureMessage('mutable-globals'), offset, 'unsupported');
      }
    }
  }

  #checkStart(): void {
    const { start, funcs, types, offsets } = this.#module;
    if (start === undefined) return;
    const type = types[funcs[start]];
    if (start >= funcs.length) this.#add(`unknown function ${start}`, offsets?.start);
    else if (type?.kind === 'func' && type.params.length + type.results.length > 0) this.#add('start function must have no parameters and no results', offsets?.start);
  }

  #checkElems(): void {
    for (const segment of this.#module.elems) {
      if (segment.mode === 'active') this.#checkActiveElem(segment);
      for (const item of segment.items) this.#checkConst(item, segment.type, segment.offset);
    }
  }

  #checkActiveElem({ table, type, offset, offsetExpr }: ElemSegment): void {
    const found = this.#module.tables[table];
    if (found === undefined) this.#add(`unknown table ${table}`, offset);
    else if (!this.#relation.matches(type, found.element)) this.#add(`type mismatch: table of ${found.element}, elements of ${type}`, offset);
    this.#checkConst(offsetExpr as ConstExpr, 'i32', offset);
  }

  #checkDatas(): void {
    for (const { mode, memory, offset, offsetExpr } of this.#module.datas) {
      if (mode !== 'active') continue;
      if (memory >= this.#module.memories.length) this.#add(`unknown memory ${memory}`, offset);
      this.#checkConst(offsetExpr as ConstExpr, 'i32', offset);
    }
  }

  checkBodies({ onProgress }: ValidateOptions): void {
    const { bodies, importedFuncs } = this.#module;
    bodies.forEach((body, i) => {
      if (i % PROGRESS_STEP === 0) onProgress?.(i, bodies.length);
      try {
        validateFunction(this.#module, importedFuncs + i, body, { features: this.#features, relation: this.#relation, file: this.#errors.file });
      } catch (error) {
        if (!(error instanceof CompileError)) throw error;
        this.#errors.add(...error.errors);
      }
    });
    onProgress?.(bodies.length, bodies.length);
  }
}
