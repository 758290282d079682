/** Structs, arrays, i31 and casts: results against V8's where it knows them, exact fuel at every level, traps and their order, and collections that nobody notices. */
import binaryen from 'binaryen';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { parseCostTable } from '../../compiler/metering/cost.js';
import { load, OutOfFuel, Store, Trap } from '../../loader/index.js';
import { native } from '../../loader/native.js';
import { COUNTER, injectMetering } from '../fuel/inject.js';
import { scratch } from '../loader/wat.js';

let compiler: Compiler;
test.before(async () => { compiler = await openCompiler({ workers: 2 }); });
test.after(async () => {
  native().heapStress(false);
  await compiler.close();
});

let count = 0;
async function build(bytes: Uint8Array, options: BuildOptions = {}) {
  const { artifact } = await compiler.build(bytes, options);
  const path = join(scratch(), `gc-${count++}.so`);
  writeFileSync(path, artifact);
  return load(path);
}

function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All & ~binaryen.Features.Strings);
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

const TEXT = `(module
  (rec (type $node (sub (struct (field $next (mut (ref null $node))) (field $value (mut i32))))))
  (type $big (sub final $node (struct (field $next (mut (ref null $node))) (field $value (mut i32)) (field $more (mut i64)))))
  (type $all (struct (field $a (mut i8)) (field $v (mut v128)) (field $b (mut i16)) (field $f (mut f32)) (field $r (mut anyref)) (field $c (mut i8)) (field $d (mut f64)) (field $l (mut i64))))
  (type $ints (array (mut i32))) (type $bytes (array (mut i8))) (type $shorts (array (mut i16))) (type $longs (array (mut i64))) (type $floats (array (mut f64)))
  (type $vectors (array (mut v128))) (type $refs (array (mut anyref))) (type $funcs (array (mut funcref))) (type $fixed (array i32))
  (type $shape (sub (struct))) (type $square (sub $shape (struct (field i32)))) (type $cube (sub $square (struct (field i32) (field i32))))
  (type $up (sub (func (param i32) (result (ref null $shape))))) (type $down (sub final $up (func (param i32) (result (ref null $square)))))
  (type $other (func (param i32) (result (ref null $shape))))
  (data $hello "hello, world") (elem $some anyref (item (ref.i31 (i32.const 1))) (item (ref.null any)) (item (struct.new $cube (i32.const 2) (i32.const 3))))
  (elem declare func $asUp $asDown $asOther)
  (table $t 3 3 funcref) (elem (table $t) (i32.const 0) func $asUp $asDown $asOther)
  (global $cubes (ref $refs) (array.new_fixed $refs 3 (struct.new $cube (i32.const 4) (i32.const 5)) (ref.i31 (i32.const 7)) (struct.new_default $shape)))
  (global $kept (mut (ref null $node)) (ref.null $node))
  (func $asUp (type $up) (struct.new_default $shape))
  (func $asDown (type $down) (struct.new $square (local.get 0)))
  (func $asOther (type $other) (ref.null $shape))
  (func $list (param $n i32) (result (ref null $node)) (local $head (ref null $node))
    (loop $l (if (local.get $n) (then
      (local.set $head (if (result (ref $node)) (i32.and (local.get $n) (i32.const 1)) (then (struct.new $node (local.get $head) (local.get $n)))
        (else (struct.new $big (local.get $head) (local.get $n) (i64.const 1)))))
      (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $l))))
    (local.get $head))
  (func $sum (param $at (ref null $node)) (result i32) (local $s i32)
    (loop $l (if (i32.eqz (ref.is_null (local.get $at))) (then
      (local.set $s (i32.add (local.get $s) (struct.get $node $value (local.get $at))))
      (if (ref.test (ref $big) (local.get $at)) (then (local.set $s (i32.add (local.get $s) (i32.wrap_i64 (struct.get $big $more (ref.cast (ref $big) (local.get $at))))))))
      (local.set $at (struct.get $node $next (local.get $at))) (br $l))))
    (local.get $s))
  (func (export "list") (param $n i32) (result i32) (call $sum (call $list (local.get $n))))
  (func (export "reverse") (param $n i32) (result i32) (local $at (ref null $node)) (local $before (ref null $node)) (local $next (ref null $node))
    (local.set $at (call $list (local.get $n)))
    (block $end (loop $l
      (local.set $next (struct.get $node $next (br_on_null $end (local.get $at))))
      (struct.set $node $next (local.get $at) (local.get $before))
      (local.set $before (local.get $at)) (local.set $at (local.get $next)) (br $l)))
    (i32.add (i32.mul (call $sum (local.get $before)) (i32.const 1000)) (struct.get $node $value (local.get $before))))
  (func (export "fields") (param $x i32) (result i64 f64 i32) (local $s (ref null $all))
    (local.set $s (struct.new $all (local.get $x) (i32x4.splat (local.get $x)) (local.get $x) (f32.const 1.5) (ref.i31 (local.get $x)) (i32.const -1) (f64.const -0.0) (i64.const 0x123456789abcdef)))
    (struct.set $all $b (local.get $s) (i32.add (struct.get_s $all $b (local.get $s)) (i32.const 1)))
    (i64.add (struct.get $all $l (local.get $s)) (i64.extend_i32_s (i32x4.extract_lane 3 (struct.get $all $v (local.get $s)))))
    (f64.add (f64.promote_f32 (struct.get $all $f (local.get $s))) (struct.get $all $d (local.get $s)))
    (i32.add (i32.add (i32.mul (struct.get_s $all $a (local.get $s)) (i32.const 3)) (i32.mul (struct.get_u $all $a (local.get $s)) (i32.const 5)))
      (i32.add (i32.mul (struct.get_u $all $b (local.get $s)) (i32.const 7)) (i32.add (struct.get_u $all $c (local.get $s)) (i31.get_s (ref.cast (ref i31) (struct.get $all $r (local.get $s))))))))
  (func (export "sieve") (param $n i32) (result i32) (local $a (ref $bytes)) (local $i i32) (local $j i32) (local $c i32)
    (local.set $a (array.new $bytes (i32.const 1) (local.get $n))) (local.set $i (i32.const 2))
    (loop $o (if (i32.lt_u (local.get $i) (array.len (local.get $a))) (then
      (if (array.get_u $bytes (local.get $a) (local.get $i)) (then
        (local.set $c (i32.add (local.get $c) (i32.const 1))) (local.set $j (i32.mul (local.get $i) (i32.const 2)))
        (loop $k (if (i32.lt_u (local.get $j) (local.get $n)) (then (array.set $bytes (local.get $a) (local.get $j) (i32.const 0)) (local.set $j (i32.add (local.get $j) (local.get $i))) (br $k))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $o))))
    (local.get $c))
  (func (export "table") (param $n i32) (result i64) (local $r (ref $refs)) (local $i i32) (local $s i64)
    (local.set $r (array.new_default $refs (local.get $n)))
    (loop $l (if (i32.lt_u (local.get $i) (local.get $n)) (then
      (array.set $refs (local.get $r) (local.get $i) (array.new $longs (i64.extend_i32_u (local.get $i)) (i32.const 3)))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l))))
    (local.set $i (i32.const 0))
    (loop $m (if (i32.lt_u (local.get $i) (local.get $n)) (then
      (local.set $s (i64.add (local.get $s) (array.get $longs (ref.cast (ref $longs) (array.get $refs (local.get $r) (local.get $i))) (i32.const 2))))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $m))))
    (local.get $s))
  (func (export "window") (param $n i32) (result i32) (local $a (ref $ints)) (local $i i32) (local $s i32)
    (local.set $a (array.new $ints (i32.const 3) (local.get $n))) (local.set $i (i32.const 1))
    (loop $l (if (i32.lt_u (i32.add (local.get $i) (i32.const 1)) (array.len (local.get $a))) (then
      (local.set $s (i32.add (local.get $s) (i32.sub (array.get $ints (local.get $a) (i32.add (local.get $i) (i32.const 1))) (array.get $ints (local.get $a) (i32.sub (local.get $i) (i32.const 1))))))
      (global.set $kept (struct.new $node (ref.null $node) (local.get $s)))
      (array.set $ints (local.get $a) (local.get $i) (i32.add (local.get $s) (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l))))
    (i32.add (local.get $s) (struct.get $node $value (global.get $kept))))
  (func (export "hello") (param $from i32) (param $n i32) (result i32) (local $a (ref $shorts)) (local $s i32)
    (local.set $a (array.new_data $shorts $hello (local.get $from) (local.get $n)))
    (loop $l (if (local.get $n) (then (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (array.get_u $shorts (local.get $a) (local.get $n)))) (br $l))))
    (local.get $s))
  (func (export "some") (param $from i32) (param $n i32) (result i32) (local $a (ref $refs))
    (local.set $a (array.new_elem $refs $some (local.get $from) (local.get $n)))
    (if (result i32) (local.get $n) (then (ref.is_null (array.get $refs (local.get $a) (i32.const 0)))) (else (i32.const -1))))
  (func (export "same") (result i32) (ref.eq (ref.cast eqref (array.get $refs (array.new_elem $refs $some (i32.const 2) (i32.const 1)) (i32.const 0)))
    (ref.cast eqref (array.get $refs (array.new_elem $refs $some (i32.const 1) (i32.const 2)) (i32.const 1)))))
  (func (export "vectors") (param $n i32) (param $i i32) (result i32) (local $a (ref $vectors))
    (local.set $a (array.new $vectors (v128.const i32x4 1 2 3 4) (local.get $n)))
    (array.fill $vectors (local.get $a) (i32.const 1) (v128.const i32x4 5 6 7 8) (i32.sub (local.get $n) (i32.const 1)))
    (array.copy $vectors $vectors (local.get $a) (i32.const 2) (local.get $a) (i32.const 0) (i32.const 2))
    (i32x4.extract_lane 2 (array.get $vectors (local.get $a) (local.get $i))))
  (func (export "bulk") (param $to i32) (param $from i32) (param $n i32) (result i32) (local $a (ref $bytes)) (local $i i32) (local $s i32)
    (local.set $a (array.new_default $bytes (i32.const 12)))
    (array.init_data $bytes $hello (local.get $a) (i32.const 0) (i32.const 0) (i32.const 12))
    (array.copy $bytes $bytes (local.get $a) (local.get $to) (local.get $a) (local.get $from) (local.get $n))
    (array.fill $bytes (local.get $a) (local.get $from) (i32.const 511) (i32.const 1))
    (loop $l (if (i32.lt_u (local.get $i) (i32.const 12)) (then
      (local.set $s (i32.add (i32.mul (local.get $s) (i32.const 31)) (array.get_s $bytes (local.get $a) (local.get $i)))) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l))))
    (local.get $s))
  (func $kind (param $x anyref) (result i32) (local $s (ref null $square))
    (drop (block $i31 (result (ref i31)) (drop (block $square (result (ref $square)) (drop (block $array (result (ref array)) (drop (block $null (result nullref)
      (return (i32.add (i32.const 100) (ref.test (ref $shape) (br_on_cast $null anyref nullref (br_on_cast $array anyref (ref array) (br_on_cast $square anyref (ref $square) (br_on_cast $i31 anyref (ref i31) (local.get $x)))))))))
      ) (return (i32.const 1)))) (return (i32.const 2)))) (return (i32.const 3)))) (i32.const 4))
  (func (export "kinds") (param $i i32) (result i32)
    (if (i32.eq (local.get $i) (i32.const 3)) (then (return (call $kind (ref.null none)))))
    (if (i32.eq (local.get $i) (i32.const 4)) (then (return (call $kind (array.new_fixed $fixed 2 (i32.const 1) (i32.const 2))))))
    (if (i32.eq (local.get $i) (i32.const 5)) (then (return (call $kind (struct.new_default $node)))))
    (call $kind (array.get $refs (global.get $cubes) (local.get $i))))
  (func (export "notSquare") (param $i i32) (result i32)
    (block $no (result anyref) (return (struct.get $square 0 (br_on_cast_fail $no anyref (ref $square) (array.get $refs (global.get $cubes) (local.get $i)))))) (ref.is_null))
  (func (export "mustBe") (param $i i32) (result i32) (struct.get $cube 1 (ref.cast (ref $cube) (array.get $refs (global.get $cubes) (local.get $i)))))
  (func (export "i31") (param $x i32) (result i32 i32) (i31.get_s (ref.i31 (local.get $x))) (i31.get_u (ref.i31 (local.get $x))))
  (func (export "indirect") (param $i i32) (result i32) (ref.test (ref $square) (call_indirect $t (type $up) (i32.const 1) (local.get $i))))
  (func (export "indirectFinal") (param $i i32) (result i32) (struct.get $square 0 (call_indirect $t (type $down) (i32.const 9) (local.get $i))))
  (func (export "tail") (param $i i32) (result (ref null $shape)) (return_call_indirect $t (type $up) (i32.const 1) (local.get $i)))
  (func (export "isUp") (param $i i32) (result i32) (i32.add (ref.test (ref $up) (table.get $t (local.get $i))) (i32.mul (i32.const 2) (ref.test (ref $down) (table.get $t (local.get $i))))))
  (func (export "around") (param $x externref) (result externref) (extern.convert_any (any.convert_extern (local.get $x))))
  (func (export "isEq") (param $x anyref) (result i32) (ref.test (ref eq) (local.get $x)))
  (func (export "nullField") (param $n (ref null $node)) (result i32) (struct.get $node $value (local.get $n)))
  (func (export "nullSet") (param $n (ref null $node)) (struct.set $node $value (local.get $n) (i32.const 1)))
  (func (export "element") (param $a (ref null $ints)) (param $i i32) (result i32) (array.get $ints (local.get $a) (local.get $i)))
  (func (export "setElement") (param $a (ref null $ints)) (param $i i32) (array.set $ints (local.get $a) (local.get $i) (i32.const 1)))
  (func (export "length") (param $a arrayref) (result i32) (array.len (local.get $a)))
  (func (export "newInts") (param $n i32) (result (ref $ints)) (array.new $ints (i32.const 5) (local.get $n)))
  (func (export "unbox") (param $x i31ref) (result i32) (i31.get_u (local.get $x)))
  (func (export "copyNull") (param $a (ref null $ints)) (param $b (ref null $ints)) (param $n i32) (array.copy $ints $ints (local.get $a) (i32.const 0) (local.get $b) (i32.const 0) (local.get $n)))
  (func (export "initNull") (param $a (ref null $ints)) (param $to i32) (param $from i32) (param $n i32) (array.init_data $ints $hello (local.get $a) (local.get $to) (local.get $from) (local.get $n)))
  (func (export "initElem") (param $to i32) (param $from i32) (param $n i32) (array.init_elem $refs $some (array.new_default $refs (i32.const 3)) (local.get $to) (local.get $from) (local.get $n)))
  (func (export "fillNull") (param $a (ref null $ints)) (param $at i32) (param $n i32) (array.fill $ints (local.get $a) (local.get $at) (i32.const 1) (local.get $n)))
  (func (export "spin") (param $x anyref) (loop $l (drop (block $no (result anyref) (br_on_cast_fail $no anyref (ref i31) (local.get $x)))) (br $l)))
  (func (export "drop") (data.drop $hello) (elem.drop $some)))`;

