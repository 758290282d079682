/** Linking: what each kind of import accepts, and the errors for what it does not. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Global, Instance, LinkError, Module, Store, Table, Trap } from '../../loader/index.js';
import { closeCompiler, loadText } from './wat.js';

const callsTwo = await loadText(`(module
  (import "env" "f" (func $f (param i32 i64 f32 f64) (result f64)))
  (import "env" "g" (func $g (result i32 i64)))
  (func (export "f") (param i32 i64 f32 f64) (result f64) (call $f (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "g") (result i32 i64) call $g)
  (export "host" (func $f)))`);
const lib = await loadText(`(module
  (func $id (export "id") (param i32) (result i32) local.get 0)
  (table (export "table") 2 4 funcref) (elem (i32.const 1) $id)
  (memory (export "memory") 1 3)
  (global (export "counter") (mut i32) (i32.const 5))
  (global (export "constant") i64 (i64.const -7)))`);
const user = await loadText(`(module
  (type $t (func (param i32) (result i32)))
  (import "lib" "id" (func $id (type $t)))
  (import "lib" "table" (table 2 4 funcref))
  (import "lib" "memory" (memory 1 3))
  (import "lib" "counter" (global $counter (mut i32)))
  (import "lib" "constant" (global $constant i64))
  (func (export "through") (param i32) (result i32) (call_indirect (type $t) (local.get 0) (i32.const 1)))
  (func (export "count") (result i32) (global.set $counter (i32.add (global.get $counter) (i32.const 1))) (global.get $counter))
  (func (export "constant") (result i64) global.get $constant)
  (func (export "poke") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (export "id" (func $id)) (export "table" (table 0)) (export "memory" (memory 0)) (export "counter" (global $counter)) (export "constantGlobal" (global $constant)))`);

const linkError = (pattern: RegExp) => (error: unknown): boolean => error instanceof LinkError && error instanceof WebAssembly.LinkError && pattern.test(error.message);
const typeError = (error: unknown): boolean => error instanceof TypeError;

test('host functions get converted arguments and give converted results', () => {
  const seen: unknown[][] = [];
  const env = {
    f(this: unknown, ...args: unknown[]) { seen.push([this, ...args]); return '2.5'; },
    g: () => new Set([2 ** 32 + 3, true]),
  };
  const { exports } = callsTwo.instantiate({ env });
  assert.is(exports.f(-1, -2n, 0.1, 0.2), 2.5);
  assert.equal(seen, [[undefined, -1, -2n, Math.fround(0.1), 0.2]]);
  assert.equal(exports.g(), [3, 1n]);
  assert.is.not(exports.host, env.f);
  assert.is(exports.host(1, 2n, 3, 4), 2.5);
  assert.is(exports.host.length, 4);
});

test('a host function with several results must return an iterable of that many', () => {
  let result: unknown;
  const { exports } = callsTwo.instantiate({ env: { f: () => 0, g: () => result } });
  for (result of [undefined, null, 5, {}, [1], [1, 2n, 3], [1, 2], [1n, 2n]]) assert.throws(() => exports.g(), typeError);
  result = [1, 2n];
  assert.equal(exports.g(), [1, 2n]);
  result = { [Symbol.iterator]() { throw new RangeError('from the iterator'); } };
  assert.throws(() => exports.g(), (e: unknown) => e instanceof RangeError && e.message === 'from the iterator');
});

test('imports that are no objects or lack names', () => {
  for (const bad of [undefined, null, 1, 'x']) assert.throws(() => callsTwo.instantiate(bad as never), typeError);
  for (const env of [undefined, null, 1]) assert.throws(() => callsTwo.instantiate({ env } as never), typeError);
  assert.throws(() => callsTwo.instantiate({ env: { f: () => 1 } }), linkError(/^import #1 "env" "g": function import requires a callable, not undefined$/));
  assert.throws(() => callsTwo.instantiate({ env: { f: 1, g: () => 1 } }), linkError(/^import #0 "env" "f"/));
  const throwing = { get f(): never { throw new URIError('getter'); } };
  assert.throws(() => callsTwo.instantiate({ env: throwing }), (e: unknown) => e instanceof URIError);
});

test('exports of one instance are imports of another, in stores of their own', () => {
  const a = lib.instantiate();
  const b = user.instantiate({ lib: a.exports });
  assert.is.not(a.store, b.store);
  assert.is(b.exports.through(9), 9);
  assert.is(b.exports.count(), 6);
  assert.is(a.exports.counter.value, 6);
  a.exports.counter.value = 40;
  assert.is(b.exports.count(), 41);
  assert.is(b.exports.constant(), -7n);
  b.exports.poke(8, 0x01020304);
  assert.equal([...new Uint8Array(a.exports.memory.buffer, 8, 4)], [4, 3, 2, 1]);
  for (const name of ['id', 'table', 'memory', 'counter']) assert.is(b.exports[name], a.exports[name], name);
  assert.is(b.exports.constantGlobal, a.exports.constant);
});

test('types are checked: functions, tables, memories, globals', () => {
  const a = lib.instantiate().exports;
  const link = (changed: object) => () => user.instantiate({ lib: { ...a, ...changed } });
  const other = callsTwo.instantiate({ env: { f: () => 0, g: () => [0, 0n] } }).exports;
  assert.throws(link({ id: other.g }), linkError(/"lib" "id"/));
  assert.throws(link({ table: new Table({ element: 'funcref', initial: 1, maximum: 4 }) }), linkError(/"lib" "table"/));
  assert.throws(link({ table: new Table({ element: 'funcref', initial: 2 }) }), linkError(/"lib" "table"/));
  assert.throws(link({ table: new Table({ element: 'externref', initial: 2, maximum: 4 }) }), linkError(/"lib" "table"/));
  assert.throws(link({ table: new WebAssembly.Table({ element: 'anyfunc', initial: 2, maximum: 4 }) }), linkError(/make it with wasm-aot's Table/));
  assert.throws(link({ table: {} }), linkError(/must be a Table/));
  assert.throws(link({ memory: {} }), linkError(/must be a WebAssembly.Memory/));
  assert.throws(link({ memory: new WebAssembly.Memory({ initial: 0, maximum: 3 }) }), linkError(/has 0 pages, and the module wants 1 or more/));
  assert.throws(link({ memory: new WebAssembly.Memory({ initial: 1 }) }), linkError(/no maximum or one above 3/));
  assert.throws(link({ memory: new WebAssembly.Memory({ initial: 1, maximum: 4 }) }), linkError(/no maximum or one above 3/));
  assert.throws(link({ memory: new WebAssembly.Memory({ initial: 1, maximum: 3, shared: true }) }), linkError(/shared/));
  link({ memory: new WebAssembly.Memory({ initial: 2, maximum: 2 }) })();
  assert.throws(link({ counter: 5 }), linkError(/mutable global must be a Global of wasm-aot/));
  assert.throws(link({ counter: new WebAssembly.Global({ value: 'i32', mutable: true }, 1) }), linkError(/make it with wasm-aot's Global/));
  assert.throws(link({ counter: new Global({ value: 'i32' }, 1) }), linkError(/"lib" "counter"/));
  assert.throws(link({ counter: new Global({ value: 'i64', mutable: true }, 1n) }), linkError(/"lib" "counter"/));
  assert.throws(link({ constant: 5 }), linkError(/must be a bigint/));
  assert.throws(link({ constant: '5' }), linkError(/must be a bigint/));
  assert.throws(link({ constant: new Global({ value: 'i32' }, 1) }), linkError(/"lib" "constant"/));
});

test('immutable globals come from numbers, bigints, and globals of either kind', async () => {
  const module = await loadText(`(module
    (import "" "i" (global $i i32)) (import "" "l" (global $l i64)) (import "" "f" (global $f f32)) (import "" "d" (global $d f64)) (import "" "x" (global $x externref)) (import "" "r" (global $r funcref))
    (func (export "all") (result i32 i64 f32 f64 externref funcref) global.get $i global.get $l global.get $f global.get $d global.get $x global.get $r)
    (func (export "bits") (result i32 i64) global.get $f i32.reinterpret_f32 global.get $d i64.reinterpret_f64))`);
  const id = lib.instantiate().exports.id;
  const plain = { i: -1, l: 2n ** 64n - 1n, f: 0.1, d: 0.1, x: 'any', r: id };
  assert.equal(module.instantiate({ '': plain }).exports.all(), [-1, -1n, Math.fround(0.1), 0.1, 'any', id]);
  const { Global: V8 } = WebAssembly;
  const given = { i: new V8({ value: 'i32' }, 7), l: new V8({ value: 'i64' }, -9n), f: new V8({ value: 'f32' }, 1.5), d: new V8({ value: 'f64' }, Math.PI), x: new V8({ value: 'externref' } as never, plain), r: null };
  assert.equal(module.instantiate({ '': given as never }).exports.all(), [7, -9n, 1.5, Math.PI, plain, null]);
  const own = { i: new Global({ value: 'i32' }, 7), l: new Global({ value: 'i64' }), f: new Global({ value: 'f32' }), d: new Global({ value: 'f64' }, 4), x: new Global({ value: 'externref' }), r: new Global({ value: 'funcref' }, id) };
  assert.equal(module.instantiate({ '': own as never }).exports.all(), [7, 0n, 0, 4, undefined, id]);
  for (const wrong of [{ i: 1n }, { l: 1 }, { f: '1' }, { d: undefined }, { r: () => 1 }, { r: undefined }, { i: new V8({ value: 'i32', mutable: true }, 1) }, { i: new V8({ value: 'f32' }, 1) }]) {
    assert.throws(() => module.instantiate({ '': { ...plain, ...wrong } as never }), linkError(/global import/), Object.keys(wrong)[0]);
  }
});

test('the start function runs under the limit; its trap fails the instantiation, and its writes stay', async () => {
  const module = await loadText('(module (import "" "m" (memory 1)) (import "" "f" (func $f)) (func $s (i32.store (i32.const 0) (i32.const 77)) call $f unreachable) (start $s))');
  const m = new WebAssembly.Memory({ initial: 1 });
  let calls = 0;
  assert.throws(() => module.instantiate({ '': { m, f: () => { calls++; } } }), (e: unknown) => e instanceof Trap && e.code === 'unreachable');
  assert.is(calls, 1);
  assert.is(new Uint32Array(m.buffer)[0], 77);
  const thrown = {};
  assert.throws(() => module.instantiate({ '': { m, f: () => { throw thrown; } } }), (e: unknown) => e === thrown);
});

test('an active segment out of bounds traps, and a function that it put into a shared table lives on', async () => {
  const module = await loadText('(module (import "" "t" (table 4 funcref)) (func $f (result i32) i32.const 42) (elem (i32.const 0) $f) (elem (i32.const 4) $f))');
  const t = new Table({ element: 'funcref', initial: 4 });
  assert.throws(() => module.instantiate({ '': { t } }), (e: unknown) => e instanceof Trap && e.code === 'out_of_bounds_table_access');
  assert.is((t.get(0) as () => number)(), 42);
});

test('arguments of instantiate are checked', () => {
  assert.throws(() => new Instance({} as never), typeError);
  assert.throws(() => lib.instantiate({}, { feul: 1 } as never), /unknown option "feul" of an instantiation; known: fuel, store/);
  assert.throws(() => lib.instantiate({}, { store: {} } as never), typeError);
  assert.throws(() => lib.instantiate({}, { store: Object.create(Store.prototype) }), typeError);
  assert.throws(() => lib.instantiate({}, { store: new Store(), fuel: 5 }), /exclude each other/);
  assert.throws(() => lib.instantiate({}, null as never), typeError);
  assert.throws(() => Module.imports({} as never), typeError);
  assert.equal(Module.exports(lib).map((e) => e.name), ['id', 'table', 'memory', 'counter', 'constant']);
  assert.is(new Instance(lib, undefined, { fuel: 5 }).fuel.limit, 5n);
});

test.after(closeCompiler);
test.run();
