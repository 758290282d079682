/** Tables, as `WebAssembly.Table`. V8's own tables cannot hold wasm-aot's functions, so this is a class of its own. */
import { ValType } from '../runtime-c/abi.js';
import { type Handle, native, provideHooks } from './native.js';
import { keepAlive, type Store, storeOption } from './store.js';
import type { ManifestRefType } from './manifest.js';
import { defaultValue, toIndex, valueTypeName } from './values.js';

/** What a table holds: functions that a wasm-aot instance exports, or any JavaScript value. `anyfunc` is an old name of `funcref`. */
export type TableElement = 'funcref' | 'anyfunc' | 'externref';

/** Type of a new table. Counts of elements, 0 .. 2^32-1. */
export interface TableDescriptor {
  readonly element: TableElement;
  readonly initial: number;
  /** Default: none. */
  readonly maximum?: number;
  /** The store to live in. Default: one of its own. */
  readonly store?: Store;
}

/** Marks the constructor calls of the loader. */
const wrapped = Symbol('wrapped');
type Wrapped = { readonly [wrapped]: { store: Store; handle: Handle; type: ManifestRefType } };

/** More elements than a table may ever have, as in V8. */
const MAX_ELEMENTS = 10_000_000;

/** Store, handle and element type of a Table; undefined for anything else. */
export let tableParts: (value: unknown) => { store: Store; handle: Handle; type: ManifestRefType } | undefined;

/** A table of references. Semantics and errors are those of `WebAssembly.Table`. */
export class Table {
  readonly #store: Store;
  readonly #handle: Handle;
  readonly #type: ManifestRefType;

  /**
   * Makes a table whose elements are `value` (default: null for functions, undefined for externref).
   * @throws {TypeError} for a bad descriptor or value. @throws {RangeError} when initial exceeds maximum, or is too large.
   */
  constructor(descriptor: TableDescriptor, value?: unknown);
  constructor(descriptor: TableDescriptor | Wrapped, ...values: unknown[]) {
    if (typeof descriptor !== 'object' || descriptor === null) throw new TypeError('the descriptor of a Table must be an object');
    if (wrapped in descriptor) {
      ({ store: this.#store, handle: this.#handle, type: this.#type } = descriptor[wrapped]);
      return;
    }
    const { element, initial, maximum } = descriptor;
    if (element !== 'funcref' && element !== 'anyfunc' && element !== 'externref') {
      throw new TypeError(`the element of a Table must be "funcref" or "externref", not ${String(element)}`);
    }
    this.#type = element === 'externref' ? 'externref' : 'funcref';
    const min = toIndex(initial, 'initial');
    const max = maximum === undefined ? undefined : toIndex(maximum, 'maximum');
    if (max !== undefined && min > max) throw new RangeError(`initial ${min} exceeds maximum ${max}`);
    if (min > MAX_ELEMENTS) throw new RangeError(`initial ${min} exceeds the ${MAX_ELEMENTS} elements that a table can have`);
    const init = values.length === 0 || values[0] === undefined ? defaultValue(this.#type) : values[0];
    this.#store = storeOption(descriptor.store);
    this.#handle = native().tableNew(this.#store, this, ValType[element === 'externref' ? 'externref' : 'funcref'], min, max, init);
    keepAlive(this.#store, this);
  }
  /** Number of elements. */
  get length(): number {
    return native().tableLength(this.#store, this.#handle);
  }
  /** The element at an index. @throws {RangeError} when the index is not below `length`. */
  get(index: number): unknown {
    const i = this.#check(index);
    return native().tableGet(this.#store, this.#handle, i);
  }
  /**
   * Replaces the element at an index, by null (functions) or undefined (externref) when there is no value.
   * @throws {RangeError} when the index is not below `length`. @throws {TypeError} when the value is not of the table's type.
   */
  set(index: number, ...values: [value?: unknown]): void {
    const i = this.#check(index);
    native().tableSet(this.#store, this.#handle, i, values.length === 0 ? defaultValue(this.#type) : values[0]);
  }
  /** Adds `delta` elements that hold `value`, and returns the old length. @throws {RangeError} beyond the maximum, or without memory for it. */
  grow(delta: number, ...values: [value?: unknown]): number {
    const n = toIndex(delta, 'delta');
    const init = values.length === 0 || values[0] === undefined ? defaultValue(this.#type) : values[0];
    const old = this.length + n > MAX_ELEMENTS ? -1 : native().tableGrow(this.#store, this.#handle, n, init);
    if (old < 0) throw new RangeError(`a table of ${this.length} elements cannot grow by ${n}`);
    return old;
  }
  #check(index: unknown): number {
    const i = toIndex(index, 'a table index');
    if (i >= this.length) throw new RangeError(`index ${i} is beyond the ${this.length} elements of the table`);
    return i;
  }
  get [Symbol.toStringTag](): string {
    return 'WebAssembly.Table';
  }
  static {
    tableParts = (value) => (typeof value === 'object' && value !== null && #handle in value ? { store: value.#store, handle: value.#handle, type: value.#type } : undefined);
  }
}

provideHooks({
  wrapTable(store, handle, valtype) {
    const parts = { store: store as Store, handle, type: valueTypeName(valtype) as ManifestRefType };
    const table = new Table({ [wrapped]: parts } as never);
    keepAlive(parts.store, table);
    return table;
  },
});
