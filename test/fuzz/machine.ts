/** The two engines behind one face: V8 on a module with a counter of fuel injected, and wasm-aot. */
import { setFlagsFromString } from 'node:v8';
import type { ValType, WasmModule } from '../../compiler/wasm/module.js';
import { functionType } from '../../compiler/wasm/types.js';
import { Global, load, type Module, OutOfFuel, Store, Table, Trap } from '../../loader/index.js';
import { COUNTER } from '../fuel/inject.js';
import { Random } from './random.js';
import { argumentOf, type Call, callsOf, type Event, OUT_OF_FUEL, type Session, STACK, type State, show, showCall } from './session.js';

// Constant expressions with arithmetic, 2 + 3 in a global for one, are behind a flag in the V8 of Node 20.
const EXTENDED_CONSTANT = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 6, 9, 1, 0x7f, 0, 0x41, 2, 0x41, 3, 0x6a, 0x0b);
if (!WebAssembly.validate(EXTENDED_CONSTANT)) setFlagsFromString('--experimental-wasm-extended-const');

type Func = (...args: readonly unknown[]) => unknown;
type ImportObject = Record<string, Record<string, unknown>>;
/** Prefixes of the exports that let us look at the state: globals, memories, tables. */
export const STATE = { global: '$g', memory: '$m', table: '$t' } as const;

/** An instance that runs. */
interface Running {
  readonly exports: Readonly<Record<string, unknown>>;
  consumed(): bigint;
}

/** How a module is run. */
export interface Setting {
  /** The module, its state exported under the names of `STATE`. */
  readonly module: WasmModule;
  /** Of the host's values. */
  readonly seed: number;
  /** Whether sessions share an instance whose state is put back in between: faster, but only for modules without segments that can be dropped. */
  readonly reset: boolean;
}

/** Host calls of a session at which the state is looked at as well. */
const LOOKS = 3;

/** V8's wording of traps, by the start of ours. Where V8 does not tell apart what the spec does, a class of both. */
const V8_TRAPS: readonly [RegExp, string][] = [
  [/^unreachable/, 'unreachable'], [/^divide by zero|^remainder by zero/, 'integer_divide_by_zero'], [/^divide result unrepresentable|^float unrepresentable/, 'overflow'],
  [/memory access out of bounds|^data segment/, 'out_of_bounds_memory_access'], [/^table index is out of bounds|^table access out of bounds|^table index|^element segment/, 'table'],
  [/^null function|^RuntimeError: null|signature mismatch/, 'call'], [/^dereferencing a null pointer/, 'null'], [/^array element access out of bounds/, 'out_of_bounds_array_access'],
  [/^illegal cast/, 'cast_failure'], [/^requested new array is too large/, 'heap_exhausted'],
];
const OUR_TRAPS: Readonly<Record<string, string>> = {
  integer_overflow: 'overflow', invalid_conversion_to_integer: 'overflow', undefined_element: 'table', out_of_bounds_table_access: 'table', uninitialized_element: 'call', indirect_call_type_mismatch: 'call',
  null_reference: 'null', null_function_reference: 'null', null_structure_reference: 'null', null_array_reference: 'null', null_i31_reference: 'null',
};

/** How a call ended, as text. */
function outcome(run: () => unknown): string {
  try {
    return show(run());
  } catch (error) {
    if (error instanceof OutOfFuel) return OUT_OF_FUEL;
    if (error instanceof Trap) return error.code === 'call_stack_exhausted' ? STACK : `trap ${OUR_TRAPS[error.code] ?? error.code}`;
    if (error instanceof RangeError) return STACK;
    if (error instanceof WebAssembly.RuntimeError) return `trap ${V8_TRAPS.find(([pattern]) => pattern.test(error.message))?.[1] ?? error.message}`;
    // Words differ; what cannot be done does not.
    if (error instanceof TypeError) return 'TypeError';
    throw error;
  }
}

/** What a host function gives: a function of its arguments. */
function resultOf(type: ValType, args: readonly unknown[], seed: number): unknown {
  const sum = args.reduce((sofar: number, arg) => (Math.imul(sofar, 31) + (typeof arg === 'bigint' ? Number(BigInt.asIntN(32, arg)) : typeof arg === 'number' && Number.isFinite(arg) ? arg | 0 : 1)) | 0, seed | 0);
  switch (type) {
    case 'i32': return sum;
    case 'i64': return BigInt(sum) * 0x10001n;
    case 'f32': case 'f64': return sum / 4;
    default: return null;
  }
}

export abstract class Machine {
  private running: Running | undefined;
  private initial: { readonly values: unknown[]; readonly table: unknown[][]; readonly sizes: readonly number[] } | undefined;
  private events: Event[] = [];
  private looking = true;
  private nested = false;
  private looks = 0;

  constructor(protected readonly setting: Setting) {}

