/** Sections and symbols of 64-bit little-endian ELF files, which are known to be artifacts (ELF gABI, "Sections"). */

/** A section; its contents are a view of the file's bytes. */
export interface ElfSection { readonly name: string; readonly type: number; readonly bytes: Buffer; readonly link: number }

/** A function's symbol: its code is at [start, end). */
export interface ElfSymbol { readonly name: string; readonly start: number; readonly end: number }

/** Size of a section header, and where the file's header says where and how many they are. */
export const SECTION_HEADER_SIZE = 64;
export const ELF_HEADER = { sectionTable: 40, sectionCount: 60, sectionNames: 62 } as const;
const SYMBOL_SIZE = 24;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const STT_FUNC = 2;

const textAt = (bytes: Buffer, start: number): string => bytes.toString('utf8', start, bytes.indexOf(0, start));

/** All sections of a file. */
export function readSections(bytes: Buffer): ElfSection[] {
  const table = Number(bytes.readBigUInt64LE(ELF_HEADER.sectionTable));
  const count = bytes.readUInt16LE(ELF_HEADER.sectionCount);
  const headers = Array.from({ length: count }, (_, i) => bytes.subarray(table + i * SECTION_HEADER_SIZE, table + (i + 1) * SECTION_HEADER_SIZE));
  const content = (header: Buffer): Buffer => {
    const offset = Number(header.readBigUInt64LE(24));
    return header.readUInt32LE(4) === SHT_NOBITS ? Buffer.alloc(0) : bytes.subarray(offset, offset + Number(header.readBigUInt64LE(32)));
  };
  const names = content(headers[bytes.readUInt16LE(ELF_HEADER.sectionNames)]);
  return headers.map((header) => ({ name: textAt(names, header.readUInt32LE(0)), type: header.readUInt32LE(4), bytes: content(header), link: header.readUInt32LE(40) }));
}

/** The functions in the symbol table. */
export function readFunctionSymbols(sections: readonly ElfSection[]): ElfSymbol[] {
  const symtab = sections.find((section) => section.type === SHT_SYMTAB);
  const symbols: ElfSymbol[] = [];
  if (!symtab) return symbols;
  for (let at = 0; at + SYMBOL_SIZE <= symtab.bytes.length; at += SYMBOL_SIZE) {
    if ((symtab.bytes[at + 4] & 15) !== STT_FUNC) continue;
    const start = Number(symtab.bytes.readBigUInt64LE(at + 8));
    symbols.push({ name: textAt(sections[symtab.link].bytes, symtab.bytes.readUInt32LE(at)), start, end: start + Number(symtab.bytes.readBigUInt64LE(at + 16)) });
  }
  return symbols;
}
