/**
 * `npm run fuzz -- [--minutes N] [--seed N] [--keep FOLDER]`: random modules on V8 and on wasm-aot. What differs is kept as a .wasm beside its description.
 * One process: a crash of ours ends it, and the module that did it is `current.wasm` in the folder.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CompileError, openCompiler } from '../../compiler/index.js';
import { compareModule } from './compare.js';
import { findWasmOpt, generateModule, Random } from './generate.js';

const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) }, keep: { type: 'string', default: 'fuzz-failures' } },
  allowPositionals: true,
});

async function main(): Promise<number> {
  const wasmOpt = findWasmOpt();
  if (!wasmOpt && positionals.length === 0) {
    console.log('the npm package binaryen is not installed: nothing to fuzz with');
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-'));
  const compiler = await openCompiler({ workers: 1 });
  const started = Date.now();
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  const check = async (bytes: Uint8Array, seed: number, name: string) => {
    mkdirSync(values.keep, { recursive: true });
    writeFileSync(join(values.keep, 'current.wasm'), bytes);
    const difference = await compareModule(bytes, seed, compiler, folder).catch((error: Error) => {
      // The generator's "reference types" take in later proposals now and then.
      const unsupported = error instanceof CompileError && error.errors[0].kind === 'unsupported';
      return unsupported ? 'unsupported' : `thrown: ${error.stack ?? error.message}`;
    });
    if (difference === 'unsupported') skipped++;
    else if (difference === undefined) passed++;
    else {
      failed++;
      writeFileSync(join(values.keep, `${name}.wasm`), bytes);
      console.log(`${name}: ${difference}`);
    }
    for (const file of readdirSync(folder)) if (file.endsWith('.so')) rmSync(join(folder, file));
  };
  try {
    // Files given by name are checked as they are; seed from the name, so that a kept failure runs as it did.
    for (const file of positionals) await check(readFileSync(file), Number(/(\d+)\.wasm$/.exec(file)?.[1] ?? 1), file.replace(/\W+/g, '-'));
    for (let seed = Number(values.seed); wasmOpt && positionals.length === 0 && Date.now() - started < Number(values.minutes) * 60_000; seed++) {
      const bytes = generateModule(wasmOpt, new Random(seed * 2654435761), folder);
      if (bytes) await check(bytes, seed, `seed-${seed}`);
      if (process.stdout.isTTY) process.stdout.write(`\r${passed} alike, ${failed} not `);
    }
  } finally {
    await compiler.close();
    rmSync(folder, { recursive: true, force: true });
    rmSync(join(values.keep, 'current.wasm'), { force: true });
  }
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed ? 1 : 0;
}

process.exitCode = await main();