  protected abstract instantiate(imports: ImportObject, limit: bigint): Running;
  /** Fuel consumed, also when there is no instance. */
  protected abstract consumed(): bigint;
  protected abstract restart(limit: bigint): void;
  /** Charges fuel on behalf of a host function. */
  protected abstract charge(fuel: bigint): void;
  protected abstract makeGlobal(type: ValType, mutable: boolean, value: unknown): unknown;
  protected abstract makeTable(element: 'funcref' | 'externref', limits: { initial: number; maximum?: number }): unknown;

  /** Runs a session from a state that is the same for every engine. `limit` of fuel; `look`: whether the events have the state that goes with them. */
  run(session: Session, limit: bigint, look = true): Event[] {
    this.events = [];
    this.looking = look;
    this.looks = LOOKS;
    if (!this.begin(limit)) return this.events;
    for (const call of session) if (!this.call(call)) break;
    return this.events;
  }

  private begin(limit: bigint): boolean {
    const { reset, seed } = this.setting;
    if (reset && this.running && this.putBack()) {
      this.restart(limit);
    } else {
      this.running = undefined;
      const ended = outcome(() => { this.running = this.instantiate(this.makeImports(), limit); });
      const end = this.event(ended === 'undefined' ? 'instantiated' : ended);
      if (!this.running || end !== 'instantiated') return false;
      this.initial = this.remember();
      if (reset) {
        this.restart(limit);
        // It would be an event of the first session alone.
        this.events = [];
      }
    }
    if (reset) for (const memory of this.memories()) fillPattern(memory, seed);
    return true;
  }

  private call(call: Call): boolean {
    const { exports } = this.running as Running;
    const ended = outcome(() => (exports[call.name] as Func)(...call.args));
    if (ended === OUT_OF_FUEL) {
      // Once only, though calls within calls end so, too.
      if (this.events.at(-1)?.text !== OUT_OF_FUEL) this.events.push({ text: OUT_OF_FUEL, consumed: this.consumed() });
      return false;
    }
    this.event(`${showCall(call)}: ${ended}`, this.looking);
    return ended !== STACK;
  }

  private event(text: string, look = false): string {
    this.events.push({ text, consumed: this.consumed(), ...(look && this.running ? { state: this.look() } : {}) });
    return text;
  }

  private hostCall(text: string): void {
    this.event(text, this.looking && this.running !== undefined && this.looks-- > 0);
  }

  /** What a host function may do meanwhile, by a number that is a function of its arguments: mostly nothing. */
  private act(number: number): void {
    if (!this.running) return;
    const random = new Random(Math.imul(number, 0x9e3779b1));
    const [memory] = this.memories();
    switch (random.below(12)) {
      case 0:
        if (memory) new Uint8Array(memory.buffer)[random.below(Math.max(1, memory.buffer.byteLength))] = random.next();
        return;
      case 1:
        if (memory && random.oneIn(4)) outcome(() => memory.grow(1));
        return;
      case 2: return this.charge(BigInt(random.below(50)));
      case 3: return this.callBack(random);
      default:
    }
  }

  /** Into wasm from a host function that wasm called; what that ends with is an event, and otherwise the host's own business. */
  private callBack(random: Random): void {
    if (this.nested) return;
    const { module } = this.setting;
    const calls = callsOf(module, random.next(), 1).flat();
    if (calls.length === 0) return;
    this.nested = true;
    this.call(random.pick(calls));
    this.nested = false;
  }

  private exported<T>(prefix: string): T[] {
    const { exports } = this.running as Running;
    return Object.keys(exports).filter((name) => name.startsWith(prefix)).map((name) => exports[name] as T);
  }
  private memories(): WebAssembly.Memory[] {
    return this.exported<WebAssembly.Memory>(STATE.memory);
  }

  private look(): State {
    const globals = this.exported<WebAssembly.Global>(STATE.global).map((global) => show(global.value));
    const tables = this.exported<WebAssembly.Table>(STATE.table).map((table) => `${table.length}: ${elementsOf(table).map(show).join(' ')}`);
    return { values: [...globals, ...tables].join('; '), memories: this.memories().map((memory) => Buffer.from(new Uint8Array(memory.buffer))) };
  }

  private remember(): NonNullable<Machine['initial']> {
    return {
      values: this.exported<WebAssembly.Global>(STATE.global).map((global) => global.value),
      table: this.exported<WebAssembly.Table>(STATE.table).map(elementsOf),
      sizes: this.memories().map((memory) => memory.buffer.byteLength),
    };
  }

  /** The state as it was after instantiation, but for memory; false when something has grown. */
  private putBack(): boolean {
    const { values, table, sizes } = this.initial as NonNullable<Machine['initial']>;
    const tables = this.exported<WebAssembly.Table>(STATE.table);
    if (this.memories().some((memory, i) => memory.buffer.byteLength !== sizes[i]) || tables.some((one, i) => one.length !== table[i].length)) return false;
    for (const [i, global] of this.exported<WebAssembly.Global>(STATE.global).entries()) if (global.value !== values[i]) global.value = values[i];
    for (const [i, one] of tables.entries()) for (const [j, element] of table[i].entries()) one.set(j, element);
    return true;
  }

