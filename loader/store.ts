/** Stores: the unit of isolation, of fuel, and of lifetime. */
import { STATUS, type StatusName } from '../runtime-c/abi.js';
import { attachFrames, passOuterFrames, withoutFrames } from './backtrace.js';
import { nativeError, OutOfFuel, Trap, type TrapCode } from './errors.js';
import { type CallLimits, interrupted, within } from './interrupt.js';
import { FuelRead, FuelWrite, type HeapStatistics, InterruptBit, native, provideHooks } from './native.js';
import { reportSignalClash } from './signals.js';
import type { AnyFunction } from './values.js';

/** The limit of a store without one: 2^63-1. */
export const UNLIMITED = 2n ** 63n - 1n;

/**
 * An amount of fuel, as every part of the API takes it: an integer from 0 to 2^63-1, as a bigint or a safe integer.
 * @throws {TypeError} for other types. @throws {RangeError} for other numbers, among them NaN, fractions and negative ones.
 */
export function toFuel(value: unknown, what = 'fuel'): bigint {
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) throw new RangeError(`${what} must be an integer, not ${value}`);
    if (value > Number.MAX_SAFE_INTEGER) throw new RangeError(`${what} above 2^53-1 must be a bigint, because the number ${value} is not exact`);
    if (value < 0) throw new RangeError(`${what} cannot be negative, but is ${value}`);
    return BigInt(value);
  }
  if (typeof value !== 'bigint') throw new TypeError(`${what} must be a bigint or a number, not ${value === null ? 'null' : `of type ${typeof value}`}`);
  if (value < 0n) throw new RangeError(`${what} cannot be negative, but is ${value}`);
  if (value > UNLIMITED) throw new RangeError(`${what} cannot exceed 2^63-1, but is ${value}`);
  return value;
}

