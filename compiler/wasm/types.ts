/** Reference types: their parts, and when one value type can stand for another (spec 3.0, 3.3 "Matching"). */
import type { FuncType, RefType, ValType, WasmModule } from './module.js';

/** What a reference refers to: functions, host values, neither (the types that only null has), or functions of the type with an index. */
export type HeapType = 'func' | 'extern' | 'nofunc' | 'noextern' | number;
export interface RefParts { readonly nullable: boolean; readonly heap: HeapType }

/** The nullable types with names of their own. */
const SHORT: Readonly<Record<string, RefType>> = { func: 'funcref', extern: 'externref', nofunc: 'nullfuncref', noextern: 'nullexternref' };
/** Parts by type: of those with short names, and of those others that came first. */
const PARTS = new Map<ValType, RefParts>(Object.entries(SHORT).map(([heap, type]) => [type, { nullable: true, heap: heap as HeapType }]));
const MAX_PARTS = 10_000;

/** The reference type with these parts. */
export function refType(nullable: boolean, heap: HeapType): RefType {
  return nullable ? (SHORT[heap] ?? `(ref null ${heap})`) : `(ref ${heap})`;
}

/** The parts of a reference type; undefined for numbers and vectors. */
export function refParts(type: ValType): RefParts | undefined {
  const parts = PARTS.get(type);
  if (parts !== undefined || !type.startsWith('(ref ')) return parts;
  const [, nullable, heap] = /^\(ref (null )?(\w+)\)$/.exec(type) as unknown as [string, string | undefined, string];
  const made: RefParts = { nullable: nullable !== undefined, heap: /^\d/.test(heap) ? Number(heap) : (heap as HeapType) };
  if (PARTS.size < MAX_PARTS) PARTS.set(type, made);
  return made;
}

/** Whether a type is one of references. */
export function isReference(type: ValType): type is RefType {
  return refParts(type) !== undefined;
}

/** Whether values of a type can be null: false for numbers and vectors too. */
export function isNullable(type: ValType): boolean {
  return refParts(type)?.nullable === true;
}

/** Whether a type has a default value, so that a local or a table element of it needs none to be given. */
export function isDefaultable(type: ValType): boolean {
  return refParts(type)?.nullable !== false;
}

/** The same references without null. */
export function withoutNull(type: RefType): RefType {
  return refType(false, (refParts(type) as RefParts).heap);
}

/** Matching of the types of one module. */
export class TypeRelation {
  readonly #types: readonly FuncType[];
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
    if (from === undefined || to === undefined || (from.nullable && !to.nullable)) return false;
    switch (to.heap) {
      case from.heap: return true;
      case 'func': return from.heap === 'nofunc' || typeof from.heap === 'number';
      case 'extern': return from.heap === 'noextern';
      case 'nofunc': case 'noextern': return false;
      default: return from.heap === 'nofunc' || (typeof from.heap === 'number' && this.canonical(from.heap) === this.canonical(to.heap));
    }
  }

  /** Whether each of some values is one of the type wanted in its place. */
  allMatch(found: readonly ValType[], wanted: readonly ValType[]): boolean {
    return found.length === wanted.length && found.every((type, i) => this.matches(type, wanted[i]));
  }

  /** Whether two types are the same. */
  same(a: ValType, b: ValType): boolean {
    return this.matches(a, b) && this.matches(b, a);
  }

  /** The first of the types that are equal to the one with this index; the index itself when it is out of range. */
  canonical(index: number): number {
    this.#canonical ??= canonicalTypes(this.#types, this.#groups);
    return this.#canonical[index] ?? index;
  }
}

/**
 * For each type the first that is equal to it. Types are equal when their recursion groups are, member by member, with references inside a group taken by place and
 * others by what they refer to (spec 3.0, 3.2 "Rolling and Unrolling"): so one pass in order decides.
 */
function canonicalTypes(types: readonly FuncType[], groups: readonly number[]): number[] {
  const canonical: number[] = [];
  const known = new Map<string, number>();
  for (let first = 0; first < types.length;) {
    let end = first + 1;
    while (end < types.length && groups[end] === first) end++;
    const spell = (type: ValType): string => {
      const parts = refParts(type);
      if (typeof parts?.heap !== 'number') return type;
      const inside = parts.heap >= first && parts.heap < end;
      return `${parts.nullable ? '?' : '!'}${inside ? `.${parts.heap - first}` : (canonical[parts.heap] ?? parts.heap)}`;
    };
    const key = types.slice(first, end).map(({ params, results }) => `${params.map(spell).join(' ')}>${results.map(spell).join(' ')}`).join(';');
    const same = known.get(key);
    if (same === undefined) known.set(key, first);
    for (let i = first; i < end; i++) canonical.push((same ?? first) + i - first);
    first = end;
  }
  return canonical;
}
