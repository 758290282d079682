/** Value types as the loader names them, and the conversions of the JS API that are easier said in JavaScript than in C. */
import { ExternKind, NULLABLE, RefType, ValType } from '../runtime-c/abi.js';
import type { ManifestValType } from './manifest.js';
import { provideHooks, type NativeExtern } from './native.js';

/** A value type, by its name in the text format; references to what is of one type are `(ref $type)` and `(ref null $type)`, whatever the type. */
export type ValueType = ManifestValType;

/** A function of any type. */
// biome-ignore lint/suspicious/noExplicitAny: it stands for functions whose type only the caller knows.
export type AnyFunction = (...args: any[]) => any;

/** The kinds of imports and exports, as `WebAssembly.Module.imports` names them. */
export type ExternKindName = 'function' | 'table' | 'memory' | 'global';

/** The type of an import or export, in the shape of the JS API's type reflection proposal. */
export type ExternType =
  | { readonly parameters: readonly ValueType[]; readonly results: readonly ValueType[] }
  | { readonly element: ValueType; readonly minimum: number; readonly maximum?: number }
  | { readonly minimum: number; readonly maximum?: number }
  | { readonly value: ValueType; readonly mutable: boolean };

const NAMES = new Map<number, ValueType>([
  ...Object.entries(ValType).map(([name, code]): [number, ValueType] => [code, name as ValueType]),
  [RefType.nullfuncref, 'nullfuncref'], [RefType.nullexternref, 'nullexternref'], [RefType.nullref, 'nullref'], [RefType.anyref, 'anyref'], [RefType.eqref, 'eqref'],
  [RefType.i31ref, 'i31ref'], [RefType.structref, 'structref'], [RefType.arrayref, 'arrayref'], [RefType.ref_none, '(ref none)'], [RefType.ref_any, '(ref any)'],
  [RefType.ref_eq, '(ref eq)'], [RefType.ref_i31, '(ref i31)'], [RefType.ref_struct, '(ref struct)'], [RefType.ref_array, '(ref array)'], [RefType.ref_func, '(ref func)'], [RefType.ref_extern, '(ref extern)'],
  [RefType.ref_nofunc, '(ref nofunc)'], [RefType.ref_noextern, '(ref noextern)'], [RefType.ref_type, '(ref $type)'], [RefType.ref_null_type, '(ref null $type)'],
]);
/** Codes of reference types are below those of numbers and vectors. */
export const isReferenceCode = (valtype: number): boolean => valtype < ValType.v128;
/** Whether a value type is one of references. */
export const isReferenceType = (type: ValueType): boolean => type.includes('ref');
/** Whether a reference type's values are functions, or null, whatever else is to be known of it. */
export const refersToFunctions = (valtype: number): boolean => [ValType.funcref, RefType.nullfuncref].includes((valtype | NULLABLE) as never);
const KINDS: Readonly<Record<number, ExternKindName>> = {
  [ExternKind.func]: 'function', [ExternKind.table]: 'table', [ExternKind.memory]: 'memory', [ExternKind.global]: 'global',
};

/** The name of a value type's code. */
export function valueTypeName(code: number): ValueType {
  const name = NAMES.get(code);
  if (name === undefined) throw new Error(`unknown value type 0x${code.toString(16)}`);
  return name;
}

/** The code of a value type. */
export function valueTypeCode(type: ValueType): number {
  for (const [code, name] of NAMES) if (name === type) return code;
  throw new Error(`unknown value type ${type}`);
}

/** The kind of an import or export. */
export function kindName(extern: NativeExtern): ExternKindName {
  return KINDS[extern.kind];
}

/** The type of an import or export. */
export function externType(extern: NativeExtern): ExternType {
  const limits = { minimum: extern.min ?? 0, ...(extern.max === undefined ? {} : { maximum: extern.max }) };
  switch (KINDS[extern.kind]) {
    case 'function': return { parameters: (extern.params ?? []).map(valueTypeName), results: (extern.results ?? []).map(valueTypeName) };
    case 'table': return { element: valueTypeName(extern.valtype ?? 0), ...limits };
    case 'memory': return limits;
    case 'global': return { value: valueTypeName(extern.valtype ?? 0), mutable: extern.mutable === 1 };
  }
}

/** The value of a type that the JS API uses where none is given. */
export function defaultValue(type: ValueType): unknown {
  switch (type) {
    case 'i64': return 0n;
    case 'externref': return undefined;
    default: return isReferenceType(type) ? null : 0;
  }
}

/** The elements of what a host function with several results returned (JS API, "run a host function", step for more than one result). */
function iterate(value: unknown, count: number): unknown[] {
  const method = (value as Iterable<unknown> | null | undefined)?.[Symbol.iterator];
  if (typeof method !== 'function') throw new TypeError(`a host function with ${count} results must return an iterable`);
  const values = [...(value as Iterable<unknown>)];
  if (values.length !== count) throw new TypeError(`a host function with ${count} results returned ${values.length}`);
  return values;
}

/**
 * An integer argument, as Web IDL's `[EnforceRange] unsigned long` takes it.
 * @throws {TypeError} when it is not finite or outside 0 .. 2^32-1.
 */
export function toIndex(value: unknown, what: string): number {
  const number = Math.trunc(Number(value));
  if (!(number >= 0 && number <= 0xffffffff)) throw new TypeError(`${what} must be an integer from 0 to 4294967295, not ${String(value)}`);
  return number + 0; // -0 becomes 0
}

provideHooks({ toBigInt: (value) => BigInt.asIntN(64, value as bigint), iterate });
