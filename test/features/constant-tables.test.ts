/**
 * call_indirect through tables that never change, of which the compiler knows the elements, and through tables that are nearly so: what V8 does, the fuel that it takes there with a counter, and the right trap of the three.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import binaryen from 'binaryen';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCompiler } from '../../compiler/index.js';
import { load, Table, Trap } from '../../loader/index.js';
import { COUNTER, injectMetering } from '../fuel/inject.js';
import { assemble, closeCompiler, compile, scratch } from '../loader/wat.js';

test.after(async () => await closeCompiler());

const LEVELS = [0, 2] as const;
const SIZE = 8;
const OPTIONS = { tail_call: true };

/** A module with a table of functions of two types, calls through it, and a function that may change it. `at` is an imported global, 1. */
const moduleText = (table: string, elements: string, change = '') => `(module
  (type $unary (func (param i32) (result i32))) (type $constant (func (result i32)))
  (import "m" "host" (func $host (type $unary))) (import "m" "at" (global $at i32))
  (func $next (type $unary) (i32.add (local.get 0) (i32.const 1)))
  (func $twice (type $unary) (i32.mul (local.get 0) (i32.const 2)))
  (func $square (type $unary) (i32.mul (local.get 0) (local.get 0)))
  (func $seven (type $constant) (i32.const 7))
  ${table} ${elements}
  (elem declare func $next $twice $square $seven $host)
  (func (export "unary") (param i32 i32) (result i32) (call_indirect $t (type $unary) (local.get 1) (local.get 0)))
  (func (export "constant") (param i32 i32) (result i32) (call_indirect $t (type $constant) (local.get 0)))
  (func (export "tail") (param i32 i32) (result i32) (return_call_indirect $t (type $unary) (local.get 1) (local.get 0)))
  (func (export "other") (param i32 i32) (result i32) (f64.ne (call_indirect $t (param f64) (result f64) (f64.const 1) (local.get 0)) (f64.const 0)))
  (func (export "isNull") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
  (func (export "change") ${change}))`;

const TABLE = `(table $t ${SIZE} funcref)`;
const ELEMENTS = '(elem (table $t) (i32.const 1) func $next $twice $square) (elem (table $t) (i32.const 5) func $seven)';
const MODULES: Readonly<Record<string, string>> = {
  'functions of a type beside each other': moduleText(TABLE, ELEMENTS),
  'the first and the last element': moduleText(TABLE, '(elem (table $t) (i32.const 0) func $next) (elem (table $t) (i32.const 7) func $seven)'),
  'a full table': moduleText('(table $t 3 funcref)', '(elem (table $t) (i32.const 0) func $next $twice $square)'),
  'functions of a type apart from each other': moduleText(TABLE, '(elem (table $t) (i32.const 1) func $next $seven $square)'),
  'null between them': moduleText(TABLE, '(elem (table $t) (i32.const 1) funcref (ref.func $next) (ref.null func) (ref.func $square))'),
  'segments over each other': moduleText(TABLE, `${ELEMENTS} (elem (table $t) (i32.const 2) func $seven $next)`),
  'an import among them': moduleText(TABLE, '(elem (table $t) (i32.const 1) func $next $host $square)'),
  'imports alone': moduleText(TABLE, '(elem (table $t) (i32.const 1) func $host $host)'),
  'nothing': moduleText(TABLE, ''),
  'no room': moduleText('(table $t 0 funcref)', ''),
  'another table that changes': moduleText(`${TABLE} (table $u 4 funcref)`, ELEMENTS, '(table.set $u (i32.const 1) (ref.func $seven)) (table.copy $u $t (i32.const 0) (i32.const 1) (i32.const 2))'),
  // Nearly constant.
  'exported': moduleText(`(table $t (export "table") ${SIZE} funcref)`, ELEMENTS),
  'table.set': moduleText(TABLE, ELEMENTS, '(table.set $t (i32.const 2) (ref.func $seven))'),
  'table.grow': moduleText(TABLE, ELEMENTS, '(drop (table.grow $t (ref.func $next) (i32.const 1)))'),
  'table.fill': moduleText(TABLE, ELEMENTS, '(table.fill $t (i32.const 3) (ref.null func) (i32.const 2))'),
  'table.copy': moduleText(TABLE, ELEMENTS, '(table.copy $t $t (i32.const 2) (i32.const 5) (i32.const 1))'),
  'table.copy from another table': moduleText(`${TABLE} (table $u 4 funcref)`, `${ELEMENTS} (elem (table $u) (i32.const 0) func $seven)`, '(table.copy $t $u (i32.const 2) (i32.const 0) (i32.const 1))'),
  'table.init': moduleText(TABLE, `${ELEMENTS} (elem $passive func $seven $square)`, '(table.init $t $passive (i32.const 1) (i32.const 0) (i32.const 2))'),
  'an offset that is not constant': moduleText(TABLE, '(elem (table $t) (global.get $at) func $next $twice) (elem (table $t) (i32.const 5) func $seven)'),
};

type Calls = Record<string, (...args: number[]) => unknown>;

/** A call's result, or how it trapped as V8 and the table tell. */
function expect(oracle: Calls, name: string, index: number): string {
  try {
    return `${oracle[name](index, 5)}`;
  } catch (error) {
    assert.instance(error, WebAssembly.RuntimeError);
  }
  try {
    return oracle.isNull(index) ? 'uninitialized_element' : 'indirect_call_type_mismatch';
  } catch {
    return 'undefined_element';
  }
}

