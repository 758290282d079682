/**
 * Tail calls: a million of them in constant stack, with more arguments than registers, direct, through a table, across modules, at every level; exact fuel; traps.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { load, OutOfFuel, Store, Trap } from '../../loader/index.js';
import { assemble, scratch } from '../loader/wat.js';

let compiler: Compiler;
test.before(async () => { compiler = await openCompiler({ workers: 2 }); });
test.after(async () => await compiler.close());

let count = 0;
async function build(bytes: Uint8Array, options: BuildOptions) {
  const { artifact } = await compiler.build(bytes, options);
  const path = join(scratch(), `tail-${count++}.so`);
  writeFileSync(path, artifact);
  return load(path);
}

const N = '(param $n i32)';
const LESS = '(i32.sub (local.get $n) (i32.const 1))';
/** `if (n == 0) return value`. */
const unlessZero = (value: string) => `(if (i32.eqz (local.get $n)) (then ${value} (return)))`;
const params = (types: readonly string[]) => types.map((type, i) => `(param $p${i} ${type})`).join(' ');
const pass = (order: readonly number[]) => order.map((i) => `(local.get $p${i})`).join(' ');
const NINE = new Array<string>(9).fill('i64');
/** Doubles and vectors by turns: more than the eight vector registers. */
const MANY = Array.from({ length: 14 }, (_, i) => (i % 2 ? 'v128' : 'f64'));
const rotate = (length: number, by: number) => Array.from({ length }, (_, i) => (i + by) % length);

/**
 * even, odd: mutual recursion with ten arguments that rotate; few, wide: argument areas of different sizes take each other's place; indirect: through a table;
 * values: three results; many: vectors; import: of the host; deep: an ordinary call in tail position.
 */
const TEXT = `(module
  (import "host" "twice" (func $twice (param i64) (result i64)))
  (type $one (func (param i32) (result i64)))
  (type $other (func (param i64) (result i64)))
  (table $t (export "table") 6 funcref)
  (elem (i32.const 0) $few $indirect $other)
  (func $even (export "even") ${N} ${params(NINE)} (result i64)
    ${unlessZero('(local.get $p0)')} (return_call $odd ${LESS} ${pass([1, 2, 3, 4, 5, 6, 7, 8])} (i64.add (local.get $p0) (i64.const 1))))
  (func $odd (export "odd") ${N} ${params(NINE)} (result i64)
    ${unlessZero('(local.get $p0)')} (return_call $even ${LESS} ${pass([1, 2, 3, 4, 5, 6, 7, 8, 0])}))
  (func $few (export "few") ${N} (result i64)
    ${unlessZero('(i64.const 77)')} (return_call $wide ${LESS} ${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((v) => `(i64.const ${v})`).join(' ')}))
  (func $wide ${N} ${params(NINE)} (result i64)
    ${unlessZero('(local.get $p8)')} (return_call $few ${LESS}))
  (func $indirect (export "indirect") ${N} (result i64)
    ${unlessZero('(i64.const 5)')} (return_call_indirect $t (type $one) ${LESS} (i32.const 1)))
  (func $at (export "at") (param $i i32) (result i64) (return_call_indirect $t (type $one) (i32.const 9) (local.get $i)))
  (func $other (type $other) (local.get 0))
  (func $values (export "values") ${N} (result i32 i32 i64)
    ${unlessZero('(i32.const 1) (i32.const 2) (i64.const 3)')} (return_call $values ${LESS}))
  (func $many (export "many") ${N} ${params(MANY)} (result f64)
    ${unlessZero('(f64.add (local.get $p0) (f64x2.extract_lane 1 (local.get $p13)))')} (return_call $many ${LESS} ${pass(rotate(14, 2))}))
  (func (export "manyOf") ${N} (result f64)
    (call $many (local.get $n) ${MANY.map((type, i) => (type === 'f64' ? `(f64.const ${i})` : `(f64x2.splat (f64.const ${i * 100}))`)).join(' ')}))
  (func (export "import") (param i64) (result i64) (return_call $twice (local.get 0)))
  (func $nothing (export "nothing") ${N} ${unlessZero('')} (return_call $nothing ${LESS}))
  (func $choice (export "choice") ${N} (param $x i64) (result i64)
    ${unlessZero('(local.get $x)')}
    (if (i32.and (local.get $n) (i32.const 1)) (then (return_call $choice ${LESS} (i64.add (local.get $x) (i64.const 1)))))
    (if (i32.and (local.get $n) (i32.const 2)) (then (return_call $choice ${LESS} (i64.add (local.get $x) (i64.const 2)))))
    (return_call $choice ${LESS} (i64.mul (local.get $x) (i64.const 3))))
  (func $deep (export "deep") ${N} (result i64) ${unlessZero('(i64.const 9)')} (call $deep ${LESS}))
  (func $forever (export "forever") (return_call $forever)))`;

