/** Workers: each loads and runs artifacts of its own, at the same time as others; ending in order, in the middle of things, and by termination. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load, terminate } from '../../loader/index.js';
import { closeCompiler, compile } from './wat.js';

const path = await compile(`(module (import "" "host" (func $host (result i32)))
  (memory (export "memory") 1) (table (export "t") 2 funcref) (global (export "g") (mut externref) (ref.null extern))
  (func (export "sum") (param $n i32) (result i32) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))
  (func (export "host") (result i32) call $host)
  (func (export "forever") (loop (br 0))))`);

/** Runs a body in a worker: it sees load, path, library, parentPort. */
function run(body: string): Worker {
  const url = (name: string): string => new URL(`../../loader/${name}`, import.meta.url).href;
  const source = `const { parentPort, threadId } = require('node:worker_threads');
    (async () => { const { load, OutOfFuel, Trap } = await import(${JSON.stringify(url('index.js'))}); const { openLibrary } = await import(${JSON.stringify(url('library.js'))});
    const path = ${JSON.stringify(path)}; ${body} })().catch((error) => { throw error; });`;
  return new Worker(source, { eval: true });
}

/** The message and the exit code of a worker. */
async function outcome(worker: Worker): Promise<{ message: unknown; code: number }> {
  let message: unknown;
  worker.on('message', (m) => { message = m; });
  const [code] = (await Promise.race([once(worker, 'exit'), once(worker, 'error').then(([error]) => Promise.reject(error))])) as [number];
  return { message, code };
}

test('six workers and the main thread run at once, metered', async () => {
  const body = `const i = load(path).instantiate({ '': { host: () => threadId } }, { fuel: 50_000_000n });
    let out = 0; for (let k = 0; k < 20; k++) { i.fuel.set(100_000n); try { i.exports.forever(); } catch (e) { if (e instanceof OutOfFuel) out++; else throw e; } }
    i.fuel.set(50_000_000n);
    parentPort.postMessage([i.exports.sum(1000), i.exports.host() === threadId, out, openLibrary().via, String(i.fuel.consumed)]);`;
  const workers = Array.from({ length: 6 }, () => outcome(run(body)));
  const { exports, fuel } = load(path).instantiate({ '': { host: () => 1 } }, { fuel: 100_000n });
  assert.throws(() => exports.forever(), /out of fuel/);
  fuel.set(50_000_000n);
  assert.is(exports.sum(1000), 500500);
  exports.host();
  for (const { message, code } of await Promise.all(workers)) {
    assert.equal(message, [500500, true, 20, 'ffi-napi', String(fuel.consumed)]);
    assert.is(code, 0);
  }
});

test('a worker that ends with everything alive, and with links between stores, frees all', async () => {
  const body = `const keep = globalThis.keep = []; const module = load(path);
    for (let k = 0; k < 50; k++) { const i = module.instantiate({ '': { host: () => k } }); i.exports.g.value = i; i.exports.t.set(0, (keep.at(-1) ?? i).exports.sum); keep.push(i); }
    parentPort.postMessage(keep.length);`;
  for (let round = 0; round < 3; round++) assert.equal(await outcome(run(body)), { message: 50, code: 0 });
});

test('process.exit in a host function of a worker', async () => {
  const { code } = await outcome(run(`load(path).instantiate({ '': { host: () => process.exit(7) } }).exports.host(); parentPort.postMessage('not reached');`));
  assert.is(code, 7);
});

test('a worker is terminated while JavaScript runs inside wasm', async () => {
  const worker = run(`load(path).instantiate({ '': { host: () => { parentPort.postMessage('in'); for (;;); } } }).exports.host();`);
  await once(worker, 'message');
  assert.is(await worker.terminate(), 1);
  assert.is(load(path).instantiate({ '': { host: () => 3 } }).exports.host(), 3);
});

test('terminate ends a worker whose wasm never returns', async () => {
  const worker = run(`const i = load(path).instantiate({ '': { host: () => 1 } }); parentPort.postMessage('in'); i.exports.forever();`);
  await once(worker, 'message');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.is(await terminate(worker), 1);
  assert.is(await terminate(worker), undefined as never, 'again, on a worker that is gone');
});

test('the process can exit while wasm runs for ever in a worker', () => {
  const url = new URL('../../loader/index.js', import.meta.url).href;
  const script = `const { Worker } = await import('node:worker_threads'); const { load } = await import(${JSON.stringify(url)}); load(${JSON.stringify(path)});
    const w = new Worker(\`import(${JSON.stringify(url)}).then(async ({ load }) => { const i = load(${JSON.stringify(path)}).instantiate({ '': { host: () => 1 } });
      (await import('node:worker_threads')).parentPort.postMessage('in'); i.exports.forever(); })\`, { eval: true });
    w.once('message', () => setTimeout(() => process.exit(5), 50));`;
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8', timeout: 20_000 });
  assert.is(ran.status, 5, ran.stderr);
});

test('an error that nobody catches in a worker surfaces as itself', async () => {
  const worker = run(`load(path).instantiate({ '': { host: () => { throw new RangeError('from the host'); } } }).exports.host();`);
  const [error] = (await once(worker, 'error')) as [Error];
  assert.ok(error instanceof RangeError && error.message === 'from the host');
});

test.after(closeCompiler);
test.run();
