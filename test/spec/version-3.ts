/** Running scripts of wasm-3.0 in tests: what they need beyond WebAssembly 2.0 (version-3.json), and how many commands of each must pass. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isTextOnly, readSpecFiles } from './commands.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
export const SPEC = process.env.SPEC_DIR ?? join(ROOT, '../shared/spec');
export const LIST = join(ROOT, 'test/spec/version-3.json');
export const GROUPS = ['wasm-3.0/core', 'wasm-3.0/bulk-memory', 'wasm-3.0/multi-memory', 'wasm-3.0/gc'];

/** A test that is skipped where the official tests are not. */
export const specTest = existsSync(join(SPEC, GROUPS[0])) ? test : test.skip;
if (specTest !== test) console.log(`no official tests in ${SPEC} (set SPEC_DIR): skipping what needs them`);

/** Names of features of 3.0; proposals that are not supported, by their titles. */
export interface Needs { readonly features: readonly string[]; readonly unsupported: readonly string[] }
/** By group and script. */
export type List = Record<string, Record<string, Needs>>;
export const readList = (): List => JSON.parse(readFileSync(LIST, 'utf8')) as List;

/** Commands that fail in scripts of which a module needs what is not supported: those with that module, and with what it would have defined. */
export const FAILING: Readonly<Record<string, number>> = {
  'wasm-3.0/core/exports': 1, 'wasm-3.0/core/imports': 59, 'wasm-3.0/core/instance': 21, 'wasm-3.0/core/ref_null': 34,
};

/** Runs scripts of a group; of each every command that needs no text format must pass, but for those. */
export function runScripts(group: string, level: string, names: readonly string[]): void {
  const runner = fileURLToPath(new URL('./run.js', import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, [runner, group, level, ...names.flatMap((name) => ['--file', name])], { env: { ...process.env, SPEC_DIR: SPEC }, encoding: 'utf8' });
  const details = `${stdout.split('\n').filter((line) => !line.startsWith('ok')).join('\n')}${stderr}`;
  for (const file of readSpecFiles(join(SPEC, group), names)) {
    const failing = FAILING[`${group}/${file.name}`] ?? 0;
    const passing = file.commands.filter((command) => !isTextOnly(command)).length - failing;
    assert.ok(stdout.includes(`\n${failing ? 'FAIL' : 'ok  '} ${group}/${file.name}: ${passing} passed${failing ? `, ${failing} failed` : ''}\n`), `${file.name}: ${passing} should pass\n${details}`);
  }
}
