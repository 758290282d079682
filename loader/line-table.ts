/** Reads the line tables of an artifact that was built with -g: DWARF 4, section 6.2. Their line numbers are byte offsets in the wasm file. */

/** From this address on, up to the next row. Line 0: none. */
export interface LineRow { readonly address: number; readonly line: number }

/** A reader of a buffer, little-endian. */
class Cursor {
  constructor(readonly bytes: Buffer, public at: number, readonly end: number) {}
  u8(): number { return this.bytes[this.at++]; }
  i8(): number { return this.bytes.readInt8(this.at++); }
  u16(): number { this.at += 2; return this.bytes.readUInt16LE(this.at - 2); }
  u32(): number { this.at += 4; return this.bytes.readUInt32LE(this.at - 4); }
  u64(): number { this.at += 8; return Number(this.bytes.readBigUInt64LE(this.at - 8)); }
  uleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80 || this.at >= this.end) return value;
    }
  }
  sleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80 || this.at >= this.end) return byte & 0x40 ? value - scale * 128 : value;
    }
  }
}

enum Standard { copy = 1, advancePc = 2, advanceLine = 3, fixedAdvancePc = 9, constAddPc = 8 }
enum Extended { endSequence = 1, setAddress = 2 }

/** Runs the program of one unit. */
function readUnit(c: Cursor, rows: LineRow[]): void {
  const version = c.u16();
  if (version < 2 || version > 4) return; // the compiler writes 4
  const header = c.u32();
  const program = c.at + header;
  const step = c.u8();
  if (version === 4) c.u8(); // operations an instruction: 1
  c.u8(); // whether rows are statements to begin with
  const [lineBase, lineRange, opcodeBase] = [c.i8(), c.u8(), c.u8()];
  const lengths = Array.from({ length: opcodeBase - 1 }, () => c.u8());
  c.at = program;
  let [address, line] = [0, 1];
  const emit = () => rows.push({ address, line });
  while (c.at < c.end) {
    const op = c.u8();
    if (op >= opcodeBase) {
      address += Math.floor((op - opcodeBase) / lineRange) * step;
      line += lineBase + ((op - opcodeBase) % lineRange);
      emit();
    } else if (op === 0) {
      const end = c.uleb() + c.at;
      const extended = c.u8();
      if (extended === Extended.setAddress) address = c.u64();
      if (extended === Extended.endSequence) {
        line = 0;
        emit();
        [address, line] = [0, 1];
      }
      c.at = end;
    } else if (op === Standard.copy) emit();
    else if (op === Standard.advancePc) address += c.uleb() * step;
    else if (op === Standard.advanceLine) line += c.sleb();
    else if (op === Standard.constAddPc) address += Math.floor((255 - opcodeBase) / lineRange) * step;
    else if (op === Standard.fixedAdvancePc) address += c.u16();
    else for (let i = 0; i < lengths[op - 1]; i++) c.uleb();
  }
}

/** The rows of a .debug_line section, by address. */
export function readLines(section: Buffer | undefined): LineRow[] {
  const rows: LineRow[] = [];
  for (let at = 0; section && at + 4 < section.length;) {
    const end = at + 4 + section.readUInt32LE(at);
    readUnit(new Cursor(section, at + 4, end), rows);
    at = end;
  }
  // Sequences are in any order; where one ends and another begins at one address, the beginning counts.
  return rows.map((row, i) => ({ row, i })).sort((a, b) => a.row.address - b.row.address || Number(a.row.line > 0) - Number(b.row.line > 0) || a.i - b.i).map(({ row }) => row);
}
