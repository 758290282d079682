/** Types: the parts of reference types, and when one type can stand for another (spec 3.0, 3.3 "Matching"). */
import type { DefinedType, FieldType, FuncType, RefType, StorageType, ValType, WasmModule } from './module.js';

/**
 * The abstract heap types, by hierarchy, and what each is directly below: functions; the host's values; values of wasm, of which those of `eq` can be compared. Each
 * hierarchy has a bottom, of which there are no values, so that a reference to it is null.
 */
const ABOVE = {
  func: undefined, nofunc: 'func',
  extern: undefined, noextern: 'extern',
  any: undefined, eq: 'any', i31: 'eq', struct: 'eq', array: 'eq', none: 'i31',
} as const;
type AbstractHeapType = keyof typeof ABOVE;
/** What a reference refers to: an abstract heap type, or the index of a type of the module. */
export type HeapType = AbstractHeapType | number;
export interface RefParts { readonly nullable: boolean; readonly heap: HeapType }

/** The nullable types with names of their own. */
const SHORT: Readonly<Record<AbstractHeapType, RefType>> = {
  func: 'funcref', extern: 'externref', nofunc: 'nullfuncref', noextern: 'nullexternref',
  any: 'anyref', eq: 'eqref', i31: 'i31ref', struct: 'structref', array: 'arrayref', none: 'nullref',
};
/** Parts by type: of those with short names, and of those others that came first. */
const PARTS = new Map<ValType, RefParts>(Object.entries(SHORT).map(([heap, type]) => [type, { nullable: true, heap: heap as HeapType }]));
const MAX_PARTS = 10_000;

/** The reference type with these parts. */
export function refType(nullable: boolean, heap: HeapType): RefType {
  if (!nullable) return `(ref ${heap})`;
  return typeof heap === 'number' ? `(ref null ${heap})` : SHORT[heap];
}

/** The parts of a reference type; undefined for numbers and vectors. */
export function refParts(type: StorageType): RefParts | undefined {
  const parts = PARTS.get(type as ValType);
  if (parts !== undefined || !type.startsWith('(ref ')) return parts;
  const [, nullable, heap] = /^\(ref (null )?(\w+)\)$/.exec(type) as unknown as [string, string | undefined, string];
  const made: RefParts = { nullable: nullable !== undefined, heap: /^\d/.test(heap) ? Number(heap) : (heap as HeapType) };
  if (PARTS.size < MAX_PARTS) PARTS.set(type as ValType, made);
  return made;
}

/** Whether a type is one of references. */
export function isReference(type: StorageType): type is RefType {
  return refParts(type) !== undefined;
}

/** Whether values of a type can be null: false for numbers and vectors too. */
export function isNullable(type: StorageType): boolean {
  return refParts(type)?.nullable === true;
}

/** Whether a type has a default value, so that a local or a table element of it needs none to be given. */
export function isDefaultable(type: StorageType): boolean {
  return refParts(type)?.nullable !== false;
}

/** The same references without null. */
export function withoutNull(type: RefType): RefType {
  return refType(false, (refParts(type) as RefParts).heap);
}

/** What is left of references of one type when those of another are taken away, as far as types can say: without null, if that was taken. */
export function withoutType(type: RefType, taken: RefType): RefType {
  return isNullable(taken) ? withoutNull(type) : type;
}

/** The type as which a field's value is on the operand stack. */
export function unpacked(type: StorageType): ValType {
  return type === 'i8' || type === 'i16' ? 'i32' : type;
}

/** Whether values of a type are bits that a data segment can hold. */
export function isPlain(type: StorageType): boolean {
  return !isReference(type);
}

/** The function type with this index, which validation has found to be one. */
export function functionType({ types }: Pick<WasmModule, 'types'>, index: number): FuncType {
  const type = types[index];
  if (type?.kind !== 'func') throw new Error(`type ${index} is not one of functions: the module was not validated`);
  return type;
}

/** The values of a type: parameters and results, fields, or the element. */
export function valuesOf(type: DefinedType): readonly StorageType[] {
  switch (type.kind) {
    case 'func': return [...type.params, ...type.results];
    case 'struct': return type.fields.map((field) => field.type);
    case 'array': return [type.element.type];
  }
}

/** Matching of the types of one module. */
export class TypeRelation {
  readonly #types: readonly DefinedType[];
  readonly #groups: readonly number[];
  #canonical: readonly number[] | undefined;

  constructor({ types, typeGroups }: Pick<WasmModule, 'types' | 'typeGroups'>) {
    this.#types = types;
    this.#groups = typeGroups;
  }

  /** Whether a value of type `found` is one of type `wanted`. */
  matches(found: ValType, wanted: ValType): boolean {
    if (found === wanted) return true;
    const from = refParts(found);
    const to = refParts(wanted);
    return from !== undefined && to !== undefined && (to.nullable || !from.nullable) && this.heapMatches(from.heap, to.heap);
  }

