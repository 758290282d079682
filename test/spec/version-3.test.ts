/**
 * What the scripts of wasm-3.0/core, bulk-memory and multi-memory need beyond WebAssembly 2.0, found by switching each feature off, against the list in version-3.json; and
 * every command of them at -O0, and at -O2 those for tail calls and typed references. `BLESS=1` writes the list anew.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FEATURES, type FeatureSet, resolveFeatures } from '../../compiler/wasm/features.js';
import { judge } from '../unit/module-bytes.js';
import { isTextOnly, readSpecFiles, type SpecFile } from './commands.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SPEC = process.env.SPEC_DIR ?? join(ROOT, '../shared/spec');
const LIST = join(ROOT, 'test/spec/version-3.json');
const GROUPS = ['wasm-3.0/core', 'wasm-3.0/bulk-memory', 'wasm-3.0/multi-memory'];
const VERSION_3 = FEATURES.filter((row) => row.version === 3).map((row) => row.name);

const specTest = existsSync(join(SPEC, GROUPS[0])) ? test : test.skip;
if (specTest !== test) console.log(`no official tests in ${SPEC} (set SPEC_DIR): skipping what needs them`);

/** Names of features of 3.0; proposals that are not supported, by their titles. */
interface Needs { readonly features: readonly string[]; readonly unsupported: readonly string[] }
type List = Record<string, Record<string, Needs>>;

const verdict = (bytes: Uint8Array, features: FeatureSet): string => judge(bytes, { features })[0]?.kind ?? 'valid';

/** Titles of the proposals that messages name as not supported. */
function unsupported(bytes: Uint8Array): string[] {
  return judge(bytes).flatMap(({ message }) => /([a-z0-9 -]+) (?:is|are) not supported/.exec(message)?.[1] ?? []);
}

function needsOf(file: SpecFile): Needs {
  const modules = file.commands.filter((command) => command.filename !== undefined && !isTextOnly(command)).map((command) => readFileSync(join(file.folder, command.filename as string)));
  const all = resolveFeatures();
  return {
    features: VERSION_3.filter((name) => {
      const without = resolveFeatures({ disable: [name] });
      return modules.some((bytes) => verdict(bytes, without) !== verdict(bytes, all));
    }),
    unsupported: [...new Set(modules.flatMap(unsupported))].sort(),
  };
}

const readList = (): List => JSON.parse(readFileSync(LIST, 'utf8')) as List;
const supported = (list: List, group: string, wants: (needs: Needs) => boolean = () => true): string[] =>
  Object.entries(list[group]).filter(([, needs]) => needs.unsupported.length === 0 && wants(needs)).map(([name]) => name);

specTest('the list says of every script what it needs', () => {
  const found: List = Object.fromEntries(GROUPS.map((group) => [group, Object.fromEntries(readSpecFiles(join(SPEC, group)).map((file) => [file.name, needsOf(file)]))]));
  if (process.env.BLESS) writeFileSync(LIST, `{\n${GROUPS.map((group) => `${JSON.stringify(group)}: {\n${Object.entries(found[group]).map(([name, needs]) => `  ${JSON.stringify(name)}: ${JSON.stringify(needs)}`).join(',\n')}\n}`).join(',\n')}\n}\n`);
  assert.equal(found, readList());
});

/** Commands that fail in scripts of which a module needs what is not supported: those with that module, and with what it would have defined. */
const FAILING: Readonly<Record<string, number>> = {
  'wasm-3.0/core/exports': 1, 'wasm-3.0/core/imports': 59, 'wasm-3.0/core/instance': 21, 'wasm-3.0/core/ref_null': 34, 'wasm-3.0/core/type-rec': 21, 'wasm-3.0/bulk-memory/table_init': 2,
};

/** Runs scripts of a group; of each every command that needs no text format must pass, but for those. */
function runScripts(group: string, level: string, names: readonly string[]): void {
  const runner = fileURLToPath(new URL('./run.js', import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, [runner, group, level, ...names.flatMap((name) => ['--file', name])], { env: { ...process.env, SPEC_DIR: SPEC }, encoding: 'utf8' });
  const details = `${stdout.split('\n').filter((line) => !line.startsWith('ok')).join('\n')}${stderr}`;
  for (const file of readSpecFiles(join(SPEC, group), names)) {
    const failing = FAILING[`${group}/${file.name}`] ?? 0;
    const passing = file.commands.filter((command) => !isTextOnly(command)).length - failing;
    assert.ok(stdout.includes(`\n${failing ? 'FAIL' : 'ok  '} ${group}/${file.name}: ${passing} passed${failing ? `, ${failing} failed` : ''}\n`), `${file.name}: ${passing} should pass\n${details}`);
  }
}

specTest('only scripts that need what is not supported have commands that fail', () => {
  const list = readList();
  assert.equal(Object.keys(FAILING), GROUPS.flatMap((group) => Object.keys(list[group]).filter((name) => list[group][name].unsupported.length > 0).map((name) => `${group}/${name}`)));
});

for (const group of GROUPS) specTest(`${group} at -O0`, () => runScripts(group, '-O0', Object.keys(readList()[group])));

specTest('tail calls and typed references at -O2', () => {
  runScripts('wasm-3.0/core', '-O2', supported(readList(), 'wasm-3.0/core', ({ features }) => features.includes('tail-call') || features.includes('function-references')));
});

test.run();
