/** Which function code comes from, and into which it was inlined: subprograms and inlined subroutines of .debug_info (DWARF 5, section 3.3). */
import { addressOf, At, type Entry, numberOf, referenceOf, stringOf, Tag, type Unit, walkEntries } from './dwarf-entries.js';
import { DwarfError, DwarfReader, type DwarfSections } from './dwarf-reader.js';
import type { FormValue } from './dwarf-forms.js';

/** Addresses, the second one exclusive. */
export type Range = readonly [start: number, end: number];

/** Code of a function: out of line, or inlined into `parent`, where it is called from a place in a file (an index in the unit's line table; 0s: not known). */
export interface Scope {
  readonly parent: Scope | undefined;
  /** The entry that names the function. */
  readonly origin: number;
  readonly unit: Unit;
  readonly callFile: number;
  readonly callLine: number;
  readonly callColumn: number;
  readonly ranges: readonly Range[];
  /** 1 more than the parent's; 0 out of line. */
  readonly depth: number;
}

/** What .debug_info says. Parents come before what is inlined into them. */
export interface ScopeTree {
  readonly scopes: readonly Scope[];
  readonly units: readonly Unit[];
  /** The name of a scope's function, with those of the namespaces and types that it is in. */
  nameOf(scope: Scope): string | undefined;
  /** The line on which it is declared. */
  declarationOf(scope: Scope): number | undefined;
}

/** Bounds of memory; programs of tens of megabytes stay below them. */
const MAX_SCOPES = 2_000_000;
const MAX_RANGES = 2_000_000;
/** Functions inlined into each other. */
const MAX_CHAIN = 250;
/** Entries that name each other as their origins. */
const MAX_REFERENCES = 8;

interface Named { readonly name: string | undefined; readonly reference: number | undefined; readonly context: string; readonly line: number | undefined }

const CONTEXTS: ReadonlySet<number> = new Set([Tag.namespace, Tag.class, Tag.structure, Tag.union, Tag.enumeration, Tag.interface, Tag.module]);
const UNITS: ReadonlySet<number> = new Set([Tag.compileUnit, Tag.partialUnit, Tag.skeletonUnit]);

/** The pairs of .debug_ranges (DWARF 4, section 2.17.3). */
function* readOldRanges(unit: Unit, offset: number): Generator<Range> {
  const size = unit.addressSize;
  const r = new DwarfReader('.debug_ranges', unit.sections.get('.debug_ranges') ?? new Uint8Array(), offset);
  const selector = size === 4 ? 0xffffffff : 2 ** 64;
  for (let base = unit.lowPc; ;) {
    const [start, end] = [r.unsigned(size), r.unsigned(size)];
    if (start === 0 && end === 0) return;
    if (start === selector) base = end;
    else yield [base + start, base + end];
  }
}

/** The entries of .debug_rnglists (DWARF 5, section 7.25). */
function* readRangeList(unit: Unit, offset: number): Generator<Range> {
  const r = new DwarfReader('.debug_rnglists', unit.sections.get('.debug_rnglists') ?? new Uint8Array(), offset);
  const indexed = () => addressOf(unit, { kind: 'addressIndex', value: r.uleb() }) ?? 0;
  const plain = () => r.unsigned(unit.addressSize);
  for (let base = unit.lowPc; ;) {
    const kind = r.u8();
    let start: number;
    switch (kind) {
      case 0: return;
      case 1: base = indexed(); break;
      case 2: yield [indexed(), indexed()]; break;
      case 3: start = indexed(); yield [start, start + r.uleb()]; break;
      case 4: yield [base + r.uleb(), base + r.uleb()]; break;
      case 5: base = plain(); break;
      case 6: yield [plain(), plain()]; break;
      case 7: start = plain(); yield [start, start + r.uleb()]; break;
      default: r.fail(`unknown kind of range ${kind}`);
    }
  }
}

function rangesAt(unit: Unit, value: FormValue): Iterable<Range> {
  if (value.kind === 'rangesIndex') {
    const size = unit.wide ? 8 : 4;
    const table = new DwarfReader('.debug_rnglists', unit.sections.get('.debug_rnglists') ?? new Uint8Array(), unit.rnglistsBase + value.value * size);
    return readRangeList(unit, unit.rnglistsBase + table.unsigned(size));
  }
  if (value.kind !== 'offset' && value.kind !== 'number') return [];
  return unit.version === 5 ? readRangeList(unit, value.value) : readOldRanges(unit, unit.rangesBase + value.value);
}

