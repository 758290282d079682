/** From objects to the artifact on disk: link with lld, seal (size and hash in the header note), write beside and rename. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdtemp, open, readFile, realpath, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { hashArtifact } from '../loader/artifact.js';
import { isMachO, readMachO, signPages } from '../loader/macho.js';
import { Arch, DESCRIPTOR_STRUCTS, DESCRIPTOR_SYMBOL, MACHO_TABLES_SEGMENT, NOTE_HEADER, NOTE_NAME, layoutStruct } from '../runtime-c/abi.js';
import { CompileError } from './diagnostics.js';
import { locateLinker } from './llvm/locate.js';
import { findTarget } from './llvm/target.js';
import { DEFAULT_TRIPLE } from './options.js';

export interface LinkOptions {
  /** The artifact's DT_SONAME (Mach-O: its install name). */
  readonly soname: string;
  /** Default: `DEFAULT_TRIPLE`. */
  readonly triple?: string;
  /** For Mach-O: sections of `MACHO_TABLES_SEGMENT`. Whatever their sizes, they don't move what is before that segment. */
  readonly tables?: readonly Table[];
}

/** A section that is added to an artifact for backtraces. */
export interface Table { readonly name: string; readonly bytes: Uint8Array }

/** Switches of lld's ELF driver, each for a reason. The same objects give the same bytes. */
const ELF_FLAGS = [
  '-shared',
  '--eh-frame-hdr', // without it the unwinder finds no table
  '--no-undefined', // an artifact needs no other library: whatever it calls outside goes through the builtins
  '-z', 'now', '-z', 'relro', '-z', 'separate-code', '-z', 'noexecstack', // the loader refuses anything laxer
  '--hash-style=gnu',
  '--build-id=none', // the header note has the hash
];

/** Name of the description of the system's library, for lld's Mach-O driver. */
const LIBSYSTEM = 'libSystem.tbd';
/**
 * All that an artifact needs to know of libSystem: that it is there. dyld refuses a library that depends on none, though nothing of it is used.
 * (Text-based stub, version 4: the LLVM project's TextAPI.)
 */
const LIBSYSTEM_STUB = `--- !tapi-tbd
tbd-version:     4
targets:         [ x86_64-macos, arm64-macos ]
install-name:    '/usr/lib/libSystem.B.dylib'
current-version: 1
compatibility-version: 1
...
`;

/** Switches of lld's Mach-O driver. */
const MACHO_FLAGS = [
  '-dylib',
  '-platform_version', 'macos', '11.0', '11.0', // the first that runs on Arm
  '-undefined', 'error',
  '-exported_symbol', `_${DESCRIPTOR_SYMBOL}`,
  '-no_fixup_chains', // addresses to fill in as opcodes, which every dyld reads, and which are easily seen to bind nothing
  '-data_const', // not writable once addresses are filled in
  '-S', // no stabs: they would name the objects, which are gone
  '-segprot', MACHO_TABLES_SEGMENT, 'r', 'r',
  '-adhoc_codesign', // room for the hashes of the pages, which sealing fills in
  // What is in __TEXT is executable; what comes from the wasm file as data must not be.
  ...['__const', '__literal4', '__literal8', '__literal16', '__literals', '__cstring'].flatMap((name) => ['-rename_section', '__TEXT', name, '__DATA_CONST', `${name === '__const' ? '__rodata' : name}`]),
  LIBSYSTEM,
];

/** How the linker is called for a target. */
function linkerFor({ triple = DEFAULT_TRIPLE, soname, tables = [] }: LinkOptions): { linker: string; args: string[] } {
  const { format, arch } = findTarget(triple);
  if (format === 'elf') return { linker: locateLinker('ld.lld'), args: [...ELF_FLAGS, `-soname=${soname}`] };
  return { linker: locateLinker('ld64.lld'), args: ['-arch', arch === Arch.x86_64 ? 'x86_64' : 'arm64', ...MACHO_FLAGS, '-install_name', soname, ...tables.flatMap(({ name }) => ['-sectcreate', MACHO_TABLES_SEGMENT, name, name])] };
}

/** The system's error code, if the error is the system's. */
function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What went wrong with a file, in words: `no space left on device`. */
function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^[A-Z0-9]+: /, '').replace(/, \w+( '.*')?$/, '');
}

