/** Artifact files as data: read without the native runtime and without mapping them, so those of other machines as well. What maps one is in module.ts. */
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { ABI_VERSION, Arch, cpuFeatureNames, DESCRIPTOR_STRUCTS, FuelMode, type FuelModeName, layoutStruct, NOTE_FUNCTIONS, NOTE_HEADER, NOTE_MANIFEST, NOTE_NAME, Os } from '../runtime-c/abi.js';
import { readElf } from './elf.js';
import { ArtifactError } from './errors.js';
import { checkSignature, isMachO, type MachOFile, type Range, readMachO } from './macho.js';
import { type Manifest, parseManifest } from './manifest.js';
import type { Note, Refuse } from './notes.js';

/** What the header note of an artifact says. */
export interface ArtifactHeader {
  readonly abiVersion: number;
  readonly fuel: FuelModeName;
  readonly arch: keyof typeof Arch;
  readonly os: keyof typeof Os;
  /** CPU features that it needs, by the least level that it has code for. */
  readonly cpuFeatures: string[];
  /** Size of the file in bytes. */
  readonly fileSize: number;
  /** SHA-256 of the file with the hash itself zero (Mach-O: see macho.ts), in hexadecimal. */
  readonly hash: string;
}

/** An artifact read as data. */
export interface ArtifactInfo { readonly header: ArtifactHeader; readonly manifest: Manifest }

/** The largest file that is read: more than any artifact, and what a Buffer holds for certain. */
const MAX_FILE = 0x7fffffff;
const HASH_SIZE = 32;

const HEADER_LAYOUT = layoutStruct(DESCRIPTOR_STRUCTS.find((s) => s.name === 'note_header') as (typeof DESCRIPTOR_STRUCTS)[number]);

const nameOf = <T extends Record<string, number>>(table: T, code: number): keyof T | undefined => Object.keys(table).find((name) => table[name] === code);

