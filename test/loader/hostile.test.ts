/** Modules that ask for as much as there can be of something: each is served, or refused in words, or ends in a trap; the process goes on. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Instance, load, Trap } from '../../loader/index.js';
import { closeCompiler, compile } from './wat.js';

test.after(closeCompiler);

type Function = (...args: number[]) => unknown;
const repeat = (count: number, text: (i: number) => string) => Array.from({ length: count }, (_, i) => text(i)).join(' ');
const call = (instance: Instance, name: string, ...args: number[]) => (instance.exports[name] as Function)(...args);

/** uvu has no assertion for promises. */
async function expectRejection(promise: Promise<unknown>, message: RegExp): Promise<void> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason);
  assert.match(String(error), message);
}

function isTrap(code: string) {
  return (error: unknown) => error instanceof Trap && error.code === code;
}

test('a thousand parameters and results, to the host and back, at every depth of the stack', async () => {
  const COUNT = 1000;
  const types = repeat(COUNT, (i) => (i % 3 === 2 ? 'f64' : 'i32'));
  const text = `(module (type $many (func (param ${types}) (result ${types}))) (import "" "many" (func $many (type $many)))
    (func $through (export "through") (type $many) ${repeat(COUNT, (i) => `local.get ${i}`)} call $many)
    (func $sum (export "sum") (param $n i32) (result i32) (local $s i32) (local $f f64) ${repeat(COUNT, (i) => (i % 3 === 2 ? `f64.const ${i}.5` : `(i32.add (local.get $n) (i32.const ${i}))`))} call $through
      ${repeat(COUNT, (i) => ((COUNT - 1 - i) % 3 === 2 ? 'local.get $f f64.add local.set $f' : 'local.get $s i32.add local.set $s'))} local.get $s)
    (func $deep (export "deep") (param $n i32) (result i32) (i32.add (call $sum (local.get $n)) (call $deep (i32.add (local.get $n) (i32.const 1))))))`;
  let seen = 0;
  const instance = load(await compile(text, { optLevel: 0 })).instantiate({ '': { many: (...values: number[]) => { seen++; return values; } } });
  let expected = 0;
  for (let i = 0; i < COUNT; i++) if (i % 3 !== 2) expected = (expected + 7 + i) | 0;
  assert.is(call(instance, 'sum', 7), expected);
  const given = Array.from({ length: COUNT }, (_, i) => (i % 3 === 2 ? i + 0.25 : i));
  assert.equal(call(instance, 'through', ...given), given);
  seen = 0;
  // Wasm meets the end of the stack, or JavaScript does.
  assert.throws(() => call(instance, 'deep', 0), (error: unknown) => isTrap('call_stack_exhausted')(error) || (error instanceof RangeError && /call stack/.test(error.message)));
  assert.ok(seen > 5, `${seen} calls of the host before the stack was used up`);
  assert.is(call(instance, 'sum', 7), expected);
});

test('frames as large as locals can make them: the guard is not jumped over', async () => {
  const LOCALS = 2000;
  // All locals live across the call, so that each has a place in the frame: 8 bytes, far more than a page together.
  const text = `(module (global $g (mut i32) (i32.const 0)) (func $zero (result i32) global.get $g)
    (func $f (export "f") (param $n i32) (result i32) (local ${repeat(LOCALS, () => 'i64')})
      ${repeat(LOCALS, (i) => `(local.set ${i + 1} (i64.extend_i32_u (i32.add (call $zero) (local.get $n))))`)}
      (if (local.get $n) (then (drop (call $f (i32.add (local.get $n) (i32.const 1))))))
      local.get 1 ${repeat(LOCALS - 1, (i) => `local.get ${i + 2} i64.add`)} i32.wrap_i64))`;
  const instance = load(await compile(text, { optLevel: 0 })).instantiate();
  assert.throws(() => call(instance, 'f', 1), isTrap('call_stack_exhausted'));
  assert.is(call(instance, 'f', 0), 0);
});

