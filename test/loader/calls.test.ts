/** Calls from JavaScript: what an exported function is, and ToWebAssemblyValue and ToJSValue in both directions, compared with V8 on the same module. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load, Trap } from '../../loader/index.js';
import { callRaw, functionType } from '../../loader/raw.js';
import { assemble, closeCompiler, compile, loadText } from './wat.js';

const TYPES = `(module
  (func (export "i32") (param i32) (result i32) local.get 0)
  (func (export "i64") (param i64) (result i64) local.get 0)
  (func (export "f32") (param f32) (result f32) local.get 0)
  (func (export "f64") (param f64) (result f64) local.get 0)
  (func (export "externref") (param externref) (result externref) local.get 0)
  (func (export "funcref") (param funcref) (result funcref) local.get 0)
  (func (export "none"))
  (func (export "pair") (param i32 i64) (result i64 i32) local.get 1 local.get 0)
  (func (export "mixed") (param i32 i64 f32 f64 i32 i64 f32 f64) (result f64 f32 i64 i32 f64 f32 i64 i32)
    local.get 7 local.get 6 local.get 5 local.get 4 local.get 3 local.get 2 local.get 1 local.get 0)
  (func $bits (export "bits") (param f32 f64) (result i32 i64) local.get 0 i32.reinterpret_f32 local.get 1 i64.reinterpret_f64)
  (func (export "nans") (param i32 i64) (result f32 f64) local.get 0 f32.reinterpret_i32 local.get 1 f64.reinterpret_i64)
  (func (export "many") (param ${'i32 '.repeat(40)}) (result ${'i64 '.repeat(20)}) ${Array.from({ length: 20 }, (_, i) => `local.get ${i + 20} i64.extend_i32_s`).join(' ')})
  (func (export "div") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s))`;

const bytes = await assemble(TYPES);
const v8 = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes))).exports as Record<string, (...args: unknown[]) => unknown>;
const path = await compile(TYPES);
const ours = load(path).instantiate().exports;

/** The outcome of a call: value, or the class of the exception. */
function outcome(fn: (...args: unknown[]) => unknown, args: unknown[]): unknown {
  try {
    return { value: fn(...args) };
  } catch (error) {
    return { thrown: error instanceof Error ? Object.getPrototypeOf(error).constructor.name : error };
  }
}

const sentinel = { valueOf: () => 7 };
const VALUES: unknown[] = [
  0, -0, 1, -1, 1.5, -1.5, 2 ** 31, 2 ** 32, 2 ** 32 + 5, -(2 ** 31) - 1, 2 ** 53, 1e300, -1e300, 3.4028235677973366e38, 1e-46, 16777217, Number.NaN, Infinity, -Infinity,
  0n, 1n, -1n, 2n ** 63n, 2n ** 64n + 3n, -(2n ** 200n) + 1n, true, false, null, undefined, '', '12', '0x10', '1.5', 'x', [], [5], {}, sentinel, Symbol('s'), () => 1,
  { valueOf: () => 5n }, { valueOf() { throw 'thrown'; } }, new Date(5),
];

test('arguments convert and results return as in V8', () => {
  for (const name of ['i32', 'i64', 'f32', 'f64', 'externref']) {
    for (const value of VALUES) assert.equal(outcome(ours[name], [value]), outcome(v8[name], [value]), `${name} of ${String(typeof value)} ${String(value as string)}`);
    assert.equal(outcome(ours[name], []), outcome(v8[name], []), `${name} without an argument`);
    assert.equal(outcome(ours[name], [1n, 2, 3]), outcome(v8[name], [1n, 2, 3]));
  }
  assert.ok(Object.is(ours.f64(-0), -0));
  assert.ok(Object.is(ours.f32(-0), -0));
  assert.is(ours.externref(undefined), undefined);
  assert.is(ours.externref(null), null);
  const object = {};
  assert.is(ours.externref(object), object);
});

