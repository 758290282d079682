/** The entries of .debug_info (DWARF 2 to 5, section 7.5): units, abbreviations, and those attributes that say which function code comes from. */
import { DwarfError, DwarfReader, type DwarfSections, stringAt } from './dwarf-reader.js';
import { type FormContext, type FormValue, readForm, textOf } from './dwarf-forms.js';

/** Tags of the entries that matter (DWARF 5, table 7.3). */
export enum Tag {
  class = 0x02, enumeration = 0x04, lexicalBlock = 0x0b, compileUnit = 0x11, structure = 0x13, union = 0x17, inlinedSubroutine = 0x1d, module = 0x1e, subprogram = 0x2e,
  interface = 0x38, namespace = 0x39, partialUnit = 0x3c, skeletonUnit = 0x4a,
}

/** The attributes that matter (DWARF 5, table 7.5). */
export enum At {
  name = 0x03, stmtList = 0x10, lowPc = 0x11, highPc = 0x12, compDir = 0x1b, abstractOrigin = 0x31, declLine = 0x3b, specification = 0x47, ranges = 0x55, callColumn = 0x57, callFile = 0x58,
  callLine = 0x59, strOffsetsBase = 0x72, addrBase = 0x73, rnglistsBase = 0x74, gnuRangesBase = 0x2132, gnuAddrBase = 0x2133,
}
const WANTED: ReadonlySet<number> = new Set([
  At.name, At.stmtList, At.lowPc, At.highPc, At.compDir, At.abstractOrigin, At.declLine, At.specification, At.ranges, At.callColumn, At.callFile, At.callLine, At.strOffsetsBase, At.addrBase,
  At.rnglistsBase, At.gnuRangesBase, At.gnuAddrBase,
]);
/** Tags whose attributes are read; those of others are read past. */
const TAGS: ReadonlySet<number> = new Set([
  Tag.class, Tag.enumeration, Tag.compileUnit, Tag.structure, Tag.union, Tag.inlinedSubroutine, Tag.module, Tag.subprogram, Tag.interface, Tag.namespace, Tag.partialUnit, Tag.skeletonUnit,
  Tag.lexicalBlock,
]);

/** Attributes of one abbreviation at most: DWARF 5 has 140. It bounds the work that a byte of .debug_info can ask for. */
const MAX_ATTRIBUTES = 200;
/** Entries inside each other at most. */
const MAX_DEPTH = 1000;

interface Abbreviation { readonly tag: number; readonly hasChildren: boolean; readonly wanted: boolean; readonly attributes: readonly { readonly name: number; readonly form: number; readonly implicit: number }[] }
type Abbreviations = ReadonlyMap<number, Abbreviation>;

/** A unit of .debug_info: how its values are to be read. */
export interface Unit extends FormContext {
  /** Where its header begins in .debug_info: references within the unit count from here. */
  readonly start: number;
  /** Bases of what indices in its attributes mean; from the unit's first entry. */
  strOffsetsBase: number;
  addrBase: number;
  rnglistsBase: number;
  rangesBase: number;
  /** Start of the unit's code: what entries of range lists count from. */
  lowPc: number;
  compDir: string;
  /** Offset of its table in .debug_line. */
  stmtList: number | undefined;
}

/** An entry: its place in .debug_info, its attributes (those that matter). */
export interface Entry { readonly offset: number; readonly tag: number; readonly depth: number; readonly attributes: ReadonlyMap<At, FormValue> }

const NONE: ReadonlyMap<At, FormValue> = new Map();

/** Reads an abbreviation table. Each of its bytes is paid for out of the budget: malformed units could all name tables that overlap. */
function readAbbreviations(sections: DwarfSections, offset: number, budget: { bytes: number }): Abbreviations {
  const bytes = sections.get('.debug_abbrev') ?? new Uint8Array();
  const r = new DwarfReader('.debug_abbrev', bytes, Math.min(offset, bytes.length));
  const table = new Map<number, Abbreviation>();
  for (let code = r.uleb(); code !== 0; code = r.uleb()) {
    const begin = r.at;
    const tag = r.uleb();
    const hasChildren = r.u8() !== 0;
    const attributes: { name: number; form: number; implicit: number }[] = [];
    for (;;) {
      const [name, form] = [r.uleb(), r.uleb()];
      const implicit = form === 0x21 ? r.sleb() : 0; // DW_FORM_implicit_const
      if (name === 0 && form === 0) break;
      if (attributes.length === MAX_ATTRIBUTES) r.fail('too many attributes');
      attributes.push({ name, form, implicit });
    }
    budget.bytes -= r.at - begin;
    if (budget.bytes < 0) r.fail('tables that overlap');
    if (!table.has(code)) table.set(code, { tag, hasChildren, attributes, wanted: TAGS.has(tag) });
  }
  return table;
}

/** The number of an attribute; undefined if it has none, or is not one. */
export function numberOf(entry: Entry, name: At): number | undefined {
  const value = entry.attributes.get(name);
  return value && typeof value.value === 'number' ? value.value : undefined;
}

/** The string of an attribute. */
export function stringOf(unit: Unit, entry: Entry, name: At): string | undefined {
  const value = entry.attributes.get(name);
  if (value?.kind !== 'stringIndex') return textOf(unit.sections, value);
  const size = unit.wide ? 8 : 4;
  const table = unit.sections.get('.debug_str_offsets') ?? new Uint8Array();
  return stringAt(unit.sections, '.debug_str', new DwarfReader('.debug_str_offsets', table, unit.strOffsetsBase + value.value * size).unsigned(size));
}

