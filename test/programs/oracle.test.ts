/**
 * Real programs against the oracle of the fuel law (test/fuel/inject.ts): V8 runs the module with a counter before every operator, our engine runs it as it is,
 * and both must write the same, end the same way, and have counted the same.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WASI } from 'node:wasi';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import { load } from '../../loader/index.js';
import { COUNTER, injectMetering } from '../fuel/inject.js';
import { C_PROGRAMS, type CProgramCase, compileC } from './c-programs.js';

/** Those that are quick enough with a counter before every operator. */
const PROGRAMS = ['json', 'lz', 'lisp', 'digest', 'words', 'grep', 'brainfuck'];

const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-oracle-'));
let compiler: Compiler;
test.before(async () => { compiler = await openCompiler(); });
test.after(async () => {
  await compiler.close();
  rmSync(scratch, { recursive: true, force: true });
});

interface Outcome { readonly end: number; readonly stdout: string; readonly consumed: bigint }

/** Runs one case, with files for standard streams: how much a read of a pipe returns depends on timing. */
function run({ args = [], stdin = '', env }: CProgramCase, instantiate: (imports: WebAssembly.Imports) => { instance: { exports: object }; consumed: () => bigint }): Outcome {
  const [input, output] = [join(scratch, 'stdin'), join(scratch, 'stdout')];
  writeFileSync(input, stdin);
  const [stdinFile, stdoutFile] = [openSync(input, 'r'), openSync(output, 'w')];
  try {
    const wasi = new WASI({ version: 'preview1', args: ['guest', ...args], env, returnOnExit: true, stdin: stdinFile, stdout: stdoutFile });
    const { instance, consumed } = instantiate(wasi.getImportObject() as WebAssembly.Imports);
    const end = wasi.start(instance) as unknown as number;
    return { end, stdout: readFileSync(output, 'latin1'), consumed: consumed() };
  } finally {
    closeSync(stdinFile);
    closeSync(stdoutFile);
  }
}

for (const name of PROGRAMS) {
  test(`${name}.c: consumed is what a counter before every operator counts on V8`, async () => {
    const wasm = readFileSync(compileC(name, scratch));
    const counting = new WebAssembly.Module(injectMetering(wasm) as BufferSource);
    const path = join(scratch, `${name}.so`);
    writeFileSync(path, (await compiler.build(wasm, { name: `${name}.wasm` })).artifact);
    const module = load(path);
    for (const [i, input] of C_PROGRAMS[name].entries()) {
      const wanted = run(input, (imports) => {
        const instance = new WebAssembly.Instance(counting, imports);
        return { instance, consumed: () => (instance.exports[COUNTER] as WebAssembly.Global).value as bigint };
      });
      const ours = run(input, (imports) => {
        const instance = module.instantiate(imports);
        return { instance, consumed: () => instance.fuel.consumed };
      });
      assert.equal(ours, wanted, `case ${i}`);
      assert.ok(wanted.consumed > 100n);
    }
  });
}

test.run();
