/** Adds sections to a linked file: what can be said of its code only when that has its addresses. */
import { ELF_HEADER, readSections, SECTION_HEADER_SIZE } from '../../loader/elf-sections.js';

const SHT_PROGBITS = 1;
/** Alignment of contents and of the header table. */
const ALIGN = 8;

const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((ALIGN - (bytes.length % ALIGN)) % ALIGN)]);

function sectionHeader(name: number, offset: number, size: number): Buffer {
  const header = Buffer.alloc(SECTION_HEADER_SIZE);
  header.writeUInt32LE(name, 0);
  header.writeUInt32LE(SHT_PROGBITS, 4);
  header.writeBigUInt64LE(BigInt(offset), 24);
  header.writeBigUInt64LE(BigInt(size), 32);
  header.writeBigUInt64LE(1n, 48); // alignment
  return header;
}

/**
 * A file with sections added at its end, followed by a new table of section names and of headers. No segment has them, so they are not mapped; nothing that was there moves.
 * @param elf a linked 64-bit ELF file with section headers.
 */
export function appendSections(elf: Buffer, added: readonly { readonly name: string; readonly bytes: Buffer }[]): Buffer {
  const table = Number(elf.readBigUInt64LE(ELF_HEADER.sectionTable));
  const count = elf.readUInt16LE(ELF_HEADER.sectionCount);
  const namesIndex = elf.readUInt16LE(ELF_HEADER.sectionNames);
  const headers = Buffer.from(elf.subarray(table, table + count * SECTION_HEADER_SIZE));
  let names = Buffer.from(readSections(elf)[namesIndex].bytes);
  const parts = [padded(elf)];
  let end = parts[0].length;
  const place = (bytes: Buffer): number => {
    const offset = end;
    parts.push(padded(bytes));
    end += parts[parts.length - 1].length;
    return offset;
  };
  const made = added.map(({ name, bytes }) => {
    const header = sectionHeader(names.length, place(bytes), bytes.length);
    names = Buffer.concat([names, Buffer.from(`${name}\0`)]);
    return header;
  });
  headers.writeBigUInt64LE(BigInt(place(names)), namesIndex * SECTION_HEADER_SIZE + 24);
  headers.writeBigUInt64LE(BigInt(names.length), namesIndex * SECTION_HEADER_SIZE + 32);
  const newTable = place(Buffer.concat([headers, ...made]));
  const result = Buffer.concat(parts);
  result.writeBigUInt64LE(BigInt(newTable), ELF_HEADER.sectionTable);
  result.writeUInt16LE(count + added.length, ELF_HEADER.sectionCount);
  return result;
}
