/**
 * The Mach-O files of artifacts for macOS, read as data on any system: `runtime-c/macho_format.h` has the format.
 *
 * macOS wants code to be signed: the end of the file is a signature, with a hash of every page before it. Sealing an artifact changes a page, so it is signed again
 * after that; and somebody who ships artifacts in an application must be able to sign them with a name, which replaces the signature and changes where the file says how
 * large it is. So the seal covers the file up to the signature, and takes these places (`masked`) as zero. The signature's hashes are checked besides: a page that
 * does not match its hash kills the process that touches it.
 */
import { createHash } from 'node:crypto';
import { type Arch, MACHO_NOTES } from '../runtime-c/abi.js';
import { type Note, readNotes, type Refuse } from './notes.js';

/** A part of a file: [start, end). */
export interface Range { readonly start: number; readonly end: number }
export interface MachOSection extends Range { readonly name: string; readonly segment: string; readonly address: number }

/** What a dynamic library says of itself. */
export interface MachOFile {
  readonly arch: keyof typeof Arch | undefined;
  readonly sections: readonly MachOSection[];
  readonly notes: readonly Note[];
  readonly signature: Range;
  /** What signing changes, before the signature: the sizes of the signature and of the segment that it is in. */
  readonly masked: readonly Range[];
  /** The symbol table and its strings; undefined when there is none. */
  readonly symbols: { readonly table: Range; readonly strings: Range } | undefined;
}

const MAGIC = 0xfeedfacf;
const OBJECT = 1;
const DYLIB = 6;
const HEADER_SIZE = 32;
const SEGMENT_SIZE = 72;
const SECTION_SIZE = 80;
const SYMBOL_SIZE = 16;
const Command = { symtab: 0x2, segment: 0x19, codeSignature: 0x1d } as const;
const MACHINES: Readonly<Record<number, keyof typeof Arch>> = { 16777223: 'x86_64', 16777228: 'aarch64' };
/** Load commands that a linker of artifacts writes, with room. */
const MAX_COMMANDS = 64;

const HASH_SIZE = 32;
const SuperBlob = 0xfade0cc0;
const CodeDirectory = 0xfade0c02;
const SHA256 = 2;

/** Whether the file begins as a Mach-O file does: 64 bits, 32 bits, or several architectures in one. */
export function isMachO(bytes: Uint8Array): boolean {
  const magic = bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return magic === MAGIC || magic === 0xfeedface || magic === 0xbebafeca;
}

const fixedName = (bytes: Buffer, at: number): string => bytes.toString('latin1', at, at + 16).replace(/\0.*$/s, '');

/** The load commands: their kind and place. */
function* readCommands(bytes: Buffer, refuse: Refuse): Generator<{ kind: number } & Range> {
  const count = bytes.readUInt32LE(16);
  const end = HEADER_SIZE + bytes.readUInt32LE(20);
  if (count > MAX_COMMANDS || end > bytes.length) refuse('damaged or truncated: the load commands are not where they should be');
  let at = HEADER_SIZE;
  for (let i = 0; i < count; i++) {
    if (end - at < 8) refuse('damaged: the load commands are cut off');
    const size = bytes.readUInt32LE(at + 4);
    if (size < 8 || size > end - at) refuse('damaged: a load command has an impossible size');
    yield { kind: bytes.readUInt32LE(at), start: at, end: at + size };
    at += size;
  }
}

function readSections(bytes: Buffer, { start, end }: Range, refuse: Refuse): MachOSection[] {
  const count = end - start < SEGMENT_SIZE ? Number.NaN : bytes.readUInt32LE(start + 64);
  if (!(count * SECTION_SIZE <= end - start - SEGMENT_SIZE)) refuse('damaged: a segment has an impossible size');
  return Array.from({ length: count }, (_, i) => {
    const at = start + SEGMENT_SIZE + i * SECTION_SIZE;
    const [address, size, offset] = [bytes.readBigUInt64LE(at + 32), bytes.readBigUInt64LE(at + 40), bytes.readUInt32LE(at + 48)];
    if (BigInt(offset) + size > BigInt(bytes.length)) refuse('truncated: a section is not in the file');
    return { name: fixedName(bytes, at), segment: fixedName(bytes, at + 16), address: Number(address), start: offset, end: offset + Number(size) };
  });
}

