/** Interruption without fuel: timeouts, AbortSignals, requests from the same thread and others, and the end of threads and processes. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { isMainThread, Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Interrupted, type InterruptReason, interrupt, load, OutOfFuel, Store } from '../../loader/index.js';
import { closeCompiler, compile } from '../loader/wat.js';

assert.ok(isMainThread);
const path = await compile(`(module (import "" "host" (func $host (result i32))) (memory (export "memory") 16)
  (func (export "forever") (loop (br 0)))
  (func (export "host_forever") (loop (drop (call $host)) (br 0)))
  (func (export "fill_forever") (loop (memory.fill (i32.const 0) (i32.const 0) (i32.const 1048576)) (br 0)))
  (func (export "host") (result i32) (call $host))
  (func (export "one") (result i32) (i32.const 1)))`);
/** Bulk operators that leave compiled code next to no time of its own, each in an endless loop; 128 MiB and 8 million elements are in a piece. */
const bulk = await compile(`(module (import "" "host" (func $host (result i32))) (memory 2049 2049) (table $t 9000000 externref) (data $d "${'x'.repeat(60_000)}") (elem $e externref ${'(ref.null extern) '.repeat(2000)})
  (func (export "fill") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 134217728)) (br 0)))
  (func (export "copy") (loop (memory.copy (i32.const 5) (i32.const 0) (i32.const 134217728)) (br 0)))
  (func (export "small_fill") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0)))
  (func (export "init") (loop (memory.init $d (i32.const 0) (i32.const 0) (i32.const 60000)) (br 0)))
  (func (export "grow") (loop (drop (memory.grow (i32.const 1))) (br 0)))
  (func (export "table_fill") (loop (table.fill $t (i32.const 0) (ref.null extern) (i32.const 8000000)) (br 0)))
  (func (export "table_copy") (loop (table.copy $t $t (i32.const 5) (i32.const 0) (i32.const 8000000)) (br 0)))
  (func (export "table_init") (loop (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2000)) (br 0))))`);
const BULK = ['fill', 'copy', 'small_fill', 'init', 'grow', 'table_fill', 'table_copy', 'table_init'];
const started = await compile('(module (func $s (loop (br 0))) (start $s))');

const module = load(path);
const make = (host: () => unknown = () => 0) => module.instantiate({ '': { host } });

/** What an interrupted call throws; its reason is checked. */
function interrupted(reason: InterruptReason, call: () => unknown): Interrupted {
  try {
    call();
  } catch (error) {
    assert.instance(error, Interrupted, (error as Error).stack);
    assert.is((error as Interrupted).reason, reason);
    assert.instance(error, WebAssembly.RuntimeError);
    return error as Interrupted;
  }
  throw new Error('not interrupted');
}

/** Milliseconds that a call takes. */
function time(call: () => unknown): number {
  const begin = performance.now();
  call();
  return performance.now() - begin;
}

test('a timeout ends wasm that never returns, in compiled code, builtins and host functions', () => {
  const instance = make();
  for (const name of ['forever', 'host_forever', 'fill_forever']) {
    const took = time(() => interrupted('timeout', () => instance.within({ timeoutMs: 30 }, () => instance.exports[name]())));
    assert.ok(took >= 30 && took < 2000, `${name}: ${took} ms`);
    assert.is(instance.exports.one(), 1, 'and not what comes after');
  }
  interrupted('timeout', () => instance.within({ timeoutMs: 0 }, () => instance.exports.one()));
  assert.is(instance.within({ timeoutMs: 60_000 }, () => instance.exports.one()), 1);
  assert.is(instance.within({ timeoutMs: Number.POSITIVE_INFINITY }, () => instance.exports.one()), 1);
  assert.is(instance.within({}, () => 'result'), 'result');
});