test('tables and memories: as large as the limits, no larger; growth by everything', async () => {
  const text = `(module (memory 0 65536) (table $t 0 funcref) (table $small 1 3 externref)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))) (func (export "size") (result i32) (memory.size))
    (func (export "grow_table") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))) (func (export "size_table") (result i32) (table.size $t))
    (func (export "grow_small") (param i32) (result i32) (table.grow $small (ref.null extern) (local.get 0)))
    (func (export "touch") (param i32) (i32.store8 (local.get 0) (i32.const 1))) (func (export "get") (param i32) (drop (table.get $t (local.get 0)))))`;
  const instance = load(await compile(text)).instantiate();
  for (const delta of [-1, 65537, 0x7fffffff, -0x80000000]) assert.is(call(instance, 'grow', delta), -1, String(delta));
  assert.is(call(instance, 'grow', 65536), 0);
  assert.is(call(instance, 'size'), 65536);
  for (const delta of [1, -1, -65536]) assert.is(call(instance, 'grow', delta), -1);
  call(instance, 'touch', -1);
  for (const delta of [-1, -0x80000000, 0x7fffffff, 10_000_001]) assert.is(call(instance, 'grow_table', delta), -1, String(delta));
  assert.is(call(instance, 'grow_table', 10_000_000), 0);
  assert.is(call(instance, 'grow_table', 1), -1);
  assert.throws(() => call(instance, 'get', 10_000_000), isTrap('out_of_bounds_table_access'));
  call(instance, 'get', 9_999_999);
  assert.is(call(instance, 'grow_small', -1), -1);
  assert.is(call(instance, 'grow_small', 2), 1);
  assert.is(call(instance, 'grow_small', 1), -1);
  for (const module of ['(module (table 4294967295 funcref))', '(module (table 10000001 externref))']) {
    await expectRejection(compile(module), /table/);
  }
});

test('segments that do not fit, and what they leave behind', async () => {
  const memory = 'out_of_bounds_memory_access';
  const table = 'out_of_bounds_table_access';
  for (const [text, code] of [
    ['(module (memory 1) (data (i32.const 65533) "four"))', memory], ['(module (memory 1) (data (i32.const -1) "x"))', memory], ['(module (memory 0) (data (i32.const 0) "x"))', memory],
    ['(module (table 2 funcref) (elem (i32.const 1) $f $f) (func $f))', table], ['(module (table 2 funcref) (elem (i32.const -1) $f) (func $f))', table],
  ]) {
    const path = await compile(text);
    assert.throws(() => load(path).instantiate(), isTrap(code), text);
  }
  // What ran before the one that failed stays, in what the module shares with others (spec 2.0, 4.5.4).
  const shared = load(await compile('(module (memory (export "m") 1))')).instantiate().exports.m as WebAssembly.Memory;
  const path = await compile('(module (import "" "m" (memory 1)) (data (i32.const 8) "ab") (data (i32.const 65535) "cd"))');
  assert.throws(() => load(path).instantiate({ '': { m: shared } }), isTrap(memory));
  assert.equal([...new Uint8Array(shared.buffer, 8, 2), new Uint8Array(shared.buffer)[65535]], [0x61, 0x62, 0]);
});

test('names that mean something to JavaScript are names like any other', async () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'then', 'valueOf', ''];
  const text = `(module ${names.map((name, i) => `(import "${name}" "${name}" (func $h${i} (result i32)))`).join(' ')}
    ${names.map((name, i) => `(func (export "${name}") (result i32) (call $h${i}))`).join(' ')})`;
  const module = load(await compile(text));
  const imports = Object.create(null) as Record<string, Record<string, () => number>>;
  for (const [i, name] of names.entries()) {
    imports[name] = Object.create(null) as Record<string, () => number>;
    imports[name][name] = () => 100 + i;
  }
  const { exports } = module.instantiate(imports);
  assert.is(Object.getPrototypeOf(exports), null);
  for (const [i, name] of names.entries()) assert.is((Object.getOwnPropertyDescriptors(exports)[name].value as () => number)(), 100 + i, name);
  assert.is(({} as { polluted?: unknown }).polluted, undefined);
});

test.run();
