/** The code generator's queue: slots, the memory budget, order. And that none of them changes what is built. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { Schedule } from '../../compiler/schedule.js';
import { assemble } from '../loader/wat.js';

/** Runs jobs of these sizes. Returns the most that ran, and were expected to take, at a time, and the order of their starts. */
async function runJobs(schedule: Schedule, sizes: readonly number[]): Promise<{ most: number; bytes: number; order: number[] }> {
  let [running, taken, most, bytes] = [0, 0, 0, 0];
  const order: number[] = [];
  await Promise.all(sizes.map((size, i) => schedule.run(size, async () => {
    order.push(i);
    running++;
    taken += size;
    most = Math.max(most, running);
    bytes = Math.max(bytes, taken);
    await new Promise((resolve) => { setTimeout(resolve, 1 + (i % 3)); });
    running--;
    taken -= size;
  })));
  return { most, bytes, order };
}

test('no more jobs than slots, in order', async () => {
  const { most, order } = await runJobs(new Schedule(3, Number.MAX_SAFE_INTEGER), Array.from({ length: 20 }, () => 1));
  assert.is(most, 3);
  assert.equal(order, Array.from({ length: 20 }, (_, i) => i));
});

test('no more bytes than the budget', async () => {
  const { most, bytes } = await runJobs(new Schedule(8, 100), [40, 40, 40, 10, 90, 5, 5]);
  assert.ok(bytes <= 100, `${bytes}`);
  assert.ok(most > 1);
});

test('a job beyond the budget runs alone', async () => {
  const { most, order } = await runJobs(new Schedule(8, 10), [50, 60, 70]);
  assert.is(most, 1);
  assert.is(order.length, 3);
});

test('a job that fails gives its slot back', async () => {
  const schedule = new Schedule(1, 10);
  const failed = await schedule.run(5, async () => { throw new Error('no'); }).then(() => '', (error: Error) => error.message);
  assert.is(failed, 'no');
  assert.is(await schedule.run(5, async () => 7), 7);
});

test('the bytes do not depend on jobs or profiling', async () => {
  // Some functions of 30 KiB each: several partitions.
  const functions = Array.from({ length: 6 }, (_, i) => `(func (export "f${i}") (param i32) (result i32) local.get 0 ${`i32.const ${i + 70000} i32.xor local.get 0 i32.mul `.repeat(2500)})`).join('\n');
  const bytes = await assemble(`(module ${functions})`);
  const [a, b, c] = [await build(bytes, { optLevel: 1 }), await build(bytes, { optLevel: 1, jobs: 1 }), await build(bytes, { optLevel: 1, profile: true })];
  assert.ok(a.stats.partitions > 1);
  assert.ok(Buffer.from(a.artifact).equals(b.artifact));
  assert.ok(Buffer.from(a.artifact).equals(c.artifact));
  assert.is(c.stats.profile?.partitions.length, c.stats.partitions + 1);
  assert.ok((c.stats.profile?.functions.length ?? 0) > 0);
});

test.run();
