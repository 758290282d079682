/** Instances. */
import { FuelMode } from '../runtime-c/abi.js';
import { type Imports, resolveImports } from './imports.js';
import type { CallLimits } from './interrupt.js';
import type { OpenArtifact } from './module.js';
import { native } from './native.js';
import { type Fuel, keepAlive, refuseUnknownOptions, Store, toFuel, UNLIMITED } from './store.js';

/** Options of an instantiation. `timeoutMs` and `signal` limit the instantiation itself, with its start function; later calls have `instance.within`. */
export interface InstanceOptions extends CallLimits {
  /** The fuel limit, 0 .. 2^63-1; also covers the start function. Default: unlimited. Not together with `store`, whose fuel is its own. */
  readonly fuel?: bigint | number;
  /** The store to live in. Default: a new one. */
  readonly store?: Store;
}

/** Exports by name: functions, `WebAssembly.Memory`, and wasm-aot's Table and Global. */
// biome-ignore lint/suspicious/noExplicitAny: as in the JS API, the caller knows what the module exports.
export type Exports = Readonly<Record<string, any>>;

/** The artifacts of modules: `Module` registers its own. */
export const artifacts = new WeakMap<object, OpenArtifact>();

/** The store of a new instance: the one given, or one of its own. */
function chooseStore(artifact: OpenArtifact, options: InstanceOptions): Store {
  const { fuel, store } = options;
  if (store !== undefined && !Store.isStore(store)) throw new TypeError('the option "store" must be a Store');
  if (store !== undefined && fuel !== undefined) throw new TypeError('the options "store" and "fuel" exclude each other: set the fuel of the store');
  if (artifact.fuelMode === FuelMode.none && (fuel !== undefined || (store !== undefined && store.fuel.limit !== UNLIMITED))) {
    throw new TypeError(`${artifact.path}: the artifact was built with --fuel none: its code is not metered and no limit would hold`);
  }
  return store ?? new Store(fuel === undefined ? {} : { fuel: toFuel(fuel) });
}

/** A module with its state: what `WebAssembly.Instance` is. */
export class Instance {
  /** The exports, by name, in a frozen object without prototype. */
  readonly exports: Exports;
  /** The store that it lives in. */
  readonly store: Store;

  /**
   * Links the imports, initialises memories and tables, and runs the start function under the fuel limit.
   * @param module A `Module`.
   * @param imports The imports, by module and name: functions, WebAssembly.Memory, wasm-aot's Table and Global; numbers and bigints for immutable globals.
   * @throws {LinkError} when an import is missing or of the wrong type.
   * @throws {TypeError | RangeError} for bad arguments. @throws {Trap | OutOfFuel} from initialisation or the start function.
   */
  constructor(module: object, imports?: Imports, options: InstanceOptions = {}) {
    const artifact = typeof module === 'object' && module !== null ? artifacts.get(module) : undefined;
    if (!artifact) throw new TypeError('the first argument of Instance must be a Module of wasm-aot');
    refuseUnknownOptions(options, ['fuel', 'store', 'timeoutMs', 'signal'], 'an instantiation');
    this.store = chooseStore(artifact, options);
    // Code and types of the artifact are in use for as long as the store is.
    keepAlive(this.store, artifact.handle);
    const resolved = resolveImports(artifact, imports, this.store);
    const handle = native().instantiate(this.store, artifact.handle, resolved);
    const values = this.store.within({ timeoutMs: options.timeoutMs, signal: options.signal }, () => native().start(this.store, handle, artifact.handle));
    const exports: Record<string, unknown> = Object.create(null);
    artifact.exports.forEach(({ name }, i) => { exports[name] = values[i]; });
    this.exports = Object.freeze(exports);
  }
  /** As `instance.store.within`: calls `body` under a time limit or an AbortSignal. */
  within<T>(limits: CallLimits, body: () => T): T {
    return this.store.within(limits, body);
  }
  /** The fuel of the instance's store. */
  get fuel(): Fuel {
    return this.store.fuel;
  }
  get [Symbol.toStringTag](): string {
    return 'WebAssembly.Instance';
  }
}