type Func = (...args: unknown[]) => unknown;
/** What gives a result, and which where it is not plain from V8 or from another. In this order. */
const CALLS: readonly (readonly [expected: unknown, name: string, ...args: unknown[]])[] = [
  [0, 'list', 0], [5050 + 50, 'list', 100], [((1000 * 1001) / 2 + 500) * 1000 + 1000, 'reverse', 1000], [undefined, 'fields', 5], [undefined, 'fields', -30_000], [undefined, 'fields', 200],
  [25 + 2 - 2, 'sieve', 100], [303, 'sieve', 2000], [4950n, 'table', 100], [undefined, 'window', 50], [undefined, 'hello', 0, 6], [undefined, 'hello', 3, 2], [0, 'hello', 12, 0],
  [0, 'some', 0, 3], [1, 'some', 1, 1], [-1, 'some', 3, 0], [1, 'same'], [3, 'vectors', 4, 0], [7, 'vectors', 4, 1], [3, 'vectors', 4, 2], [7, 'vectors', 4, 3],
  [undefined, 'bulk', 2, 0, 8], [undefined, 'bulk', 0, 3, 9], [undefined, 'bulk', 12, 4, 0], [3, 'kinds', 0], [4, 'kinds', 1], [101, 'kinds', 2], [1, 'kinds', 3], [2, 'kinds', 4], [100, 'kinds', 5],
  [4, 'notSquare', 0], [0, 'notSquare', 1], [0, 'notSquare', 2], [5, 'mustBe', 0], [[-1, 0x7fffffff], 'i31', -1], [[-0x40000000, 0x40000000], 'i31', 0x40000000], [[5, 5], 'i31', 0x80000005 | 0],
  [0, 'indirect', 0], [1, 'indirect', 1], [9, 'indirectFinal', 1], [1, 'isUp', 0], [3, 'isUp', 1], [0, 'isUp', 2], ['x', 'around', 'x'], [null, 'around', null], [7, 'around', 7],
  [1, 'isEq', 5], [0, 'isEq', 'text'], [0, 'isEq', null], [0x7fffffff, 'unbox', -1], [undefined, 'drop'], [0, 'hello', 0, 0], [-1, 'some', 0, 0],
];
/** What ends in a trap, and which; before CALLS. `ints`: an array of five. */
const INTS = Symbol('ints');
const TRAPS: readonly (readonly [code: string, name: string, ...args: unknown[]])[] = [
  ['null_structure_reference', 'nullField', null], ['null_structure_reference', 'nullSet', null], ['null_array_reference', 'element', null, 0], ['null_array_reference', 'setElement', null, 0],
  ['null_array_reference', 'length', null], ['null_i31_reference', 'unbox', null], ['out_of_bounds_array_access', 'element', INTS, 5], ['out_of_bounds_array_access', 'element', INTS, -1],
  ['out_of_bounds_array_access', 'setElement', INTS, 5], ['out_of_bounds_memory_access', 'hello', 1, 6], ['out_of_bounds_memory_access', 'hello', 0, -1], ['out_of_bounds_memory_access', 'hello', 13, 0],
  ['out_of_bounds_table_access', 'some', 1, 3], ['out_of_bounds_table_access', 'some', 4, 0], ['out_of_bounds_table_access', 'some', 0, -1],
  ['out_of_bounds_array_access', 'bulk', 5, 0, 8], ['out_of_bounds_array_access', 'bulk', 0, 5, 8], ['out_of_bounds_array_access', 'bulk', 0, 12, 0], ['cast_failure', 'mustBe', 1], ['cast_failure', 'mustBe', 2],
  ['out_of_bounds_array_access', 'mustBe', 3], ['indirect_call_type_mismatch', 'indirect', 2], ['undefined_element', 'indirect', 3], ['indirect_call_type_mismatch', 'indirectFinal', 0],
  ['indirect_call_type_mismatch', 'tail', 2], ['null_array_reference', 'copyNull', null, INTS, 100], ['null_array_reference', 'copyNull', INTS, null, 0], ['out_of_bounds_array_access', 'copyNull', INTS, INTS, 6],
  ['null_array_reference', 'initNull', null, 0, 100, 0], ['out_of_bounds_array_access', 'initNull', INTS, 5, 100, 1], ['out_of_bounds_memory_access', 'initNull', INTS, 1, 0, 4],
  ['out_of_bounds_memory_access', 'initNull', INTS, 5, 13, 0], ['out_of_bounds_array_access', 'initElem', 1, 100, 3], ['out_of_bounds_table_access', 'initElem', 0, 1, 3],
  ['null_array_reference', 'fillNull', null, 0, 0], ['out_of_bounds_array_access', 'fillNull', INTS, 6, 0], ['heap_exhausted', 'newInts', -1],
];

