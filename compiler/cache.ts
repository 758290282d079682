/**
 * The build cache behind `wasm-aot run prog.wasm`: artifacts by the hash of what they were made from.
 *
 * An entry is one file, written beside its place and renamed, so that concurrent builders of one module both succeed and a
 * reader never sees half a file. A hit touches the file; when the cache outgrows its limit, the least recently used go.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ABI_VERSION } from '../runtime-c/abi.js';
import { native } from '../loader/native.js';
import { type BuildOptions, type BuildResult, parseSize, resolveOptions } from './options.js';

/** Bytes that the cache may hold after an insertion, unless the environment says otherwise. */
const DEFAULT_LIMIT = 1024 ** 3;

/**
 * Bytes that the cache may hold after an insertion: the environment variable WASM_AOT_CACHE_SIZE (a number of bytes, or 500M, 2G), else 1 GiB.
 * @throws {CompileError} of kind `usage` when the variable is something else.
 */
export function cacheLimit(): number {
  const text = process.env.WASM_AOT_CACHE_SIZE;
  return text ? parseSize(text, 'the environment variable WASM_AOT_CACHE_SIZE') : DEFAULT_LIMIT;
}

/** Left-over temporary files of builders that died are removed at this age, in milliseconds. */
const STALE_MS = 3_600_000;

/** The cache's folder: `wasm-aot` in `XDG_CACHE_HOME` (an absolute path, by the XDG base directory specification) or in `~/.cache`. */
export function cacheFolder(): string {
  const base = process.env.XDG_CACHE_HOME;
  return join(base?.startsWith('/') ? base : join(homedir(), '.cache'), 'wasm-aot');
}

/** Version of wasm-aot, from its package.json. */
export function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version as string;
}

const hashOf = (text: string): string => native().sha256(Buffer.from(text));
/** The name of a temporary file that is to be renamed: nobody else's, and if it is, opening it with `wx` fails. */
const besideOf = (path: string): string => `${path}.${process.pid}-${Math.random().toString(36).slice(2, 10)}.tmp`;

/** What the stamp file remembers: the compiler's files with their sizes and times when they were hashed, and what came out. */
interface Stamp { readonly names: readonly string[]; readonly seen: string; readonly hash: string }

/** Where this file lies, with the rest of the compiler. */
const ROOT = fileURLToPath(new URL('.', import.meta.url));
const CODEGEN = '../../build/Release/codegen.node';

/** The files that decide what is built, relative to `ROOT`: the compiler's, but for the command line, and what it shares with the loader. */
function compilerFiles(): string[] {
  const modules = ['', '../loader/', '../runtime-c/'].flatMap((folder) => (readdirSync(join(ROOT, folder), { recursive: true }) as string[]).map((name) => folder + name));
  const names = modules.filter((name) => name.endsWith('.js') && !name.startsWith('cli')).sort();
  // Without the addon there is nothing to build with, as the compiler will say itself.
  return statSync(ROOT + CODEGEN, { throwIfNoEntry: false }) ? [...names, CODEGEN] : names;
}

/** Where the compiler lies, and sizes and times of its files: other when one of them is. */
const describeFiles = (names: readonly string[]): string => ROOT + names.map((name) => {
  const stat = statSync(ROOT + name, { throwIfNoEntry: false });
  return `${name}\0${stat?.size}\0${stat?.mtimeMs}\0${stat?.ctimeMs}\0${stat?.ino}`;
}).join('\n');

/**
 * Distinguishes compilers of one version by the contents of their files. Hashing them takes 50 ms, so the cache remembers the result for as long as sizes and times are the same. It
 * does not look for files that were added: a file that no other imports changes nothing. A stamp that is wrong or damaged costs a rebuild.
 */
function compilerStamp(folder: string): string {
  const file = join(folder, 'compiler.json');
  try {
    const stamp = JSON.parse(readFileSync(file, 'utf8')) as Stamp;
    if (stamp.names.includes(CODEGEN) && stamp.seen === describeFiles(stamp.names) && /^[0-9a-f]{64}$/.test(stamp.hash)) return stamp.hash;
  } catch { /* the first time, or damaged */ }
  const names = compilerFiles();
  const seen = describeFiles(names);
  const hash = hashOf(names.map((name) => `${name}\0${native().sha256(readFileSync(ROOT + name))}`).join('\n'));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const beside = besideOf(file);
    writeFileSync(beside, JSON.stringify({ names, seen, hash } satisfies Stamp), { flag: 'wx' });
    renameSync(beside, file);
  } catch { /* a cache that cannot be written is no obstacle */ }
  return hash;
}

