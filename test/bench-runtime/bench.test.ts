/** That `npm run bench:runtime` runs; its figures say nothing on a busy machine. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

test('the light version prints a figure for each kind of call', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(new URL('run.js', import.meta.url)), '--light'], { encoding: 'utf8', timeout: 120_000 });
  assert.is(status, 0, stderr);
  assert.is(stdout.match(/^ {2}(an empty Node-API call|JS -> wasm|wasm -> JS).* \d+\.\d ns/gm)?.length, 4, stdout);
});

test.run();
