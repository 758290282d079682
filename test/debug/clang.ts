/** Modules with debugging information, made by clang, and what LLVM's own tools say of it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of our C sources: those of this folder, and of test/programs. */
export const SOURCES = fileURLToPath(new URL('../../../test/debug/sources/', import.meta.url));
const PROGRAMS = fileURLToPath(new URL('../../../test/programs/c/', import.meta.url));

const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-debug-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
let count = 0;

/** A file of this process, which ends with it. */
export const scratchFile = (name: string): string => join(folder, `${count++}-${name}`);

function clang(args: readonly string[]): { path: string; bytes: Uint8Array } {
  const path = scratchFile('module.wasm');
  const { status, stderr, error } = spawnSync('clang-22', ['--no-wasm-opt', '-Wno-deprecated', ...args, '-o', path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`clang-22 failed: ${error?.message ?? stderr}`);
  return { path, bytes: readFileSync(path) };
}

/** A source of this folder, without a C library. @param flags e.g. `-gdwarf-5`, `-O2`. */
export const compileSource = (name: string, exported: readonly string[], flags: readonly string[]): { path: string; bytes: Uint8Array } =>
  clang(['--target=wasm32', '-nostdlib', ...flags, join(SOURCES, name), '-Wl,--no-entry', ...exported.map((symbol) => `-Wl,--export=${symbol}`)]);

/** One of the programs of test/programs, with wasi-libc. */
export const compileProgram = (name: string, flags: readonly string[]): { path: string; bytes: Uint8Array } =>
  clang(['--target=wasm32-wasi', '--sysroot=/usr', ...flags, join(PROGRAMS, `${name}.c`)]);

/** What llvm-symbolizer says of addresses in the code section: for each, lines of a function's short name and of a place in turn, innermost first. */
export function symbolize(path: string, addresses: readonly number[]): string[] {
  const input = addresses.map((address) => `0x${address.toString(16)}`).join('\n');
  const run = spawnSync('llvm-symbolizer-22', [`--obj=${path}`, '--inlines', '--functions=short', '--no-demangle'], { input, encoding: 'utf8', maxBuffer: 2 ** 30 });
  if (run.status !== 0) throw new Error(`llvm-symbolizer-22 failed: ${run.error?.message ?? run.stderr}`);
  return run.stdout.trimEnd().split('\n\n').map((text) => text.trim());
}