const v8KnowsStructs = WebAssembly.validate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 3, 1, 0x5f, 0));
const bytes = assemble(TEXT);
const LEVELS: readonly (readonly [options: BuildOptions, stress: boolean])[] = [
  [{ optLevel: 0 }, false], [{ optLevel: 1 }, true], [{ optLevel: 2 }, true], [{ optLevel: 3 }, false], [{ fuel: 'sync', cpu: 'v2' }, false], [{ debug: true }, false],
];
const keyOf = (name: string, args: readonly unknown[]): string => `${name} ${args.map(String).join(' ')}`;
const consumed = new Map<string, bigint>();
const results = new Map<string, unknown>();

for (const [options, stress] of LEVELS) {
  test(`results, fuel and traps: ${JSON.stringify(options)}${stress ? ', a collection before each allocation' : ''}`, async () => {
    const artifact = await build(bytes, options);
    native().heapStress(stress);
    const theirs = v8KnowsStructs ? (new WebAssembly.Instance(new WebAssembly.Module(injectMetering(bytes) as BufferSource)).exports as Record<string, Func> & Record<typeof COUNTER, WebAssembly.Global>) : undefined;
    const store = new Store({ fuel: 10n ** 12n });
    const ours = artifact.instantiate({}, { store }).exports as Record<string, Func>;
    const compare = (name: string, args: readonly unknown[], run: (exports: Record<string, Func>, args: readonly unknown[]) => unknown): void => {
      const given = (exports: Record<string, Func>) => args.map((arg) => (arg === INTS ? exports.newInts(5) : arg));
      const ourArgs = given(ours);
      const before = store.fuel.consumed;
      const result = run(ours, ourArgs);
      const fuel = store.fuel.consumed - before;
      const key = keyOf(name, args);
      if (theirs) {
        const theirArgs = given(theirs);
        const start = theirs[COUNTER].value;
        assert.equal(result, run(theirs, theirArgs), key);
        assert.is(fuel, theirs[COUNTER].value - start, `fuel of ${key}`);
      }
      assert.is(consumed.get(key) ?? fuel, fuel, key);
      consumed.set(key, fuel);
      assert.equal(results.has(key) ? results.get(key) : result, result, key);
      results.set(key, result);
    };
    for (const [code, name, ...args] of TRAPS) {
      compare(name, args, (exports, given) => {
        const isRight = (error: unknown) => (exports === ours ? error instanceof Trap && error.code === code : error instanceof WebAssembly.RuntimeError);
        assert.throws(() => exports[name](...given), isRight, `${code}: ${keyOf(name, args)}`);
      });
    }
    for (const [expected, name, ...args] of CALLS) {
      compare(name, args, (exports, given) => exports[name](...given));
      if (expected !== undefined) assert.equal(results.get(keyOf(name, args)), expected, keyOf(name, args));
    }
    assert.throws(() => ours.hello(0, 1), (error: unknown) => error instanceof Trap && error.code === 'out_of_bounds_memory_access');
    assert.throws(() => ours.some(0, 1), (error: unknown) => error instanceof Trap && error.code === 'out_of_bounds_table_access');
    native().heapStress(false);
    const endless = artifact.instantiate({}, { fuel: 3_000_000n }).exports as Record<string, Func>;
    assert.throws(() => endless.spin(null), (error: unknown) => error instanceof OutOfFuel);
  });
}