  private makeImports(): ImportObject {
    const { module, seed } = this.setting;
    const imports: ImportObject = {};
    const random = new Random(seed);
    for (const { module: from, name, desc } of module.imports) {
      imports[from] ??= {};
      imports[from][name] = this.makeImport(desc, `${from}.${name}`, random);
    }
    return imports;
  }

  private makeImport(desc: WasmModule['imports'][number]['desc'], name: string, random: Random): unknown {
    const { module, seed } = this.setting;
    switch (desc.kind) {
      case 'func': {
        const { results } = functionType(module, desc.type);
        return (...args: unknown[]) => {
          this.hostCall(`${name}(${args.map(show).join(', ')})`);
          this.act(resultOf('i32', args, seed) as number);
          const values = results.map((type) => resultOf(type, args, seed));
          return values.length > 1 ? values : values[0];
        };
      }
      case 'global': return this.makeGlobal(desc.type.type, desc.type.mutable, argumentOf(desc.type.type, 3, random));
      case 'memory': return new WebAssembly.Memory({ initial: desc.type.limits.min, maximum: desc.type.limits.max });
      case 'table': return this.makeTable(desc.type.element as 'funcref' | 'externref', { initial: desc.type.limits.min, maximum: desc.type.limits.max });
    }
  }
}

const elementsOf = (table: { length: number; get(index: number): unknown }): unknown[] => Array.from({ length: table.length }, (_, i) => table.get(i));

/** Bytes that are neither all alike nor simply periodic, so that an access that goes astray shows. */
const patterns = new Map<string, Uint8Array>();
function fillPattern(memory: WebAssembly.Memory, seed: number): void {
  const length = memory.buffer.byteLength;
  const key = `${length} ${seed}`;
  let pattern = patterns.get(key);
  if (!pattern) {
    const words = Uint32Array.from({ length: length / 4 }, (_, i) => (i % 7 === 0 ? i : Math.imul(i + seed, 0x9e3779b1) >>> (i % 5)));
    pattern = new Uint8Array(words.buffer);
    patterns.clear();
    patterns.set(key, pattern);
  }
  new Uint8Array(memory.buffer).set(pattern);
}

/** V8, on a module that counts its own fuel; a limit is of no effect. */
export class V8Machine extends Machine {
  private exports: WebAssembly.Exports | undefined;
  constructor(setting: Setting, private readonly counted: WebAssembly.Module) {
    super(setting);
  }
  protected override instantiate(imports: ImportObject): Running {
    this.exports = undefined;
    const { exports } = new WebAssembly.Instance(this.counted, imports as WebAssembly.Imports);
    this.exports = exports;
    return { exports, consumed: () => this.consumed() };
  }
  protected override consumed(): bigint {
    return this.exports ? (this.exports[COUNTER] as WebAssembly.Global).value : 0n;
  }
  protected override charge(fuel: bigint): void {
    ((this.exports as WebAssembly.Exports)[COUNTER] as WebAssembly.Global).value += fuel;
  }
  protected override restart(): void {
    ((this.exports as WebAssembly.Exports)[COUNTER] as WebAssembly.Global).value = 0n;
  }
  protected override makeGlobal(type: ValType, mutable: boolean, value: unknown): unknown {
    return new WebAssembly.Global({ value: type === 'funcref' ? 'anyfunc' : type, mutable } as WebAssembly.GlobalDescriptor, value as number);
  }
  protected override makeTable(element: 'funcref' | 'externref', limits: { initial: number; maximum?: number }): unknown {
    return new WebAssembly.Table({ element: element === 'funcref' ? 'anyfunc' : element, ...limits } as WebAssembly.TableDescriptor);
  }
}

/** wasm-aot, on an artifact. */
export class OurMachine extends Machine {
  private readonly artifact: Module;
  private store = new Store();
  constructor(setting: Setting, path: string) {
    super(setting);
    this.artifact = load(path);
  }
  protected override instantiate(imports: ImportObject, limit: bigint): Running {
    this.store = new Store({ fuel: limit });
    const { exports } = this.artifact.instantiate(imports, { store: this.store });
    return { exports: exports as Record<string, unknown>, consumed: () => this.consumed() };
  }
  protected override consumed(): bigint {
    return this.store.fuel.consumed;
  }
  protected override charge(fuel: bigint): void {
    this.store.fuel.charge(fuel);
  }
  protected override restart(limit: bigint): void {
    this.store.fuel.set(limit);
  }
  protected override makeGlobal(type: ValType, mutable: boolean, value: unknown): unknown {
    return new Global({ value: type as 'i32', mutable }, value as number);
  }
  protected override makeTable(element: 'funcref' | 'externref', limits: { initial: number; maximum?: number }): unknown {
    return new Table({ element, ...limits });
  }
}