function observe(run: () => unknown): string {
  try {
    return `${run()}`;
  } catch (error) {
    assert.instance(error, Trap);
    return (error as Trap).code;
  }
}

for (const [name, text] of Object.entries(MODULES)) {
  test(name, async () => {
    const imports = { m: { host: (x: number) => x - 1, at: 1 } };
    const oracle = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(injectMetering(await assemble(text, OPTIONS)))), imports).exports;
    const fuelOf = () => (oracle[COUNTER] as WebAssembly.Global).value as bigint;
    const ours = await Promise.all(LEVELS.map(async (optLevel) => load(await compile(text, { optLevel }, OPTIONS)).instantiate(imports)));
    const seen = new Set<string>();
    for (const isChanged of [false, true]) {
      if (isChanged) for (const { exports } of [{ exports: oracle }, ...ours]) change(exports);
      for (const call of ['unary', 'constant', 'tail', 'other']) {
        for (const index of [-(2 ** 31), -1, ...Array.from({ length: SIZE + 3 }, (_, i) => i), 2 ** 31 - 1]) {
          const expected = expect(oracle as Calls, call, index);
          const before = fuelOf();
          observeOnly(() => (oracle as Calls)[call](index, 5));
          const fuel = fuelOf() - before;
          seen.add(expected);
          for (const [i, instance] of ours.entries()) {
            const start = instance.fuel.consumed;
            const where = `${call}(${index})${isChanged ? ', changed,' : ''} at -O${LEVELS[i]}`;
            assert.is(observe(() => (instance.exports as Calls)[call](index, 5)), expected, where);
            assert.is(instance.fuel.consumed - start, fuel, `fuel of ${where}`);
          }
        }
      }
    }
    assert.ok(seen.has('undefined_element'));
    if (name !== 'no room' && name !== 'a full table') assert.ok(seen.has('uninitialized_element'));
    if (name !== 'no room' && name !== 'nothing') assert.ok(seen.has('indirect_call_type_mismatch'));
  });
}

function change(exports: Readonly<Record<string, unknown>>): void {
  (exports.change as () => void)();
  const table = exports.table as Table | WebAssembly.Table | undefined;
  table?.set(2, table.get(5));
}

/** Runs what may trap on V8. */
function observeOnly(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    assert.instance(error, WebAssembly.RuntimeError);
  }
}

test('what a failed instantiation leaves in an imported table finds its own table as far as it was written', async () => {
  const text = (after: string) => `(module (type $i (func (result i32))) (import "m" "t" (table $shared 4 funcref)) (table $t 3 funcref)
    (func $one (result i32) (i32.const 1))
    (func $call (result i32) (call_indirect $t (type $i) (i32.const 1)))
    (elem (table $shared) (i32.const 0) func $call)
    ${after})`;
  const own = '(elem (table $t) (i32.const 0) func $one $one $one)';
  const failing = '(elem (table $t) (i32.const 2) func $one $one)';
  for (const [segments, expected] of [[own, '1'], [`${failing} ${own}`, 'uninitialized_element'], [`(elem (table $shared) (i32.const 4) func $one) ${own}`, 'uninitialized_element'], [`${own} ${failing}`, '1']]) {
    const table = new Table({ element: 'anyfunc', initial: 4 });
    const instantiate = async () => load(await compile(text(segments), {})).instantiate({ m: { t: table } });
    let failed = false;
    await instantiate().catch((error: Error) => { failed = /out of bounds table access/.test(error.message); });
    assert.is(failed, segments !== own);
    assert.is(observe(table.get(0) as () => unknown), expected, segments);
  }
});

test('functions of subtypes', async () => {
  const { Features: F } = binaryen;
  const module = binaryen.parseText(`(module
    (type $wide (sub (func (result (ref null func))))) (type $narrow (sub $wide (func (result (ref null $wide)))))
    (table $t 4 funcref) (elem $e (table $t) (i32.const 1) func $w $n)
    (func $w (type $wide) (ref.null func)) (func $n (type $narrow) (ref.null $wide))
    (func (export "wide") (param i32) (result i32) (ref.is_null (call_indirect $t (type $wide) (local.get 0))))
    (func (export "narrow") (param i32) (result i32) (ref.is_null (call_indirect $t (type $narrow) (local.get 0)))))`);
  module.setFeatures(F.ReferenceTypes | F.GC | F.BulkMemory);
  const bytes = module.emitBinary();
  module.dispose();
  const compiler = await openCompiler({ workers: 1 });
  try {
    const path = join(scratch(), 'subtypes.so');
    writeFileSync(path, (await compiler.build(bytes, {})).artifact);
    const { wide, narrow } = load(path).instantiate({}).exports as Calls;
    const outcomes = (call: Calls[string]) => [0, 1, 2, 3, 4].map((index) => observe(() => call(index)));
    assert.equal(outcomes(wide), ['uninitialized_element', '1', '1', 'uninitialized_element', 'undefined_element']);
    assert.equal(outcomes(narrow), ['uninitialized_element', 'indirect_call_type_mismatch', '1', 'uninitialized_element', 'undefined_element']);
  } finally {
    await compiler.close();
  }
});

test.run();
