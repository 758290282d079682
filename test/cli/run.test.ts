/** `wasm-aot run` of WASI commands: what reaches the guest, what comes back, and the exit codes of README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compileGuest, makeFolder, type Outcome, scratch, wasmAot } from './command.js';

const wasm = compileGuest();
const so = join(scratch, 'guest.so');
const built = await wasmAot(['build', '-O1', wasm, '-o', so]);
const run = (...args: string[]): Promise<Outcome> => wasmAot(['run', ...args]);
const quiet = (outcome: Outcome): void => assert.is(outcome.stderr, '');

test('build says what it wrote', () => {
  assert.is(built.status, 0, built.stderr);
  assert.match(built.stdout, /^\S+guest\.so: [\d.]+ KiB from [\d.]+ KiB of wasm, \d+ functions, [\d.]+ m?s\n$/);
  quiet(built);
});

test('arguments after the file are the guest\'s, dashes and all', async () => {
  const outcome = await run(so, 'args', '--fuel', '-x', '', 'two words', '--');
  assert.is(outcome.stdout, `[${so}]\n[args]\n[--fuel]\n[-x]\n[]\n[two words]\n[--]\n`);
  assert.is(outcome.status, 0);
  quiet(outcome);
  assert.is((await run(so, '--', 'args', 'a')).stdout, `[${so}]\n[args]\n[a]\n`);
  assert.is((await run('--', so, 'args', 'a')).stdout, `[${so}]\n[args]\n[a]\n`);
});

test('the guest has only the environment that it is given', async () => {
  const outcome = await wasmAot(['run', '--env', 'A=1=2', '--env', 'PASSED', '--env', 'ABSENT', '--env', 'EMPTY=', so, 'env'], { env: { PASSED: 'on', SECRET: 'x' } });
  assert.equal(outcome.stdout.trim().split('\n').sort(), ['A=1=2', 'EMPTY=', 'PASSED=on']);
  assert.is((await run(so, 'env')).stdout, '');
  const bad = await run('--env', '=x', so, 'env');
  assert.is(bad.status, 64);
  assert.match(bad.stderr, /--env "=x" names no variable/);
});

test('standard streams carry bytes, both ways', async () => {
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 167 + (i >> 8)) & 255));
  const outcome = await wasmAot(['run', so, 'cat'], { stdin: bytes });
  assert.ok(outcome.bytes.equals(bytes));
  assert.is(outcome.status, 0);
  const both = await run(so, 'both');
  assert.is(both.stdout, 'to stdout\n');
  assert.is(both.stderr, 'to stderr\n');
});

test('folders: those given, under the names given, and nothing else', async () => {
  const folder = makeFolder('data');
  writeFileSync(join(folder, 'in.txt'), 'content\n');
  writeFileSync(join(scratch, 'outside.txt'), 'secret\n');
  assert.is((await run('--dir', 'data', so, 'read', 'data/in.txt')).stdout, 'content\n');
  assert.is((await run('--dir', `${folder}::/there`, so, 'read', '/there/in.txt')).stdout, 'content\n');
  assert.is((await run('--dir', '.::/', '--dir', 'data::/d', so, 'read', '/d/in.txt')).stdout, 'content\n');
  assert.is((await run('--dir', 'data::/d', so, 'write', '/d/out.txt', 'written')).status, 0);
  assert.is(readFileSync(join(folder, 'out.txt'), 'utf8'), 'written');
  for (const args of [[so, 'read', 'data/in.txt'], ['--dir', 'data', so, 'read', 'data/../outside.txt'], ['--dir', 'data', so, 'read', '../outside.txt']]) {
    const refused = await run(...args);
    assert.is(refused.status, 5);
    assert.is(refused.stdout, '');
  }
  const missing = await run('--dir', 'nowhere', so, 'args');
  assert.is(missing.status, 64);
  assert.match(missing.stderr, /"nowhere" is no folder/);
});

test('the exit code is the guest\'s', async () => {
  for (const code of [0, 1, 7, 99]) assert.is((await run(so, 'exit', String(code))).status, code);
  assert.is((await run(so, 'no such request')).status, 99);
});

test('a trap: 134, the name of the trap, and what was written before', async () => {
  const divide = await run(so, 'divide');
  assert.is(divide.status, 134);
  assert.is(divide.stdout, 'before\n');
  assert.is(divide.stderr, 'wasm-aot: error: trap: integer divide by zero (integer_divide_by_zero)\n');
  const abort = await run(so, 'abort');
  assert.is(abort.status, 134);
  assert.match(abort.stderr, /trap: unreachable/);
  assert.is((await run('--fuel', '1000000000', so, 'deep')).status, 134);
});

test('out of fuel: 152, consumed and limit, within moments, and the output up to there', async () => {
  const outcome = await run('--fuel', '100_000_000', so, 'loop');
  assert.is(outcome.status, 152);
  assert.is(outcome.stdout, 'looping\n');
  assert.is(outcome.stderr, 'wasm-aot: error: out of fuel: consumed 100,000,000, limit 100,000,000; run --fuel N sets the limit\n');
  assert.ok(outcome.milliseconds < 30_000);
});

test('fuel: from 0 to 2^63-1, whole numbers only', async () => {
  const none = await run('--fuel', '0', so, 'exit', '3');
  assert.is(none.status, 152);
  assert.match(none.stderr, /consumed 0, limit 0/);
  assert.is((await run('--fuel', '9223372036854775807', so, 'exit', '3')).status, 3);
  assert.is((await run('--fuel=1_000_000', so, 'exit', '3')).status, 3);
  for (const bad of ['9223372036854775808', '-1', 'NaN', '1.5', '1e6', 'Infinity', '', ' 1', '0x10', 'lots']) {
    const outcome = await run(`--fuel=${bad}`, so, 'exit', '3');
    assert.is(outcome.status, 64, `--fuel=${bad}`);
    assert.is(outcome.stdout, '');
    assert.match(outcome.stderr, /--fuel/);
  }
  assert.match((await run('--fuel', 'sync', so)).stderr, /--fuel-mode sync/);
});

test('the bill is exact: the same every time, one unit less is too little', async () => {
  const consumed = async (): Promise<number> => {
    const { stderr } = await run('-v', so, 'exit', '0');
    return Number(/note: ([\d,]+) fuel consumed/.exec(stderr)?.[1].replaceAll(',', ''));
  };
  const fuel = await consumed();
  assert.ok(fuel > 10);
  assert.is(await consumed(), fuel);
  // `exit` ends in a host function, which must be reached: so all of it has to be paid.
  assert.is((await run('--fuel', String(fuel), so, 'exit', '0')).status, 0);
  assert.is((await run('--fuel', String(fuel - 1), so, 'exit', '0')).status, 152);
});

test.run();