test('objects in hundreds of times the heap, at the default level: what is reachable stays, the rest is collected', async () => {
  const { exports } = (await build(bytes)).instantiate({}, { store: new Store({ heapLimit: 1 << 20 }) });
  assert.is(exports.list(10_000), (10_000 * 10_001) / 2 + 5000);
  for (let i = 0; i < 200; i++) assert.is(exports.list(5000), (5000 * 5001) / 2 + 2500);
  const kept = exports.newInts(1000);
  assert.throws(() => exports.list(100_000), (error: unknown) => error instanceof Trap && error.code === 'heap_exhausted');
  assert.throws(() => exports.newInts(1 << 20), (error: unknown) => error instanceof Trap && error.code === 'heap_exhausted');
  assert.is(exports.table(1000), 499_500n);
  assert.equal([exports.length(kept), exports.element(kept, 999)], [1000, 5]);
});

test('bulk operators on arrays pay for each element before they work, and stop before the work', async () => {
  const costTable = parseCostTable(JSON.stringify({ name: 'elements', perUnit: Object.fromEntries(['new', 'new_data', 'new_elem', 'new_default', 'fill', 'copy', 'init_data', 'init_elem'].map((name) => [`array.${name}`, 1000])) }), 'f');
  for (const optLevel of [0, 2] as const) {
    const store = new Store({ fuel: 10n ** 12n });
    const { exports } = (await build(bytes, { optLevel, costTable })).instantiate({}, { store });
    const priceOf = (name: string, ...args: unknown[]): bigint => {
      const before = store.fuel.consumed;
      exports[name](...args);
      return store.fuel.consumed - before - (consumed.get(keyOf(name, args)) as bigint);
    };
    assert.equal(
      [priceOf('hello', 0, 6), priceOf('some', 0, 3), priceOf('sieve', 100), priceOf('table', 100), priceOf('vectors', 4, 0), priceOf('bulk', 2, 0, 8), priceOf('list', 100)],
      [6000n, 3000n, 100_000n, 100_000n + 300_000n, 4000n + 3000n + 2000n, 12_000n + 12_000n + 8000n + 1000n, 0n],
    );
    store.fuel.set(1_000_000n);
    assert.throws(() => exports.newInts(100_000), (error: unknown) => error instanceof OutOfFuel);
  }
});