/** The fuel of a store. Amounts are integers from 0 to 2^63-1: bigints, or safe integers. */
export class Fuel {
  readonly #store: Store;
  /** @internal Stores make theirs. */
  constructor(store: Store) {
    this.#store = store;
  }
  /** Fuel consumed since the limit was last set; exact whenever JavaScript can look, and never above `limit`. */
  get consumed(): bigint {
    return native().storeFuel(this.#store, FuelRead.consumed);
  }
  /** The limit; 2^63-1 when there is none. */
  get limit(): bigint {
    return native().storeFuel(this.#store, FuelRead.limit);
  }
  /** `limit - consumed`. */
  get remaining(): bigint {
    return native().storeFuel(this.#store, FuelRead.remaining);
  }
  /**
   * How far past the limit the last call that ended with OutOfFuel had run when that was seen; 0n before any has. It is not part of `consumed`, and depends on timing: at most what the
   * code charges in one period of the checker (1 ms by default; up to ten, of 10 ms at the most, where it was slower before) and the delivery of a signal, or one bulk operator.
   */
  get overshoot(): bigint {
    return native().storeFuel(this.#store, FuelRead.overshoot);
  }
  /** Raises the limit by `n`, to 2^63-1 at most. Host functions may do so while wasm waits for them. */
  add(n: bigint | number): void {
    this.#change(FuelWrite.add, toFuel(n));
  }
  /** Sets `consumed` to 0 and the limit to `limit`. */
  set(limit: bigint | number): void {
    this.#change(FuelWrite.set, toFuel(limit, 'the limit'));
  }
  /** Charges `n` on behalf of a host function. If that exhausts the fuel, wasm ends with OutOfFuel when the host function returns. */
  charge(n: bigint | number): void {
    this.#change(FuelWrite.charge, toFuel(n));
  }
  #change(what: number, n: bigint): void {
    if (!native().storeFuelSet(this.#store, what, n)) throw new RangeError(`the runtime refuses ${n} as an amount of fuel`);
  }
}

/** Makes an object live as long as a store. */
export let keepAlive: (store: Store, object: object) => void;

/** Options of a store. */
export interface StoreOptions {
  /** The fuel limit, 0 .. 2^63-1. Default: unlimited. */
  readonly fuel?: bigint | number;
  /** The most bytes of its structs and arrays, 0 .. 2^40, rounded up to MiB; beyond it code ends with a `Trap` of code `heap_exhausted`. Default: 2^30. Stores that share references share a heap, and its limit is the sum. */
  readonly heapLimit?: number;
}

/** The largest `heapLimit`. */
const MAX_HEAP = 2 ** 40;

/**
 * A store owns instances and their fuel. Each instantiation makes one of its own unless it is given one; instances that share a store share its fuel.
 * A store lives for as long as anything that came out of it, and belongs to the thread that made it.
 */
export class Store {
  readonly #fuel: Fuel;
  /** Externref values; the addon reads and writes it. Without prototype, so that no accessor put on Array.prototype can get in between. */
  readonly #values: unknown[] = Object.setPrototypeOf([], null);
  /** What has to live as long as this store: its wrappers, its host functions, its memories, and the stores that it shares references with. */
  readonly #kept = new Set<object>();

  /** @throws {TypeError | RangeError} when `fuel` is no valid amount. */
  constructor(options: StoreOptions = {}) {
    refuseUnknownOptions(options, ['fuel', 'heapLimit'], 'a store');
    const limit = options.fuel === undefined ? undefined : toFuel(options.fuel);
    const { heapLimit } = options;
    if (heapLimit !== undefined && !(Number.isInteger(heapLimit) && heapLimit >= 0 && heapLimit <= MAX_HEAP)) throw new RangeError(`heapLimit must be an integer from 0 to 2^40, not ${String(heapLimit)}`);
    native().storeNew(this, this.#values);
    if (heapLimit !== undefined) native().heapLimit(this, heapLimit);
    reportSignalClash();
    this.#fuel = new Fuel(this);
    if (limit !== undefined) this.#fuel.set(limit);
  }
  /** The fuel of everything in the store. */
  get fuel(): Fuel {
    return this.#fuel;
  }
  /** How large the heap of its structs and arrays is. */
  get heap(): HeapStatistics {
    return native().heapStats(this);
  }
  /** Makes calls into the store end with `Interrupted`: at once, or when a host function returns to wasm. Stays in force until `clearInterrupt()`. */
  interrupt(): void {
    native().storeInterrupt(this, InterruptBit.request, true);
  }
  /** Takes back `interrupt()`, by whatever thread it was asked for. */
  clearInterrupt(): void {
    native().storeInterrupt(this, InterruptBit.request, false);
  }
  /** Names this store to `interrupt(handle)`, which any thread of the process may call: post it to a worker. It does not keep the store alive, and is never reused. */
  get interruptHandle(): bigint {
    return native().storeId(this);
  }
  /**
   * Calls `body`, and ends what it runs of this store with `Interrupted` when the time is up or the signal aborts; without a cost for the code that runs. Limits of nested calls
   * all hold.
   *
   *     store.within({ timeoutMs: 50 }, () => instance.exports.parse(ptr, len));
   *
   * @param limits `timeoutMs` from now on; `signal`, which host functions or other code on this thread may abort (AbortSignal.timeout() cannot: its timer waits for wasm to return).
   * @returns What `body` returns. @throws {TypeError} when that is a promise: the limits end with the call. @throws What `body` throws.
   */
  within<T>(limits: CallLimits, body: () => T): T {
    return within(this, limits, body);
  }
  /** Whether a value is a store, whatever its prototype says. */
  static isStore(value: unknown): value is Store {
    return typeof value === 'object' && value !== null && #kept in value;
  }
  static {
    keepAlive = (store, object) => { store.#kept.add(object); };
  }
}

/** Makes two stores live as long as each other: references of one can be anywhere in the other from now on. */
export function linkStores(a: Store, b: Store): void {
  if (a === b) return;
  keepAlive(a, b);
  keepAlive(b, a);
}

/** The store of an option: the one given, or a new one. @throws {TypeError} when it is given and no store. */
export function storeOption(store: unknown): Store {
  if (store === undefined) return new Store();
  if (!Store.isStore(store)) throw new TypeError('the option "store" must be a Store');
  return store;
}

/** The stores of exported functions; also what keeps the store of a function alive. */
const owners = new WeakMap<AnyFunction, Store>();

/** The stores of structs and arrays that JavaScript has: as long as it has one, it has its store. */
const objectOwners = new WeakMap<object, Store>();

/** The store of a function that a wasm-aot instance exported; undefined for any other value. */
export function storeOfFunction(value: unknown): Store | undefined {
  return typeof value === 'function' ? owners.get(value as AnyFunction) : undefined;
}

/** @throws {TypeError} naming the first option that is not known. */
export function refuseUnknownOptions(options: unknown, known: readonly string[], what: string): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`the options of ${what} must be an object`);
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(`unknown option ${JSON.stringify(name)} of ${what}; known: ${known.join(', ')}`);
  }
}

const statusByCode = new Map<number, { name: StatusName; message: string }>(STATUS.map((row) => [row.code, row]));

/** The error for an activation that ended with a status other than ok. */
function failure(status: number, store: Store | undefined): Error {
  const row = statusByCode.get(status);
  if (row === undefined) return new Error(`wasm-aot: a call ended with unknown status ${status}`);
  switch (row.name) {
    case 'ok': case 'host_error': return new Error(`wasm-aot: a call ended with status ${status} (${row.message})`);
    case 'out_of_fuel': return new OutOfFuel(store?.fuel.consumed ?? 0n, store?.fuel.limit ?? 0n, store?.fuel.overshoot ?? 0n);
    case 'interrupted': return interrupted(store);
    default: return new Trap(row.name as TrapCode, row.message);
  }
}

provideHooks({
  failure: function hook(status, store) {
    const error = withoutFrames(() => failure(status, store as Store | undefined));
    attachFrames(error, hook);
    return error;
  },
  passed: function hook(value) {
    passOuterFrames(value, hook);
  },
  error: (kind, _status, message) => nativeError(kind, message),
  link: (a, b) => linkStores(a as Store, b as Store),
  object(store) {
    const object = Object.create(null) as object;
    objectOwners.set(object, store as Store);
    return object;
  },
  adopt(func, store, params) {
    Object.defineProperty(func, 'length', { value: params, configurable: true });
    owners.set(func, store as Store);
    keepAlive(store as Store, func);
  },
});