function outputError(path: string, error: unknown): CompileError {
  return new CompileError({ kind: 'output', message: `cannot write ${path}: ${explain(error)}` });
}

interface Finished { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly stderr: string }

/** Runs the linker. Should it crash, it must not put files for a symbolizer into the temporary directory. */
function runProgram(program: string, args: readonly string[], cwd: string): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C', LLVM_DISABLE_SYMBOLIZATION: '1' } });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stderr }));
  });
}

/** Judges lld's end. It maps its output, so a disk that fills up ends it with SIGBUS. */
function linkError(linker: string, { code, signal, stderr }: Finished): CompileError {
  const text = stderr.trim();
  const full = /^.*(?:No space left on device|Disk quota exceeded).*$/m.exec(text);
  if (full || signal === 'SIGBUS') return new CompileError({ kind: 'output', message: `the link found no room in ${tmpdir()}`, note: full?.[0] });
  return new CompileError({ kind: 'internal', message: `${basename(linker)} failed (${signal ?? `exit code ${code}`})${text ? `:\n${text}` : ''}` });
}

/**
 * Links objects into a shared object, in a directory of its own under the system's temporary directory, which is removed again.
 * @throws {CompileError} (rejected) `unavailable` when lld is missing, `output` when there is no room, `internal` with lld's words for anything else.
 */
