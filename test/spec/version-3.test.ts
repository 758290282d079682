/**
 * What the scripts of wasm-3.0/core, bulk-memory, multi-memory and gc need beyond WebAssembly 2.0, found by switching each feature off, against the list in version-3.json; and
 * every command of wasm-3.0/core at -O0. `BLESS=1` writes the list anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FEATURES, type FeatureSet, resolveFeatures } from '../../compiler/wasm/features.js';
import { judge } from '../unit/module-bytes.js';
import { isTextOnly, readSpecFiles, type SpecFile } from './commands.js';
import { FAILING, GROUPS, LIST, type List, type Needs, readList, runScripts, SPEC, specTest } from './version-3.js';

const VERSION_3 = FEATURES.filter((row) => row.version === 3).map((row) => row.name);

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

specTest('the list says of every script what it needs', () => {
  const found: List = Object.fromEntries(GROUPS.map((group) => [group, Object.fromEntries(readSpecFiles(join(SPEC, group)).map((file) => [file.name, needsOf(file)]))]));
  if (process.env.BLESS) writeFileSync(LIST, `{\n${GROUPS.map((group) => `${JSON.stringify(group)}: {\n${Object.entries(found[group]).map(([name, needs]) => `  ${JSON.stringify(name)}: ${JSON.stringify(needs)}`).join(',\n')}\n}`).join(',\n')}\n}\n`);
  assert.equal(found, readList());
});

specTest('only scripts that need what is not supported have commands that fail', () => {
  const list = readList();
  assert.equal(Object.keys(FAILING), GROUPS.flatMap((group) => Object.keys(list[group]).filter((name) => list[group][name].unsupported.length > 0).map((name) => `${group}/${name}`)));
});

specTest('wasm-3.0/core at -O0', () => runScripts('wasm-3.0/core', '-O0', Object.keys(readList()['wasm-3.0/core'])));

test.run();
