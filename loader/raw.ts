/**
 * Bit-exact access for tools and tests. JavaScript numbers may lose the payload of a NaN and have no vectors; here, numbers and vectors are bigints that hold the
 * bit pattern of the type, zero-extended: i32 and f32 below 2^32, i64 and f64 below 2^64, v128 below 2^128 (lane 0 in the low bits). References are as in the
 * ordinary API: null, functions, any value.
 */
import { globalParts } from './global.js';
import { native } from './native.js';
import { storeOfFunction } from './store.js';
import { type AnyFunction, type ValueType, valueTypeName } from './values.js';

/**
 * Calls an exported function with bit patterns, and returns those of its results, one for each, in an array.
 * @throws {TypeError} for the wrong number of arguments, or one that is no pattern of its type. Otherwise what the call itself throws.
 */
export function callRaw(func: AnyFunction, args: readonly unknown[]): unknown[] {
  const store = storeOfFunction(func);
  if (!store) throw new TypeError('callRaw needs a function that a wasm-aot instance exports');
  return native().callRaw(store, func, args);
}

/** Parameter and result types of an exported function; undefined for any other value. */
export function functionType(func: unknown): { params: ValueType[]; results: ValueType[] } | undefined {
  const type = native().funcType(func);
  return type && { params: type.params.map(valueTypeName), results: type.results.map(valueTypeName) };
}

/** Type of a Global; undefined for any other value. */
export function globalType(global: unknown): { value: ValueType; mutable: boolean } | undefined {
  const parts = globalParts(global);
  return parts && { value: parts.type, mutable: parts.mutable };
}

/** Bit pattern of the value of a Global. @throws {TypeError} when it is none. */
export function readGlobalRaw(global: unknown): unknown {
  const parts = globalParts(global);
  if (!parts) throw new TypeError('readGlobalRaw needs a Global of wasm-aot');
  return native().globalGet(parts.store, parts.handle, true);
}

/** Sets a mutable Global to a bit pattern. @throws {TypeError} when it is none, is immutable, or the pattern is not of its type. */
export function writeGlobalRaw(global: unknown, value: unknown): void {
  const parts = globalParts(global);
  if (!parts?.mutable) throw new TypeError('writeGlobalRaw needs a mutable Global of wasm-aot');
  native().globalSet(parts.store, parts.handle, value, true);
}
