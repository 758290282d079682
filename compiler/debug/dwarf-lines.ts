/** Line number programs: .debug_line of DWARF 2 to 5 (section 6.2). */
import { DwarfError, DwarfReader, type DwarfSections } from './dwarf-reader.js';
import { readForm, textOf } from './dwarf-forms.js';

/** From `address` up to the next row of its sequence. `file` is an index of the unit's files; line and column 0: not known. */
export interface LineRow { readonly address: number; readonly file: number; readonly line: number; readonly column: number }

/** Rows of consecutive addresses, of which the last one only says where they end. */
export type LineSequence = readonly LineRow[];

/** A file as a line program names it; `directory` is an index of the unit's directories. */
export interface LineFile { readonly name: string; readonly directory: number }

/** The line table of a unit. */
export interface LineTable {
  /** Directory 0 is the compilation's, in version 5 by name; before, it is what the unit's entry in .debug_info says, and empty here. */
  readonly directories: readonly string[];
  /** Files by index: before version 5 the first has index 1. */
  readonly files: readonly (LineFile | undefined)[];
  readonly sequences: LineSequence[];
}

/** Rows in all: more than any program has, and a bound for memory (a row takes one byte in the section, here about fifty). */
const MAX_ROWS = 16_000_000;

enum Op { copy = 1, advancePc, advanceLine, setFile, setColumn, negateStatement, setBasicBlock, constAddPc, fixedAdvancePc, setPrologueEnd, setEpilogueBegin, setIsa }
enum Extended { endSequence = 1, setAddress = 2, defineFile = 3 }
enum Content { path = 1, directoryIndex = 2 }

interface Header {
  readonly version: number;
  readonly addressSize: number;
  readonly step: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** Arguments of the standard opcodes, by opcode. */
  readonly lengths: readonly number[];
  readonly directories: string[];
  readonly files: (LineFile | undefined)[];
}

/** The entries of a directory or file table of version 5: a description of their fields, then the entries. */
function readEntries(r: DwarfReader, sections: DwarfSections, wide: boolean, addressSize: number): LineFile[] {
  const fields = Array.from({ length: r.u8() }, () => ({ content: r.uleb(), form: r.uleb() }));
  const count = r.uleb();
  if (count > r.end - r.at || (count > 0 && fields.length === 0)) r.fail(`a table of ${count} files does not fit`);
  return Array.from({ length: count }, () => {
    let [name, directory] = ['', 0];
    for (const { content, form } of fields) {
      const value = readForm(r, form, { sections, wide, addressSize, version: 5 });
      if (content === Content.path) name = textOf(sections, value) ?? '';
      if (content === Content.directoryIndex && value.kind === 'number') directory = value.value;
    }
    return { name, directory };
  });
}

/** The tables of versions 2 to 4: strings, each list ended by an empty one. */
function readOldTables(r: DwarfReader): { directories: string[]; files: (LineFile | undefined)[] } {
  const directories = [''];
  for (let name = r.string(); name !== ''; name = r.string()) directories.push(name);
  const files: (LineFile | undefined)[] = [undefined];
  for (let name = r.string(); name !== ''; name = r.string()) {
    files.push({ name, directory: r.uleb() });
    r.uleb(); // time
    r.uleb(); // length
  }
  return { directories, files };
}

/** Reads the header and moves to the program. */
function readHeader(r: DwarfReader, wide: boolean, sections: DwarfSections, defaultAddressSize: number): Header {
  const version = r.u16();
  if (version < 2 || version > 5) r.fail(`version ${version}`);
  const addressSize = version === 5 ? r.u8() : defaultAddressSize;
  if (version === 5 && r.u8() !== 0) r.fail('segment selectors');
  const length = wide ? r.u64() : r.u32();
  const program = r.at + length;
  if (program > r.end) r.fail('a header longer than its unit');
  const step = r.u8();
  if (version >= 4 && r.u8() > 1) r.fail('a machine with several operations an instruction');
  r.u8(); // whether rows are statements to begin with
  const [lineBase, lineRange, opcodeBase] = [r.i8(), r.u8(), r.u8()];
  if (lineRange === 0 || opcodeBase === 0) r.fail('a header without special opcodes');
  const lengths = [0, ...Array.from({ length: opcodeBase - 1 }, () => r.u8())];
  let tables: { directories: string[]; files: (LineFile | undefined)[] };
  if (version === 5) {
    const directories = readEntries(r, sections, wide, addressSize).map(({ name }) => name);
    tables = { directories, files: readEntries(r, sections, wide, addressSize) };
  } else {
    tables = readOldTables(r);
  }
  r.at = program;
  return { version, addressSize, step, lineBase, lineRange, opcodeBase, lengths, ...tables };
}