export async function linkObjects(objects: readonly Uint8Array[], options: LinkOptions): Promise<Buffer> {
  const { linker, args } = linkerFor(options);
  let directory: string;
  try {
    directory = await mkdtemp(join(tmpdir(), 'wasm-aot-link-'));
  } catch (error) {
    throw outputError(tmpdir(), error);
  }
  try {
    // Relative names: lld puts the names of its inputs into messages, and nothing of this machine belongs into the result.
    const names = objects.map((_, i) => `part-${i}.o`);
    for (const [i, object] of objects.entries()) await writeFile(join(directory, names[i]), object);
    // A response file: the number of parts must not meet the limit of a command line.
    await writeFile(join(directory, 'parts'), names.join('\n'));
    await writeFile(join(directory, LIBSYSTEM), LIBSYSTEM_STUB);
    for (const { name, bytes } of options.tables ?? []) await writeFile(join(directory, name), bytes);
    const finished = await runProgram(linker, [...args, '-o', 'artifact', '@parts'], directory);
    if (finished.code !== 0) throw linkError(linker, finished);
    return await readFile(join(directory, 'artifact'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' && error instanceof Error && 'path' in error && error.path === linker) {
      throw new CompileError({ kind: 'unavailable', message: `${linker} cannot be run`, note: 'on Debian: sudo apt-get install --reinstall lld-22' });
    }
    throw error instanceof CompileError ? error : outputError(directory, error);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const HEADER = (() => {
  const struct = DESCRIPTOR_STRUCTS.find((row) => row.name === 'note_header');
  if (!struct) throw new Error('the ABI has no note_header');
  return layoutStruct(struct);
})();
const HASH_SIZE = 32;
const PT_NOTE = 4;

const cannotSeal = (why: string) => new CompileError({ kind: 'internal', message: `cannot seal the artifact: ${why}` });

/** Offset in the file of the header note's descriptor. Every offset that the file states is checked. */
function findHeaderNote(elf: Buffer): number {
  if (elf.length < 64 || elf.readUInt32BE(0) !== 0x7f454c46 || elf[4] !== 2 || elf[5] !== 1) throw cannotSeal('not a 64-bit little-endian ELF file');
  const table = Number(elf.readBigUInt64LE(32));
  const entrySize = elf.readUInt16LE(54);
  const count = elf.readUInt16LE(56);
  if (entrySize !== 56 || table > elf.length || count * entrySize > elf.length - table) throw cannotSeal('its program headers are out of bounds');
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const header = table + i * entrySize;
    if (elf.readUInt32LE(header) !== PT_NOTE) continue;
    const start = Number(elf.readBigUInt64LE(header + 8));
    const size = Number(elf.readBigUInt64LE(header + 32));
    const align = elf.readBigUInt64LE(header + 48) === 8n ? 8 : 4;
    if (start > elf.length || size > elf.length - start) throw cannotSeal('a note segment is out of bounds');
    found.push(...headerNotesIn(elf.subarray(start, start + size), align).map((offset) => start + offset));
  }
  if (found.length !== 1) throw cannotSeal(found.length === 0 ? 'it has no header note' : 'it has two header notes');
  return found[0];
}

/** Offsets of the descriptors of the header notes in a note segment. */
function headerNotesIn(segment: Buffer, align: 4 | 8): number[] {
  const pad = (n: number) => Math.ceil(n / align) * align;
  const name = Buffer.from(`${NOTE_NAME}\0`);
  const found: number[] = [];
  for (let at = 0; segment.length - at >= 12;) {
    const nameSize = segment.readUInt32LE(at);
    const descSize = segment.readUInt32LE(at + 4);
    const type = segment.readUInt32LE(at + 8);
    const desc = pad(at + 12 + nameSize);
    if (at + 12 + nameSize > segment.length || desc + descSize > segment.length) throw cannotSeal('a note does not fit its segment');
    if (type === NOTE_HEADER && segment.subarray(at + 12, at + 12 + nameSize).equals(name)) {
      if (descSize !== HEADER.size) throw cannotSeal('its header note has the wrong size');
      found.push(desc);
    }
    at = pad(desc + descSize);
  }
  return found;
}

/** Seals an ELF file: the hash is taken with its own bytes zero. */
function sealElf(sealed: Buffer): void {
  const header = findHeaderNote(sealed);
  const hash = header + HEADER.offsets.hash0;
  sealed.writeBigUInt64LE(BigInt(sealed.length), header + HEADER.offsets.file_size);
  sealed.fill(0, hash, hash + HASH_SIZE);
  createHash('sha256').update(sealed).digest().copy(sealed, hash);
}

/** Seals a Mach-O file, and then signs it anew: see `loader/macho.ts`. */
function sealMachO(sealed: Buffer): void {
  const refuse = (what: string): never => { throw cannotSeal(what); };
  const file = readMachO(sealed, refuse);
  const headers = file.notes.filter((note) => note.type === NOTE_HEADER);
  if (headers.length !== 1 || headers[0].end - headers[0].start !== HEADER.size) refuse(`it has ${headers.length} header notes, or one of the wrong size`);
  const hash = headers[0].start + HEADER.offsets.hash0;
  sealed.writeBigUInt64LE(BigInt(file.signature.start), headers[0].start + HEADER.offsets.file_size);
  const masked = [...file.masked, { start: hash, end: hash + HASH_SIZE }];
  sealed.write(hashArtifact(sealed, { start: 0, end: file.signature.start }, masked), hash, 'hex');
  signPages(sealed, file, refuse);
}

/**
 * Writes the file's size and its SHA-256 into the header note: what the loader checks first.
 * @returns a new array.
 * @throws {CompileError} of kind `internal` when the file is neither an ELF nor a Mach-O file with exactly one header note.
 */
export function sealArtifact(linked: Uint8Array): Uint8Array {
  const sealed = Buffer.from(linked);
  if (isMachO(sealed)) sealMachO(sealed);
  else sealElf(sealed);
  return sealed;
}

/** The file that a write to `path` reaches: links followed; itself when there is none yet. */
async function resolveOutput(path: string): Promise<{ target: string; special: boolean }> {
  try {
    const target = await realpath(path);
    const info = await stat(target);
    if (info.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    return { target, special: !info.isFile() };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { target: path, special: false };
    throw error;
  }
}

/**
 * Writes a file so that `path` is, at every moment, what was there before or all of the new bytes: beside it, to the disk, then by rename.
 * A device or a pipe (`/dev/stdout`) is written to as it is.
 * @throws {CompileError} (rejected) of kind `output`; nothing is left behind.
 */
export async function writeArtifact(path: string, bytes: Uint8Array): Promise<void> {
  let beside: string | undefined;
  let file: FileHandle | undefined;
  try {
    const { target, special } = await resolveOutput(path);
    if (special) {
      await writeFile(target, bytes);
      return;
    }
    const name = join(dirname(target), `.wasm-aot-${process.pid}-${randomBytes(6).toString('hex')}.tmp`);
    file = await open(name, 'wx');
    beside = name;
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    file = undefined;
    await rename(beside, target);
  } catch (error) {
    await file?.close().catch(() => undefined);
    if (beside) await unlink(beside).catch(() => undefined);
    throw outputError(path, error);
  }
}
