/** What lives how long: stores, functions, memories, externref values; with V8's collector called by hand. Run by itself, since it needs --expose-gc at run time. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Global, type Instance, Table } from '../../loader/index.js';
import { native } from '../../loader/native.js';
import { closeCompiler, loadText } from './wat.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;
/** Collects, and lets finalizers run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const small = await loadText('(module (memory (export "memory") 1) (table (export "t") 10 funcref) (func (export "f") (result i32) i32.const 7) (global (export "g") (mut externref) (ref.null extern)))');
const refs = await loadText(`(module (import "" "host" (func $host (param externref) (result externref)))
  (table $t (export "table") 4 externref) (global $g (export "global") (mut externref) (ref.null extern))
  (func (export "keep") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
  (func (export "get") (param i32) (result externref) (table.get $t (local.get 0)))
  (func (export "pass") (param externref) (result externref) (local.get 0))
  (func (export "two") (param externref externref) (result externref externref) local.get 0 local.get 1)
  (func (export "through") (param externref) (result externref) (call $host (local.get 0))))`);

test('stores are freed when nothing refers to them', async () => {
  await settle();
  const { stores } = native().stats();
  for (let i = 0; i < 200; i++) small.instantiate().exports.f();
  await settle();
  assert.is(native().stats().stores, stores);
});

test('a long synchronous loop of instantiations does not pile up stores', async () => {
  let most = 0;
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 10_000; i++) {
    small.instantiate().exports.f();
    if (i % 50 === 0) gc();
    most = Math.max(most, native().stats().stores);
  }
  assert.ok(most < 1000, `${most} stores at once`);
  assert.ok(process.memoryUsage.rss() - before < 64 << 20);
});

test('what runs is kept, although nothing else refers to it any more', async () => {
  const module = await loadText(`(module (import "" "host" (func $host (param i32) (result i32))) (memory 1 100)
    (func (export "loop") (param $n i32) (result i32) (local $s i32)
      (loop $l (drop (memory.grow (i32.const 0))) (local.set $s (i32.add (local.get $s) (call $host (local.get $n)))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (drop (memory.size)) (i32.add (local.get $s) (i32.div_u (i32.const 1) (local.get $n))))
    (func (export "fine") (param $n i32) (result i32) (local $s i32)
      (loop $l (local.set $s (i32.add (local.get $s) (call $host (local.get $n)))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (drop (memory.size)) (local.get $s)))`);
  let collect = false;
  const host = (n: number) => {
    if (collect && n % 35 === 1) gc();
    return n;
  };
  const once = (name: string, n: number) => module.instantiate({ '': { host } }).exports[name](n); // once it is optimised, it does not keep the function in its frame
  const traps = (n: number) => {
    try {
      once('loop', n);
    } catch (error) {
      return (error as Error).message;
    }
  };
  for (let i = 0; i < 2000; i++) assert.is(once('fine', 3) + (i % 10 === 0 && traps(3) !== 'integer divide by zero' ? 1 : 0), 6);
  collect = true;
  for (let i = 0; i < 30; i++) {
    assert.is(once('fine', 108), (108 * 109) / 2);
    assert.is(traps(108), 'integer divide by zero');
  }
});

test('any one export keeps the rest alive', async () => {
  const keep = <T>(pick: (exports: Instance['exports']) => T): T => pick(small.instantiate().exports);
  const [f, t, g, memory] = [keep((e) => e.f), keep((e) => e.t), keep((e) => e.g), keep((e) => e.memory)];
  await settle();
  assert.is(f(), 7);
  assert.is(t.length, 10);
  g.value = f;
  await settle();
  assert.is(g.value(), 7);
  assert.is(memory.buffer.byteLength, 65536);
});

test('a function in a foreign table, a global, or behind an import keeps its store alive', async () => {
  const table = new Table({ element: 'funcref', initial: 1 });
  const global = new Global({ value: 'funcref', mutable: true });
  (() => {
    const { exports } = small.instantiate();
    table.set(0, exports.f);
    global.value = exports.f;
  })();
  const user = await loadText('(module (import "" "f" (func $f (result i32))) (func (export "g") (result i32) call $f))');
  const { g } = user.instantiate({ '': small.instantiate().exports as never }).exports;
  await settle();
  assert.is((table.get(0) as () => number)(), 7);
  assert.is((global.value as () => number)(), 7);
  assert.is(g(), 7);
  assert.is(table.get(0), global.value);
});

test('externref values are kept by tables and globals, and dropped when overwritten', async () => {
  const instance = refs.instantiate({ '': { host: (x: unknown) => x } });
  const { keep, get, pass, through, global } = instance.exports;
  let dropped = 0;
  const registry = new FinalizationRegistry(() => { dropped++; });
  const fresh = (): object => {
    const object = { big: 'x' };
    registry.register(object, 0);
    return object;
  };
  for (let i = 0; i < 1000; i++) {
    keep(0, fresh());
    assert.is(through(pass(get(0))), get(0));
  }
  global.value = fresh();
  native().collect();
  await settle();
  assert.is(dropped, 999);
  assert.is(get(0).big, 'x');
  assert.is(global.value.big, 'x');
  assert.is(native().stats().handles, 2);
});

test('handles are collected by themselves, and never while an argument list is being converted', () => {
  const { exports } = refs.instantiate({ '': { host: (x: unknown) => x } });
  const stay = {};
  exports.keep(1, stay);
  let most = 0;
  for (let i = 0; i < 100_000; i++) {
    const object = {};
    assert.is(exports.through(object), object);
    most = Math.max(most, native().stats().handles);
  }
  assert.ok(most < 10_000, `${most} handles`);
  assert.is(exports.get(1), stay);
  for (let i = 0; i < 3000; i++) {
    const [a, b] = [{ i }, { i }];
    const [x, y] = exports.two(a, b);
    assert.is(x, a);
    assert.is(y, b);
  }
});

test('a long-lived library does not keep the instances that import its functions and numbers', async () => {
  const library = await loadText('(module (func (export "f") (param i32) (result externref) (ref.null extern)) (global (export "n") (mut i32) (i32.const 0)) (memory (export "m") 1))');
  const user = await loadText('(module (import "" "f" (func $f (param i32) (result externref))) (import "" "n" (global (mut i32))) (import "" "m" (memory 1)) (func (export "g") (result externref) (call $f (i32.const 1))))');
  const { exports } = library.instantiate();
  await settle();
  const { stores } = native().stats();
  for (let i = 0; i < 100; i++) assert.is(user.instantiate({ '': exports }).exports.g(), null);
  await settle();
  assert.is(native().stats().stores, stores);
});

test('an instance that its own externref values refer to is collected', async () => {
  await settle();
  const { stores } = native().stats();
  for (let i = 0; i < 100; i++) {
    const instance = refs.instantiate({ '': { host: () => instance } });
    instance.exports.keep(0, { instance });
    instance.exports.global.value = instance.exports;
  }
  await settle();
  assert.is(native().stats().stores, stores);
});

test('values cross between linked stores', async () => {
  const a = refs.instantiate({ '': { host: () => null } });
  const b = refs.instantiate({ '': { host: a.exports.pass } });
  const value = {};
  assert.is(b.exports.through(value), value);
  const table = new Table({ element: 'externref', initial: 2 });
  const user = await loadText('(module (import "" "t" (table 2 externref)) (func (export "set") (param externref) (table.set (i32.const 1) (local.get 0))))');
  (() => {
    user.instantiate({ '': { t: table } }).exports.set({ from: 'a store that is otherwise garbage' });
  })();
  await settle();
  native().collect();
  assert.equal(table.get(1), { from: 'a store that is otherwise garbage' });
});

test.after(closeCompiler);
test.run();