test('several results are an array', () => {
  assert.is(ours.none(), undefined);
  assert.equal(ours.pair(1, 2n), v8.pair(1, 2n));
  const args = [1, 2n, 0.5, 0.25, -1, -2n, 1e10, 1e100];
  assert.equal(ours.mixed(...args), v8.mixed(...args));
  const many = Array.from({ length: 40 }, (_, i) => i - 20);
  assert.equal(ours.many(...many), v8.many(...many));
  assert.equal(ours.many(), v8.many());
});

test('an exported function looks like one of the JS API', () => {
  for (const name of ['none', 'i32', 'pair', 'many', 'div']) {
    assert.is(ours[name].name, v8[name].name);
    assert.is(ours[name].length, v8[name].length);
  }
  assert.is(Object.getPrototypeOf(ours), null);
  assert.ok(Object.isFrozen(ours));
  assert.equal(Object.keys(ours), Object.keys(v8));
});

test('functions keep their identity', () => {
  const again = load(path).instantiate();
  assert.is(ours.funcref(ours.div), ours.div);
  assert.is(ours.funcref(null), null);
  assert.is.not(again.exports.div, ours.div);
  assert.is(ours.funcref(again.exports.div), again.exports.div, 'a function of another store');
  for (const bad of [undefined, 1, {}, () => 1, v8.div, class {}]) assert.throws(() => ours.funcref(bad), (e: unknown) => e instanceof TypeError);
});

test('converting an argument may call back into wasm', () => {
  const nested = { valueOf: () => ours.div(84, 2) };
  assert.is(ours.i32(nested), 42);
  assert.is(ours.div({ valueOf: () => ours.i32({ valueOf: () => 42 }) }, 2), 21);
});

test('raw calls are exact to the bit', () => {
  const f32 = [0x7fa00001n, 0xffc12345n, 0x7f800001n, 0x80000000n, 0xffffffffn];
  const f64 = [0x7ff0000000000001n, 0xfff8123456789abcn, 0x8000000000000000n, 0xffffffffffffffffn];
  for (const a of f32) {
    for (const b of f64) {
      assert.equal(callRaw(ours.bits, [a, b]), [a, b]);
      assert.equal(callRaw(ours.nans, [a, b]), [a, b]);
    }
  }
  assert.equal(callRaw(ours.div, [0xfffffff8n, 2n]), [0xfffffffcn]);
  assert.equal(callRaw(ours.externref, [ours]), [ours]);
  assert.equal(callRaw(ours.funcref, [ours.div]), [ours.div]);
  assert.equal(callRaw(ours.none, []), []);
  assert.throws(() => callRaw(ours.div, [1n, 0n]), (e: unknown) => e instanceof Trap && e.code === 'integer_divide_by_zero');
  for (const bad of [[1n], [1n, 2n, 3n], [1, 2], [-1n, 1n], [2n ** 32n, 1n]]) assert.throws(() => callRaw(ours.div, bad), (e: unknown) => e instanceof TypeError);
  assert.throws(() => callRaw(() => 1, []), (e: unknown) => e instanceof TypeError);
  assert.equal(functionType(ours.pair), { params: ['i32', 'i64'], results: ['i64', 'i32'] });
  assert.is(functionType(v8.pair), undefined);
});

test('module and export descriptors are those of the JS API, with types', async () => {
  const module = await loadText('(module (import "a" "f" (func (param i32) (result f64))) (import "b" "m" (memory 1 3)) (import "b" "g" (global (mut i64))) (import "b" "t" (table 2 externref)) (export "g" (global 0)) (func (export "h")))');
  assert.equal(module.imports(), [
    { module: 'a', name: 'f', kind: 'function', type: { parameters: ['i32'], results: ['f64'] } },
    { module: 'b', name: 'm', kind: 'memory', type: { minimum: 1, maximum: 3 } },
    { module: 'b', name: 'g', kind: 'global', type: { value: 'i64', mutable: true } },
    { module: 'b', name: 't', kind: 'table', type: { element: 'externref', minimum: 2 } },
  ]);
  assert.equal(module.exports(), [
    { name: 'g', kind: 'global', type: { value: 'i64', mutable: true } },
    { name: 'h', kind: 'function', type: { parameters: [], results: [] } },
  ]);
  assert.is(module.manifest.schema, 1);
});

test.after(closeCompiler);
test.run();
