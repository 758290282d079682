/** What stands between a guest and its host: page permissions of artifacts, checks of indirect calls, bounds in 64-bit arithmetic. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readFileSync, realpathSync } from 'node:fs';
import { load, type Table, Trap } from '../../loader/index.js';
import { closeCompiler, compile, loadText } from './wat.js';

test.after(closeCompiler);

/** The permissions of the mappings of a file in this process. */
function permissionsOf(path: string): string[] {
  const real = realpathSync(path);
  return readFileSync('/proc/self/maps', 'utf8').split('\n').filter((line) => line.endsWith(` ${real}`)).map((line) => line.split(' ')[1]);
}

test('the text of a loaded artifact is not writable, its data not executable, and nothing of it writable', async () => {
  const path = await compile(`(module (memory (export "memory") 1) (table 3 funcref) (elem (i32.const 0) $f $f) (data (i32.const 8) "data") (global (mut i32) (i32.const 1))
    (func $f (export "f") (result i32) (i32.load (i32.const 8))))`);
  const instance = load(path).instantiate();
  assert.is((instance.exports.f as () => number)(), 0x61746164);
  const found = permissionsOf(path);
  assert.ok(found.length >= 3, `mappings: ${found.join(' ')}`);
  assert.is(found.filter((permissions) => permissions[2] === 'x').length, 1, 'one executable mapping');
  for (const permissions of found) assert.is(permissions[1], '-', `a mapping is ${permissions}`);
});

/** The code of the trap that a call ends in. */
function trapOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof Trap) return error.code;
    throw error;
  }
  return 'none';
}

for (const optLevel of [0, 2] as const) {
  test(`indirect calls are checked for range, null and type at -O${optLevel}`, async () => {
    const module = await loadText(`(module (type $i (func (param i32) (result i32))) (type $same (func (param i32) (result i32))) (type $l (func (param i64) (result i32))) (type $n (func))
      (table $t (export "t") 4 8 funcref) (table $u 2 funcref) (elem (table $t) (i32.const 0) func $int $long $none) (elem (table $u) (i32.const 1) func $int)
      (func $int (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))) (func $long (param i64) (result i32) (i32.const 2)) (func $none)
      (func (export "i") (param i32) (result i32) (call_indirect $t (type $same) (i32.const 41) (local.get 0)))
      (func (export "l") (param i32) (result i32) (call_indirect $t (type $l) (i64.const 41) (local.get 0)))
      (func (export "n") (param i32) (call_indirect $t (type $n) (local.get 0)))
      (func (export "u") (param i32) (result i32) (call_indirect $u (type $i) (i32.const 6) (local.get 0)))
      (func (export "constant") (result i32) (call_indirect $t (type $i) (i32.const 1) (i32.const -1)))
      (func (export "grow") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))`, { optLevel });
    const { exports } = module.instantiate() as unknown as { exports: Record<string, (x?: number) => unknown> & { t: Table } };
    assert.is(exports.i(0), 42);
    assert.is(exports.l(1), 2);
    assert.is(exports.n(2), undefined);
    assert.is(exports.u(1), 7);
    for (const [name, index] of [['i', 1], ['i', 2], ['l', 0], ['l', 2], ['n', 0], ['n', 1]] as const) assert.is(trapOf(() => exports[name](index)), 'indirect_call_type_mismatch', `${name} ${index}`);
    assert.is(trapOf(() => exports.i(3)), 'uninitialized_element');
    assert.is(trapOf(() => exports.u(0)), 'uninitialized_element');
    for (const index of [4, 5, 7, 0x7fffffff, -0x80000000, -1, 0x10000000, 0x20000000]) assert.is(trapOf(() => exports.i(index)), 'undefined_element', String(index));
    assert.is(trapOf(() => exports.u(2)), 'undefined_element');
    assert.is(trapOf(() => exports.constant()), 'undefined_element');
    assert.is(exports.grow(2), 4);
    assert.is(trapOf(() => exports.i(5)), 'uninitialized_element');
    assert.is(trapOf(() => exports.i(6)), 'undefined_element');
  });

  test(`bounds are computed without wrapping at -O${optLevel}`, async () => {
    const module = await loadText(`(module (memory 1) (table $t 8 funcref) (elem $e func $f $f) (data $d "0123") (func $f)
      (func (export "load") (param i32) (drop (i64.load offset=0xffffffff (local.get 0))))
      (func (export "store") (param i32) (i32.store16 offset=0xfffffffe (local.get 0) (i32.const 1)))
      (func (export "near") (param i32) (result i32) (i32.load offset=65532 (local.get 0)))
      (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
      (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
      (func (export "tableInit") (param i32 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
      (func (export "tableFill") (param i32 i32) (table.fill $t (local.get 0) (ref.null func) (local.get 1)))
      (func (export "tableCopy") (param i32 i32 i32) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
      (func (export "get") (param i32) (drop (table.get $t (local.get 0)))) (func (export "set") (param i32) (table.set $t (local.get 0) (ref.null func))))`, { optLevel });
    const exports = module.instantiate().exports as unknown as Record<string, (...args: number[]) => unknown>;
    const memory = 'out_of_bounds_memory_access';
    const table = 'out_of_bounds_table_access';
    for (const index of [0, 1, 2, -1, 0x7fffffff, -0x80000000]) {
      assert.is(trapOf(() => exports.load(index)), memory, `load ${index}`);
      assert.is(trapOf(() => exports.store(index)), memory, `store ${index}`);
    }
    assert.is(exports.near(0), 0);
    for (const index of [1, 4, -1, -65532]) assert.is(trapOf(() => exports.near(index)), memory, `near ${index}`);
    // Sums that would be small, were they 32 bits wide.
    for (const [start, count] of [[65536, 1], [1, -1], [-1, 1], [-1, 2], [65535, 2], [-65536, -1]]) {
      assert.is(trapOf(() => exports.fill(start, count)), memory, `fill ${start} ${count}`);
      assert.is(trapOf(() => exports.copy(start, 0, count)), memory);
      assert.is(trapOf(() => exports.copy(0, start, count)), memory);
    }
    for (const args of [[0, 5, 0], [0, -1, 2], [0, 1, 4], [65533, 0, 4], [-1, 0, 1], [-4, 0, 4]]) assert.is(trapOf(() => exports.init(...args)), memory, `init ${args}`);
    for (const args of [[0, 3, 0], [0, -1, 2], [0, 1, 2], [7, 0, 2], [-1, 0, 1], [-2, 0, 2]]) assert.is(trapOf(() => exports.tableInit(...args)), table, `table.init ${args}`);
    for (const args of [[9, 0], [8, 1], [-1, 1], [-1, 2], [1, -1]]) assert.is(trapOf(() => exports.tableFill(...args)), table, `table.fill ${args}`);
    for (const args of [[0, 9, 0], [0, -1, 2], [-1, 0, 2], [0, 1, -1], [7, 0, 2]]) assert.is(trapOf(() => exports.tableCopy(...args)), table, `table.copy ${args}`);
    for (const index of [8, -1, -0x80000000, 0x20000000]) {
      assert.is(trapOf(() => exports.get(index)), table);
      assert.is(trapOf(() => exports.set(index)), table);
    }
    for (const [name, ...args] of [['fill', 65536, 0], ['copy', 65536, 65536, 0], ['init', 65536, 4, 0], ['tableInit', 8, 2, 0], ['tableFill', 8, 0], ['tableCopy', 8, 8, 0]] as [string, ...number[]][]) {
      assert.is(trapOf(() => exports[name](...args)), 'none', `${name} of nothing at the end`);
    }
  });
}

test.run();