test('the earliest of nested timeouts holds, and an outer one again after an inner one', () => {
  const { exports, store } = make();
  store.within({ timeoutMs: 60_000 }, () => {
    interrupted('timeout', () => store.within({ timeoutMs: 10 }, () => exports.forever()));
    assert.is(exports.one(), 1);
  });
  const took = time(() => interrupted('timeout', () => store.within({ timeoutMs: 20 }, () => store.within({ timeoutMs: 60_000 }, () => exports.forever()))));
  assert.ok(took < 2000, `${took} ms`);
  interrupted('timeout', () => store.within({ timeoutMs: 40 }, () => {
    interrupted('timeout', () => store.within({ timeoutMs: 10 }, () => exports.forever()));
    exports.forever();
  }));
});

test('a host function that takes too long returns first, then wasm ends', () => {
  let returned = 0;
  const { exports, store } = make(() => { for (const end = performance.now() + 30; performance.now() < end;); return ++returned; });
  interrupted('timeout', () => store.within({ timeoutMs: 10 }, () => exports.host_forever()));
  assert.is(returned, 1);
});

test('nested activations: each store has its own limits, and an outer one ends when control comes back', () => {
  const inner = make();
  const outer = make(() => { interrupted('timeout', () => inner.within({ timeoutMs: 10 }, () => inner.exports.forever())); return 5; });
  assert.is(outer.exports.host(), 5);
  // One store twice: JavaScript between the two sees the error, and wasm doesn't go on even if it is caught.
  let seen: unknown;
  const twice = make(() => { try { twice.exports.forever(); } catch (error) { seen = error; } return 1; });
  interrupted('timeout', () => twice.within({ timeoutMs: 10 }, () => twice.exports.host_forever()));
  assert.instance(seen, Interrupted);
});

test('an AbortSignal, aborted before or by a host function', () => {
  const controller = new AbortController();
  const { exports, store } = make(() => { controller.abort(new RangeError('enough')); return 1; });
  const error = interrupted('signal', () => store.within({ signal: controller.signal }, () => exports.host_forever()));
  assert.is((error.cause as Error).message, 'enough');
  assert.is(exports.one(), 1);
  interrupted('signal', () => store.within({ signal: AbortSignal.abort() }, () => exports.one()));
  const live = new AbortController();
  store.within({ signal: live.signal }, () => {
    interrupted('signal', () => store.within({ signal: controller.signal }, () => exports.one()));
    assert.is(exports.one(), 1);
  });
  live.abort();
  assert.is(exports.one(), 1, 'a signal that aborts afterwards is nobody\'s');
  interrupted('signal', () => store.within({ signal: controller.signal }, () => store.within({ signal: new AbortController().signal }, () => exports.one())));
});

test('store.interrupt() by a host function, until it is cleared', () => {
  const { exports, store } = make(() => { store.interrupt(); return 1; });
  assert.not.ok('cause' in interrupted('request', () => exports.host_forever()));
  interrupted('request', () => exports.one());
  interrupted('request', () => store.within({ timeoutMs: 1000 }, () => exports.one()));
  store.clearInterrupt();
  assert.is(exports.one(), 1);
});

test('another thread interrupts by the handle', async () => {
  const url = new URL('../../loader/index.js', import.meta.url).href;
  const worker = new Worker(`const { parentPort } = require('node:worker_threads'); import(${JSON.stringify(url)}).then(({ interrupt }) => {
    parentPort.on('message', (handle) => { setTimeout(() => parentPort.postMessage(interrupt(handle)), 20); }); parentPort.postMessage('ready'); });`, { eval: true });
  await once(worker, 'message');
  const { exports, store } = make();
  worker.postMessage(store.interruptHandle);
  interrupted('request', () => exports.forever());
  assert.equal(await once(worker, 'message'), [true]);
  store.clearInterrupt();
  assert.is(exports.one(), 1);
  await worker.terminate();
  assert.is(interrupt(0n), false);
  assert.is(interrupt(2n ** 64n), false);
  assert.is(interrupt(-1n), false);
  assert.throws(() => interrupt(1 as never), TypeError);
});

