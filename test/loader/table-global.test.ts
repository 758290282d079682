/** The Table and Global classes, as WebAssembly.Table and WebAssembly.Global, from JS and from wasm. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Global, Store, Table } from '../../loader/index.js';
import { globalType, readGlobalRaw, writeGlobalRaw } from '../../loader/raw.js';
import { closeCompiler, loadText } from './wat.js';

const module = await loadText(`(module
  (table $f (export "funcs") 3 6 funcref) (elem (table $f) (i32.const 0) func $one $two)
  (table $x (export "values") 2 externref)
  (func $one (export "one") (result i32) i32.const 1)
  (func $two (result i32) i32.const 2)
  (func (export "call") (param i32) (result i32) (call_indirect $f (result i32) (local.get 0)))
  (func (export "getValue") (param i32) (result externref) (table.get $x (local.get 0)))
  (func (export "setValue") (param i32 externref) (table.set $x (local.get 0) (local.get 1)))
  (func (export "growFuncs") (param i32) (result i32) (table.grow $f (ref.null func) (local.get 0)))
  (func (export "sizes") (result i32 i32) (table.size $f) (table.size $x))
  (global (export "i32") (mut i32) (i32.const -1)) (global (export "i64") (mut i64) (i64.const -1)) (global (export "f32") (mut f32) (f32.const 0.5))
  (global (export "f64") f64 (f64.const 0.25)) (global $r (export "externref") (mut externref) (ref.null extern)) (global $g (export "funcref") (mut funcref) (ref.func $two))
  (func (export "externrefGlobal") (result externref) global.get $r)
  (func (export "callFuncrefGlobal") (result i32) (table.set $f (i32.const 2) (global.get $g)) (call_indirect $f (result i32) (i32.const 2))))`);

const rangeError = (error: unknown): boolean => error instanceof RangeError;
const typeError = (error: unknown): boolean => error instanceof TypeError;

test('a function table from both sides', () => {
  const { exports } = module.instantiate();
  const table = exports.funcs as Table;
  assert.ok(table instanceof Table);
  assert.is(table.length, 3);
  assert.is(table.get(0), exports.one);
  assert.is(table.get(2), null);
  const two = table.get(1) as () => number;
  assert.is(two, table.get(1));
  assert.is(two(), 2);
  assert.is(two.name, '1');
  table.set(2, two);
  assert.is(exports.call(2), 2);
  table.set(0);
  assert.throws(() => exports.call(0), /uninitialized element/);
  assert.throws(() => exports.call(3), /undefined element/);
  assert.is(table.grow(1, exports.one), 3);
  assert.is(exports.call(3), 1);
  assert.is(exports.growFuncs(1), 4);
  assert.is(table.get(4), null);
  assert.throws(() => table.grow(2), rangeError);
  assert.is(exports.growFuncs(2), -1);
  assert.equal(exports.sizes(), [5, 2]);
  for (const bad of [undefined, 1, {}, () => 1]) assert.throws(() => table.set(0, bad), typeError);
  for (const bad of [5, 1e9]) assert.throws(() => table.get(bad), rangeError);
  for (const bad of [-1, 2 ** 32, Number.NaN, 'x', Infinity]) assert.throws(() => table.get(bad as number), typeError);
  assert.throws(() => table.set(5, null), rangeError);
  assert.throws(() => Table.prototype.get.call({}, 0), typeError);
});

test('a table of values', () => {
  const { exports } = module.instantiate();
  const table = exports.values as Table;
  assert.is(table.get(0), null);
  for (const value of [undefined, null, 0, 'x', 5n, Symbol.iterator, table, exports.one, Number.NaN]) {
    table.set(0, value);
    assert.ok(Object.is(table.get(0), value));
    assert.ok(Object.is(exports.getValue(0), value));
    exports.setValue(1, value);
    assert.ok(Object.is(table.get(1), value));
  }
  assert.is(table.grow(2, 'new'), 2);
  assert.is(exports.getValue(3), 'new');
  assert.is(table.grow(1), 4);
  assert.is(table.get(4), undefined);
});

test('tables made by a program', () => {
  const table = new Table({ element: 'anyfunc', initial: 2, maximum: 3 });
  const { one } = module.instantiate().exports;
  table.set(1, one);
  assert.is(table.get(1), one);
  assert.is(table.get(0), null);
  assert.is(table.grow(1, one), 2);
  assert.throws(() => table.grow(1), rangeError);
  assert.is(new Table({ element: 'externref', initial: 1 }).get(0), undefined);
  assert.is(new Table({ element: 'externref', initial: 1 }, 'v').get(0), 'v');
  assert.is(new Table({ element: 'funcref', initial: 1 }, one).get(0), one);
  assert.is(Object.prototype.toString.call(table), '[object WebAssembly.Table]');
  for (const bad of [undefined, null, {}, { element: 'i32', initial: 1 }, { element: 'funcref' }, { element: 'funcref', initial: -1 }, { element: 'funcref', initial: Number.NaN }]) {
    assert.throws(() => new Table(bad as never), typeError, JSON.stringify(bad));
  }
  assert.throws(() => new Table({ element: 'funcref', initial: 2, maximum: 1 }), rangeError);
  assert.throws(() => new Table({ element: 'funcref', initial: 2 ** 32 - 1 }), rangeError);
  assert.throws(() => new Table({ element: 'funcref', initial: 1 }, 5), typeError);
});

test('globals from both sides', () => {
  const { exports } = module.instantiate();
  assert.equal(['i32', 'i64', 'f32', 'f64', 'externref'].map((name) => exports[name].value), [-1, -1n, 0.5, 0.25, null]);
  exports.i32.value = 2 ** 31;
  exports.i64.value = 2n ** 63n;
  exports.f32.value = 0.1;
  assert.equal(['i32', 'i64', 'f32'].map((name) => exports[name].valueOf()), [-(2 ** 31), -(2n ** 63n), Math.fround(0.1)]);
  assert.throws(() => { exports.f64.value = 1; }, typeError);
  assert.throws(() => { exports.i64.value = 1; }, typeError);
  assert.throws(() => { exports.i32.value = 1n; }, typeError);
  exports.externref.value = module;
  assert.is(exports.externrefGlobal(), module);
  assert.is(exports.funcref.value(), 2);
  exports.funcref.value = exports.one;
  assert.is(exports.callFuncrefGlobal(), 1);
  assert.throws(() => { exports.funcref.value = () => 1; }, typeError);
  writeGlobalRaw(exports.f32, 0x7fa00001n);
  assert.is(readGlobalRaw(exports.f32), 0x7fa00001n);
  assert.is(readGlobalRaw(exports.i64), 2n ** 63n);
  assert.equal(globalType(exports.f64), { value: 'f64', mutable: false });
  assert.is(globalType({}), undefined);
  assert.throws(() => writeGlobalRaw(exports.f64, 1n), typeError);
  assert.throws(() => readGlobalRaw({}), typeError);
});

test('tables and globals made in a given store', () => {
  const store = new Store();
  const table = new Table({ element: 'externref', initial: 1, store });
  const global = new Global({ value: 'externref', mutable: true, store });
  global.value = table;
  table.set(0, global);
  assert.is(table.get(0), global);
  assert.is(global.value, table);
  assert.throws(() => new Table({ element: 'externref', initial: 1, store: {} as never }), typeError);
  assert.throws(() => new Global({ value: 'i32', store: null as never }), typeError);
});

test('globals made by a program', () => {
  const global = new Global({ value: 'i32', mutable: true }, 5);
  global.value = '12';
  assert.is(global.value, 12);
  assert.is(Number(global), 12);
  assert.is(new Global({ value: 'i64' }).value, 0n);
  assert.is(new Global({ value: 'f64' }, undefined).value, 0);
  assert.is(new Global({ value: 'funcref' }).value, null);
  assert.is(new Global({ value: 'externref' }).value, undefined);
  assert.throws(() => { new Global({ value: 'i32' }).value = 1; }, typeError);
  for (const bad of [undefined, {}, { value: 'v128' }, { value: 'toString' }, { value: 'i33' }]) assert.throws(() => new Global(bad as never), typeError, JSON.stringify(bad));
  assert.throws(() => new Global({ value: 'i64' }, 5), typeError);
  assert.throws(() => new Global({ value: 'i32' }, 5n), typeError);
});

test.after(closeCompiler);
test.run();