function readFile(path: string): Buffer {
  let fd: number | undefined;
  try {
    // Not waiting for a writer, in case it is a FIFO.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw new ArtifactError('io', `${path}: is a directory, not an artifact`);
    if (!stat.isFile()) throw new ArtifactError('io', `${path}: is no regular file`);
    if (stat.size > MAX_FILE) throw new ArtifactError('io', `${path}: is larger than any artifact`);
    return readFileSync(fd);
  } catch (cause) {
    if (cause instanceof ArtifactError) throw cause;
    throw new ArtifactError('io', `${path}: cannot be read: ${(cause as Error).message}`, { cause });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** A file, whatever its format: what its own headers say, and how much of it the seal covers. */
interface Container { readonly arch: keyof typeof Arch | undefined; readonly notes: readonly Note[]; readonly sealed: Range; readonly masked: readonly Range[]; readonly macho?: MachOFile }

function readContainer(bytes: Buffer, refuse: Refuse): Container {
  if (bytes.length === 0) refuse('not a wasm-aot artifact: the file is empty');
  if (isMachO(bytes)) {
    const macho = readMachO(bytes, refuse);
    return { ...macho, sealed: { start: 0, end: macho.signature.start }, macho };
  }
  if (bytes.length < 4 || bytes.readUInt32BE(0) !== 0x7f454c46) refuse('not a wasm-aot artifact: it is neither an ELF nor a Mach-O file');
  return { ...readElf(bytes, refuse), sealed: { start: 0, end: bytes.length }, masked: [] };
}

/** The one note of a type. */
function oneNote(notes: readonly Note[], type: number, what: string, refuse: Refuse): Note {
  const found = notes.filter((note) => note.type === type);
  if (found.length > 1) refuse(`damaged: two ${what}s`);
  return found[0] ?? refuse(notes.length ? `damaged: it has no ${what}` : `not a wasm-aot artifact: it has no "${NOTE_NAME}" note`);
}

function readHeader(bytes: Buffer, { arch: machine, sealed, macho }: Container, note: Note, path: string, refuse: Refuse): ArtifactHeader {
  const { offsets, size } = HEADER_LAYOUT;
  if (note.end - note.start < 4) refuse('damaged: the header note is too short');
  const abiVersion = bytes.readUInt32LE(note.start);
  if (abiVersion !== ABI_VERSION) throw new ArtifactError('abi', `${path}: made for ABI version ${abiVersion}, this version of wasm-aot has ${ABI_VERSION}: compile it again`);
  if (note.end - note.start !== size) refuse('damaged: the header note has the wrong size');
  const u32 = (name: string): number => bytes.readUInt32LE(note.start + offsets[name]);
  const u64 = (name: string): bigint => bytes.readBigUInt64LE(note.start + offsets[name]);
  const [fuel, arch, os] = [nameOf(FuelMode, u32('fuel_mode')), nameOf(Arch, u32('arch')), nameOf(Os, u32('os'))];
  if (arch === undefined || os === undefined) throw new ArtifactError('target', `${path}: made for an unknown target (architecture ${u32('arch')}, system ${u32('os')})`);
  if (fuel === undefined || machine !== arch || (macho !== undefined) !== (os === 'darwin')) refuse('damaged: its headers contradict each other');
  if (u64('file_size') !== BigInt(sealed.end)) {
    refuse(`${BigInt(sealed.end) < u64('file_size') ? 'truncated' : 'something was added to it'}: it has ${sealed.end} bytes and should have ${u64('file_size')}`);
  }
  const cpuFeatures = cpuFeatureNames(u64('cpu_features'));
  const hash = bytes.toString('hex', note.start + offsets.hash0, note.start + offsets.hash0 + 32);
  return { abiVersion, fuel: fuel as FuelModeName, arch, os, cpuFeatures, fileSize: bytes.length, hash };
}

/** The seal: SHA-256 of what it covers, the masked places and those of the hash itself taken as zero. */
export function hashArtifact(bytes: Buffer, sealed: Range, masked: readonly Range[]): string {
  const hash = createHash('sha256');
  let at = sealed.start;
  for (const { start, end } of [...masked].sort((a, b) => a.start - b.start)) {
    hash.update(bytes.subarray(at, start)).update(Buffer.alloc(end - start));
    at = end;
  }
  return hash.update(bytes.subarray(at, sealed.end)).digest('hex');
}

/** An artifact's file after structure, size and hash have been checked: its bytes, and the parts of it that its notes hold. */
export interface ArtifactFile extends ArtifactInfo { readonly bytes: Buffer; readonly functions: Buffer | undefined }

/** As `readArtifact`, with the bytes. */
export function readArtifactFile(path: string): ArtifactFile {
  const refuse = (what: string): never => { throw new ArtifactError('format', `${path}: ${what}`); };
  const bytes = readFile(path);
  const container = readContainer(bytes, refuse);
  const { notes, sealed, masked, macho } = container;
  const headerNote = oneNote(notes, NOTE_HEADER, 'header', refuse);
  const header = readHeader(bytes, container, headerNote, path, refuse);
  const hashAt = headerNote.start + HEADER_LAYOUT.offsets.hash0;
  if (hashArtifact(bytes, sealed, [...masked, { start: hashAt, end: hashAt + HASH_SIZE }]) !== header.hash) {
    throw new ArtifactError('hash', `${path}: its contents do not match its hash: damaged or tampered with`);
  }
  if (macho) checkSignature(bytes, macho, (what) => { throw new ArtifactError('hash', `${path}: ${what}`); });
  const { start, end } = oneNote(notes, NOTE_MANIFEST, 'manifest', refuse);
  const functions = notes.find((note) => note.type === NOTE_FUNCTIONS);
  return { bytes, header, manifest: parseManifest(bytes.toString('utf8', start, end), refuse), functions: functions && bytes.subarray(functions.start, functions.end) };
}

/**
 * Reads header and manifest of an artifact, for any target, after checking structure, size and hash. Maps and runs nothing.
 * @throws {ArtifactError} `io`, `format`, `hash`, `abi`, or `target` for an architecture or system that is not known.
 */
export function readArtifact(path: string): ArtifactInfo {
  const { header, manifest } = readArtifactFile(path);
  return { header, manifest };
}
