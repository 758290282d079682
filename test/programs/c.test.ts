/** Our own C programs: under `wasm-aot run` they must write what they write on V8, end with the same exit code, and cost the same at every level. */
import { spawn, type StdioOptions } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import type { OptLevel } from '../../compiler/options.js';
import { C_PROGRAMS, type CProgramCase, compileC } from './c-programs.js';

const CLI = fileURLToPath(new URL('../../compiler/cli.js', import.meta.url));
const V8 = fileURLToPath(new URL('./v8-wasi.js', import.meta.url));
/** A run that takes longer, in milliseconds, is ended and fails. */
const TIMEOUT = 60_000;

interface Outcome { readonly end: number | string | null; readonly stdout: string; readonly stderr: string }

function run(script: string, args: readonly string[], stdin: string, cwd: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    // From a file: how much one read of a pipe returns depends on timing, and so would the fuel.
    const input = join(cwd, 'stdin');
    writeFileSync(input, stdin);
    const file = openSync(input, 'r');
    const stdio = [file, 'pipe', 'pipe'] satisfies StdioOptions;
    const child = spawn(process.execPath, ['--no-warnings', script, ...args], { cwd, stdio, timeout: TIMEOUT, killSignal: 'SIGKILL', env: { ...process.env, NO_COLOR: '1' } });
    closeSync(file);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ end: code ?? signal, stdout: Buffer.concat(out).toString('latin1'), stderr: Buffer.concat(err).toString('latin1') }));
  });
}

const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-c-'));
let folders = 0;
const freshFolder = (): string => {
  const folder = join(scratch, `data-${folders++}`);
  mkdirSync(folder);
  return folder;
};

const pairs = (env: CProgramCase['env']): string[] => Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`);

async function runV8(wasm: string, { args = [], stdin = '', env }: CProgramCase): Promise<Outcome> {
  return run(V8, [wasm, freshFolder(), ...pairs(env), '--', ...args], stdin, scratch);
}

/** Runs the artifact through the command line; the fuel is what its -v reports last on standard error, which is taken off. */
async function runOurs(artifact: string, { args = [], stdin = '', env }: CProgramCase): Promise<Outcome & { fuel: string }> {
  const flags = ['-v', '--dir', `${freshFolder()}::/data`, ...pairs(env).flatMap((pair) => ['--env', pair])];
  const outcome = await run(CLI, ['run', ...flags, artifact, '--', ...args], stdin, scratch);
  const note = /wasm-aot: note: ([\d,]+) fuel consumed, .*\n/.exec(outcome.stderr);
  return { ...outcome, stderr: note ? outcome.stderr.replace(note[0], '') : outcome.stderr, fuel: note?.[1] ?? 'not reported' };
}

let compiler: Compiler;
test.before(async () => { compiler = await openCompiler(); });
test.after(async () => {
  await compiler.close();
  rmSync(scratch, { recursive: true, force: true });
});

async function compile(wasm: string, name: string, optLevel: OptLevel): Promise<string> {
  const { artifact } = await compiler.build(readFileSync(wasm), { optLevel, name: `${name}.wasm` });
  // Paths of one length: the guest sees its own name, and copying it costs fuel.
  const path = join(scratch, `${name}-O${optLevel}.so`);
  writeFileSync(path, artifact);
  return path;
}

for (const [name, cases] of Object.entries(C_PROGRAMS)) {
  test(`${name}.c: output and exit code are V8's; the fuel at -O2 is that at -O0`, async () => {
    const wasm = compileC(name, scratch);
    const [optimised, plain] = await Promise.all([compile(wasm, name, 2), compile(wasm, name, 0)]);
    for (const [i, input] of cases.entries()) {
      const wanted = await runV8(wasm, input);
      assert.type(wanted.end, 'number', `case ${i} on V8 ended with ${wanted.end}: ${wanted.stderr}`);
      const { fuel, ...fast } = await runOurs(optimised, input);
      const { fuel: plainFuel, ...slow } = await runOurs(plain, input);
      assert.equal(fast, wanted, `case ${i} at -O2`);
      assert.equal(slow, wanted, `case ${i} at -O0`);
      assert.match(fuel, /^\d{1,3}(,\d{3})*$/);
      assert.is(plainFuel, fuel, `fuel of case ${i}`);
    }
  });
}

test.run();
