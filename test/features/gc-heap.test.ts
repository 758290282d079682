/**
 * The garbage-collected heap under compiled code: what keeps objects, that the rest is freed, limits, fuel; and structs and arrays in JavaScript. Where it says so, every allocation collects first
 * and spoils what it frees, so that whatever was freed too early is noticed.
 */
import binaryen from 'binaryen';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import { Global, load, type Module, Store, Trap } from '../../loader/index.js';
import { native } from '../../loader/native.js';
import { scratch } from '../loader/wat.js';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** As assembled by binaryen, which knows the proposal as it was standardised. */
function assemble(text: string): Uint8Array {
  const { Features: F } = binaryen;
  const module = binaryen.parseText(text);
  module.setFeatures(F.ReferenceTypes | F.GC | F.Multivalue | F.BulkMemory | F.MutableGlobals | F.SignExt);
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

const TEXT = `(module
  (rec (type $node (sub (struct (field $next (mut (ref null $node))) (field $other (mut (ref null $node))) (field $value (mut i64))))))
  (type $leaf (sub final $node (struct (field (mut (ref null $node))) (field (mut (ref null $node))) (field (mut i64)) (field i32))))
  (type $nodes (array (mut (ref null $node))))
  (type $bytes (array (mut i8)))
  (type $cell (struct (field $any (mut anyref))))
  (import "host" "call" (func $call (param i32)))
  (import "host" "any" (func $host_any (param anyref) (result anyref)))
  (global $g (export "g") (mut (ref null $node)) (ref.null none))
  (global $made (export "made") (ref $node) (struct.new $node (ref.null none) (ref.null none) (i64.const 4242)))
  (table $t (export "t") 10 anyref)
  (elem $e (ref $node) (item (struct.new $node (ref.null none) (ref.null none) (i64.const 77))) (item (global.get $made)))
  (func $cons (param $next (ref null $node)) (param $value i64) (result (ref $node)) (struct.new $node (local.get $next) (ref.null none) (local.get $value)))
  (func $list (export "list") (param $n i64) (result (ref null $node)) (local $l (ref null $node)) (local $i i64)
    (loop $again
      (if (i64.lt_u (local.get $i) (local.get $n)) (then
        (local.set $l (call $cons (local.get $l) (local.get $i))) (local.set $i (i64.add (local.get $i) (i64.const 1))) (br $again))))
    (local.get $l))
  ;; the sum of a list, and its length in the upper half
  (func $sum (export "sum") (param $l (ref null $node)) (result i64) (local $s i64)
    (loop $again
      (if (i32.eqz (ref.is_null (local.get $l))) (then
        (local.set $s (i64.add (local.get $s) (i64.add (struct.get $node $value (local.get $l)) (i64.const 0x100000000))))
        (local.set $l (struct.get $node $next (local.get $l))) (br $again))))
    (local.get $s))
  ;; a list made by recursion: each level holds its node in a local variable while the next ones allocate
  (func $deep (export "deep") (param $n i64) (result i64) (local $mine (ref null $node)) (local $below i64)
    (if (i64.eqz (local.get $n)) (then (return (i64.const 0))))
    (local.set $mine (call $cons (ref.null none) (local.get $n)))
    (local.set $below (call $deep (i64.sub (local.get $n) (i64.const 1))))
    (i64.add (local.get $below) (struct.get $node $value (local.get $mine))))
  (func $tree (param $depth i32) (result (ref null $node))
    (if (i32.eqz (local.get $depth)) (then (return (ref.null none))))
    (struct.new $node (call $tree (i32.sub (local.get $depth) (i32.const 1))) (call $tree (i32.sub (local.get $depth) (i32.const 1))) (i64.const 1)))
  (func $count (param $t (ref null $node)) (result i64)
    (if (ref.is_null (local.get $t)) (then (return (i64.const 0))))
    (i64.add (struct.get $node $value (local.get $t)) (i64.add (call $count (struct.get $node $next (local.get $t))) (call $count (struct.get $node $other (local.get $t))))))
  (func (export "tree") (param i32) (result i64) (call $count (call $tree (local.get 0))))
  (func $host (param i32) (result i32) (call $call (local.get 0)) (i32.const 0))
  (func $sum_after (param (ref null $node) i32) (result i64) (call $sum (local.get 0)))
  ;; calls the host while a local variable, the operand stack and an array hold objects; the host calls wasm again
  (func (export "around") (param $n i32) (result i64) (local $mine (ref null $node)) (local $all (ref null $nodes))
    (local.set $mine (call $list (i64.const 10)))
    (local.set $all (array.new_fixed $nodes 2 (call $list (i64.const 20)) (call $list (i64.const 30))))
    (i64.add (i64.add (call $sum_after (call $list (i64.const 40)) (call $host (local.get $n))) (call $sum (local.get $mine)))
      (i64.add (call $sum (array.get $nodes (local.get $all) (i32.const 0))) (call $sum (array.get $nodes (local.get $all) (i32.const 1))))))
  (func (export "churn") (param $n i64) (result i64) (local $s i64)
    (loop $again
      (if (i32.eqz (i64.eqz (local.get $n))) (then
        (local.set $s (i64.add (local.get $s) (call $sum (call $list (i64.const 50)))))
        (local.set $n (i64.sub (local.get $n) (i64.const 1))) (br $again))))
    (local.get $s))
  (func (export "churn_bytes") (param $n i32) (param $size i32) (result i32) (local $b (ref null $bytes)) (local $s i32)
    (loop $again
      (if (local.get $n) (then
        (local.set $b (array.new $bytes (i32.const 3) (local.get $size)))
        (local.set $s (i32.add (local.get $s) (array.get_u $bytes (local.get $b) (i32.sub (local.get $size) (i32.const 1)))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $again))))
    (local.get $s))
  (func (export "keep_global") (param $n i64) (global.set $g (call $list (local.get $n))))
  (func (export "sum_global") (result i64) (call $sum (global.get $g)))
  (func (export "keep_table") (param $i i32) (param $n i64) (table.set $t (local.get $i) (call $list (local.get $n))))
  (func (export "sum_table") (param $i i32) (result i64) (call $sum (ref.cast (ref null $node) (table.get $t (local.get $i)))))
  (func (export "from_segment") (param i32) (result i32) (local $a (ref $nodes)) (local $b (ref $nodes))
    (local.set $a (array.new_elem $nodes $e (i32.const 0) (i32.const 2))) (drop (call $list (i64.const 5))) (local.set $b (array.new_elem $nodes $e (i32.const 0) (i32.const 2)))
    (ref.eq (array.get $nodes (local.get $a) (local.get 0)) (array.get $nodes (local.get $b) (local.get 0))))
  (func (export "segment_value") (param i32) (result i64) (struct.get $node $value (array.get $nodes (array.new_elem $nodes $e (i32.const 0) (i32.const 2)) (local.get 0))))
  (func (export "drop_segment") (elem.drop $e))
  (func (export "leaf") (result (ref $leaf)) (struct.new $leaf (ref.null none) (ref.null none) (i64.const 9) (i32.const 1)))
  (func (export "take_leaf") (param (ref null $leaf)) (result i32) (ref.is_null (local.get 0)))
  (func (export "take_node") (param (ref $node)) (result i64) (struct.get $node $value (local.get 0)))
  (func (export "any") (param anyref) (result anyref) (local.get 0))
  (func (export "eq") (param eqref eqref) (result i32) (ref.eq (local.get 0) (local.get 1)))
  (func (export "i31") (param i31ref) (result i32) (i31.get_s (local.get 0)))
  (func (export "in") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "out") (param anyref) (result externref) (extern.convert_any (local.get 0)))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "through") (param anyref) (result anyref) (local $a (ref $cell))
    (local.set $a (struct.new $cell (local.get 0))) (drop (call $list (i64.const 5)))
    (call $host_any (struct.get $cell $any (local.get $a))))
  (func (export "bytes") (param i32) (result (ref $bytes)) (array.new_default $bytes (local.get 0)))
  (func (export "two") (result (ref null $node) (ref null $node)) (call $list (i64.const 3)) (call $list (i64.const 4))))`;

let compiler: Compiler;
let module: Module;
test.before(async () => {
  compiler = await openCompiler({ workers: 1 });
  const { artifact } = await compiler.build(assemble(TEXT));
  const path = join(scratch(), 'heap.so');
  writeFileSync(path, artifact);
  module = load(path);
});
test.after(async () => await compiler.close());

interface Host { call?: (n: number) => void; any?: (value: unknown) => unknown }
const instantiate = (host: Host = {}, store = new Store()) => module.instantiate({ host: { call: host.call ?? (() => {}), any: host.any ?? ((value: unknown) => value) } }, { store });

/** Runs a body with a collection before every allocation. */
function stressed<T>(body: () => T): T {
  native().heapStress(true);
  try {
    return body();
  } finally {
    native().heapStress(false);
  }
}

/** What `sum` gives for a list of n: 0 + 1 + ... + n - 1, and n times 2^32. */
const sum = (n: number) => BigInt((n * (n - 1)) / 2) + BigInt(n) * 0x1_0000_0000n;

test('locals, operands, recursion, arrays and calls through the host keep objects', () => {
  stressed(() => {
    const { exports } = instantiate();
    assert.is(exports.sum(exports.list(300n)), sum(300));
    assert.is(exports.deep(400n), 80_200n);
    assert.is(exports.tree(8), 255n);
    const nested: Host = {};
    const outer = instantiate(nested);
    const { around } = instantiate({ call: (n) => { if (n > 0) assert.is(around(n - 1), sum(10) + sum(20) + sum(30) + sum(40)); else exports.list(20n); } }, outer.store).exports;
    assert.is(around(3), sum(10) + sum(20) + sum(30) + sum(40));
  });
});

test('globals, tables and element segments keep objects', () => {
  stressed(() => {
    const { exports } = instantiate();
    exports.keep_global(100n);
    exports.keep_table(3, 50n);
    exports.keep_table(4, 60n);
    exports.list(100n);
    assert.is(exports.sum_global(), sum(100));
    assert.is(exports.sum_table(3) + exports.sum_table(4), sum(50) + sum(60));
    assert.is(exports.take_node(exports.made.value), 4242n);
    assert.equal([0, 1].map((i) => exports.from_segment(i)), [1, 1]);
    assert.equal([0, 1].map((i) => exports.segment_value(i)), [77n, 4242n]);
    assert.is(exports.t.get(3), exports.t.get(3));
    assert.is(exports.sum(exports.t.get(3)), sum(50));
    exports.drop_segment();
    assert.throws(() => exports.segment_value(0), (error: unknown) => error instanceof Trap && error.code === 'out_of_bounds_table_access');
  });
});

test('what cannot be reached is freed: far more than the limit passes through', () => {
  const store = new Store({ heapLimit: 8 << 20 });
  const { exports } = instantiate({}, store);
  exports.keep_global(1000n);
  assert.is(exports.churn(20_000n), 20_000n * sum(50)); // 1,000,000 objects of 48 bytes
  assert.is(exports.churn_bytes(300, 1_000_000), 900);
  assert.is(exports.churn_bytes(1000, 100_000), 3000);
  assert.is(exports.sum_global(), sum(1000));
  const { limit, held, live, collections } = store.heap;
  assert.is(limit, 8 << 20);
  assert.ok(held <= limit && live < limit && collections > 5, JSON.stringify(store.heap));
});

test('beyond the limit code traps, and goes on when there is room again', () => {
  const store = new Store({ heapLimit: 2 << 20 });
  const { exports } = instantiate({}, store);
  const isExhausted = (error: unknown) => error instanceof Trap && error.code === 'heap_exhausted' && error.message === 'garbage-collected heap exhausted';
  assert.throws(() => exports.keep_global(1_000_000n), isExhausted);
  assert.throws(() => exports.bytes(3 << 20), isExhausted);
  assert.throws(() => exports.bytes(-1), isExhausted);
  assert.is(exports.sum(exports.list(1000n)), sum(1000));
  assert.is(exports.churn(2000n), 2000n * sum(50));
  assert.throws(() => instantiate({}, new Store({ heapLimit: 0 })), isExhausted);
  for (const heapLimit of [-1, 1.5, Number.NaN, 2 ** 41, '1' as never]) assert.throws(() => new Store({ heapLimit }), RangeError);
});

test('fuel does not depend on collections', () => {
  const consumed = (heapLimit: number, stress: boolean) => {
    const store = new Store({ heapLimit, fuel: 10n ** 12n });
    const { exports } = instantiate({}, store);
    native().heapStress(stress);
    try {
      exports.churn(20n);
      exports.churn_bytes(20, 5000);
    } finally {
      native().heapStress(false);
    }
    return store.fuel.consumed;
  };
  const exact = consumed(1 << 30, false);
  assert.ok(exact > 0n);
  assert.is(consumed(1 << 20, false), exact);
  assert.is(consumed(1 << 30, true), exact);
});

test('structs and arrays are opaque objects with an identity', () => {
  const { exports } = instantiate();
  const node = exports.leaf();
  assert.is(typeof node, 'object');
  assert.is(Object.getPrototypeOf(node), null);
  assert.ok(Object.isFrozen(node));
  assert.equal(Reflect.ownKeys(node), []);
  assert.is(exports.any(node), node);
  assert.is(exports.out(node), node);
  assert.is(exports.in(node), node);
  assert.is(exports.extern(node), node);
  assert.is(exports.through(node), node);
  assert.is(exports.eq(node, node), 1);
  assert.is(exports.eq(node, exports.leaf()), 0);
  assert.is(exports.take_leaf(node), 0);
  assert.is(exports.take_node(node), 9n);
  const [three, four] = exports.two();
  assert.equal([exports.sum(three), exports.sum(four)], [sum(3), sum(4)]);
  exports.g.value = node;
  assert.is(exports.g.value, node);
  exports.t.set(0, exports.bytes(5));
  assert.is(Object.getPrototypeOf(exports.t.get(0)), null);
});

test('other values of the any hierarchy', () => {
  const { exports } = instantiate();
  for (const value of [0, 1, -1, 2 ** 30 - 1, -(2 ** 30), null]) {
    assert.is(exports.any(value), value);
    assert.is(exports.in(value), value);
    assert.is(exports.out(value), value);
    assert.is(exports.extern(value), value);
    if (value !== null) assert.is(exports.i31(value), value);
  }
  const symbol = Symbol('s');
  for (const value of [2 ** 30, -(2 ** 30) - 1, 1.5, -0, Number.NaN, 'text', true, undefined, symbol, 5n, {}, [1], exports.any, Math.max]) {
    assert.ok(Object.is(exports.any(value), value), String(value));
    assert.ok(Object.is(exports.in(value), value), String(value));
    assert.ok(Object.is(exports.out(value), value), String(value));
    assert.ok(Object.is(exports.extern(value), value), String(value));
    assert.ok(Object.is(exports.through(value), value), String(value));
    assert.throws(() => exports.eq(value, value), TypeError);
    assert.throws(() => exports.i31(value), TypeError);
  }
  assert.is(exports.eq(5, 5), 1);
  for (const value of [5, {}, 'text', exports.bytes(1), exports.list(1n)]) assert.throws(() => exports.take_leaf(value), TypeError);
  assert.is(exports.take_leaf(null), 1);
  assert.throws(() => exports.take_node(null), TypeError);
});

test('references pass between stores, which share a heap then', () => {
  stressed(() => {
    const [a, b] = [instantiate(), instantiate()];
    const list = a.exports.list(40n);
    assert.is(b.exports.any(list), list);
    b.exports.t.set(1, list);
    a.exports.list(30n);
    b.exports.list(30n);
    assert.is(b.exports.sum_table(1), sum(40));
    assert.is(a.store.heap.objects, b.store.heap.objects);
    b.exports.g.value = a.exports.list(20n);
    a.exports.list(30n);
    assert.is(b.exports.sum_global(), sum(20));
  });
});

test('an object lives as long as JavaScript can reach it', () => {
  stressed(() => {
    const { exports } = instantiate();
    const lists = Array.from({ length: 20 }, (_, i) => exports.list(BigInt(i)));
    exports.list(20n);
    lists.forEach((list, i) => { assert.is(exports.sum(list), sum(i)); });
    // In a global of JavaScript's own, and as the value that a host function returns.
    const global = new Global({ value: 'externref', mutable: true }, exports.list(25n));
    const other = instantiate({ any: () => exports.list(35n) });
    const through = other.exports.through(null);
    exports.list(20n);
    assert.is(exports.sum(global.value), sum(25));
    assert.is(exports.sum(through), sum(35));
  });
});

test('and no longer', async () => {
  const store = new Store({ heapLimit: 16 << 20 });
  const { exports } = instantiate({}, store);
  for (let i = 0; i < 400; i++) { // 400 times 48,000 bytes, each a root as long as its wrapper lives
    exports.list(1000n);
    if (i % 50 === 0) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  gc();
  await new Promise((resolve) => setImmediate(resolve));
  gc();
  native().heapCollect(store);
  assert.ok(store.heap.objects < 100_000, JSON.stringify(store.heap));
  const handles = native().stats().handles;
  for (let i = 0; i < 5000; i++) exports.any({});
  native().collect();
  assert.ok(native().stats().handles < handles + 1000, `${native().stats().handles} handles`);
});

test.run();
