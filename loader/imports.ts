/** Reads the imports of an instantiation from the import object, as the JS API's "read the imports" does, into what the addon takes. */
import { ExternKind } from '../runtime-c/abi.js';
import { LinkError } from './errors.js';
import { constantGlobal, globalParts } from './global.js';
import { importMemory } from './memory.js';
import type { Handle, NativeArtifact, NativeExtern } from './native.js';
import { readGlobal } from './probe.js';
import { keepAlive, linkStores, type Store, storeOfFunction } from './store.js';
import { tableParts } from './table.js';
import { type AnyFunction, isReferenceCode, isReferenceType, refersToFunctions, valueTypeName } from './values.js';

/** The values of a module's imports, by module and name. */
export type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A function, or the handle of anything else. */
type Resolved = AnyFunction | Handle;

function importFunction(store: Store, value: unknown, extern: NativeExtern, what: string): AnyFunction {
  if (typeof value !== 'function') throw new LinkError(`${what}: function import requires a callable, not ${describe(value)}`);
  const owner = storeOfFunction(value);
  // References reach the other store only through parameters. Without any, a long-lived library does not keep its short-lived users alive.
  if (owner && extern.params?.some(isReferenceCode)) linkStores(store, owner);
  else if (owner !== store) keepAlive(store, owner ?? value);
  return value as AnyFunction;
}

function importTable(store: Store, value: unknown, what: string): Handle {
  const parts = tableParts(value);
  if (parts) {
    linkStores(store, parts.store);
    return parts.handle;
  }
  if (value instanceof WebAssembly.Table) throw new LinkError(`${what}: table import is V8's WebAssembly.Table, which cannot hold wasm-aot's functions: make it with wasm-aot's Table`);
  throw new LinkError(`${what}: table import must be a Table of wasm-aot, not ${describe(value)}`);
}

function importGlobal(store: Store, value: unknown, extern: NativeExtern, what: string): Handle {
  const parts = globalParts(value);
  if (parts) {
    if (isReferenceType(parts.type)) linkStores(store, parts.store);
    else keepAlive(store, parts.store);
    return parts.handle;
  }
  if (extern.mutable === 1) {
    const hint = value instanceof WebAssembly.Global ? 'a WebAssembly.Global of V8 does not tell where its value is: make it' : `not ${describe(value)}: make it`;
    throw new LinkError(`${what}: imported mutable global must be a Global of wasm-aot; ${hint} with wasm-aot's Global`);
  }
  return constantParts(store, value, extern, what);
}

/** A new immutable global of the store, from a plain value or from V8's immutable global. */
function constantParts(store: Store, value: unknown, extern: NativeExtern, what: string): Handle {
  const valtype = extern.valtype ?? 0;
  const type = valueTypeName(valtype);
  const isReference = isReferenceCode(valtype);
  let constant = value;
  let raw = false;
  if (value instanceof WebAssembly.Global) {
    const read = readGlobal(value, type);
    if (!read) throw new LinkError(`${what}: global import is not an immutable global of type ${type}`);
    constant = read.value;
    raw = !isReference;
  } else if (type === 'i64' ? typeof value !== 'bigint' : !isReference && typeof value !== 'number') {
    throw new LinkError(`${what}: global import must be ${type === 'i64' ? 'a bigint' : type === 'v128' ? 'a Global' : 'a number'} or a Global of type ${type}, not ${describe(value)}`);
  }
  const owner = storeOfFunction(constant);
  if (owner && refersToFunctions(valtype)) linkStores(store, owner);
  else if (refersToFunctions(valtype) && constant !== null) throw new LinkError(`${what}: global import must be null or a function that a wasm-aot instance exports, not ${describe(value)}`);
  const parts = globalParts(makeConstant(store, extern, constant, raw, what));
  return (parts as { handle: Handle }).handle;
}

/** The global. A reference that is not of the type is a matter of linking. */
function makeConstant(store: Store, extern: NativeExtern, value: unknown, raw: boolean, what: string): object {
  const type = valueTypeName(extern.valtype ?? 0);
  try {
    return constantGlobal(store, extern, value, raw);
  } catch (cause) {
    throw new LinkError(`${what}: global import must be of type ${type}: ${(cause as Error).message}`);
  }
}

/** A value in a message: its type, or what is to be said of it. */
function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value !== 'object') return `a ${typeof value}`;
  const name = Object.prototype.toString.call(value).slice(8, -1);
  return `an object (${name})`;
}

const isObject = (value: unknown): value is Record<string, unknown> => (typeof value === 'object' && value !== null) || typeof value === 'function';

/**
 * Resolves every import, in order.
 * @throws {TypeError} when `imports`, or the namespace of a module in it, is no object.
 * @throws {LinkError} when a value is missing or of the wrong kind.
 */
export function resolveImports(artifact: Pick<NativeArtifact, 'imports'>, imports: unknown, store: Store): Resolved[] {
  if (imports !== undefined && !isObject(imports)) throw new TypeError('the imports must be an object');
  if (imports === undefined && artifact.imports.length > 0) throw new TypeError(`the module has ${artifact.imports.length} imports, and no import object was given`);
  // All are read before any is used, because getters can run any code.
  const values = artifact.imports.map((extern, i) => {
    const namespace = (imports as Record<string, unknown>)[extern.module as string];
    if (!isObject(namespace)) throw new TypeError(`import #${i} ${JSON.stringify(extern.module)}: the module is not an object or function`);
    return namespace[extern.name];
  });
  return artifact.imports.map((extern, i) => {
    const what = `import #${i} ${JSON.stringify(extern.module)} ${JSON.stringify(extern.name)}`;
    switch (extern.kind) {
      case ExternKind.func: return importFunction(store, values[i], extern, what);
      case ExternKind.table: return importTable(store, values[i], what);
      case ExternKind.memory: return importMemory(store, values[i], extern, what);
      default: return importGlobal(store, values[i], extern, what);
    }
  });
}