/** A range of the file that two numbers of a load command state. */
function statedRange(bytes: Buffer, start: number, size: number, refuse: Refuse): Range {
  if (start + size > bytes.length) refuse('truncated: what a load command refers to is not in the file');
  return { start, end: start + size };
}

/** What the load commands of a file say, whatever its type. */
interface Layout extends Pick<MachOFile, 'sections' | 'symbols' | 'masked'> { readonly signature: Range | undefined }

/** Every offset is checked before it is used. */
function readLayout(bytes: Buffer, refuse: Refuse): Layout {
  const sections: MachOSection[] = [];
  const masked: Range[] = [];
  let signature: Range | undefined;
  let symbols: MachOFile['symbols'];
  for (const { kind, start, end } of readCommands(bytes, refuse)) {
    const u32 = (offset: number): number => bytes.readUInt32LE(start + offset);
    if (kind === Command.segment) {
      sections.push(...readSections(bytes, { start, end }, refuse));
      if (fixedName(bytes, start + 8) === '__LINKEDIT') masked.push({ start: start + 32, end: start + 40 }, { start: start + 48, end: start + 56 });
    } else if (kind === Command.symtab && end - start >= 24) {
      symbols = { table: statedRange(bytes, u32(8), u32(12) * SYMBOL_SIZE, refuse), strings: statedRange(bytes, u32(16), u32(20), refuse) };
    } else if (kind === Command.codeSignature && end - start >= 16) {
      if (signature) refuse('damaged: two code signatures');
      signature = statedRange(bytes, u32(8), u32(12), refuse);
      masked.push({ start: start + 12, end: start + 16 });
    }
  }
  return { sections, masked, signature, symbols };
}

/** Reads a dynamic library. Every offset is checked before it is used. */
export function readMachO(bytes: Buffer, refuse: Refuse): MachOFile {
  if (bytes.readUInt32LE(0) !== MAGIC) refuse('not a wasm-aot artifact: it is a Mach-O file of several architectures, or of 32 bits');
  if (bytes.length < HEADER_SIZE) refuse('truncated in the Mach-O header');
  if (bytes.readUInt32LE(12) !== DYLIB) refuse('not a wasm-aot artifact: it is no dynamic library');
  const { sections, masked, signature, symbols } = readLayout(bytes, refuse);
  if (!signature) return refuse('it has no code signature, which every artifact for macOS has');
  if (signature.end !== bytes.length) refuse('truncated, or something was added to it: the code signature is not its end');
  const notes = sections.filter(({ name }) => name === MACHO_NOTES).flatMap(({ start, end }) => readNotes(bytes, start, end, 4, refuse));
  return { arch: MACHINES[bytes.readUInt32LE(4)], sections, notes, signature, masked, symbols };
}

/** Reads an object file, as the compiler made it. */
export function readMachOObject(bytes: Buffer, refuse: Refuse): Pick<MachOFile, 'sections' | 'symbols'> {
  if (bytes.length < HEADER_SIZE || bytes.readUInt32LE(0) !== MAGIC || bytes.readUInt32LE(12) !== OBJECT) refuse('not a 64-bit Mach-O object');
  return readLayout(bytes, refuse);
}

/** A function's symbol, without the underscore that the format puts before names: its code is at [start, end). The format has no sizes: a function goes up to the next one, or the section's end. */
export interface MachOSymbol extends Range { readonly name: string }

