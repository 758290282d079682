/**
 * Memories are V8's own: every memory that a module defines is a real `WebAssembly.Memory`, and imports take one. Compiled code uses it in place, so
 * `buffer` shows what wasm wrote, is detached when wasm grows the memory, and code that expects V8's class (node:wasi, emscripten, wasm-bindgen) works.
 */
import { LinkError } from './errors.js';
import { type Handle, native, provideHooks, type NativeExtern } from './native.js';
import { memoryMatches } from './probe.js';
import { keepAlive, type Store } from './store.js';

// Taken before a program can replace them: a `buffer` that lies about its length must not reach the runtime.
const { Memory } = WebAssembly;
const { apply } = Reflect;
const getBuffer = Object.getOwnPropertyDescriptor(Memory.prototype, 'buffer')?.get as (this: WebAssembly.Memory) => ArrayBuffer;

provideHooks({
  memoryBuffer: getBuffer,
  memoryGrow: Memory.prototype.grow,
  memoryNew(store, min, max) {
    const memory = new Memory(max === undefined ? { initial: min } : { initial: min, maximum: max });
    keepAlive(store as Store, memory);
    return memory;
  },
});

/** Handles of memories that a store has adopted, by the maximum that the import declared. */
const adopted = new WeakMap<Store, WeakMap<WebAssembly.Memory, Map<number | undefined, Handle>>>();

/**
 * The handle of an imported memory in the store of the importing instance.
 * @throws {LinkError} when the value is no memory, is shared, or is outside the limits of the import.
 */
export function importMemory(store: Store, value: unknown, extern: NativeExtern, what: string): Handle {
  const memory = value as WebAssembly.Memory;
  let buffer: ArrayBuffer;
  try {
    buffer = apply(getBuffer, memory, []);
  } catch {
    throw new LinkError(`${what}: memory import must be a WebAssembly.Memory object`);
  }
  if (buffer instanceof SharedArrayBuffer) throw new LinkError(`${what}: memory import is shared, and the module wants one that is not`);
  const pages = buffer.byteLength / 65536;
  const { min = 0, max } = extern;
  if (pages < min) throw new LinkError(`${what}: memory import has ${pages} pages, and the module wants ${min} or more`);
  if (max !== undefined && !memoryMatches(memory, min, max)) {
    throw new LinkError(`${what}: memory import has no maximum or one above ${max} pages, and the module wants ${max} at most`);
  }
  return adopt(store, memory, max);
}

function adopt(store: Store, memory: WebAssembly.Memory, max: number | undefined): Handle {
  const memories = adopted.get(store) ?? new WeakMap<WebAssembly.Memory, Map<number | undefined, Handle>>();
  const handles = memories.get(memory) ?? new Map<number | undefined, Handle>();
  const known = handles.get(max);
  if (known) return known;
  keepAlive(store, memory);
  const handle = native().memoryNew(store, memory, max);
  adopted.set(store, memories.set(memory, handles));
  handles.set(max, handle);
  return handle;
}
