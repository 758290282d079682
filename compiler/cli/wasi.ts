/** The guest's world under `wasm-aot run`: node:wasi (preview 1) over an instance of ours. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { WASI } from 'node:wasi';
import type { ParsedArguments } from './arguments.js';
import { usageError } from './arguments.js';

type Options = ParsedArguments['options'];

/** Import modules that node:wasi provides, with its name for the version. */
const VERSIONS: Readonly<Record<string, 'preview1' | 'unstable'>> = { wasi_snapshot_preview1: 'preview1', wasi_unstable: 'unstable' };

/** The guest's environment variables, from `--env NAME=VALUE` and `--env NAME` (ours passed on; left out when we have none). */
function readEnvironment(options: Options): Record<string, string> {
  const env: Record<string, string> = {};
  for (const entry of (options.env as string[] | undefined) ?? []) {
    const at = entry.indexOf('=');
    if (at === 0) throw usageError(`--env ${JSON.stringify(entry)} names no variable`, 'e.g. --env LANG=C');
    const value = at < 0 ? process.env[entry] : entry.slice(at + 1);
    if (value !== undefined) env[at < 0 ? entry : entry.slice(0, at)] = value;
  }
  return env;
}

/** The folders that the guest may open, guest name -> host path. */
function readFolders(options: Options): Record<string, string> {
  const folders: Record<string, string> = {};
  for (const entry of (options.dir as string[] | undefined) ?? []) {
    const at = entry.indexOf('::');
    const host = at < 0 ? entry : entry.slice(0, at);
    const guest = at < 0 ? entry : entry.slice(at + 2);
    if (!host || !guest) throw usageError(`--dir ${JSON.stringify(entry)} lacks a name`, 'e.g. --dir data::/data');
    if (!statSync(host, { throwIfNoEntry: false })?.isDirectory()) throw usageError(`--dir ${JSON.stringify(entry)}: ${JSON.stringify(host)} is no folder`);
    folders[guest] = resolve(host);
  }
  return folders;
}

/** A WASI for the guest; `imports` is what to link. */
export interface Guest { readonly wasi: WASI; readonly imports: WebAssembly.Imports }

/**
 * Prepares WASI when the module imports from it (undefined otherwise).
 * @param modules names of the modules that the guest imports from.
 * @param args the guest's argument vector, its own name first.
 * @throws {CompileError} of kind `usage` for a bad `--env` or `--dir`.
 */
export async function openGuest(modules: readonly string[], args: readonly string[], options: Options): Promise<Guest | undefined> {
  const module = modules.find((name) => name in VERSIONS);
  const env = readEnvironment(options);
  const preopens = readFolders(options);
  if (!module) return undefined;
  silenceWasiWarning();
  const { WASI } = await import('node:wasi');
  const wasi = new WASI({ version: VERSIONS[module], args: [...args], env, preopens, returnOnExit: true });
  return { wasi, imports: wasi.getImportObject() as WebAssembly.Imports };
}

/** Keeps Node's notice that node:wasi is experimental off the guest's standard error; other warnings pass. */
function silenceWasiWarning(): void {
  const emit = process.emitWarning as (...args: unknown[]) => void;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    const kind = typeof rest[0] === 'object' ? (rest[0] as { type?: string }).type : rest[0];
    if (kind === 'ExperimentalWarning' && String(warning).includes('WASI')) return;
    emit.call(process, warning, ...rest);
  }) as typeof process.emitWarning;
}
