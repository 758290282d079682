/** Host functions: exceptions keep their identity, wasm and JavaScript nest, and a failed call leaves everything else healthy. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OutOfFuel, Trap } from '../../loader/index.js';
import { closeCompiler, loadText } from './wat.js';

const module = await loadText(`(module (import "" "host" (func $host (param i32) (result i32)))
  (func (export "call") (param i32) (result i32) (call $host (local.get 0)))
  (func (export "callThenAdd") (param i32) (result i32) (i32.add (call $host (local.get 0)) (i32.const 1)))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $recurse (export "recurse") (param i32) (result i32) (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "forever") (loop (br 0))))`);
type Host = (n: number) => unknown;
const instantiate = (host: Host, fuel?: bigint) => module.instantiate({ '': { host } }, fuel === undefined ? {} : { fuel });
const thrownBy = (fn: () => unknown): unknown => {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
};

test('what a host function throws arrives unchanged, primitives too', () => {
  let value: unknown;
  const { exports } = instantiate(() => { throw value; });
  for (value of [new Error('e'), 'text', 5, 0, undefined, null, NaN, 5n, Symbol.iterator, {}, () => 1, new Proxy({}, {})]) assert.ok(Object.is(thrownBy(() => exports.call(1)), value));
  value = new Error('with a stack');
  assert.match((thrownBy(() => exports.call(1)) as Error).stack as string, /with a stack/);
  value = new Trap('unreachable', 'mine');
  assert.is(thrownBy(() => exports.call(1)), value);
});

test('a host function may catch what nested wasm throws, and go on', () => {
  const outer = instantiate((n) => {
    const error = thrownBy(() => outer.exports.div(n, 0));
    assert.ok(error instanceof Trap && error.code === 'integer_divide_by_zero' && error.message === 'integer divide by zero');
    return 5;
  });
  assert.is(outer.exports.call(1), 5);
});

test('wasm and JavaScript nest, and an exception crosses all levels', () => {
  const token = {};
  let bottom: () => unknown = () => 0;
  const { exports } = instantiate((n) => (n === 0 ? bottom() : exports.call(n - 1) + 1));
  assert.is(exports.call(200), 200);
  bottom = () => { throw token; };
  assert.is(thrownBy(() => exports.call(200)), token);
  bottom = () => exports.div(1, 0);
  assert.instance(thrownBy(() => exports.call(200)), Trap);
  assert.is(exports.div(6, 2), 3);
});

test('the stack of a trap begins at the call', () => {
  const { exports } = instantiate(() => 0);
  const named = (): unknown => exports.div(1, 0);
  assert.match((thrownBy(named) as Error).stack as string, /^Trap: integer divide by zero\n( {4}at .*wasm-function\[.*\n)+ {4}at .*named /);
});

test('recursion without end, in wasm and through JavaScript', () => {
  const { exports } = instantiate((n) => exports.call(n));
  assert.is((thrownBy(() => exports.recurse(0)) as Trap).code, 'call_stack_exhausted');
  const error = thrownBy(() => exports.call(0));
  assert.ok(error instanceof RangeError || (error instanceof Trap && error.code === 'call_stack_exhausted'));
  assert.is(exports.div(6, 2), 3);
});

test('nested calls share the budget, and each store has its own', () => {
  const inner = instantiate(() => 0, 1000n);
  const outer = instantiate(() => { inner.exports.forever(); }, 1_000_000n);
  const error = thrownBy(() => outer.exports.call(1));
  assert.ok(error instanceof OutOfFuel && error.limit === 1000n);
  assert.is(outer.exports.div(6, 2), 3);
  const same = instantiate(() => {
    thrownBy(() => same.exports.forever());
    return 1;
  }, 1000n);
  assert.ok(thrownBy(() => same.exports.callThenAdd(1)) instanceof OutOfFuel, 'caught inside, but nothing is left for the rest');
});

test('10,000 traps, exceptions and exhaustions leave everything healthy and memory flat', () => {
  const healthy = instantiate((n) => n + 1);
  const failing = instantiate(() => { throw healthy; }, 1000n);
  const round = (): void => {
    assert.ok(thrownBy(() => failing.exports.div(1, 0)) instanceof Trap);
    assert.is(thrownBy(() => failing.exports.call(1)), healthy);
    failing.fuel.set(1n);
    assert.ok(thrownBy(() => failing.exports.call(1)) instanceof OutOfFuel);
    failing.fuel.set(1000n);
    assert.is(healthy.exports.call(41), 42);
  };
  for (let i = 0; i < 2000; i++) round();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 10_000; i++) round();
  assert.ok(process.memoryUsage.rss() - before < 32 << 20, `grew by ${(process.memoryUsage.rss() - before) >> 10} KiB`);
  failing.fuel.set(1_000_000n);
  for (let i = 0; i < 200; i++) {
    assert.ok(thrownBy(() => failing.exports.forever()) instanceof OutOfFuel);
    failing.fuel.set(100_000n);
  }
});

test('what host functions return is garbage soon after, although one call of wasm goes on', async () => {
  const { exports } = (await loadText(`(module (import "" "host" (func $host (param i32) (result i32))) (import "" "any" (func $any (param externref) (result externref)))
    (func (export "loop") (param $n i32) (loop $l (drop (call $host (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "any") (param $n i32) (param $x externref) (loop $l (drop (call $any (local.get $x))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))`))
    .instantiate({ '': {
      host: (n: number) => {
        if (n % 100 === 0 && n < 1000) exports.loop(40); // scopes nest
        return { garbage: new Array(1000).fill(n), valueOf: () => n };
      },
      any: (x: unknown) => x,
    } });
  exports.loop(10_000);
  const before = process.memoryUsage().heapUsed;
  exports.loop(60_000); // 480 MB
  const after = process.memoryUsage().heapUsed;
  assert.ok(after - before < 150e6, `${(after - before) / 1e6} MB`);
  exports.any(100_000, {});
});

test('V8\'s own wasm goes on trapping beside ours', () => {
  const { exports } = instantiate(() => 0);
  exports.div(1, 1);
  const memory = new WebAssembly.Memory({ initial: 1 });
  const v8 = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 2, 6, 1, 0, 0, 2, 0, 1, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11,
  ])), { '': { '': memory } }).exports as { f(at: number): number };
  assert.is(v8.f(0), 0);
  const error = thrownBy(() => v8.f(-16));
  assert.ok(error instanceof WebAssembly.RuntimeError && !(error instanceof Trap));
});

test.after(closeCompiler);
test.run();