  /** Whether what `found` is of, without null, is of `wanted`. */
  heapMatches(found: HeapType, wanted: HeapType): boolean {
    if (found === wanted) return true;
    if (typeof found === 'number') return typeof wanted === 'number' ? this.#isBelow(found, wanted) : this.heapMatches(this.#kind(found), wanted);
    if (typeof wanted === 'number') return found === BOTTOM[this.#kind(wanted)];
    if (found === 'none') return this.top(wanted) === 'any';
    const above = ABOVE[found];
    return above !== undefined && this.heapMatches(above, wanted);
  }

  /** The type that all of a heap type's hierarchy match. */
  top(heap: HeapType): 'func' | 'extern' | 'any' {
    let at: AbstractHeapType = typeof heap === 'number' ? this.#kind(heap) : heap;
    for (let above: AbstractHeapType | undefined = ABOVE[at]; above !== undefined; above = ABOVE[at]) at = above;
    return at as 'func' | 'extern' | 'any';
  }

  /** Whether each of some values is one of the type wanted in its place. */
  allMatch(found: readonly ValType[], wanted: readonly ValType[]): boolean {
    return found.length === wanted.length && found.every((type, i) => this.matches(type, wanted[i]));
  }

  /** Whether two types are the same. */
  same(a: ValType, b: ValType): boolean {
    return this.matches(a, b) && this.matches(b, a);
  }

  /** Whether a field of type `found` can stand where one of type `wanted` is expected: what is written to it must be right as well. */
  fieldMatches(found: FieldType, wanted: FieldType): boolean {
    return found.mutable === wanted.mutable && this.storageMatches(found.type, wanted.type) && (!found.mutable || this.storageMatches(wanted.type, found.type));
  }

  storageMatches(found: StorageType, wanted: StorageType): boolean {
    if (found === 'i8' || found === 'i16' || wanted === 'i8' || wanted === 'i16') return found === wanted;
    return this.matches(found, wanted);
  }

  /** Whether a type has what a subtype of another must have, whatever they declare. */
  extendsType(sub: DefinedType, above: DefinedType): boolean {
    if (sub.kind === 'func') return above.kind === 'func' && this.allMatch(above.params, sub.params) && this.allMatch(sub.results, above.results);
    if (sub.kind === 'array') return above.kind === 'array' && this.fieldMatches(sub.element, above.element);
    return above.kind === 'struct' && above.fields.length <= sub.fields.length && above.fields.every((field, i) => this.fieldMatches(sub.fields[i], field));
  }

  /** The first of the types that are equal to the one with this index; the index itself when it is out of range. */
  canonical(index: number): number {
    this.#canonical ??= canonicalTypes(this.#types, this.#groups);
    return this.#canonical[index] ?? index;
  }

  #kind(index: number): DefinedType['kind'] {
    return this.#types[index]?.kind ?? 'func';
  }

  /** Whether a type is another, or one of those that it is declared a subtype of is. */
  #isBelow(found: number, wanted: number): boolean {
    const end = this.canonical(wanted);
    for (let at: number | undefined = found; at !== undefined; at = this.#types[at]?.supertype) if (this.canonical(at) === end) return true;
    return false;
  }
}

/** The bottom of the hierarchy that types of a kind belong to. */
const BOTTOM: Readonly<Record<DefinedType['kind'], AbstractHeapType>> = { func: 'nofunc', struct: 'none', array: 'none' };

/**
 * For each type the first that is equal to it. Types are equal when their recursion groups are, member by member, with references inside a group taken by place and
 * others by what they refer to (spec 3.0, 3.2 "Rolling and Unrolling"): so one pass in order decides.
 */
function canonicalTypes(types: readonly DefinedType[], groups: readonly number[]): number[] {
  const canonical: number[] = [];
  const known = new Map<string, number>();
  for (let first = 0; first < types.length;) {
    let end = first + 1;
    while (end < types.length && groups[end] === first) end++;
    const spellIndex = (index: number): string => (index >= first && index < end ? `.${index - first}` : String(canonical[index] ?? index));
    const spell = (type: StorageType): string => {
      const parts = refParts(type);
      return typeof parts?.heap === 'number' ? `${parts.nullable ? '?' : '!'}${spellIndex(parts.heap)}` : type;
    };
    const key = types.slice(first, end).map((type) => spellType(type, spell, spellIndex)).join(';');
    const same = known.get(key);
    if (same === undefined) known.set(key, first);
    for (let i = first; i < end; i++) canonical.push((same ?? first) + i - first);
    first = end;
  }
  return canonical;
}

/** A type as text in which equal types are equal. */
function spellType(type: DefinedType, spell: (type: StorageType) => string, spellIndex: (index: number) => string): string {
  const head = `${type.final ? '' : 'sub '}${type.supertype === undefined ? '' : `<${spellIndex(type.supertype)} `}${type.kind} `;
  const field = ({ type: storage, mutable }: FieldType) => `${mutable ? 'mut ' : ''}${spell(storage)}`;
  switch (type.kind) {
    case 'func': return `${head}${type.params.map(spell).join(' ')}>${type.results.map(spell).join(' ')}`;
    case 'struct': return `${head}${type.fields.map(field).join(',')}`;
    case 'array': return `${head}${field(type.element)}`;
  }
}