/** The registers of the state machine, and the rows that it has made of the current sequence. */
class Machine {
  address = 0;
  file = 1;
  line = 1;
  column = 0;
  private rows: LineRow[] = [];

  constructor(private readonly sequences: LineSequence[]) {}

  row(): void {
    const { address, file, line, column } = this;
    this.rows.push({ address, file, line, column });
  }

  endSequence(): void {
    this.row();
    const { rows } = this;
    // Rows are in the order of their addresses; where a producer does not keep to it, the order is restored.
    if (rows.some((row, i) => i > 0 && row.address < rows[i - 1].address)) rows.sort((a, b) => a.address - b.address);
    if (rows.length > 1) this.sequences.push(rows);
    [this.address, this.file, this.line, this.column, this.rows] = [0, 1, 1, 0, []];
  }

  get pending(): number {
    return this.rows.length;
  }
}

function extendedOpcode(r: DwarfReader, h: Header, m: Machine): void {
  const size = r.uleb();
  const end = r.at + size;
  if (size === 0 || end > r.end) r.fail('an extended opcode that does not fit');
  const op = r.u8();
  if (op === Extended.endSequence) m.endSequence();
  else if (op === Extended.setAddress) m.address = r.unsigned(size - 1);
  else if (op === Extended.defineFile) h.files.push({ name: r.string(), directory: r.uleb() });
  r.at = end;
}

function standardOpcode(r: DwarfReader, h: Header, m: Machine, op: number): void {
  switch (op) {
    case Op.copy: m.row(); break;
    case Op.advancePc: m.address += r.uleb() * h.step; break;
    case Op.advanceLine: m.line += r.sleb(); break;
    case Op.setFile: m.file = r.uleb(); break;
    case Op.setColumn: m.column = r.uleb(); break;
    case Op.constAddPc: m.address += Math.floor((255 - h.opcodeBase) / h.lineRange) * h.step; break;
    case Op.fixedAdvancePc: m.address += r.u16(); break;
    default: for (let i = 0; i < h.lengths[op]; i++) r.uleb(); // the others change nothing that is wanted, or are not known
  }
}

/** Runs the program of one unit. */
function runProgram(r: DwarfReader, h: Header, sequences: LineSequence[], budget: { rows: number }): void {
  const m = new Machine(sequences);
  while (r.at < r.end) {
    const before = m.pending;
    const op = r.u8();
    if (op >= h.opcodeBase) {
      m.address += Math.floor((op - h.opcodeBase) / h.lineRange) * h.step;
      m.line += h.lineBase + ((op - h.opcodeBase) % h.lineRange);
      m.row();
    } else if (op === 0) extendedOpcode(r, h, m);
    else standardOpcode(r, h, m, op);
    if (m.pending > before && --budget.rows < 0) r.fail('too many rows');
  }
}

/**
 * Reads all line tables, by their offset in .debug_line (what DW_AT_stmt_list says). A unit that is malformed is left out, and reported; its neighbours, which its length separates, are read.
 * @param addressSize bytes of an address, where the unit does not say.
 */
export function readLineTables(sections: DwarfSections, addressSize: number, report: (error: DwarfError) => void): Map<number, LineTable> {
  const tables = new Map<number, LineTable>();
  const bytes = sections.get('.debug_line');
  if (!bytes) return tables;
  const r = new DwarfReader('.debug_line', bytes);
  const budget = { rows: MAX_ROWS };
  while (r.at < r.end && budget.rows >= 0) {
    const start = r.at;
    const sequences: LineSequence[] = [];
    try {
      const { reader, wide } = r.unit();
      const header = readHeader(reader, wide, sections, addressSize);
      tables.set(start, { directories: header.directories, files: header.files, sequences });
      runProgram(reader, header, sequences, budget);
    } catch (error) {
      if (!(error instanceof DwarfError)) throw error;
      report(error);
    }
  }
  return tables;
}
