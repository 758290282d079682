/** The process in which modules run: a fault of ours ends it, and not the fuzzer. Takes jobs over IPC, one at a time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCompiler } from '../../compiler/index.js';
import { checkModule, type Kind, makeModule, planFor } from './check.js';
import { type Plan, showDifference } from './compare.js';
import { describe, parsePlan } from './failure.js';

/** A module to make, or one that is given, with its description (`failure.ts`). */
export type Job = { readonly kind: Kind; readonly seed: number } | { readonly bytes: Uint8Array; readonly description: string };

export interface Report {
  /** Sessions of ours that were compared. */
  readonly runs: number;
  readonly skipped?: string;
  /** What is wrong, and how to have it again. */
  readonly failure?: string;
  readonly description?: string;
}

const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const compiler = await openCompiler({ workers: 1 });

async function check(bytes: Uint8Array, plan: Plan): Promise<Report> {
  const { comparison, skipped, error } = await checkModule(bytes, plan, compiler, folder);
  const difference = comparison?.difference;
  const failure = difference ? showDifference(difference) : error;
  return { runs: comparison?.runs ?? 0, skipped, ...(failure ? { failure, description: describe(plan, difference) } : {}) };
}

async function run(job: Job): Promise<Report> {
  if ('bytes' in job) return check(job.bytes, parsePlan(job.description));
  const bytes = await makeModule(job.kind, job.seed, folder);
  return bytes ? check(bytes, planFor(job.kind, job.seed)) : { runs: 0, skipped: 'nothing was generated' };
}

process.on('message', (job: Job) => {
  void run(job).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit(0));