test('a cost table prices tests and casts by their names', async () => {
  const costTable = parseCostTable('{"name":"casts","default":0,"cost":{"ref.test":10,"ref.cast":100,"br":1,"br_if":1,"br_table":1,"br_on_null":1,"br_on_non_null":1,"br_on_cast":1,"br_on_cast_fail":1}}', 'f');
  const store = new Store({ fuel: 10n ** 6n });
  const { exports } = (await build(bytes, { costTable })).instantiate({}, { store });
  exports.mustBe(0);
  // Entering costs 1.
  assert.is(store.fuel.consumed, 101n);
  exports.isUp(0);
  assert.is(store.fuel.consumed, 101n + 21n);
});

test('the manifest names the types', async () => {
  const { manifest } = await build(assemble('(module (type $s (sub (struct (field (mut i8))))) (type $a (array (ref null $s))) (func (export "f") (param (ref null $a) i31ref) (result (ref any)) (unreachable)))'));
  assert.equal(manifest.types?.slice(0, 2), [{ fields: [{ type: 'i8', mutable: true }], open: true }, { element: { type: '(ref null 0)', mutable: false } }]);
  assert.equal(manifest.exports[0], { name: 'f', kind: 'func', params: ['(ref null 1)', 'i31ref'], results: ['(ref any)'] });
});

test.run();
