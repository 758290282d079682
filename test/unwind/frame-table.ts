/**
 * The unwind table of an ELF file, instruction by instruction, for taking one out at a time (DWARF 5, 6.4.2; the .eh_frame form: LSB Core 5.0, 10.6). Whatever macros a `.cfi_` directive
 * stood in: here is one instruction for each time that it was expanded.
 */

/** A rule of the table: one call frame instruction, other than those that only move on. */
export interface Rule {
  /** The function, and where in it the rule begins to hold. */
  readonly symbol: string;
  readonly at: number;
  /** In words: `offset r3 2`. */
  readonly text: string;
  /** The one before it in the function, in words. */
  readonly before: string;
  /** The bytes in the file. */
  readonly offset: number;
  readonly length: number;
}

/** Operands of the instructions by opcode: u and s LEB128, b a block, digits a fixed width. */
const OPERATIONS = new Map<number, readonly [name: string, operands: string]>([
  [0x01, ['set_loc', '8']], [0x02, ['advance', '1']], [0x03, ['advance', '2']], [0x04, ['advance', '4']], [0x05, ['offset', 'uu']], [0x06, ['restore', 'u']], [0x07, ['undefined', 'u']], [0x08, ['same_value', 'u']],
  [0x09, ['register', 'uu']], [0x0a, ['remember_state', '']], [0x0b, ['restore_state', '']], [0x0c, ['def_cfa', 'uu']], [0x0d, ['def_cfa_register', 'u']], [0x0e, ['def_cfa_offset', 'u']], [0x0f, ['def_cfa_expression', 'b']],
  [0x10, ['expression', 'ub']], [0x11, ['offset', 'us']], [0x12, ['def_cfa', 'us']], [0x13, ['def_cfa_offset', 's']], [0x14, ['val_offset', 'uu']], [0x15, ['val_offset', 'us']], [0x16, ['val_expression', 'ub']],
]);

/** Reads a file from a place on. */
class Cursor {
  constructor(readonly bytes: Buffer, public at: number) {}
  fixed(width: number): number {
    this.at += width;
    return width === 8 ? Number(this.bytes.readBigUInt64LE(this.at - 8)) : this.bytes.readUIntLE(this.at - width, width);
  }
  leb(signed: boolean): number {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return signed && byte & 0x40 ? value - scale : value;
    }
  }
  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    const text = this.bytes.toString('latin1', this.at, end);
    this.at = end + 1;
    return text;
  }
}

interface Section { readonly name: string; readonly address: number; readonly offset: number; readonly size: number; readonly link: number }

function readSections(file: Buffer): Section[] {
  const [table, size, count, names] = [Number(file.readBigUInt64LE(40)), file.readUInt16LE(58), file.readUInt16LE(60), file.readUInt16LE(62)];
  const field = (i: number, at: number) => Number(file.readBigUInt64LE(table + i * size + at));
  const strings = field(names, 24);
  return Array.from({ length: count }, (_, i) => ({
    name: new Cursor(file, strings + file.readUInt32LE(table + i * size)).text(), address: field(i, 16), offset: field(i, 24), size: field(i, 32), link: file.readUInt32LE(table + i * size + 40),
  }));
}

/** The names of the functions, by address. */
function readFunctions(file: Buffer, sections: readonly Section[]): Map<number, string> {
  const found = new Map<number, string>();
  const table = sections.find(({ name }) => name === '.symtab');
  if (!table) throw new Error('no symbol table');
  for (let at = table.offset; at < table.offset + table.size; at += 24) {
    if ((file[at + 4] & 15) === 2) found.set(Number(file.readBigUInt64LE(at + 8)), new Cursor(file, sections[table.link].offset + file.readUInt32LE(at)).text());
  }
  return found;
}

/** One instruction at the cursor, in words; `advance` with the distance in units of the CIE. */
function readInstruction(cursor: Cursor): { name: string; operands: readonly number[] } {
  const byte = cursor.fixed(1);
  const low = byte & 0x3f;
  switch (byte >> 6) {
    case 1: return { name: 'advance', operands: [low] };
    case 2: return { name: 'offset', operands: [low, cursor.leb(false)] };
    case 3: return { name: 'restore', operands: [low] };
    default:
  }
  if (byte === 0) return { name: 'nop', operands: [] };
  const operation = OPERATIONS.get(byte);
  if (!operation) throw new Error(`an unknown call frame instruction 0x${byte.toString(16)}`);
  const operands = [...operation[1]].map((kind) => {
    if (kind === 'u' || kind === 's') return cursor.leb(kind === 's');
    if (kind !== 'b') return cursor.fixed(Number(kind));
    const length = cursor.leb(false);
    cursor.at += length;
    return length;
  });
  return { name: operation[0], operands };
}

/** The unit of `advance` of a CIE, and where its own instructions do not interest: an FDE names it by its place. */
function readCodeAlignment(file: Buffer, at: number): number {
  const cursor = new Cursor(file, at + 9); // length, id, version
  cursor.text();
  return cursor.leb(false);
}

/** The rules of the functions whose names are wanted. Addresses must be encoded as gcc and clang do: relative to themselves, in 32 bits; and there must be augmentation data. */
export function readRules(file: Buffer, isWanted: (symbol: string) => boolean): Rule[] {
  const sections = readSections(file);
  const functions = readFunctions(file, sections);
  const table = sections.find(({ name }) => name === '.eh_frame');
  if (!table) throw new Error('no unwind table');
  const rules: Rule[] = [];
  for (let at = table.offset, end = 0; at < table.offset + table.size && file.readUInt32LE(at) !== 0; at = end) {
    end = at + 4 + file.readUInt32LE(at);
    const cie = file.readUInt32LE(at + 4);
    const symbol = functions.get(table.address + (at + 8 - table.offset) + file.readInt32LE(at + 8));
    if (cie === 0 || symbol === undefined || !isWanted(symbol)) continue;
    const alignment = readCodeAlignment(file, at + 4 - cie);
    const cursor = new Cursor(file, at + 16);
    const augmentation = cursor.leb(false);
    cursor.at += augmentation;
    let [place, before] = [0, ''];
    while (cursor.at < end) {
      const offset = cursor.at;
      const { name, operands } = readInstruction(cursor);
      if (name === 'advance') place += operands[0] * alignment;
      else if (name !== 'nop') {
        const text = [name, ...operands].join(' ');
        rules.push({ symbol, at: place, text, before, offset, length: cursor.at - offset });
        before = text;
      }
    }
  }
  return rules;
}

/** A copy of the file without the rule. */
export function withoutRule(file: Buffer, { offset, length }: Rule): Buffer {
  const copy = Buffer.from(file);
  copy.fill(0, offset, offset + length); // DW_CFA_nop
  return copy;
}