test('fuel comes first, and the limits of instantiation', () => {
  const { exports, fuel, store } = make();
  fuel.set(1000n);
  assert.throws(() => store.within({ timeoutMs: 60_000 }, () => exports.forever()), (error: unknown) => error instanceof OutOfFuel && error.overshoot > 0n && error.overshoot === fuel.overshoot);
  interrupted('timeout', () => load(started).instantiate({}, { timeoutMs: 20 }));
  interrupted('signal', () => load(started).instantiate({}, { signal: AbortSignal.abort() }));
  const shared = new Store();
  interrupted('timeout', () => load(started).instantiate({}, { store: shared, timeoutMs: 5 }));
  assert.is(module.instantiate({ '': { host: () => 1 } }, { store: shared }).exports.one(), 1);
});

test('bad limits are refused', () => {
  const { store } = make();
  const bad = (limits: unknown) => () => store.within(limits as never, () => assert.unreachable());
  for (const limits of [null, 5, { timeout: 5 }, { timeoutMs: '5' }, { timeoutMs: null }, { signal: {} }, { signal: null }]) assert.throws(bad(limits), TypeError);
  for (const timeoutMs of [-1, Number.NaN]) assert.throws(bad({ timeoutMs }), RangeError);
  assert.throws(() => store.within({ timeoutMs: 5 }, async () => 1), /synchronous/);
  assert.throws(() => module.instantiate({ '': { host: () => 1 } }, { timeoutMs: -1 }), RangeError);
});

/** Runs a script in a process of its own whose main thread has not loaded wasm-aot; `worker` starts a worker that calls an export, and is said to be in wasm. */
function inProcess(name: string, script: string, artifact = path) {
  const url = new URL('../../loader/index.js', import.meta.url).href;
  const source = `import(${JSON.stringify(url)}).then(({ load }) => { const i = load(${JSON.stringify(artifact)}).instantiate({ '': { host: () => 1 } });
    require('node:worker_threads').parentPort.postMessage('in'); i.exports.${name}(); })`;
  const text = `const { Worker } = require('node:worker_threads'); const { once } = require('node:events');
    (async () => { const worker = new Worker(${JSON.stringify(source)}, { eval: true }); await once(worker, 'message'); await new Promise((r) => setTimeout(r, 50)); const begin = performance.now();
      ${script} })();`;
  return spawnSync(process.execPath, ['-e', text], { encoding: 'utf8', timeout: 20_000 });
}

for (const name of ['forever', 'host_forever']) {
  test(`plain worker.terminate() ends a worker in wasm, in a process that uses wasm-aot nowhere else: ${name}`, () => {
    const { status, stdout, stderr } = inProcess(name, 'console.log(await worker.terminate(), performance.now() - begin < 1000); process.exitCode = 3;');
    assert.is(stdout, '1 true\n', stderr);
    assert.is(status, 3);
  });
  test(`process.exit() of such a process: ${name}`, () => {
    const { status, stderr } = inProcess(name, 'process.exit(7);');
    assert.is(status, 7, stderr);
  });
}

for (const name of BULK) {
  test(`bulk operators do not keep a worker from being terminated: ${name}`, () => {
    const { stdout, stderr } = inProcess(name, 'console.log(await worker.terminate(), performance.now() - begin < 3000);', bulk);
    assert.is(stdout, '1 true\n', stderr);
  });
}

test('Ctrl-C ends a process whose main thread is in wasm', () => {
  const url = new URL('../../loader/index.js', import.meta.url).href;
  const text = `import(${JSON.stringify(url)}).then(({ load }) => { setTimeout(() => {}, 0); require('node:child_process').spawn('sh', ['-c', 'sleep 0.2; kill -INT ' + process.pid]);
    load(${JSON.stringify(path)}).instantiate({ '': { host: () => 1 } }).exports.forever(); })`;
  const { signal } = spawnSync(process.execPath, ['-e', text], { encoding: 'utf8', timeout: 20_000 });
  assert.is(signal, 'SIGINT');
});

test.after(closeCompiler);
test.run();
