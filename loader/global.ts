/** Globals, as `WebAssembly.Global`. V8's own do not tell where their value is, so this is a class of its own. */
import { ValType } from '../runtime-c/abi.js';
import { type Handle, native, type NativeExtern, provideHooks } from './native.js';
import { keepAlive, type Store, storeOption } from './store.js';
import { defaultValue, type ValueType, valueTypeCode, valueTypeName } from './values.js';

/** Type of a new global. */
export interface GlobalDescriptor {
  /** `anyfunc` is an old name of `funcref`. */
  readonly value: Exclude<keyof typeof ValType, 'v128'> | 'anyfunc';
  /** Default false. */
  readonly mutable?: boolean;
  /** The store to live in. Default: one of its own. */
  readonly store?: Store;
}

interface GlobalParts { readonly store: Store; readonly handle: Handle; readonly type: ValueType; readonly mutable: boolean }

/** Marks the constructor calls of the loader. */
const wrapped = Symbol('wrapped');
/** Either a global that exists (`handle`), or one to be made in a given store from a value or, for `raw`, from its bit pattern. */
type Wrapped = { readonly [wrapped]: Omit<GlobalParts, 'handle'> & ({ readonly handle: Handle } | { readonly value: unknown; readonly raw: boolean; readonly ref?: Handle }) };

/** Store, handle and type of a Global; undefined for anything else. */
export let globalParts: (value: unknown) => GlobalParts | undefined;

/** A global variable. Semantics and errors are those of `WebAssembly.Global`. */
export class Global {
  readonly #store: Store;
  readonly #handle: Handle;
  readonly #type: ValueType;
  readonly #mutable: boolean;

  /**
   * Makes a global that holds `value`, converted to its type (default: 0, 0n, null, or undefined for externref).
   * @throws {TypeError} for a bad descriptor or value.
   */
  constructor(descriptor: GlobalDescriptor, value?: unknown);
  constructor(descriptor: GlobalDescriptor | Wrapped, ...values: unknown[]) {
    if (typeof descriptor !== 'object' || descriptor === null) throw new TypeError('the descriptor of a Global must be an object');
    if (wrapped in descriptor) {
      const parts = descriptor[wrapped];
      ({ store: this.#store, type: this.#type, mutable: this.#mutable } = parts);
      this.#handle = 'handle' in parts ? parts.handle : this.#make(parts.value, parts.raw, parts.ref);
    } else {
      const type = descriptor.value === 'anyfunc' ? 'funcref' : descriptor.value;
      if (!Object.hasOwn(ValType, type) || (type as string) === 'v128') throw new TypeError(`a Global cannot be of type ${String(type)}`);
      this.#store = storeOption(descriptor.store);
      this.#type = type;
      this.#mutable = Boolean(descriptor.mutable);
      const missing = values.length === 0 || (values[0] === undefined && type !== 'externref');
      this.#handle = this.#make(missing ? defaultValue(type) : values[0], false);
    }
    keepAlive(this.#store, this);
  }
  #make(value: unknown, raw: boolean, ref?: Handle): Handle {
    return native().globalNew(this.#store, this, valueTypeCode(this.#type), this.#mutable, value, raw, ref);
  }
  /** The value. @throws {TypeError} on setting an immutable global, on a value that does not convert, and for v128. */
  get value(): unknown {
    return native().globalGet(this.#store, this.#handle, false);
  }
  set value(value: unknown) {
    if (!this.#mutable) throw new TypeError('cannot set the value of an immutable global');
    native().globalSet(this.#store, this.#handle, value, false);
  }
  /** The value, as `value`. */
  valueOf(): unknown {
    return this.value;
  }
  get [Symbol.toStringTag](): string {
    return 'WebAssembly.Global';
  }
  static {
    globalParts = (value) => (typeof value === 'object' && value !== null && #handle in value
      ? { store: value.#store, handle: value.#handle, type: value.#type, mutable: value.#mutable } : undefined);
  }
}

/** Makes an immutable global of an import's type, from a value or, for `raw`, from its bit pattern. @throws {TypeError} when the value does not convert. */
export function constantGlobal(store: Store, { valtype, ref }: NativeExtern, value: unknown, raw: boolean): Global {
  return new Global({ [wrapped]: { store, type: valueTypeName(valtype ?? 0), mutable: false, value, raw, ref } } as never);
}

provideHooks({
  wrapGlobal: (store, handle, valtype, mutable) => new Global({ [wrapped]: { store: store as Store, handle, type: valueTypeName(valtype), mutable } } as never),
});
