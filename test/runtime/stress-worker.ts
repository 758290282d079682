/** A thread of stress.test.ts: runs calls of every outcome, in a random order of its own, and checks each. Posts how many of each it ran, and the longest time that exhaustion took. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { type Instance, Interrupted, load, type Module, OutOfFuel, Trap } from '../../loader/index.js';

/** What a worker is given. */
export interface Work { readonly path: string; readonly seed: number; readonly rounds: number }
/** What it posts at its end. */
export interface Outcome { readonly counts: Record<string, number>; readonly slowestMs: number }

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as (options?: { type: 'minor' }) => void;
const { path, seed, rounds } = workerData as Work;

let state = seed >>> 0 || 1;
/** An integer below n (xorshift). */
function random(n: number): number {
  state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
  return (state >>> 0) % n;
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new Error(`seed ${seed}: ${what}`);
}

/** What a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

class HostError extends Error {}

/** An instance whose host function does what `task.next` says. */
interface Task { instance: Instance; next: () => number }
function makeTask(module: Module): Task {
  const task = { next: () => 0 } as Task;
  task.instance = module.instantiate({ '': { host: (x: number) => task.next() + x } }, { fuel: 10_000_000n });
  return task;
}

let slowestMs = 0;
function exhaust(task: Task, name: string): void {
  task.instance.fuel.set(BigInt(1000 + random(100_000)));
  const begin = performance.now();
  const error = thrown(() => task.instance.exports[name]());
  slowestMs = Math.max(slowestMs, performance.now() - begin);
  check(error instanceof OutOfFuel && error.consumed === error.limit, `out of fuel: ${error}`);
}

const OUTCOMES: Record<string, (task: Task) => void> = {
  ok(task) {
    const n = 1 + random(2000);
    check(task.instance.exports.sum(n) === (n * (n + 1)) / 2, 'sum');
    check(task.instance.fuel.consumed > 0n, 'consumed');
  },
  trap(task) {
    const error = thrown(() => task.instance.exports.div(1, 0));
    check(error instanceof Trap && error.code === 'integer_divide_by_zero', `div: ${error}`);
  },
  bounds(task) {
    const error = thrown(() => task.instance.exports.load(65536 + random(2 ** 31)));
    check(error instanceof Trap && error.code === 'out_of_bounds_memory_access', `load: ${error}`);
  },
  overflow(task) {
    const error = thrown(() => task.instance.exports.recurse(0));
    check(error instanceof Trap && error.code === 'call_stack_exhausted', `recurse: ${error}`);
  },
  outOfFuel: (task) => exhaust(task, 'forever'),
  outOfFuelAtHost(task) {
    task.next = () => 1;
    exhaust(task, 'hostForever');
  },
  hostError(task) {
    const mine = new HostError('mine');
    task.next = () => { throw mine; };
    check(thrown(() => task.instance.exports.callHost(1)) === mine, 'host error');
  },
  timeout(task) {
    task.instance.fuel.set(2n ** 62n);
    const error = thrown(() => task.instance.within({ timeoutMs: 1 }, () => task.instance.exports.forever()));
    check(error instanceof Interrupted && error.reason === 'timeout', `timeout: ${error}`);
  },
  nested(task) {
    // wasm -> JS -> wasm, three times over, with garbage collections in between and any outcome at the bottom.
    const depth = 1 + random(3);
    let left = depth;
    const bottom = random(3);
    task.next = () => {
      collectGarbage(random(4) === 0 ? undefined : { type: 'minor' });
      if (--left > 0) return task.instance.exports.callHost(1);
      if (bottom === 0) return task.instance.exports.sum(10);
      if (bottom === 1) return task.instance.exports.div(1, 0);
      task.instance.fuel.set(1000n);
      return task.instance.exports.forever();
    };
    if (bottom === 0) check(task.instance.exports.callHost(1) === 55 + depth, 'nested ok');
    else check(thrown(() => task.instance.exports.callHost(1)) instanceof (bottom === 1 ? Trap : OutOfFuel), 'nested failure');
  },
  newInstance(task) {
    task.instance.exports.grow(1);
    check(task.instance.exports.memory.buffer.byteLength === 2 * 65536, 'grown');
  },
};

const module = load(path);
const tasks = Array.from({ length: 3 }, () => makeTask(module));
const names = Object.keys(OUTCOMES);
const counts = Object.fromEntries(names.map((name) => [name, 0]));
for (let i = 0; i < rounds; i++) {
  const name = names[random(names.length)];
  const slot = random(tasks.length);
  if (name === 'newInstance') tasks[slot] = makeTask(load(path));
  tasks[slot].instance.fuel.set(10_000_000n);
  OUTCOMES[name](tasks[slot]);
  counts[name]++;
}
parentPort?.postMessage({ counts, slowestMs } satisfies Outcome);