/** The functions that are defined in the section `__text`, in order; without the assembler's own labels. Addresses, in an object as well. */
export function readMachOFunctions(bytes: Buffer, { sections, symbols }: Pick<MachOFile, 'sections' | 'symbols'>): MachOSymbol[] {
  const number = 1 + sections.findIndex(({ name }) => name === '__text');
  if (!symbols || number === 0) return [];
  const { table, strings } = symbols;
  const found: { name: string; start: number }[] = [];
  for (let at = table.start; at + SYMBOL_SIZE <= table.end; at += SYMBOL_SIZE) {
    const [type, section] = [bytes[at + 4], bytes[at + 5]];
    const name = Math.min(strings.start + bytes.readUInt32LE(at), strings.end);
    // Bits of the type: 0xe0 is for debuggers, 0x0e says where it is defined, 0x0e itself: in a section.
    if ((type & 0xee) !== 0x0e || section !== number || bytes[name] !== 0x5f) continue;
    found.push({ name: bytes.toString('utf8', name + 1, bytes.indexOf(0, name)), start: Number(bytes.readBigUInt64LE(at + 8)) });
  }
  found.sort((a, b) => a.start - b.start);
  const { address, start, end } = sections[number - 1];
  return found.map((symbol, i) => ({ ...symbol, end: found[i + 1]?.start ?? address + end - start }));
}

interface Directory { readonly hashes: number; readonly pages: number; readonly pageSize: number }

/** The code directories of the signature that hold SHA-256 hashes of all pages of the file before it. */
function readDirectories(bytes: Buffer, { start, end }: Range, refuse: Refuse): Directory[] {
  const damaged = (): never => refuse('damaged: its code signature is not well-formed');
  const size = end - start;
  if (size < 12 || bytes.readUInt32BE(start) !== SuperBlob) damaged();
  const count = bytes.readUInt32BE(start + 8);
  if (12 + 8 * count > size) damaged();
  const found: Directory[] = [];
  for (let i = 0; i < count; i++) {
    const offset = bytes.readUInt32BE(start + 16 + 8 * i);
    if (offset > size - 8) damaged();
    const at = start + offset;
    if (bytes.readUInt32BE(at) !== CodeDirectory) continue;
    const length = bytes.readUInt32BE(at + 4);
    if (length < 44 || length > size - offset) damaged();
    const [hashOffset, pages, limit, pageSize] = [bytes.readUInt32BE(at + 16), bytes.readUInt32BE(at + 28), bytes.readUInt32BE(at + 32), 2 ** bytes[at + 39]];
    if (bytes[at + 37] !== SHA256) continue;
    if (bytes[at + 36] !== HASH_SIZE || limit !== start || pages !== Math.ceil(limit / pageSize) || hashOffset > length || pages * HASH_SIZE > length - hashOffset) damaged();
    found.push({ hashes: at + hashOffset, pages, pageSize });
  }
  return found.length ? found : refuse('its code signature has no SHA-256 hashes');
}

/** Calls `visit` with the hash of each page and where the signature has it. */
function eachPage(bytes: Buffer, { signature }: MachOFile, refuse: Refuse, visit: (hash: Buffer, at: number) => void): void {
  for (const { hashes, pages, pageSize } of readDirectories(bytes, signature, refuse)) {
    for (let page = 0; page < pages; page++) {
      const hash = createHash('sha256').update(bytes.subarray(page * pageSize, Math.min((page + 1) * pageSize, signature.start))).digest();
      visit(hash, hashes + page * HASH_SIZE);
    }
  }
}

/** Checks that every page matches its hash in the code signature. */
export function checkSignature(bytes: Buffer, file: MachOFile, refuse: Refuse): void {
  eachPage(bytes, file, refuse, (hash, at) => {
    if (!hash.equals(bytes.subarray(at, at + HASH_SIZE))) refuse('its contents do not match its code signature: damaged or tampered with');
  });
}

/** Puts the hashes of the pages into the code signature, which must be one without a signer (ad hoc). */
export function signPages(bytes: Buffer, file: MachOFile, refuse: Refuse): void {
  eachPage(bytes, file, refuse, (hash, at) => { hash.copy(bytes, at); });
}
