/** Reading DWARF sections: little-endian numbers, LEB128 and strings, every access checked. What is malformed throws a DwarfError that says where. */

/** A section of DWARF is not what the standard wants, or uses what this reader does not know. */
export class DwarfError extends Error {
  constructor(section: string, offset: number, what: string) {
    super(`${section} at 0x${offset.toString(16)}: ${what}`);
    this.name = 'DwarfError';
  }
}

/** Longer names and paths are cut: they are for people, and a malformed section must not cost memory. In bytes. */
const MAX_STRING = 1024;

/** The sections by their names (`.debug_line`); those that a file lacks are missing. */
export type DwarfSections = ReadonlyMap<string, Uint8Array>;

/** Reads a part of a section, from `at` to `end`. */
export class DwarfReader {
  private readonly view: DataView;

  constructor(readonly section: string, readonly bytes: Uint8Array, public at = 0, readonly end = bytes.length) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  fail(what: string, offset = this.at): never {
    throw new DwarfError(this.section, offset, what);
  }

  /** Claims bytes and returns where they begin. */
  private take(size: number): number {
    const { at } = this;
    if (size > this.end - at) this.fail('it ends too early');
    this.at = at + size;
    return at;
  }

  u8(): number { return this.bytes[this.take(1)]; }
  i8(): number { return this.view.getInt8(this.take(1)); }
  u16(): number { return this.view.getUint16(this.take(2), true); }
  u24(): number { const at = this.take(3); return this.view.getUint16(at, true) | (this.bytes[at + 2] << 16); }
  u32(): number { return this.view.getUint32(this.take(4), true); }
  /** As a number: beyond 2^53, to which no address and no offset here comes, it is inexact. */
  u64(): number { return Number(this.view.getBigUint64(this.take(8), true)); }
  skip(size: number): void { this.take(size); }

  /** A number of 1, 2, 4 or 8 bytes: an address, or an offset of 32- or 64-bit DWARF. */
  unsigned(size: number): number {
    switch (size) {
      case 1: return this.u8();
      case 2: return this.u16();
      case 4: return this.u32();
      case 8: return this.u64();
      default: return this.fail(`numbers of ${size} bytes`);
    }
  }

  uleb(): number {
    let value = 0;
    for (let scale = 1, count = 0; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      if (++count > 10) this.fail('a number of more than 64 bits');
    }
  }

  sleb(): number {
    let value = 0;
    for (let scale = 1, count = 0; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return byte & 0x40 ? value - scale * 128 : value;
      if (++count > 10) this.fail('a number of more than 64 bits');
    }
  }

  /** A string that ends in NUL. */
  string(): string {
    const start = this.at;
    const stop = this.bytes.subarray(start, this.end).indexOf(0);
    if (stop < 0) this.fail('a string without an end');
    this.at = start + stop + 1;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, Math.min(stop, MAX_STRING)).toString('utf8');
  }

  /**
   * The length that a unit begins with: it makes the reader of the unit's rest, past which this one moves; to its end, if the length cannot be, for there is no next unit then.
   * `wide`: 64-bit DWARF.
   */
  unit(): { reader: DwarfReader; wide: boolean } {
    const start = this.at;
    this.at = this.end;
    const r = new DwarfReader(this.section, this.bytes, start, this.end);
    let size = r.u32();
    const wide = size === 0xffffffff;
    if (wide) size = r.u64();
    else if (size >= 0xfffffff0) r.fail('a reserved unit length', start);
    if (size > r.end - r.at) r.fail(`a unit of ${size} bytes does not fit`, start);
    this.at = r.at + size;
    return { reader: new DwarfReader(this.section, this.bytes, r.at, this.at), wide };
  }
}

/** The string at an offset of a string section. @throws {DwarfError} when there is none. */
export function stringAt(sections: DwarfSections, section: string, offset: number): string {
  const bytes = sections.get(section);
  if (!bytes || offset >= bytes.length) throw new DwarfError(section, offset, bytes ? 'no string there' : 'the section is missing');
  // Names share their tails in no way that makes scanning costly, but a malformed one may have no NUL for megabytes.
  return new DwarfReader(section, bytes, offset, Math.min(bytes.length, offset + 64 * MAX_STRING)).string();
}
