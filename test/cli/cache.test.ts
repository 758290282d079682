/** `wasm-aot run FILE.wasm`: compiles into the cache, once; damaged entries, other options, no cache, a cache that cannot be written. */
import { chmodSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { prune } from '../../compiler/cache.js';
import { readArtifact } from '../../loader/artifact.js';
import { native as runtime } from '../../loader/native.js';
import { CpuFeature, cpuLevelFeatures } from '../../runtime-c/abi.js';
import { list, makeFolder, type Outcome, put, putText, scratch, wasmAot } from './command.js';

const wasm = await putText('answer', '(module (func (export "answer") (result i32) (i32.const 42)))');
const cache = makeFolder('xdg');
const folder = join(cache, 'wasm-aot');
/** The artifacts kept; beside them lies what is remembered of the compiler. */
const entries = (): string[] => list(folder).filter((name) => name.endsWith('.so'));
const run = (...flags: string[]): Promise<Outcome> => wasmAot(['run', '-v', ...flags, '--invoke', 'answer', wasm], { env: { XDG_CACHE_HOME: cache } });

test('compiled once, then found', async () => {
  const first = await run();
  assert.is(first.stdout, '42\n');
  assert.match(first.stderr, /built /);
  assert.is(entries().length, 1);
  const second = await run();
  assert.is(second.stdout, '42\n');
  assert.match(second.stderr, /found /);
  assert.is(entries().length, 1);
});

test('other options are another entry', async () => {
  assert.match((await run('-O0')).stderr, /built /);
  assert.is(entries().length, 2);
  assert.match((await run('-O0')).stderr, /found /);
  assert.match((await run('--fuel', '5')).stderr, /found /);
});

test('several at once: all succeed, one entry', async () => {
  const outcomes = await Promise.all(['-O1', '-O1', '-O1', '-O1'].map((flag) => run(flag)));
  for (const { stdout, stderr } of outcomes) assert.is(stdout, '42\n', stderr);
  assert.equal(list(folder).filter((name) => name.endsWith('.tmp')), []);
  assert.is(entries().length, 3);
});

test('how it is compiled, and a damaged note of the compiler, change nothing', async () => {
  assert.match((await run('--jobs', '1', '--memory-budget', '100M')).stderr, /found /);
  const note = join(folder, 'compiler.json');
  const before = readFileSync(note, 'utf8');
  // Other times of the compiler's files: they are read again, and are the same. And a note that is cut short.
  for (const text of [before.replace(/("seen":")./, '$1x'), '{"seen":', '']) {
    writeFileSync(note, text);
    assert.match((await run()).stderr, /found /);
    assert.is(readFileSync(note, 'utf8'), before);
  }
});

test('WASM_AOT_CACHE_SIZE bounds it; what it cannot be is refused', async () => {
  const env = { XDG_CACHE_HOME: makeFolder('sized'), WASM_AOT_CACHE_SIZE: '1K' };
  for (const flag of ['-O0', '-O1']) assert.is((await wasmAot(['run', flag, '--invoke', 'answer', wasm], { env })).stdout, '42\n');
  assert.is(list(join(env.XDG_CACHE_HOME, 'wasm-aot')).filter((name) => name.endsWith('.so')).length, 1);
  const { status, stderr } = await wasmAot(['run', '--invoke', 'answer', wasm], { env: { ...env, WASM_AOT_CACHE_SIZE: 'much' } });
  assert.is(status, 64);
  assert.match(stderr, /WASM_AOT_CACHE_SIZE cannot be "much"/);
});

test('several at once, in a cache that has room for one', async () => {
  const env = { XDG_CACHE_HOME: makeFolder('narrow'), WASM_AOT_CACHE_SIZE: '1' };
  const outcomes = await Promise.all(['-O0', '-O1', '-O2', '-O3'].map((flag) => wasmAot(['run', flag, '--invoke', 'answer', wasm], { env })));
  for (const { stdout, stderr } of outcomes) assert.is(stdout, '42\n', stderr);
});

test('an artifact that this machine cannot run is built once, and stays', async () => {
  const env = { XDG_CACHE_HOME: makeFolder('other-cpu'), WASM_AOT_CPU: 'v2' };
  for (const came of [/built /g, /found /g]) {
    const { status, stderr } = await wasmAot(['run', '-v', '--cpu', 'v3', '--invoke', 'answer', wasm], { env });
    assert.is(status, 76, stderr);
    assert.match(stderr, /needs CPU features/);
    assert.is(stderr.match(/built |found /g)?.length, 1, stderr);
    assert.match(stderr, came);
  }
});

test('a damaged entry is made anew', async () => {
  const [name] = entries();
  for (const entry of entries()) {
    const path = join(folder, entry);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 1;
    rmSync(path);
    writeFileSync(path, bytes);
  }
  const again = await run();
  assert.is(again.stdout, '42\n', again.stderr);
  assert.match(again.stderr, /found [^\n]*\n[^\n]*built /);
  assert.ok(entries().includes(name));
});

test('--no-cache keeps nothing', async () => {
  rmSync(folder, { recursive: true });
  assert.is((await run('--no-cache')).stdout, '42\n');
  assert.not(readdirSync(cache).includes('wasm-aot'));
});

test('a cache that cannot be written is no obstacle', async () => {
  // A file where the folder should be, which stops root as well.
  writeFileSync(folder, 'in the way');
  const outcome = await run();
  assert.is(outcome.stdout, '42\n', outcome.stderr);
  rmSync(folder);
});

test('what runs is made for this machine, or for the level that the environment allows', async () => {
  rmSync(folder, { recursive: true, force: true });
  const made = async (args: readonly string[], level = '') => {
    const { status, stdout, stderr } = await wasmAot(['run', '-v', ...args, '--invoke', 'answer', wasm], { env: { WASM_AOT_CPU: level } });
    assert.is(status, 0, stderr);
    assert.is(stdout, '42\n');
    const [, verb, path] = /(found|built) (\S+)/.exec(stderr) as RegExpExecArray;
    return { verb, path, features: readArtifact(path).manifest.target.features };
  };
  const native = await made([]);
  assert.equal(native.features, Object.keys(CpuFeature).filter((_, bit) => runtime().cpuFeatures >> BigInt(bit) & 1n));
  const v2 = await made([], 'v2');
  assert.equal(v2, { verb: 'built', path: v2.path, features: cpuLevelFeatures('v2') });
  assert.is((await made(['--cpu', 'v2'])).path, v2.path);
  assert.is((await made([])).verb, 'found');
});

test('build flags make no sense for an artifact', async () => {
  await wasmAot(['build', wasm, '-o', 'answer.so']);
  for (const flag of ['-O3', '-g', '--cpu=v2', '--no-cache', '--fuel-mode=sync']) {
    const { status, stderr } = await wasmAot(['run', flag, '--invoke', 'answer', 'answer.so']);
    assert.is(status, 64);
    assert.match(stderr, /has no effect on an artifact/);
  }
});

test('the least recently used entries go when the cache is full', () => {
  const small = makeFolder('small');
  for (const [i, name] of ['a.so', 'b.so', 'c.so', 'd.so', 'half.tmp'].entries()) {
    const path = put(join('small', name), Buffer.alloc(100));
    chmodSync(path, 0o500);
    // The older, the later in the alphabet; all of them days ago.
    utimesSync(path, 1_000_000_000 - i * 86_400, 1_000_000_000 - i * 86_400);
  }
  prune(small, join(small, 'd.so'), 250);
  assert.equal(list(small), ['a.so', 'd.so']);
});

test('nothing is left in the temporary folder', async () => {
  const temporary = makeFolder('temporary');
  const { status } = await wasmAot(['run', '--no-cache', '--invoke', 'answer', wasm], { env: { TMPDIR: temporary } });
  assert.is(status, 0);
  assert.equal(list(temporary), []);
  await wasmAot(['build', put('wrong.wasm', 'wrong')], { env: { TMPDIR: temporary }, cwd: scratch });
  assert.equal(list(temporary), []);
});

test.run();
