/**
 * `npm run fuzz -- [--minutes N] [--seed N] [--kind loops|modules] [--keep FOLDER] [FILE.wasm ...]`: random modules on V8 and on wasm-aot, of each kind in turn. What differs is kept in the
 * folder, a .wasm and a .txt that says where; files by name are run as those say (`failure.ts`). Modules run in a child process, so a crash of ours is a failure like others.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCompiler } from '../../compiler/index.js';
import { checkModule, KINDS, type Kind, makeModule } from './check.js';
import { showDifference } from './compare.js';
import { parsePlan } from './failure.js';
import { findWasmOpt } from './generate.js';
import type { Job, Report } from './worker.js';

const { values, positionals } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' }, seed: { type: 'string', default: String(Date.now() % 1_000_000) }, keep: { type: 'string', default: 'fuzz-failures' }, kind: { type: 'string', multiple: true },
  },
  allowPositionals: true,
});

/** A module that takes longer hangs. */
const TIMEOUT_MS = 300_000;
/** Modules after which the child is replaced: artifacts stay mapped for as long as their process lives. */
const JOBS_OF_CHILD = 200;

/** The child process, and the jobs it has done. */
class Runner {
  private child: ChildProcess | undefined;
  private done = 0;

  run(job: Job): Promise<Report> {
    if (this.child && ++this.done % JOBS_OF_CHILD === 0) this.close();
    // Constant expressions with arithmetic are behind a flag in V8.
    this.child ??= fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [], { execArgv: ['--experimental-wasm-extended-const'] });
    const { child } = this;
    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
      const settle = (report: Report) => {
        clearTimeout(timer);
        child.off('message', settle).off('exit', died);
        resolve(report);
      };
      const died = (code: number | null, signal: string | null) => {
        if (this.child === child) this.child = undefined;
        settle({ runs: 0, failure: `the process died: ${signal ?? `exit code ${code}`}` });
      };
      child.on('message', settle).on('exit', died);
      child.send(job);
    });
  }

  close(): void {
    const { child } = this;
    this.child = undefined;
    child?.removeAllListeners('exit').disconnect();
  }
}

/** Runs kept modules again, in this process. */
async function again(files: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-'));
  const compiler = await openCompiler({ workers: 1 });
  let failed = 0;
  try {
    for (const file of files) {
      const text = file.replace(/\.wasm$/, '.txt');
      const plan = parsePlan(existsSync(text) ? readFileSync(text, 'utf8') : '');
      const { comparison, skipped, error } = await checkModule(readFileSync(file), plan, compiler, folder);
      const wrong = error ?? (comparison?.difference && showDifference(comparison.difference));
      if (wrong) failed++;
      console.log(`${file}: ${wrong ?? skipped ?? `alike, ${comparison?.runs} runs`}`);
    }
  } finally {
    await compiler.close();
    rmSync(folder, { recursive: true, force: true });
  }
  return failed ? 1 : 0;
}

function chooseKinds(): Kind[] {
  const chosen = values.kind?.length ? KINDS.filter((kind) => values.kind?.includes(kind)) : [...KINDS];
  if (findWasmOpt()) return chosen;
  console.log('the npm package binaryen is not installed: loops alone');
  return chosen.filter((kind) => kind !== 'modules');
}

/** Seed after seed until the time is up. */
async function fuzz(): Promise<number> {
  const kinds = chooseKinds();
  if (kinds.length === 0) return 0;
  const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-'));
  const runner = new Runner();
  const started = Date.now();
  const count = { modules: 0, runs: 0, skipped: 0, failed: 0 };
  mkdirSync(values.keep, { recursive: true });
  for (let seed = Number(values.seed); Date.now() - started < Number(values.minutes) * 60_000; seed++) {
    for (const kind of kinds) {
      const { runs, skipped, failure, description } = await runner.run({ kind, seed });
      count.modules++;
      count.runs += runs;
      if (skipped !== undefined) count.skipped++;
      if (failure === undefined) continue;
      count.failed++;
      const name = join(values.keep, `${kind}-${seed}`);
      const bytes = await makeModule(kind, seed, folder);
      if (bytes) writeFileSync(`${name}.wasm`, bytes);
      writeFileSync(`${name}.txt`, description ?? `seed ${seed}\nstyle ${kind === 'loops' ? 'each' : 'row'}\n# ${failure.replaceAll('\n', '\n# ')}\n`);
      console.log(`${name}.wasm: ${failure}`);
    }
    if (process.stdout.isTTY) process.stdout.write(`\r${count.modules} modules, ${count.runs} runs `);
  }
  runner.close();
  rmSync(folder, { recursive: true, force: true });
  const minutes = (Date.now() - started) / 60_000;
  console.log(`${count.modules - count.failed - count.skipped} passed (${count.runs} runs compared, ${(count.modules / minutes).toFixed(0)} modules a minute), ${count.failed} failed, ${count.skipped} skipped`);
  return count.failed ? 1 : 0;
}

process.exitCode = await (positionals.length > 0 ? again(positionals) : fuzz());
