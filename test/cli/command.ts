/** Runs the command line as a user would, in a process of its own; and the guests that its tests run: C compiled by Debian's clang, and text. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assemble } from '../loader/wat.js';

const CLI = fileURLToPath(new URL('../../compiler/cli.js', import.meta.url));
const SOURCES = fileURLToPath(new URL('../../../test/cli/', import.meta.url));
/** No command of these tests takes so long, in milliseconds. */
const TIMEOUT = 120_000;

/** How a command ended, and what it wrote. `status` is the exit code, or the name of the signal. */
export interface Outcome { readonly status: number | string; readonly stdout: string; readonly stderr: string; readonly bytes: Buffer; readonly milliseconds: number }

export interface CommandOptions { readonly stdin?: string | Buffer; readonly cwd?: string; readonly env?: Record<string, string | undefined> }

/** A folder of this process's own, removed when it ends. */
export const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-cli-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

/** The environment of the commands: no colours, and a cache of the tests' own. */
const environment = (extra: CommandOptions['env']): NodeJS.ProcessEnv => ({
  ...process.env, NO_COLOR: '1', COLUMNS: '100', NODE_OPTIONS: '', XDG_CACHE_HOME: join(scratch, 'cache'), ...extra,
});

/** Runs `wasm-aot` with these arguments, in the scratch folder by default. */
export function wasmAot(args: readonly string[], { stdin = '', cwd = scratch, env }: CommandOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(process.execPath, [CLI, ...args], { cwd, env: environment(env), timeout: TIMEOUT, killSignal: 'SIGKILL' });
    const [out, err]: Buffer[][] = [[], []];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    // A command that reads nothing may be gone before it is all written.
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    child.on('close', (code, signal) => {
      const bytes = Buffer.concat(out);
      resolve({ status: code ?? (signal as string), stdout: bytes.toString(), stderr: Buffer.concat(err).toString(), bytes, milliseconds: performance.now() - began });
    });
  });
}

/** Writes a file into the scratch folder. Returns its path. */
export function put(name: string, content: string | Uint8Array): string {
  const path = join(scratch, name);
  writeFileSync(path, content);
  return path;
}

/** A new, empty folder in the scratch folder. */
export function makeFolder(name: string): string {
  const path = join(scratch, name);
  mkdirSync(path);
  return path;
}

/** The names in a folder, in order. */
export const list = (folder: string): string[] => readdirSync(folder).sort();

/** Assembles text into NAME.wasm. Returns its path. */
export async function putText(name: string, text: string): Promise<string> {
  return put(`${name}.wasm`, await assemble(text));
}

/** Builds a module by the command line, into NAME.so. Returns its path. @throws when that fails. */
export async function buildText(name: string, text: string, ...flags: string[]): Promise<string> {
  const wasm = await putText(name, text);
  const path = join(scratch, `${name}.so`);
  const { status, stderr } = await wasmAot(['build', ...flags, wasm, '-o', path]);
  if (status !== 0) throw new Error(`building ${name}: exit code ${status}\n${stderr}`);
  return path;
}

/** Compiles guest.c to guest.wasm. Returns its path. @throws when there is no compiler for it. */
export function compileGuest(): string {
  const path = join(scratch, 'guest.wasm');
  const args = ['--target=wasm32-wasi', '--sysroot=/usr', '-O1', '-w', '-Wno-deprecated', '-Wl,--strip-all', join(SOURCES, 'guest.c'), '-o', path];
  const { status, stderr, error } = spawnSync('clang-22', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`clang-22 (with wasi-libc and libclang-rt-22-dev-wasm32) cannot compile the guest: ${error?.message ?? stderr}`);
  return path;
}
