/**
 * Threads under stress: eight workers with every outcome at once, and short-lived workers one after the other. A minute at most; WASM_AOT_STRESS=10 does ten times as much,
 * with over a thousand short-lived workers.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load, Trap } from '../../loader/index.js';
import { closeCompiler, compile } from '../loader/wat.js';
import type { Outcome, Work } from './stress-worker.js';

const SCALE = Number(process.env.WASM_AOT_STRESS ?? 1);
const WORKERS = 8;
const ROUNDS = 200 * SCALE;
const SHORT_LIVED = 120 * SCALE;
/** Exhaustion is seen within a tick; that long only on a machine that is very busy with others. A lost signal would take for ever. */
const SLOWEST_MS = 5000;

const path = await compile(`(module (import "" "host" (func $host (param i32) (result i32))) (memory (export "memory") 1 4)
  (func (export "sum") (param $n i32) (result i32) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func $recurse (export "recurse") (param i32) (result i32) (i32.add (i32.const 1) (call $recurse (local.get 0))))
  (func (export "callHost") (param i32) (result i32) (call $host (local.get 0)))
  (func (export "hostForever") (loop (drop (call $host (i32.const 1))) (br 0)))
  (func (export "forever") (loop (br 0))))`);

async function runWorker(work: Work): Promise<Outcome> {
  const worker = new Worker(new URL('./stress-worker.js', import.meta.url), { workerData: work });
  const message = once(worker, 'message') as Promise<[Outcome]>; // rejects at an error of the worker
  const [[outcome], [code]] = await Promise.all([message, once(worker, 'exit') as Promise<[number]>]);
  assert.is(code, 0);
  return outcome;
}

/** Mappings of the process: each thread that ran wasm has one of its own, and each memory. */
const mappings = () => readFileSync('/proc/self/maps', 'utf8').split('\n').length;

test(`${WORKERS} workers with every outcome at once, the main thread too`, async () => {
  const workers = Array.from({ length: WORKERS }, (_, i) => runWorker({ path, seed: 0x5eed + i, rounds: ROUNDS }));
  const { exports } = load(path).instantiate({ '': { host: (x: number) => x } });
  let running = true;
  const all = Promise.all(workers).finally(() => { running = false; });
  while (running) {
    assert.is(exports.sum(1000), 500500);
    assert.throws(() => exports.div(1, 0), (error: unknown) => error instanceof Trap);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const total: Record<string, number> = {};
  for (const { counts, slowestMs } of await all) {
    assert.ok(slowestMs < SLOWEST_MS, `exhaustion took ${slowestMs} ms`);
    for (const [name, count] of Object.entries(counts)) total[name] = (total[name] ?? 0) + count;
  }
  assert.is(Object.values(total).reduce((a, b) => a + b), WORKERS * ROUNDS);
  for (const [name, count] of Object.entries(total)) assert.ok(count > 0, name);
});

test('short-lived workers, four at a time, leave nothing behind', async () => {
  const batch = async (count: number, seed: number) => {
    let left = count;
    const lane = async () => { while (left-- > 0) await runWorker({ path, seed: seed + left, rounds: 6 }); };
    await Promise.all([lane(), lane(), lane(), lane()]);
  };
  await batch(SHORT_LIVED / 4, 1000); // V8 and the allocator take what they want
  const [before, mapped] = [process.memoryUsage().rss, mappings()];
  await batch(SHORT_LIVED, 2000);
  const grown = process.memoryUsage().rss - before;
  assert.ok(grown < 64 << 20, `resident memory grew by ${grown} bytes`);
  assert.ok(mappings() - mapped < 60, `mappings: ${mapped} before, ${mappings()} after`);
});

test('what belongs to one thread cannot reach another', async () => {
  const { exports, store } = load(path).instantiate({ '': { host: (x: number) => x } });
  const worker = new Worker("require('node:worker_threads').parentPort.on('message', (m) => require('node:worker_threads').parentPort.postMessage(Object.keys(m)))", { eval: true });
  // Functions cannot be cloned at all; a store arrives as an object without anything, which every part of the API refuses.
  assert.throws(() => worker.postMessage(exports.sum), /could not be cloned/);
  assert.throws(() => worker.postMessage(exports), /could not be cloned/);
  assert.throws(() => worker.postMessage(exports.memory), /could not be cloned|DataCloneError/);
  worker.postMessage(store);
  assert.equal(await once(worker, 'message'), [[]]);
  await worker.terminate();
  assert.throws(() => load(path).instantiate({ '': { host: () => 1 } }, { store: structuredClone(store) as never }), /must be a Store/);
});

test.after(closeCompiler);
test.run();
