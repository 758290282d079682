/** Compiles WebAssembly text to artifacts for the loader's tests: one temporary directory a process, removed when it ends. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { load, type Module } from '../../loader/index.js';

interface Wabt { parseWat(name: string, text: string, features?: object): { toBinary(options: object): { buffer: Uint8Array }; destroy(): void } }

let wabt: Promise<Wabt> | undefined;
let compiler: Promise<Compiler> | undefined;
let directory: string | undefined;
let count = 0;

/** The directory of this process's artifacts. */
export function scratch(): string {
  if (directory === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'wasm-aot-loader-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    directory = made;
  }
  return directory;
}

/** The binary of a module in the text format; `features` as wabt names them (`tail_call: true`), beside those of 2.0. */
export async function assemble(text: string, features: object = {}): Promise<Uint8Array> {
  wabt ??= (createRequire(import.meta.url)('wabt') as () => Promise<Wabt>)();
  const module = (await wabt).parseWat('test.wat', text, { mutable_globals: true, multi_value: true, bulk_memory: true, reference_types: true, ...features });
  const { buffer } = module.toBinary({});
  module.destroy();
  return buffer;
}

/** The path of an artifact made from the text; `features` as above. */
export async function compile(text: string, options: BuildOptions = {}, features: object = {}): Promise<string> {
  compiler ??= openCompiler({ workers: 1 });
  const { artifact } = await (await compiler).build(await assemble(text, features), options);
  const path = join(scratch(), `${count++}.so`);
  writeFileSync(path, artifact);
  return path;
}

/** Ends the compiler's process; for `test.after`, since the test would not end otherwise. */
export async function closeCompiler(): Promise<void> {
  await (await compiler)?.close();
  compiler = undefined;
}

/** The module, compiled and loaded. */
export async function loadText(text: string, options: BuildOptions = {}): Promise<Module> {
  return load(await compile(text, options));
}
