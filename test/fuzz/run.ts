/**
 * `npm run fuzz -- [--minutes N] [--seed N] [--kind loops|modules|memories|objects|relaxed] [--keep FOLDER] [--failures N]`: random modules on V8 and on wasm-aot, of each kind in turn. What differs is kept in the folder, a .wasm and
 * a .txt that says where. Modules run in a child process, so that a crash of ours is a failure like others.
 *
 * `npm run fuzz -- FILE.wasm ...` runs kept modules again; `--reduce FILE.wasm` makes one smaller (`shrink.ts`).
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BINARYEN_KINDS, KINDS, type Kind, makeModule, planFor } from './check.js';
import { describe } from './failure.js';
import { findWasmOpt } from './generate.js';
import { Runner } from './runner.js';
import { shrinkFile } from './shrink.js';

const { values, positionals } = parseArgs({
  options: {
    minutes: { type: 'string' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) }, keep: { type: 'string', default: 'fuzz-failures' }, kind: { type: 'string', multiple: true },
    reduce: { type: 'string' }, failures: { type: 'string', default: '100' },
  },
  allowPositionals: true,
});
const minutes = (by: number) => Number(values.minutes ?? by);

/** Runs kept modules again. */
async function again(files: readonly string[], runner: Runner): Promise<number> {
  let failed = 0;
  for (const file of files) {
    const text = file.replace(/\.wasm$/, '.txt');
    const { failure, skipped, runs } = await runner.run({ bytes: readFileSync(file), description: existsSync(text) ? readFileSync(text, 'utf8') : '' });
    if (failure !== undefined) failed++;
    console.log(`${file}: ${failure ?? skipped ?? `alike, ${runs} runs`}`);
  }
  return failed ? 1 : 0;
}

function chooseKinds(): Kind[] {
  const chosen = values.kind?.length ? KINDS.filter((kind) => values.kind?.includes(kind)) : [...KINDS];
  if (findWasmOpt()) return chosen;
  console.log('the npm package binaryen is not installed: none of its modules');
  return chosen.filter((kind) => !BINARYEN_KINDS.includes(kind));
}

/** Writes down what failed. */
async function keep(kind: Kind, seed: number, failure: string, description: string | undefined): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-'));
  const name = join(values.keep, `${kind}-${seed}`);
  const bytes = await makeModule(kind, seed, folder);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(values.keep, { recursive: true });
  if (bytes) writeFileSync(`${name}.wasm`, bytes);
  writeFileSync(`${name}.txt`, description ?? `${describe(planFor(kind, seed))}# ${failure.replaceAll('\n', '\n# ')}\n`);
  console.log(`${name}.wasm: ${failure}`);
}

/** Seed after seed until the time is up, or enough has failed. */
async function fuzz(kinds: readonly Kind[], runner: Runner): Promise<number> {
  const started = Date.now();
  const passed = (): number => (Date.now() - started) / 60_000;
  const count = { modules: 0, runs: 0, skipped: 0, failed: 0 };
  for (let seed = Number(values.seed); passed() < minutes(1) && kinds.length > 0 && count.failed < Number(values.failures); seed++) {
    for (const kind of kinds) {
      const { runs, skipped, failure, description } = await runner.run({ kind, seed });
      count.modules++;
      count.runs += runs;
      if (skipped !== undefined) count.skipped++;
      if (failure === undefined) continue;
      count.failed++;
      await keep(kind, seed, failure, description);
    }
    if (process.stdout.isTTY) process.stdout.write(`\r${count.modules} modules, ${count.runs} runs `);
  }
  const { modules, runs, failed, skipped } = count;
  console.log(`${modules - failed - skipped} passed (${runs} runs compared, ${(modules / Math.max(passed(), 0.01)).toFixed(0)} modules a minute), ${failed} failed, ${skipped} skipped`);
  return failed ? 1 : 0;
}

const runner = new Runner();
if (values.reduce !== undefined) process.exitCode = await shrinkFile(values.reduce, runner, minutes(10));
else process.exitCode = await (positionals.length > 0 ? again(positionals, runner) : fuzz(chooseKinds(), runner));
runner.close();
