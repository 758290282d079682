/** The process in which modules run: a fault of ours ends it, and not the fuzzer. Takes `Job`s over IPC, one at a time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCompiler } from '../../compiler/index.js';
import { checkModule, type Kind, makeModule, planFor } from './check.js';
import { showDifference } from './compare.js';
import { describe } from './failure.js';

export interface Job { readonly kind: Kind; readonly seed: number }
export interface Report {
  readonly runs: number;
  readonly skipped?: string;
  /** What is wrong, and how to have it again. */
  readonly failure?: string;
  readonly description?: string;
}

const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const compiler = await openCompiler({ workers: 1 });

async function run({ kind, seed }: Job): Promise<Report> {
  const bytes = await makeModule(kind, seed, folder);
  if (!bytes) return { runs: 0, skipped: 'nothing was generated' };
  const plan = planFor(kind, seed);
  const { comparison, skipped, error } = await checkModule(bytes, plan, compiler, folder);
  const difference = comparison?.difference;
  const failure = difference ? showDifference(difference) : error;
  return { runs: comparison?.runs ?? 0, skipped, ...(failure ? { failure, description: describe(plan, difference) } : {}) };
}

process.on('message', (job: Job) => {
  void run(job).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit(0));