/** The addresses of an entry's code. */
function rangesOf(unit: Unit, entry: Entry): Iterable<Range> {
  const ranges = entry.attributes.get(At.ranges);
  if (ranges) return rangesAt(unit, ranges);
  const high = entry.attributes.get(At.highPc);
  const low = addressOf(unit, entry.attributes.get(At.lowPc));
  if (low === undefined || !high) return [];
  const end = high.kind === 'number' ? low + high.value : addressOf(unit, high); // from version 4 on it may be a length
  return end === undefined ? [] : [[low, end]];
}

/** Collects scopes and names, entry by entry. */
class Collector {
  readonly scopes: Scope[] = [];
  readonly units: Unit[] = [];
  private readonly named = new Map<number, Named>();
  /** By depth: the innermost function, and the names of the namespaces and types, around entries there. */
  private readonly around: { readonly scope: Scope | undefined; readonly context: string }[] = [];
  private ranges = 0;

  /** @param accept which ranges are code of the file: linkers leave entries of what they removed, at addresses where there is none. */
  constructor(private readonly accept: (range: Range) => boolean) {}

  visit(unit: Unit, entry: Entry): void {
    const { scope, context } = entry.depth === 0 ? { scope: undefined, context: '' } : this.around[entry.depth - 1];
    this.around.length = entry.depth;
    this.around.push(this.enter(unit, entry, scope, context));
  }

  private enter(unit: Unit, entry: Entry, scope: Scope | undefined, context: string): (typeof this.around)[number] {
    if (entry.tag === Tag.subprogram) {
      const reference = referenceOf(unit, entry, At.specification) ?? referenceOf(unit, entry, At.abstractOrigin);
      const name = stringOf(unit, entry, At.name);
      this.named.set(entry.offset, { name, reference, context, line: numberOf(entry, At.declLine) });
      const made = this.scope(unit, entry, undefined, entry.offset);
      return { scope: made.ranges.length > 0 ? made : undefined, context: name === undefined ? context : `${context}${name}::` };
    }
    if (entry.tag === Tag.inlinedSubroutine) {
      const origin = referenceOf(unit, entry, At.abstractOrigin);
      const made = scope && origin !== undefined ? this.scope(unit, entry, scope, origin) : undefined;
      return { scope: made?.ranges.length ? made : undefined, context };
    }
    if (CONTEXTS.has(entry.tag)) return { scope, context: `${context}${stringOf(unit, entry, At.name) ?? (entry.tag === Tag.namespace ? '(anonymous namespace)' : '(anonymous)')}::` };
    if (UNITS.has(entry.tag)) this.units.push(unit);
    return { scope, context };
  }

  private scope(unit: Unit, entry: Entry, parent: Scope | undefined, origin: number): Scope {
    const ranges: Range[] = [];
    for (const range of rangesOf(unit, entry)) {
      if (++this.ranges > MAX_RANGES) throw new DwarfError('.debug_info', entry.offset, 'too many ranges');
      if (this.accept(range)) ranges.push(range);
    }
    const depth = parent ? parent.depth + 1 : 0;
    if (this.scopes.length >= MAX_SCOPES) throw new DwarfError('.debug_info', entry.offset, 'too many functions');
    if (depth > MAX_CHAIN) throw new DwarfError('.debug_info', entry.offset, 'inlined too deeply');
    const at = (name: At) => (parent ? (numberOf(entry, name) ?? 0) : 0);
    const scope: Scope = { parent, origin, unit, callFile: at(At.callFile), callLine: at(At.callLine), callColumn: at(At.callColumn), ranges, depth };
    if (ranges.length > 0) this.scopes.push(scope);
    return scope;
  }

  /** What the entry at an offset, or those that it refers to, say. */
  lookUp<T>(origin: number, get: (named: Named) => T | undefined): T | undefined {
    let named = this.named.get(origin);
    for (let i = 0; named && i < MAX_REFERENCES; i++) {
      const found = get(named);
      if (found !== undefined || named.reference === undefined) return found;
      named = this.named.get(named.reference);
    }
    return undefined;
  }
}

/** Reads the functions of .debug_info. */
export function readScopes(sections: DwarfSections, accept: (range: Range) => boolean, report: (error: DwarfError) => void): ScopeTree {
  const collector = new Collector(accept);
  walkEntries(sections, (unit, entry) => collector.visit(unit, entry), report);
  return {
    scopes: collector.scopes,
    units: collector.units,
    nameOf: ({ origin }) => collector.lookUp(origin, ({ name, context }) => (name === undefined ? undefined : context + name)),
    declarationOf: ({ origin }) => collector.lookUp(origin, ({ line }) => line),
  };
}
