/** Typed function references: calls and tail calls through them, branches on null, tables and globals of them; V8's results, exact fuel at every level, traps. */
import binaryen from 'binaryen';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { load, OutOfFuel, Store, Trap } from '../../loader/index.js';
import { COUNTER, injectMetering } from '../fuel/inject.js';
import { scratch } from '../loader/wat.js';
import { forV8, v8HasTypedReferences } from './v8-encoding.js';

let compiler: Compiler;
test.before(async () => { compiler = await openCompiler({ workers: 2 }); });
test.after(async () => await compiler.close());

let count = 0;
async function build(bytes: Uint8Array, options: BuildOptions = {}) {
  const { artifact } = await compiler.build(bytes, options);
  const path = join(scratch(), `references-${count++}.so`);
  writeFileSync(path, artifact);
  return load(path);
}

/** wabt knows an early form of the proposal only. */
function assemble(text: string): Uint8Array {
  const { Features: F } = binaryen;
  const module = binaryen.parseText(text);
  module.setFeatures(F.ReferenceTypes | F.GC | F.TailCall | F.Multivalue | F.BulkMemory | F.MutableGlobals | F.SignExt | F.ExtendedConst);
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

const MILLION = 1_000_000;
const NINE = Array.from({ length: 9 }, (_, i) => `(param $p${i} i64)`).join(' ');
/** binaryen numbers the exported functions as they are written; $list is a linked list of references, by which `walk` goes until it meets null. */
const TEXT = `(module
  (type $unary (func (param i32) (result i32)))
  (type $pair (func (param i32) (result i32 i64)))
  (type $step (func (param i32 i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (type $nothing (func))
  (rec (type $get (func (result (ref null $get)))))
  (import "host" "twice" (func $twice (type $unary)))
  (table $filled (export "filled") 4 8 (ref $unary) (ref.func $inc))
  (table $holes 5 (ref null $unary))
  (table $steps 2 (ref null $step))
  (table $any 3 funcref)
  (elem (table $holes) (i32.const 1) (ref null $unary) (ref.func $inc) (ref.func $twice) (ref.null $unary))
  (elem (table $steps) (i32.const 0) (ref null $step) (ref.func $even) (ref.func $odd))
  (elem $later (ref $unary) (ref.func $dec) (ref.func $twice))
  (elem declare func $two $chainEnd $chain $spin $nop)
  (global $g (mut (ref null $unary)) (ref.null $unary))
  (global $fixed (ref $unary) (ref.func $dec))
  (func $inc (type $unary) (i32.add (local.get 0) (i32.const 1)))
  (func $dec (type $unary) (i32.sub (local.get 0) (i32.const 1)))
  (func $two (type $pair) (local.get 0) (i64.extend_i32_s (local.get 0)))
  (func $chainEnd (type $get) (ref.null $get))
  (func $chain (type $get) (ref.func $chainEnd))
  (func (export "call") (param $i i32) (param $x i32) (result i32) (call_ref $unary (local.get $x) (table.get $holes (local.get $i))))
  (func (export "callFilled") (param $i i32) (param $x i32) (result i32) (call_ref $unary (local.get $x) (table.get $filled (local.get $i))))
  (func (export "tail") (param $i i32) (param $x i32) (result i32) (return_call_ref $unary (local.get $x) (table.get $holes (local.get $i))))
  (func (export "tailFixed") (param $x i32) (result i32) (return_call_ref $unary (local.get $x) (global.get $fixed)))
  (func (export "fixed") (param $x i32) (result i32) (call_ref $unary (local.get $x) (global.get $fixed)))
  (func (export "pair") (param $x i32) (result i32 i64) (call_ref $pair (local.get $x) (ref.func $two)))
  (func (export "setGlobal") (param $i i32) (global.set $g (table.get $holes (local.get $i))))
  (func (export "viaGlobal") (param $x i32) (result i32) (call_ref $unary (local.get $x) (global.get $g)))
  (func (export "must") (param $i i32) (result i32) (local $f (ref $unary))
    (local.set $f (ref.as_non_null (table.get $holes (local.get $i))))
    (i32.add (call_ref $unary (i32.const 1) (local.get $f)) (call_ref $unary (i32.const 10) (local.get $f))))
  (func (export "orElse") (param $i i32) (param $x i32) (result i32)
    (call_ref $unary (local.get $x) (block $found (result (ref $unary)) (br_on_non_null $found (table.get $holes (local.get $i))) (ref.func $dec))))
  (func (export "orZero") (param $i i32) (param $x i32) (result i32)
    (block $null (return (call_ref $unary (local.get $x) (br_on_null $null (table.get $holes (local.get $i)))))) (i32.const 0))
  (func (export "orReturn") (param $i i32) (param $x i32) (result i32)
    (drop (call_ref $unary (local.get $x) (br_on_null 0 (local.get $x) (table.get $holes (local.get $i))))) (i32.const 1000))
  (func (export "walk") (param $n i32) (result i32) (local $at (ref null $get)) (local $count i32)
    (loop $again
      (local.set $at (ref.func $chain))
      (block $end (loop $more (local.set $count (i32.add (local.get $count) (i32.const 1))) (local.set $at (call_ref $get (br_on_null $end (local.get $at)))) (br $more)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $count))
  (func (export "nullLoop") (param $n i32) (result i32)
    (loop $l (result i32) (br_if $l (local.get $n) (i32.eqz (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
  (func (export "pick") (param $i i32) (param $c i32) (result i32)
    (call_ref $unary (i32.const 5) (select (result (ref null $unary)) (global.get $fixed) (table.get $holes (local.get $i)) (local.get $c))))
  (func $even (type $step)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_ref $step (i32.sub (local.get 0) (i32.const 1)) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 9)
      (i64.add (local.get 1) (i64.const 1)) (table.get $steps (i32.const 1))))
  (func $odd (type $step)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call_ref $step (i32.sub (local.get 0) (i32.const 1)) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 9)
      (local.get 1) (table.get $steps (i32.const 0))))
  (func (export "steps") (param $n i32) ${NINE} (result i64)
    (call_ref $step (local.get $n) ${Array.from({ length: 9 }, (_, i) => `(local.get $p${i})`).join(' ')} (table.get $steps (i32.const 0))))
  (func (export "setLater") (param i32 i32 i32) (table.init $filled $later (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (table.copy $any $holes (local.get 0) (local.get 1) (local.get 2)))
  (func (export "viaAny") (param $i i32) (param $x i32) (result i32) (call_indirect $any (type $unary) (local.get $x) (local.get $i)))
  (func (export "grow") (param i32) (result i32) (table.grow $filled (ref.func $dec) (local.get 0)))
  (func $nop (type $nothing))
  (func (export "isNull") (param $i i32) (result i32) (ref.is_null (table.get $holes (local.get $i))))
  (func $spin (export "spin") (return_call_ref $nothing (ref.func $spin)))
  (func (export "id") (param (ref null $unary)) (result funcref) (local.get 0))
  (func (export "nullsOnly") (param (ref null nofunc) (ref null noextern)) (result i32) (ref.is_null (local.get 0)))
  (func (export "some") (param (ref $unary) (ref extern)) (result i32) (call_ref $unary (i32.const 1) (local.get 0))))`;

type Func = (...args: unknown[]) => unknown;
const nine = Array.from({ length: 9 }, (_, i) => BigInt(i * 1000));
/** In this order, since some change tables and globals. */
const CALLS: readonly (readonly [name: string, ...args: unknown[]])[] = [
  ...[1, 2].flatMap((i) => ['call', 'tail', 'orElse', 'orZero', 'orReturn'].map((name) => [name, i, 41] as const)), ...[0, 3, 4].flatMap((i) => ['orElse', 'orZero', 'orReturn'].map((name) => [name, i, 7] as const)),
  ['callFilled', 0, 1], ['callFilled', 3, 1], ['tailFixed', 9], ['fixed', 9], ['pair', -3], ['setGlobal', 2], ['viaGlobal', 50], ['must', 1], ['must', 2], ['walk', 1], ['walk', 1000],
  ['pick', 0, 1], ['pick', 1, 0], ['steps', 0, ...nine], ['steps', 7, ...nine], ['steps', MILLION, ...nine], ['steps', MILLION + 1, ...nine],
  ['setLater', 1, 0, 2], ['callFilled', 1, 5], ['callFilled', 2, 5], ['copy', 0, 1, 2], ['viaAny', 0, 5], ['viaAny', 1, 5], ['grow', 2], ['callFilled', 5, 5], ['grow', 9], ['isNull', 0], ['isNull', 1],
];
/** What ends in a trap, and which; before CALLS. */
const TRAPS: readonly (readonly [code: string, name: string, ...args: unknown[]])[] = [
  ['null_function_reference', 'call', 0, 1], ['null_function_reference', 'call', 3, 1], ['out_of_bounds_table_access', 'call', 5, 1], ['null_function_reference', 'tail', 0, 1],
  ['null_function_reference', 'viaGlobal', 1], ['null_reference', 'must', 0], ['null_function_reference', 'pick', 0, 0], ['out_of_bounds_table_access', 'callFilled', 4, 1],
  ['out_of_bounds_table_access', 'setLater', 3, 0, 2], ['uninitialized_element', 'viaAny', 2, 1],
];

const twice = (x: number) => 2 * x;
const LEVELS: readonly BuildOptions[] = [{ optLevel: 0 }, { optLevel: 1 }, { optLevel: 2 }, { optLevel: 3 }, { fuel: 'sync', cpu: 'v2' }, { debug: true }];
const consumed = new Map<string, bigint>();
const bytes = assemble(TEXT);

for (const options of LEVELS) {
  test(`results and fuel are V8's with a counter before every operator, traps have their codes: ${JSON.stringify(options)}`, async () => {
    const theirs = v8HasTypedReferences
      ? (new WebAssembly.Instance(new WebAssembly.Module(forV8(injectMetering(bytes)) as BufferSource), { host: { twice } }).exports as Record<string, Func> & Record<typeof COUNTER, WebAssembly.Global>)
      : undefined;
    const store = new Store({ fuel: 10n ** 12n });
    const artifact = await build(bytes, options);
    const ours = artifact.instantiate({ host: { twice } }, { store }).exports as Record<string, Func>;
    const compare = (name: string, args: unknown[], run: (exports: Record<string, Func>) => unknown) => {
      const before = store.fuel.consumed;
      const result = run(ours);
      const fuel = store.fuel.consumed - before;
      const key = `${name} ${args.join(' ')}`;
      if (theirs) {
        const start = theirs[COUNTER].value;
        assert.equal(result, run(theirs), key);
        assert.is(fuel, theirs[COUNTER].value - start, `fuel of ${key}`);
      }
      assert.is(consumed.get(key) ?? fuel, fuel, key);
      consumed.set(key, fuel);
    };
    for (const [code, name, ...args] of TRAPS) {
      compare(name, args, (exports) => {
        assert.throws(() => exports[name](...args), (error: unknown) => (exports === ours ? error instanceof Trap && error.code === code : error instanceof WebAssembly.RuntimeError), `${name} ${args.join(' ')}`);
      });
    }
    for (const [name, ...args] of CALLS) compare(name, args, (exports) => exports[name](...args));
    const endless = artifact.instantiate({ host: { twice } }, { fuel: 5_000_000n }).exports as Record<string, Func>;
    assert.throws(() => endless.spin(), (error: unknown) => error instanceof OutOfFuel);
  });
}

test('the price of the branches on null is that of a branch, and each closes a loop that pays', async () => {
  // By hand: entry, local.get, local.get, table.get, br_on_null, i32.const.
  assert.is(consumed.get('orZero 0 7'), 6n);
  const loops = assemble(`(module (type $f (func)) (table $t 1 (ref null $f)) (elem (table $t) (i32.const 0) (ref null $f) (ref.func $n)) (func $n (type $f))
    (func (export "onNull") (loop $l (drop (br_on_null $l (ref.null $f)))))
    (func (export "onNonNull") (loop $l (param) (block $b (result (ref $f)) (br_on_non_null $b (table.get $t (i32.const 0))) (unreachable)) (drop) (br $l))))`);
  for (const optLevel of [0, 2] as const) {
    const artifact = await build(loops, { optLevel });
    for (const name of ['onNull', 'onNonNull']) {
      const { exports } = artifact.instantiate({}, { fuel: 3_000_000n });
      assert.throws(() => exports[name](), (error: unknown) => error instanceof OutOfFuel, name);
    }
  }
});

test('values from JavaScript are checked: null, the function type', async () => {
  const { exports } = (await build(bytes)).instantiate({ host: { twice } });
  const refuses = (message: RegExp, run: () => unknown) => assert.throws(run, (error: unknown) => error instanceof TypeError && message.test(error.message));
  assert.is(exports.id(null), null);
  assert.is(exports.id(exports.tailFixed), exports.tailFixed);
  refuses(/another type/, () => exports.id(exports.setGlobal));
  refuses(/null or a function that a wasm-aot instance exports/, () => exports.id(twice));
  refuses(/null or a function/, () => exports.id(3));
  assert.is(exports.nullsOnly(null, null), 1);
  refuses(/null is the only value/, () => exports.nullsOnly(exports.id, null));
  refuses(/null is the only value/, () => exports.nullsOnly(null, {}));
  assert.is(exports.some(exports.fixed, {}), 0);
  assert.is(exports.some(exports.tailFixed, undefined), 0);
  refuses(/without null/, () => exports.some(null, {}));
  refuses(/without null/, () => exports.some(exports.fixed, null));
  const table = exports.filled;
  assert.is(table.get(0)(4), 5);
  table.set(0, exports.fixed);
  assert.is(exports.callFilled(0, 4), 3);
  refuses(/without null/, () => table.set(0, null));
  refuses(/without null/, () => table.set(0));
  refuses(/another type/, () => table.set(0, exports.spin));
  refuses(/without null/, () => table.grow(1));
  assert.is(table.grow(1, exports.fixed), 4);
  assert.is(exports.callFilled(4, 4), 3);
});

test('what host functions return is checked', async () => {
  const text = `(module (type $f (func (param i32) (result i32))) (import "host" "give" (func $give (result (ref $f)))) (import "host" "both" (func $both (result (ref null $f) (ref extern))))
    (func (export "inc") (type $f) (i32.add (local.get 0) (i32.const 1))) (func (export "nop"))
    (func (export "run") (result i32) (call_ref $f (i32.const 1) (call $give)))
    (func (export "two") (result i32) (drop (call $both)) (ref.is_null)))`;
  let given: unknown = null;
  const { exports } = (await build(assemble(text))).instantiate({ host: { give: () => given, both: () => given } });
  const refuses = (value: unknown, name: string) => {
    given = value;
    assert.throws(() => exports[name](), (error: unknown) => error instanceof TypeError);
  };
  for (const value of [null, undefined, 1, () => 1, exports.nop]) refuses(value, 'run');
  for (const value of [null, [exports.nop, 1], [exports.inc, null]]) refuses(value, 'two');
  given = exports.inc;
  assert.is(exports.run(), 2);
  given = [null, 1];
  assert.is(exports.two(), 1);
});

test('imports match by type: functions, tables exactly; immutable globals by subtype', async () => {
  const store = new Store();
  const make = async (text: string, imports: object = {}) => (await build(assemble(text))).instantiate(imports as never, { store }).exports;
  const from = await make(`(module (type $f (func (param i32) (result i32))) (type $g (func))
    (func $inc (export "inc") (type $f) (i32.add (local.get 0) (i32.const 1))) (func (export "nop") (type $g))
    (func (export "takes") (param (ref null $f)) (result i32) (call_ref $f (i32.const 1) (local.get 0)))
    (table (export "t") 1 (ref null $f)) (table (export "any") 1 funcref) (table (export "full") 1 (ref $f) (ref.func $inc))
    (global (export "g") (ref $f) (ref.func $inc)) (global (export "m") (mut (ref null $f)) (ref.func $inc)) (global (export "n") (ref null $f) (ref.null $f)))`);
  const types = '(type $other (func)) (type $f (func (param i32) (result i32)))';
  const accepts = async (field: string, name: string, imports: object = { m: from }) => void (await make(`(module ${types} (import "m" "${name}" ${field}))`, imports));
  const refuses = async (field: string, name: string, message: RegExp, imports: object = { m: from }) => {
    const artifact = await build(assemble(`(module ${types} (import "m" "${name}" ${field}))`));
    assert.throws(() => artifact.instantiate(imports as never, { store }), (error: unknown) => error instanceof WebAssembly.LinkError && message.test(error.message), `${field} ${name}`);
  };
  await accepts('(func (param (ref null $f)) (result i32))', 'takes');
  await refuses('(func (param (ref null $other)) (result i32))', 'takes', /expected func \(\(ref null func \(\) -> \(\)\)\) -> i32, found func \(\(ref null func \(i32\) -> i32\)\) -> i32/);
  await refuses('(func (param (ref $f)) (result i32))', 'takes', /expected func \(\(ref func/);
  await accepts('(table 1 (ref null $f))', 't');
  await refuses('(table 1 funcref)', 't', /expected table funcref/);
  await refuses('(table 1 (ref null $f))', 'full', /found table \(ref func \(i32\) -> i32\)/);
  await refuses('(table 1 (ref null $other))', 't', /expected table \(ref null func \(\) -> \(\)\)/);
  for (const type of ['(ref $f)', '(ref null $f)', '(ref func)', 'funcref']) await accepts(`(global ${type})`, 'g');
  for (const type of ['(ref $other)', '(ref null $other)', 'nullfuncref']) await refuses(`(global ${type})`, 'g', /global/);
  await refuses('(global (ref $f))', 'n', /expected global \(ref func/);
  await accepts('(global (mut (ref null $f)))', 'm');
  await refuses('(global (mut funcref))', 'm', /expected global mut funcref, found global mut \(ref null func/);
  // Plain values become globals of the import's type.
  await accepts('(global (ref $f))', 'x', { m: { x: from.inc } });
  await accepts('(global (ref null $f))', 'x', { m: { x: null } });
  await accepts('(global (ref extern))', 'x', { m: { x: 'any' } });
  await refuses('(global (ref $f))', 'x', /another type/, { m: { x: from.nop } });
  await refuses('(global (ref $f))', 'x', /without null/, { m: { x: null } });
  await refuses('(global (ref extern))', 'x', /without null/, { m: { x: null } });
  await refuses('(global (ref null $f))', 'x', /exports/, { m: { x: twice } });
});

test('manifest and reflection name the types', async () => {
  const module = await build(bytes);
  const find = (name: string) => module.exports().find((entry) => entry.name === name)?.type;
  assert.equal(find('id'), { parameters: ['(ref null $type)'], results: ['funcref'] });
  assert.equal(find('nullsOnly'), { parameters: ['nullfuncref', 'nullexternref'], results: ['i32'] });
  assert.equal(find('some'), { parameters: ['(ref $type)', '(ref extern)'], results: ['i32'] });
  assert.equal(find('filled'), { element: '(ref $type)', minimum: 4, maximum: 8 });
  const { types, exports } = module.manifest;
  const id = exports.find((entry) => entry.name === 'id');
  assert.ok(id?.kind === 'func' && types);
  const index = Number(/^\(ref null (\d+)\)$/.exec(id.params[0])?.[1]);
  assert.equal(types[index], { params: ['i32'], results: ['i32'] });
  assert.is((await build(assemble('(module (func (export "f") (param funcref)))'))).manifest.types, undefined);
});

test.run();