/** The address of an attribute, or of an index into .debug_addr. */
export function addressOf(unit: Unit, value: FormValue | undefined): number | undefined {
  if (value?.kind === 'address') return value.value;
  if (value?.kind !== 'addressIndex') return undefined;
  return new DwarfReader('.debug_addr', unit.sections.get('.debug_addr') ?? new Uint8Array(), unit.addrBase + value.value * unit.addressSize).unsigned(unit.addressSize);
}

/** The offset in .debug_info of the entry that an attribute refers to. */
export function referenceOf(unit: Unit, entry: Entry, name: At): number | undefined {
  const value = entry.attributes.get(name);
  if (value?.kind === 'infoRef') return value.value;
  return value?.kind === 'unitRef' ? unit.start + value.value : undefined;
}

/** Reads the header of a unit; undefined for units that describe no code (types). */
function readUnitHeader(r: DwarfReader, wide: boolean, start: number, sections: DwarfSections): { unit: Unit; abbreviations: number } | undefined {
  const version = r.u16();
  if (version < 2 || version > 5) r.fail(`version ${version}`);
  const offset = () => (wide ? r.u64() : r.u32());
  let [addressSize, abbreviations] = [0, 0];
  if (version === 5) {
    const type = r.u8();
    addressSize = r.u8();
    abbreviations = offset();
    if (type === 0x02 || type === 0x06) return undefined; // DW_UT_type, DW_UT_split_type
    if (type === 0x04 || type === 0x05) r.skip(8); // DW_UT_skeleton, DW_UT_split_compile: an identity
  } else {
    abbreviations = offset();
    addressSize = r.u8();
  }
  if (addressSize !== 4 && addressSize !== 8) r.fail(`addresses of ${addressSize} bytes`);
  const header = wide ? 16 : 8; // of the first contribution to .debug_str_offsets and the like, should the unit not say where its own is
  const unit: Unit = {
    sections, addressSize, wide, version, start, strOffsetsBase: version === 5 ? header : 0, addrBase: version === 5 ? header : 0, rnglistsBase: 0, rangesBase: 0, lowPc: 0, compDir: '', stmtList: undefined,
  };
  return { unit, abbreviations };
}

/** What the first entry says of the unit. Bases come before everything that needs them. */
function learnFromRoot(unit: Unit, root: Entry): void {
  unit.strOffsetsBase = numberOf(root, At.strOffsetsBase) ?? unit.strOffsetsBase;
  unit.addrBase = numberOf(root, At.addrBase) ?? numberOf(root, At.gnuAddrBase) ?? unit.addrBase;
  unit.rnglistsBase = numberOf(root, At.rnglistsBase) ?? unit.rnglistsBase;
  unit.rangesBase = numberOf(root, At.gnuRangesBase) ?? unit.rangesBase;
  unit.lowPc = addressOf(unit, root.attributes.get(At.lowPc)) ?? 0;
  unit.compDir = stringOf(unit, root, At.compDir) ?? '';
  unit.stmtList = numberOf(root, At.stmtList);
}

function readAttributes(r: DwarfReader, unit: Unit, { attributes, wanted }: Abbreviation): ReadonlyMap<At, FormValue> {
  if (!wanted) {
    for (const { form, implicit } of attributes) readForm(r, form, unit, implicit);
    return NONE;
  }
  const values = new Map<At, FormValue>();
  for (const { name, form, implicit } of attributes) {
    const value = readForm(r, form, unit, implicit);
    if (WANTED.has(name)) values.set(name, value);
  }
  return values;
}

/** Visits the entries of a unit in order, the unit's own first. */
function walkUnit(r: DwarfReader, unit: Unit, abbreviations: Abbreviations, visit: (unit: Unit, entry: Entry) => void): void {
  for (let depth = 0; r.at < r.end;) {
    const offset = r.at;
    const code = r.uleb();
    if (code === 0) {
      if (--depth <= 0) return;
      continue;
    }
    const abbreviation = abbreviations.get(code) ?? r.fail(`unknown abbreviation ${code}`, offset);
    const entry: Entry = { offset, tag: abbreviation.tag, depth, attributes: readAttributes(r, unit, abbreviation) };
    if (depth === 0) learnFromRoot(unit, entry);
    visit(unit, entry);
    if (abbreviation.hasChildren && ++depth > MAX_DEPTH) r.fail('entries nested too deeply', offset);
    if (depth === 0) return;
  }
}

/** Visits the entries of all units of .debug_info. What is malformed ends its unit, and is reported. */
export function walkEntries(sections: DwarfSections, visit: (unit: Unit, entry: Entry) => void, report: (error: DwarfError) => void): void {
  const bytes = sections.get('.debug_info');
  if (!bytes) return;
  const known = new Map<number, Abbreviations>();
  const budget = { bytes: 2 * (sections.get('.debug_abbrev')?.length ?? 0) };
  const r = new DwarfReader('.debug_info', bytes);
  while (r.at < r.end) {
    const start = r.at;
    try {
      const { reader, wide } = r.unit();
      const header = readUnitHeader(reader, wide, start, sections);
      if (!header) continue;
      let abbreviations = known.get(header.abbreviations);
      if (!abbreviations) {
        abbreviations = readAbbreviations(sections, header.abbreviations, budget);
        known.set(header.abbreviations, abbreviations);
      }
      walkUnit(reader, header.unit, abbreviations, visit);
    } catch (error) {
      if (!(error instanceof DwarfError)) throw error;
      report(error);
    }
  }
}
