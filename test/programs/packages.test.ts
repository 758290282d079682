/** Programs that people know (packages.ts): on our engine they must say what they say on V8, and make as many instances. */
import { fork } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import type { OptLevel } from '../../compiler/options.js';
import type { ProgramResult } from './child.js';
import { PACKAGES } from './packages.js';

/** A program that runs longer than this, in milliseconds, is ended and fails. */
const TIMEOUT = 120_000;

/** Runs a program in a child process. Rejects, with what it wrote to standard error, when it ends without a result. */
function runChild(name: string, mode: 'record' | 'run', folder: string): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('./child.js', import.meta.url)), [name, mode, folder], { serialization: 'advanced', stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
    let result: ProgramResult | undefined;
    let errors = '';
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => { errors += text; });
    child.on('message', (message) => { result = message as ProgramResult; });
    let waiting = 2;
    let end = '';
    const finish = (): void => {
      if (--waiting) return;
      clearTimeout(timer);
      if (result) resolve(result);
      else reject(new Error(`${name} (${mode}) ended with ${end}\n${errors}`));
    };
    child.on('disconnect', finish);
    child.on('close', (code, signal) => { end = signal ?? `exit code ${code}`; finish(); });
  });
}

async function compileAll(compiler: Compiler, folder: string, optLevel: OptLevel): Promise<void> {
  const modules = readdirSync(folder).filter((file) => file.endsWith('.wasm'));
  await Promise.all(modules.map(async (file) => {
    const { artifact } = await compiler.build(readFileSync(join(folder, file)), { optLevel, name: file });
    writeFileSync(join(folder, file.replace('.wasm', '.so')), artifact);
  }));
}

const only = process.env.PROGRAM;
let compiler: Compiler;
test.before(async () => { compiler = await openCompiler(); });
test.after(() => compiler.close());

for (const [name, { optLevel, twice }] of Object.entries(PACKAGES)) {
  if (only && only !== name) continue;
  test(`${name}: the output at -O${optLevel} is V8's${twice ? ', and the fuel that of -O0' : ''}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-program-'));
    try {
      const began = Date.now();
      const wanted = await runChild(name, 'record', folder);
      await compileAll(compiler, folder, optLevel);
      const compiled = Date.now();
      const ours = await runChild(name, 'run', folder);
      assert.is(ours.output, wanted.output);
      assert.ok(wanted.output.length > 50 && wanted.instances > 0);
      assert.is(ours.modules, wanted.modules);
      assert.is(ours.instances, wanted.instances);
      assert.ok(ours.fuel > 5_000n, `${ours.fuel} fuel`);
      if (twice) {
        await compileAll(compiler, folder, 0);
        const plain = await runChild(name, 'run', folder);
        assert.is(plain.output, wanted.output);
        assert.is(plain.fuel, ours.fuel);
      }
      console.log(`  ${name}: compiled in ${compiled - began} ms; ran in ${Math.round(ours.milliseconds)} ms, V8 in ${Math.round(wanted.milliseconds)} ms; ${ours.fuel} fuel`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

test.run();
