/** Runs the numbered examples of the loader: each prints what its last comment says. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const folder = fileURLToPath(new URL('../../../examples/', import.meta.url));
const examples = readdirSync(folder).filter((name) => /^\d\d-.*\.mjs$/.test(name));

test('there are examples', () => {
  assert.ok(examples.length >= 5);
});

for (const name of examples) {
  test(name, () => {
    const path = join(folder, name);
    const wanted = /\/\* Prints:\n(.*)\*\/\n$/s.exec(readFileSync(path, 'utf8'))?.[1];
    assert.ok(wanted, 'it says what it prints');
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', path], { encoding: 'utf8', timeout: 120_000 });
    assert.is(stdout, wanted, stderr);
    assert.is(stderr, '');
    assert.is(status, 0);
  });
}

test.run();