/** The name under which the artifact of these bytes and options is kept. @param sourceMap the text of the module's source map, where one is used. */
export function cacheKey(bytes: Uint8Array, options: BuildOptions, sourceMap = ''): string {
  // What does not change the code is not part of the key.
  const { name: _name, onProgress: _onProgress, readSourceMap: _read, jobs: _jobs, memoryBudget: _memory, profile: _profile, costTable, ...rest } = resolveOptions(options);
  const what = { ...rest, costTable: costTable?.sha256, version: packageVersion(), abi: ABI_VERSION, compiler: compilerStamp(cacheFolder()), node: process.version };
  // `native` differs from machine to machine, and a home folder may be shared between them.
  const cpu = rest.cpu.includes('native') ? String(native().cpuFeatures) : '';
  return hashOf(JSON.stringify([Object.entries(what).sort(), cpu, sourceMap, native().sha256(bytes)]));
}

export interface CachedArtifact {
  /** Where the artifact is. */
  readonly path: string;
  /** Whether it was there already. */
  readonly hit: boolean;
  /** Removes the entry: because it turned out to be damaged, or because it was made for this run alone. */
  readonly remove: () => void;
  /** Whether the file must be removed after use: the cache could not be written. */
  readonly temporary: boolean;
}

/**
 * Finds the artifact of a module, or builds and keeps it.
 * @param build what compiles on a miss.
 * @param keep false compiles anew, into a temporary file.
 * @throws whatever `build` throws. A cache that cannot be written is no error: the artifact is then temporary.
 */
export async function cachedBuild(bytes: Uint8Array, options: BuildOptions, build: (bytes: Uint8Array, options: BuildOptions) => Promise<BuildResult>, keep = true): Promise<CachedArtifact> {
  const folder = cacheFolder();
  cacheLimit(); // a wrong one is said before minutes of compiling
  // A source map can change where the module does not: lines move, code stays.
  const sourceMap = options.debug ? (await import('./debug/source-map.js')).sourceMapText(bytes, options) : undefined;
  const path = keep ? join(folder, `${cacheKey(bytes, options, sourceMap)}.so`) : '';
  if (keep && touch(path)) return { path, hit: true, temporary: false, remove: () => rmSync(path, { force: true }) };
  const { artifact } = await build(bytes, options);
  if (keep) {
    try {
      insert(folder, path, artifact);
      return { path, hit: false, temporary: false, remove: () => rmSync(path, { force: true }) };
    } catch { /* read-only home, full disk: run it all the same */ }
  }
  const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-'));
  const file = join(scratch, 'module.so');
  writeFileSync(file, artifact);
  return { path: file, hit: false, temporary: true, remove: () => rmSync(scratch, { recursive: true, force: true }) };
}

function touch(path: string): boolean {
  try {
    const now = new Date();
    utimesSync(path, now, now);
    return true;
  } catch {
    return false;
  }
}

function insert(folder: string, path: string, artifact: Uint8Array): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const beside = besideOf(path);
  try {
    writeFileSync(beside, artifact, { flag: 'wx' });
    chmodSync(beside, 0o500);
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  prune(folder, path);
}

/** Removes the least recently used entries until the rest fits; the newest stays whatever its size. Entries that vanish meanwhile are somebody else's pruning. */
export function prune(folder: string, newest: string, limit = cacheLimit()): void {
  const entries = readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isFile() ? [{ path, bytes: stat.size, usedAt: stat.mtimeMs }] : [];
  });
  const stale = entries.filter((entry) => entry.path.endsWith('.tmp') && entry.usedAt < Date.now() - STALE_MS);
  for (const entry of stale) rmSync(entry.path, { force: true });
  let total = 0;
  const kept = entries.filter((entry) => entry.path.endsWith('.so')).sort((a, b) => Number(b.path === newest) - Number(a.path === newest) || b.usedAt - a.usedAt);
  for (const [i, entry] of kept.entries()) {
    total += entry.bytes;
    if (i > 0 && total > limit) rmSync(entry.path, { force: true });
  }
}