type Func = (...args: unknown[]) => unknown;
const MILLION = 1_000_000;
const nine = Array.from({ length: 9 }, (_, i) => BigInt(i * 1000));
const twice = (x: bigint) => 2n * x;
/** Calls with results that are compared with V8's. */
const CALLS: readonly (readonly [name: string, ...args: unknown[]])[] = [
  ['even', MILLION, ...nine], ['even', MILLION + 1, ...nine], ['odd', 7, ...nine], ['few', MILLION], ['few', 1], ['indirect', MILLION], ['values', MILLION], ['manyOf', MILLION], ['manyOf', 5],
  ['import', 21n], ['nothing', MILLION], ['choice', MILLION, 1n], ['at', 0], ['at', 1], ['even', 0, ...nine],
];
const consumed = new Map<string, bigint>();

const LEVELS: readonly BuildOptions[] = [{ optLevel: 0 }, { optLevel: 1 }, { optLevel: 2 }, { optLevel: 3 }, { fuel: 'sync', cpu: 'v2' }, { debug: true }];
for (const options of LEVELS) {
  test(`tail calls take no stack, results are V8's, fuel the same at every level: ${JSON.stringify(options)}`, async () => {
    const bytes = await assemble(TEXT, { tail_call: true, simd: true });
    const theirs = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { host: { twice } }).exports as Record<string, Func>;
    const store = new Store({ fuel: 10n ** 12n });
    const artifact = await build(bytes, options);
    const ours = artifact.instantiate({ host: { twice } }, { store }).exports as Record<string, Func>;
    for (const [name, ...args] of CALLS) {
      const before = store.fuel.consumed;
      assert.equal(ours[name](...args), theirs[name](...args), name);
      const fuel = store.fuel.consumed - before;
      const key = `${name} ${args.join(' ')}`;
      assert.is(consumed.get(key) ?? fuel, fuel, key);
      consumed.set(key, fuel);
    }
    // By hand: entry, local.get, eqz, if, local.get (the value): 5; and, per tail call, entry, get, eqz, if, get, const, sub, return_call: 8.
    assert.is(consumed.get(`nothing ${MILLION}`), BigInt(MILLION) * 8n + 4n);
    const traps: readonly [number, string][] = [[2, 'indirect_call_type_mismatch'], [4, 'uninitialized_element'], [6, 'undefined_element']];
    for (const [index, trap] of traps) assert.throws(() => ours.at(index), (error: unknown) => error instanceof Trap && error.code === trap);
    assert.throws(() => ours.deep(100 * MILLION), (error: unknown) => error instanceof Trap && error.code === 'call_stack_exhausted');
    const endless = artifact.instantiate({ host: { twice } }, { fuel: 5_000_000n }).exports as Record<string, Func>;
    assert.throws(() => endless.forever(), (error: unknown) => error instanceof OutOfFuel);
  });
}

test('between modules: with tail calls on both sides the stack stays, with one side it is an ordinary call', async () => {
  const half = (to: string, value: number) => `(module (table $t (import "host" "table") 2 funcref) (type $f (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (func (export "f") (param $n i32) (param $a i32) (param i32 i32 i32 i32 i32 i32) (result i32)
      ${unlessZero(`(i32.add (local.get $a) (i32.const ${value}))`)}
      (return_call_indirect $t (type $f) ${LESS} (i32.add (local.get $a) (i32.const 1)) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6) (local.get 7) ${to})))`;
  const plain = `(module (import "a" "f" (func $f (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (func (export "f") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.add (call $f ${[0, 1, 2, 3, 4, 5, 6, 7].map((i) => `(local.get ${i})`).join(' ')}) (i32.const 5))))`;
  const user = `(module (import "plain" "f" (func $f (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32))) (import "a" "f" (func $a (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (func (export "viaPlain") (param i32) (result i32) (return_call $f (local.get 0) ${'(i32.const 100) '.repeat(7)}))
    (func (export "viaTail") (param i32) (result i32) (return_call $a (local.get 0) ${'(i32.const 200) '.repeat(7)})))`;
  const table = `(module (table (export "table") 2 funcref))`;
  const fill = `(module (table $t (import "host" "table") 2 funcref) (import "a" "f" (func $a (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "b" "f" (func $b (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32))) (elem (i32.const 0) $a $b))`;
  const store = new Store();
  const make = async (text: string, imports: object) => (await build(await assemble(text, { tail_call: true }), {})).instantiate(imports as never, { store }).exports as Record<string, Func>;
  const host = await make(table, {});
  const a = await make(half('(i32.const 1)', 1000), { host });
  const b = await make(half('(i32.const 0)', 2000), { host });
  await make(fill, { host, a, b });
  assert.is(a.f(MILLION, 0, 0, 0, 0, 0, 0, 0), MILLION + 1000);
  assert.is(a.f(MILLION + 1, 0, 0, 0, 0, 0, 0, 0), MILLION + 2001);
  const viaPlain = await make(plain, { a });
  const last = await make(user, { plain: viaPlain, a });
  assert.is(last.viaPlain(MILLION), MILLION + 1105);
  assert.is(last.viaTail(MILLION), MILLION + 1200);
});

test.run();
