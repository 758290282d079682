/** The ELF files of artifacts, read as data (System V gABI, chapters 4 and 5). */
import type { Arch } from '../runtime-c/abi.js';
import { type Note, readNotes, type Refuse } from './notes.js';

/** Program headers that a linker of artifacts writes, with room. */
const MAX_SEGMENTS = 64;
const PT_NOTE = 4;
const ET_DYN = 3;
const PROGRAM_HEADER_SIZE = 56;
const MACHINES: Readonly<Record<number, keyof typeof Arch>> = { 62: 'x86_64', 183: 'aarch64' };

/** Architecture and notes of a shared object. Every offset is checked before it is used. */
export function readElf(bytes: Buffer, refuse: Refuse): { arch: keyof typeof Arch | undefined; notes: Note[] } {
  if (bytes.length < 64) refuse('truncated in the ELF header');
  if (bytes[4] !== 2 || bytes[5] !== 1) refuse('not a wasm-aot artifact: it is no 64-bit little-endian ELF file');
  if (bytes.readUInt16LE(16) !== ET_DYN) refuse('not a wasm-aot artifact: it is no shared object');
  const offset = bytes.readBigUInt64LE(32);
  const count = bytes.readUInt16LE(56);
  const fits = bytes.readUInt16LE(54) === PROGRAM_HEADER_SIZE && count > 0 && count <= MAX_SEGMENTS && offset + BigInt(count * PROGRAM_HEADER_SIZE) <= BigInt(bytes.length);
  if (!fits) refuse('damaged or truncated: the program headers are not where they should be');
  const notes: Note[] = [];
  for (let i = 0; i < count; i++) {
    const at = Number(offset) + i * PROGRAM_HEADER_SIZE;
    if (bytes.readUInt32LE(at) !== PT_NOTE) continue;
    const [start, size, align] = [bytes.readBigUInt64LE(at + 8), bytes.readBigUInt64LE(at + 32), bytes.readBigUInt64LE(at + 48)];
    if (start + size > BigInt(bytes.length)) refuse('truncated: the notes are missing');
    notes.push(...readNotes(bytes, Number(start), Number(start + size), align === 8n ? 8 : 4, refuse));
  }
  return { arch: MACHINES[bytes.readUInt16LE(18)], notes };
}
