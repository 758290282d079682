/**
 * Counted loops, which the compiler splits into a copy that cannot trap and an exact one (compiler/llvm/codegen/version_loops.cc): results, traps, memory and fuel as on
 * V8 with a counter injected, for arguments on both sides of every bound.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { type Instance, load } from '../../loader/index.js';
import { Random } from '../fuzz/random.js';
import { assemble, closeCompiler, compile } from '../loader/wat.js';
import { COUNTER, injectMetering } from './inject.js';
import { outcome } from './outcome.js';

type Func = (...args: number[]) => unknown;

/** A do-while loop: `body` runs, then `next`, until `again` is zero. `$p` start, `$n` count, `$s` step. */
const loop = (body: string, next: string, again: string, result = 'local.get $sum') =>
  `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $k i64) (local $q i32) loop ${body} ${next} ${again} br_if 0 end ${result}`;
const countDown = 'local.get $n i32.const 1 i32.sub local.tee $n';
const advance = (step: string) => `local.get $p ${step} i32.add local.set $p`;
const next = (local: string, step: string) => `local.get ${local} ${step} i32.add local.set ${local}`;
const down = (local: string) => `local.get ${local} i32.const 1 i32.sub local.tee ${local}`;
/** Rows `$s` apart, `$n` of them; in each, `body` and `step` run `columns` times, with $q from $p on. */
const nest = (body: string, step: string, columns: string) => loop(`local.get $p local.set $q i32.const ${columns} local.set $i loop ${body} ${step} ${down('$i')} br_if 0 end`, advance('local.get $s'), countDown);
/** Ends every loop: an access 32 bytes further in each iteration. */
const walk = `local.get $q i64.load local.get $sum i64.xor local.set $sum ${next('$q', 'i32.const 32')}`;
const strideBody = (step: string) => `local.get $p local.get $q i32.store8 offset=3 ${walk} local.get $p ${step} local.tee $p`;
/** From $p to $n, in steps that may be 0, jump over the end, or wrap. */
const stride = (compare: string, step = 'local.get $s i32.add') => loop(strideBody(step), `local.get $n i32.${compare}`, '');
/** The same, entered only if the comparison holds. */
const guardedStride = (compare: string, step = 'local.get $s i32.add') =>
  `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $q i32)
    local.get $p local.get $n i32.${compare} if loop ${strideBody(step)} local.get $n i32.${compare} br_if 0 end end local.get $sum`;
/** Rows 0 to $n - 1; in row $i, columns $q from `first` on, as long as `again` holds, to which `step` is added: rows that are left out, too. Each does `body`. */
const slope = (body: string, first: string, again: string, step: string, rows = 'local.get $n') =>
  `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $q i32)
    ${rows} if loop ${first} local.tee $q ${again} if loop ${body} local.get $q ${step} i32.add local.tee $q ${again} br_if 0 end end
      local.get $i i32.const 1 i32.add local.tee $i ${rows} i32.lt_u br_if 0 end end local.get $sum`;
const addSum = (value: string) => `${value} local.get $sum i64.add local.set $sum`;

/** A step that is not 0. */
const onwards = 'local.get $s i32.const 1 i32.or';

/** The memory has so many bytes at least, and at most. */
const LENGTH = 131_072;
/** A counted loop that begins at what `start` leaves and runs so many times, whatever its arguments. */
const fixed = (body: string, step: number, start: string, count: number) => loop(body, advance(`i32.const ${step}`), countDown).replace(' loop ', ` ${start} local.set $p i32.const ${count} local.set $n loop `);
const masked = (most: number) => `local.get $p i32.const 255 i32.and i32.const ${most - 255} i32.add`;
/** The address of a cell: rows $s apart from $p on, columns `width`. And with rows 41 bytes apart, 40 of them, of which the last is the longest; it ends at `end`. */
const cell = (width: number) => `local.get $p local.get $i local.get $s i32.mul i32.add local.get $q i32.const ${width} i32.mul i32.add`;
const fixedCell = (end: number) => `i32.const ${end - 39 * 41 - 39} local.get $i i32.const 41 i32.mul i32.add local.get $q i32.add`;

const LOOPS: Record<string, string> = {
  store: loop('local.get $p local.get $n i32.store', advance('i32.const 4'), countDown),
  storeByte: loop('local.get $p local.get $n i32.store8', advance('i32.const 1'), countDown),
  load: loop(addSum('local.get $p i64.load'), advance('i32.const 8'), countDown),
  loadDown: loop(addSum('local.get $p i64.load16_s'), advance('i32.const -2'), countDown),
  loadStep: loop(addSum('local.get $p i64.load32_u'), advance('local.get $s'), countDown),
  storeStep: loop('local.get $p local.get $sum i64.store offset=16 local.get $sum i64.const 3 i64.add local.set $sum', advance('local.get $s'), countDown),
  offset: loop(addSum('local.get $p i64.load offset=65000'), advance('i32.const 8'), countDown),
  farOffset: loop(addSum('local.get $p i64.load8_u offset=4294967295'), advance('i32.const 1'), countDown),
  copy: loop('local.get $s local.get $p i64.load i64.store local.get $s i32.const 8 i32.add local.set $s', advance('i32.const 8'), countDown),
  several: loop('local.get $p local.get $p f64.load local.get $p f64.load offset=8 f64.add f64.store offset=16', advance('i32.const 8'), countDown),
  // Index by shifting a counter that runs up to a bound.
  indexed: loop(addSum('local.get $p local.get $i i32.const 3 i32.shl i32.add i64.load'), 'local.get $i i32.const 1 i32.add local.tee $i', 'local.get $n i32.ne'),
  stepFour: loop(addSum('local.get $i i32.const 2 i32.shl i64.load'), 'local.get $i i32.const 4 i32.add local.tee $i', 'local.get $n i32.lt_u'),
  counter64: loop(addSum('local.get $p i64.load8_u'), `${advance('i32.const 1')} local.get $k i64.const 1 i64.add local.tee $k`, 'local.get $n i64.extend_i32_s i64.lt_s'),
  invariant: loop(`${addSum('local.get $p i64.load')} local.get $s local.get $sum i64.store`, countDown, ''),
  noMemory: loop(addSum('local.get $n i64.extend_i32_s'), countDown, ''),
  conditional: loop(`local.get $p i32.load8_u i32.const 1 i32.and if ${addSum('i64.const 5')} else local.get $p i32.const 9 i32.store8 end`, advance('i32.const 1'), countDown),
  nested: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $q i32)
    loop local.get $p local.set $q i32.const 10 local.set $i
      loop ${addSum('local.get $q i64.load8_u')} local.get $q local.get $sum i64.store32 offset=4 local.get $q i32.const 1 i32.add local.set $q local.get $i i32.const 1 i32.sub local.tee $i br_if 0 end
      ${advance('local.get $s')} ${countDown} br_if 0 end local.get $sum`,
  // In bounds for certain, up to the last byte or down to the first, and out of them in the last iteration.
  fixedEnd: fixed(addSum('local.get $p i64.load'), 8, `i32.const ${LENGTH - 40 * 8}`, 40),
  fixedBeyond: fixed(addSum('local.get $p i64.load'), 8, `i32.const ${LENGTH - 40 * 8}`, 41),
  fixedOffset: fixed('local.get $p local.get $n i32.store16 offset=1000', 3, `i32.const ${LENGTH - 1002 - 29 * 3}`, 30),
  fixedOffsetBeyond: fixed('local.get $p local.get $n i32.store16 offset=1001', 3, `i32.const ${LENGTH - 1002 - 29 * 3}`, 30),
  fixedDown: fixed('local.get $p local.get $n i32.store', -4, 'i32.const 76', 20),
  fixedBelow: fixed('local.get $p local.get $n i32.store', -4, 'i32.const 72', 20),
  fixedFew: fixed('local.get $p local.get $p i32.load i32.const 7 i32.add i32.store', 4, `i32.const ${LENGTH - 12}`, 3),
  fixedFewBeyond: fixed('local.get $p local.get $p i32.load i32.const 7 i32.add i32.store', 4, `i32.const ${LENGTH - 11}`, 3),
  fixedMasked: fixed(`${addSum('local.get $p i64.load')} local.get $p local.get $sum i64.store`, 8, masked(LENGTH - 40 * 8), 40),
  fixedMaskedBeyond: fixed(`${addSum('local.get $p i64.load')} local.get $p local.get $sum i64.store`, 8, masked(LENGTH - 40 * 8 + 100), 40),
  // Ends early or after so many iterations: unrolled a few times, exits and charges and all.
  limited: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32)
    block loop local.get $i i32.const 200 i32.eq br_if 1 local.get $p i32.load8_u local.get $s i32.eq br_if 1 ${addSum('local.get $p i64.extend_i32_u')} ${next('$p', 'local.get $n')} ${next('$i', 'i32.const 1')} br 0 end end local.get $sum`,
  // Where it goes next is in memory: two turns for one payment.
  followed: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64)
    block loop local.get $p i32.load8_u local.get $s i32.mul local.tee $p i32.eqz br_if 1 ${addSum('local.get $p i64.extend_i32_u')} ${countDown} br_if 0 end end local.get $sum`,
  // Small turns in machine code, made two of one: with one exit; with two; with a way that goes through an inner loop, or a call, and comes back to where the first turn came back.
  scanned: loop(`${advance(onwards)} ${next('$i', 'i32.const 1')}`, 'local.get $p i32.load8_u', '', 'local.get $i i64.extend_i32_u'),
  scannedTwice: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $i i32)
    block loop ${advance(onwards)} local.get $p i32.load8_u i32.eqz br_if 1 ${next('$i', 'i32.const 1')} local.get $p i32.load8_u offset=3 local.get $n i32.ne br_if 0 end i32.const 1000 local.get $i i32.store8 end local.get $i i64.extend_i32_u`,
  aside: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $q i32)
    loop local.get $p i32.load8_u local.tee $q i32.const 7 i32.and i32.eqz if
        local.get $q i32.const 1 i32.or local.set $i
        loop local.get $p local.get $i i32.store8 offset=300 ${next('$p', 'local.get $i')} ${next('$i', 'local.get $s i32.const 3 i32.and i32.const 1 i32.add')} local.get $i i32.const 255 i32.lt_u br_if 0 end
      end
      ${advance('i32.const 1')} local.get $p local.get $n i32.const 99 i32.mul i32.lt_u br_if 0 end local.get $p i64.extend_i32_u`,
  called: loop(`local.get $p i32.load8_u i32.const 15 i32.and i32.eqz if local.get $p i32.const 1 local.get $s call $nested local.set $sum end`, advance('i32.const 1'), countDown),
  // A test of what the branches before it have decided, behind charges.
  known: loop(`i32.const 0 local.set $q
    block block $done
        local.get $p i32.load8_u local.get $s i32.eq if local.get $p i32.const 4 i32.or local.set $q br $done end
        local.get $p i32.load8_u offset=8 local.get $s i32.eq if local.get $p i32.const 64 i32.or local.set $q br $done end
        local.get $s i32.const 1 i32.store end
      br 0 end block br 0 end
    local.get $q if local.get $q i64.load local.set $sum else local.get $s i32.const 2 i32.store end`, advance('i32.const 1'), countDown),
  // Nests: rows a step apart; columns that rise, that fall, and a triangle, which is asked row by row.
  rows: nest(`${addSum('local.get $q i64.load32_u offset=8')} local.get $q local.get $sum i64.store32`, 'local.get $q i32.const 4 i32.add local.set $q', '12'),
  rowsDown: nest('local.get $q local.get $n i32.store16 offset=100', 'local.get $q i32.const 6 i32.sub local.set $q', '9'),
  rowsConditional: nest(`local.get $q i32.load8_u i32.const 3 i32.and if ${addSum('local.get $q i64.load8_u offset=31')} else local.get $q i32.const 7 i32.store8 offset=2 end`,
    'local.get $q i32.const 3 i32.add local.set $q', '10'),
  twoInside: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $q i32)
    loop local.get $p local.set $q i32.const 9 local.set $i
      loop local.get $q local.get $i i32.store8 ${next('$q', 'i32.const 1')} ${down('$i')} br_if 0 end
      local.get $n i32.const 1 i32.and if
        i32.const 11 local.set $i
        loop ${addSum('local.get $q i64.load8_u')} ${next('$q', 'i32.const 2')} ${down('$i')} br_if 0 end
      end
      ${advance('local.get $s')} ${countDown} br_if 0 end local.get $sum`,
  // An inner loop that memory says whether to enter; its count is not known, for else it would be unrolled.
  insideSometimes: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $q i32)
    loop local.get $p i32.load8_u i32.const 1 i32.and if
        local.get $p local.set $q local.get $s i32.const 15 i32.and i32.const 3 i32.or local.set $i
        loop ${addSum('local.get $q i64.load8_u offset=8')} ${next('$q', 'i32.const 1')} ${down('$i')} br_if 0 end
      end
      ${advance('local.get $s')} ${countDown} br_if 0 end local.get $sum`,
  triangle: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $q i32)
    loop local.get $p local.set $q local.get $n local.set $i
      loop ${addSum('local.get $q i64.load8_u')} ${next('$q', 'i32.const 1')} ${down('$i')} br_if 0 end
      ${advance('local.get $s')} ${countDown} br_if 0 end local.get $sum`,
  // Triangles whose rows all end inside are asked once: how long a row is at most.
  slopeBelow: slope(addSum(`${cell(1)} i64.load8_u`), 'i32.const 0', 'local.get $i i32.lt_s', 'i32.const 1'),
  slopeAbove: slope(addSum(`${cell(8)} i64.load`), 'local.get $i i32.const 1 i32.add', 'local.get $n i32.lt_s', 'i32.const 1'),
  slopeFromRow: slope(`${cell(4)} local.get $q i32.store`, 'local.get $i', 'local.get $n i32.lt_u', 'i32.const 1'),
  slopeDown: slope(addSum(`${cell(2)} i64.load16_u`), 'local.get $i', 'i32.const 0 i32.gt_s', 'i32.const -1'),
  slopePairs: slope(addSum(`${cell(1)} i64.load8_u offset=1`), 'i32.const 0', 'local.get $i i32.const -2 i32.and i32.ne', 'i32.const 2'),
  slopePairsAbove: slope(addSum(`${cell(1)} i64.load8_u`), 'i32.const 0', 'local.get $n local.get $i i32.sub i32.const -2 i32.and i32.ne', 'i32.const 2'),
  slopeTwice: slope(addSum(`${cell(1)} i64.load8_u`), 'i32.const 0', 'local.get $i i32.const 1 i32.shl i32.const 5 i32.add i32.lt_u', 'i32.const 1'),
  // From the third row on 3 less each, and where that wraps round, out of memory.
  slopeWraps: slope(addSum(`${cell(1)} i64.load8_u`), 'local.get $n i32.const 9 i32.add local.get $i i32.const 3 i32.mul i32.sub', 'i32.const 0 i32.ne', 'i32.const -1'),
  slopeByte: slope(addSum(`${cell(1)} i64.load8_u`), 'i32.const 0', 'local.get $i i32.const 255 i32.and i32.const 3 i32.add i32.lt_u', 'i32.const 1'),
  slopeLess: slope(addSum(`${cell(1)} i64.load8_u`), 'i32.const 0', 'local.get $i local.get $s i32.const 20 local.get $s i32.const 20 i32.lt_u select local.tee $k32 local.get $i local.get $k32 i32.lt_u select i32.lt_u',
    'i32.const 1').replace('(local $q i32)', '(local $q i32) (local $k32 i32)'),
  slopeInside: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $j i32) (local $q i32)
    loop i32.const 0 local.set $j local.get $i if loop i32.const 0 local.set $q local.get $j if loop
      ${addSum('local.get $p local.get $i local.get $s i32.mul i32.add local.get $j i32.const 8 i32.mul i32.add local.get $q i32.add i64.load8_u')}
      ${next('$q', 'i32.const 1')} local.get $q local.get $j i32.ne br_if 0 end end
      local.get $p local.get $i local.get $s i32.mul i32.add local.get $j i32.store8 ${next('$j', 'i32.const 1')} local.get $j local.get $i i32.ne br_if 0 end end
      ${next('$i', 'i32.const 1')} local.get $i local.get $n i32.lt_u br_if 0 end local.get $sum`,
  // The last cell is the memory's last, or the one beyond.
  slopeFixed: slope(addSum(`${fixedCell(LENGTH)} i64.load8_u`), 'i32.const 0', 'local.get $i i32.lt_s', 'i32.const 1', 'i32.const 40'),
  slopeFixedBeyond: slope(addSum(`${fixedCell(LENGTH + 1)} i64.load8_u`), 'i32.const 0', 'local.get $i i32.lt_s', 'i32.const 1', 'i32.const 40'),
  slopeFixedBelow: slope(addSum('local.get $q local.get $i i32.sub i64.load8_u offset=1'), 'i32.const 0', 'local.get $i i32.lt_s', 'i32.const 1', 'i32.const 40'),
  // Indices of which only the range is known: tables, whole in the memory, partly in it, from anywhere.
  histogram: loop('local.get $p i32.load8_u i32.const 2 i32.shl local.tee $q local.get $q i32.load offset=4096 i32.const 1 i32.add i32.store offset=4096', advance('i32.const 1'), countDown),
  tableAtEnd: loop(addSum('local.get $p i32.load16_u i64.load8_u offset=100000'), advance('i32.const 2'), countDown),
  tableAnywhere: loop(addSum('local.get $s local.get $n i32.const 255 i32.and i32.add i64.load8_u offset=7'), '', countDown),
  // Unrolled by whoever made the module: copies side by side, sums in either order, values carried over, and copies that depend on each other.
  unrolled: loop('local.get $p local.get $s i32.store local.get $p local.get $s i32.store offset=4 local.get $p local.get $s i32.store offset=8 local.get $p local.get $s i32.store offset=12',
    advance('i32.const 16'), countDown),
  unrolledCounter: loop('local.get $p local.get $i i32.store8 local.get $p local.get $i i32.const 1 i32.add i32.store8 offset=1', `${advance('i32.const 2')} ${next('$i', 'i32.const 2')}`, countDown),
  unrolledSum: loop(`${addSum('local.get $p i64.load32_s')} ${addSum('local.get $p i64.load32_s offset=4')} ${addSum('local.get $p i64.load32_s offset=8')}`, advance('i32.const 12'), countDown),
  unrolledSumDown: loop(addSum('local.get $p i64.load32_s offset=12 local.get $p i64.load32_s offset=8 i64.add local.get $p i64.load32_s offset=4 i64.add local.get $p i64.load32_s i64.add'),
    advance('i32.const 16'), countDown),
  unrolledHash: loop(['', ' offset=1', ' offset=2'].map((at) => `local.get $p i64.load8_u${at} local.get $sum i64.xor i64.const 1099511628211 i64.mul local.set $sum`).join(' '), advance('i32.const 3'), countDown),
  unrolledStencil: loop(`local.get $p local.get $k local.get $p i64.load offset=1024 local.tee $k i64.add i64.store local.get $p local.get $k local.get $p i64.load offset=1032 local.tee $k i64.add i64.store offset=8`,
    advance('i32.const 16'), countDown, 'local.get $k'),
  unrolledPrefix: loop('local.get $p local.get $p i64.load local.get $p i64.load offset=8 i64.add i64.store offset=8 local.get $p local.get $p i64.load offset=8 local.get $p i64.load offset=16 i64.add i64.store offset=16',
    advance('i32.const 16'), countDown),
  // Both loads come before both stores: in the rolled loop the second load would see the first store.
  unrolledCrossed: loop('local.get $p local.get $p i32.load local.get $p i32.load offset=4 local.set $q i32.store offset=4 local.get $p local.get $q i32.store offset=8', advance('i32.const 8'), countDown),
  unrolledFloat: loop('local.get $p local.get $p f64.load local.get $p f64.load offset=2048 f64.mul f64.store local.get $p local.get $p f64.load offset=8 local.get $p f64.load offset=2056 f64.mul f64.store offset=8',
    advance('i32.const 16'), countDown),
  // How often these run is known under a condition only.
  ...Object.fromEntries(['lt_u', 'le_u', 'lt_s', 'le_s', 'ne', 'gt_u'].map((compare) => [`stride_${compare}`, stride(compare)])),
  ...Object.fromEntries(['gt_u', 'ge_u', 'gt_s', 'ge_s'].map((compare) => [`strideDown_${compare}`, stride(compare, 'local.get $s i32.sub')])),
  ...Object.fromEntries(['lt_u', 'lt_s', 'le_s'].map((compare) => [`strideGuarded_${compare}`, guardedStride(compare)])),
  strideGuardedDown: guardedStride('gt_s', 'local.get $s i32.sub'),
  strideTwo: guardedStride('lt_s', 'i32.const 2 i32.add'),
  strideTwelve: stride('ne', 'i32.const 12 i32.add'),
  strideDownSix: stride('ne', 'i32.const 6 i32.sub'),
  strideOne: stride('le_u', 'i32.const 1 i32.add'),
  strideWide: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $q i32) (local $k i64)
    local.get $p i64.extend_i32_u local.set $k
    loop ${walk} ${addSum('local.get $k')} local.get $k local.get $s i64.extend_i32_u i64.add local.tee $k local.get $n i64.extend_i32_u i64.lt_u br_if 0 end local.get $sum`,
  // Streams that move differently, and meet or do not.
  overlapGather: loop('local.get $p local.get $s i32.load i32.const 1 i32.add i32.store', `${advance('i32.const 4')} ${next('$s', 'i32.const 100')}`, countDown),
  overlapScatter: loop('local.get $s local.get $p i32.load i32.const 1 i32.add i32.store', `${advance('i32.const 4')} ${next('$s', 'i32.const 100')}`, countDown),
  overlapSum: loop('local.get $p local.get $p i32.load local.get $s i32.load i32.add i32.store', `${advance('i32.const 4')} ${next('$s', 'i32.const 8')}`, countDown),
  overlapNarrow: loop('local.get $p local.get $s i32.load16_s i32.store local.get $q local.get $p i32.load offset=4 i32.store offset=600', `${advance('i32.const 12')} ${next('$s', 'i32.const 2')} ${next('$q', 'i32.const 4')}`, countDown),
  overlapTransposed: `(param $p i32) (param $n i32) (param $s i32) (result i64) (local $sum i64) (local $i i32) (local $q i32) (local $r i32)
    loop local.get $p local.set $q local.get $s local.set $r i32.const 24 local.set $i
      loop local.get $q local.get $r i32.load i32.const 1 i32.add i32.store ${next('$q', 'i32.const 160')} ${next('$r', 'i32.const 4')} ${down('$i')} br_if 0 end
      ${advance('i32.const 4')} ${next('$s', 'i32.const 96')} ${countDown} br_if 0 end local.get $sum`,
  global: loop(`${addSum('local.get $p i64.load')} global.get $g i32.const 1 i32.add global.set $g`, advance('i32.const 8'), countDown),
};

const TEXT = `(module (memory (export "memory") ${LENGTH / 65_536} ${LENGTH / 65_536}) (global $g (export "g") (mut i32) (i32.const 0))
  (data (i32.const 0) "${Array.from({ length: 256 }, (_, i) => `\\${((i * 37) & 0xff).toString(16).padStart(2, '0')}`).join('')}")
  ${Object.entries(LOOPS).map(([name, text]) => `(func $${name} (export "${name}") ${text})`).join('\n')})`;

/** Numbers near where something changes: ends of the memory, of the 32 bits, small counts. */
function someArgument(random: Random, kind: 'address' | 'count' | 'step'): number {
  const near = { address: [0, 0, 100, 65536, 131072, 131072 - 64, -1, -8, -200, 0x7fffffff], count: [1, 1, 2, 3, 4, 7, 8, 16, 33, 100, 1000], step: [0, 1, 4, 8, 8, 16, 100, -1, -8, 65536, 0x40000000, -0x80000000] }[kind];
  const base = near[random.below(near.length)];
  if (kind === 'count') return Math.max(1, base + random.below(3));
  return (base + (kind === 'address' ? random.below(64) - 32 : 0)) | 0;
}

/** A begin, an end and a step: often at small distances, sometimes divisible. */
function strideArguments(random: Random): [number, number, number] {
  const begin = random.oneIn(3) ? someArgument(random, 'address') : random.below(2000);
  const step = random.oneIn(3) ? someArgument(random, 'step') : random.pick([1, 2, 3, 5, 8, 12, 17, 100, 0x7fffffff]);
  const trips = random.pick([0, 1, 7, 8, 9, 31, 32, 33, 40, 100, 1000, 5000]);
  const end = random.oneIn(4) ? someArgument(random, 'address') : begin + (random.oneIn(4) ? -1 : 1) * trips * (random.oneIn(3) ? 12 : step) + (random.oneIn(2) ? 0 : random.below(3) - 1);
  return [begin, end | 0, step];
}

/** Rows that are as far apart as one is long, or about; the last cell near the memory's end, or all of them far from it. */
function slopeArguments(random: Random): [number, number, number] {
  const rows = random.pick([0, 1, 2, 3, 4, 8, 9, 17, 33, 60]);
  const step = random.pick([0, 1, 4, 8 * rows, rows, random.below(200), -1, -rows]);
  const last = Math.max(0, rows - 1);
  const begin = random.oneIn(3) ? 9000 + random.below(500) : step < 0 && random.oneIn(2) ? -step * last : LENGTH - last * Math.max(0, step) - random.pick([1, 2, 4, 8]) * random.pick([last, rows, last - 1, 2 * rows]);
  return [Math.max(0, begin) + random.pick([-8, -2, -1, 0, 0, 0, 1, 2, 8]), rows, step];
}

/** Two addresses, near each other or not, and a count. */
function overlapArguments(random: Random): [number, number, number] {
  const begin = random.below(6000);
  return [begin, random.pick([1, 7, 8, 9, 16, 33, 40, 100]), random.oneIn(3) ? random.below(6000) : Math.max(0, begin + random.below(800) - 400)];
}

function hash(memory: WebAssembly.Memory): number {
  const words = new Uint32Array(memory.buffer);
  let value = 0;
  for (let i = 0; i < words.length; i++) value = (Math.imul(value, 31) + words[i]) | 0;
  return value;
}

test('counted loops: results, traps, memory and fuel as on V8 with a counter', async () => {
  const oracle = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(injectMetering(await assemble(TEXT))))).exports;
  const counter = oracle[COUNTER] as WebAssembly.Global;
  const levels: Instance[] = [];
  for (const optLevel of [0, 2, 3] as const) levels.push(load(await compile(TEXT, { optLevel })).instantiate());
  const random = new Random(20_261_124);
  let traps = 0;
  for (const name of Object.keys(LOOPS)) {
    for (let round = 0; round < 120; round++) {
      const args = name.startsWith('stride') ? strideArguments(random) : name.startsWith('slope') ? slopeArguments(random) : name.startsWith('overlap') ? overlapArguments(random) : [someArgument(random, 'address'), someArgument(random, 'count'), someArgument(random, 'step')];
      if (name === 'stepFour') args[1] = someArgument(random, 'count') * 40;
      const before = counter.value as bigint;
      const expected = outcome(() => (oracle[name] as Func)(...args));
      const consumed = (counter.value as bigint) - before;
      if (expected === 'trap') traps++;
      const state = hash(oracle.memory as WebAssembly.Memory);
      for (const [level, instance] of levels.entries()) {
        const spent = instance.fuel.consumed;
        const where = `${name}(${args.join(', ')}) at level ${level}`;
        assert.is(outcome(() => (instance.exports[name] as Func)(...args)), expected, where);
        assert.is(instance.fuel.consumed - spent, consumed, `fuel of ${where}`);
        assert.is(hash(instance.exports.memory as WebAssembly.Memory), state, `memory after ${where}`);
      }
    }
  }
  assert.ok(traps > 300, `both outcomes are met: ${traps} traps`);
});

/** A loop over arrays near each other, static ones or at an address that is passed: two to five accesses, each with a start, a step and a width of its own. */
function someArrays(random: Random, name: string): string {
  const accesses = Array.from({ length: 2 + random.below(4) }, () => {
    const start = random.oneIn(4) ? `(i32.add (local.get $p) (i32.const ${random.below(60)}))` : `(i32.const ${64 + random.below(120)})`;
    const address = `(i32.add ${start} (i32.mul (local.get $i) (i32.const ${random.pick([0, 0, 1, 2, 4, 8, 16, -1])})))`;
    const width = random.pick(['8', '16', '32', '']);
    return random.oneIn(2)
      ? `(i64.store${width} align=1 ${address} (i64.add (local.get $sum) (i64.extend_i32_u (local.get $i))))`
      : `(local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 7)) (i64.load${width && `${width}_s`} align=1 ${address})))`;
  });
  return `(func (export "${name}") (param $p i32) (result i64) (local $i i32) (local $sum i64)
    loop ${accesses.join(' ')} (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${1 + random.below(24)}))) end local.get $sum)`;
}

test('arrays, of which some meet: results, traps, memory and fuel as on V8 with a counter', async () => {
  const random = new Random(20_261_201), names = Array.from({ length: 150 }, (_, i) => `f${i}`);
  const text = `(module (memory (export "memory") 1 1) ${names.map((name) => someArrays(random, name)).join('\n')})`;
  const oracle = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(injectMetering(await assemble(text))))).exports;
  const counter = oracle[COUNTER] as WebAssembly.Global;
  const levels: Instance[] = [];
  for (const optLevel of [1, 2, 3] as const) levels.push(load(await compile(text, { optLevel })).instantiate());
  const memories = [oracle, ...levels.map(({ exports }) => exports)].map(({ memory }) => memory as WebAssembly.Memory);
  let traps = 0;
  for (const [name, address] of names.flatMap((name) => [32 + random.below(160), 65_536 - random.below(200)].map((address) => [name, address] as const))) {
    const bytes = random.bytes(1024);
    for (const memory of memories) new Uint8Array(memory.buffer).set(bytes);
    const before = counter.value as bigint, expected = outcome(() => (oracle[name] as Func)(address)), consumed = (counter.value as bigint) - before;
    if (expected === 'trap') traps++;
    for (const [level, { exports, fuel }] of levels.entries()) {
      const spent = fuel.consumed, where = `${name}(${address}) at -O${level + 1}`;
      assert.is(outcome(() => (exports[name] as Func)(address)), expected, where);
      assert.is(fuel.consumed - spent, consumed, `fuel of ${where}`);
      assert.is(hash(exports.memory as WebAssembly.Memory), hash(oracle.memory as WebAssembly.Memory), `memory after ${where}`);
    }
  }
  assert.ok(traps > 20 && traps < names.length, `both outcomes are met: ${traps} traps`);
});

test('a counted loop has a copy without charges and checks, which vectorises', async () => {
  const text = `(module (memory 2 2) (func (export "f") ${LOOPS.store}))`;
  const ir = async (optLevel: 0 | 2) => Buffer.from((await build(await assemble(text), { optLevel, emit: 'ir' })).artifact).toString();
  assert.match(await ir(2), /store <\d+ x i(8|32)>/);
  assert.match(await ir(2), /store volatile i32/, 'the exact copy is there as well');
  assert.not.match(await ir(0), /store <\d+ x/);
});

test('a loop that is in bounds for certain has no exact copy', async () => {
  const ir = async (name: string) => Buffer.from((await build(await assemble(`(module (memory 2 2) (func (export "f") ${LOOPS[name]}))`), { optLevel: 2, emit: 'ir' })).artifact).toString();
  for (const name of ['fixedEnd', 'fixedOffset', 'fixedDown', 'fixedMasked']) assert.not.match(await ir(name), /(load|store) volatile/, name);
  for (const name of ['fixedBeyond', 'fixedOffsetBeyond', 'fixedBelow', 'fixedFewBeyond', 'fixedMaskedBeyond']) assert.match(await ir(name), /(load|store) volatile/, name);
});

test('what the first memory has at least says nothing of another', async () => {
  const ir = async (memory: number) => {
    const body = fixed(addSum(`local.get $p i64.load ${memory}`), 8, `i32.const ${LENGTH - 40 * 8}`, 40);
    return Buffer.from((await build(await assemble(`(module (memory 2) (memory 1 2) (func (export "f") ${body}))`, { multi_memory: true }), { optLevel: 2, emit: 'ir' })).artifact).toString();
  };
  assert.not.match(await ir(0), /load volatile i64/);
  assert.match(await ir(1), /load volatile i64/);
});

test('a nest whose inner loop runs differently often is asked once as well, and not at all where no row can leave the memory', async () => {
  const ir = async (name: string) => Buffer.from((await build(await assemble(`(module (memory 2 2) (func (export "f") ${LOOPS[name]}))`), { optLevel: 2, emit: 'ir' })).artifact).toString();
  for (const name of ['slopeBelow', 'slopeAbove', 'slopeFromRow', 'slopeDown', 'slopePairs', 'slopePairsAbove', 'slopeTwice', 'slopeWraps', 'slopeByte', 'slopeLess', 'slopeInside']) {
    assert.match(await ir(name), /^loop(3\.preheader)?\.range:/m, `${name}: asked before the outermost loop`);
    assert.not.match(await ir(name), /^loop\d+\.range:/m, `${name}: not again in the copy for those who said yes`);
  }
  assert.not.match(await ir('slopeFixed'), /load volatile/);
  assert.match(await ir('slopeFixedBeyond'), /load volatile/);
  assert.match(await ir('slopeFixedBelow'), /load volatile/);
});

for (const optLevel of [2, 3] as const) test(`streams that move differently are compared before the loop, which then vectorises, at -O${optLevel}`, async () => {
  for (const name of ['overlapGather', 'overlapScatter', 'overlapSum']) {
    const text = `(module (memory 2 2) (func (export "f") ${LOOPS[name]}))`;
    const ir = Buffer.from((await build(await assemble(text), { optLevel, emit: 'ir' })).artifact).toString();
    assert.match(ir, /<\d+ x i32>/, name);
    assert.match(ir, /vector\.memcheck/, name);
  }
});

test('a loop whose count holds under a condition only is split as well', async () => {
  for (const name of ['strideTwo', 'strideTwelve', 'stride_lt_u', 'strideGuarded_lt_s']) {
    const text = `(module (memory 2 2) (func (export "f") ${LOOPS[name]}))`;
    const ir = Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'ir' })).artifact).toString();
    assert.match(ir, /store i8/, `${name}: a plain copy`);
    assert.match(ir, /store volatile i8/, `${name}: the exact copy`);
    assert.is(ir.match(/ udiv i32 %\S+, %/g)?.length ?? 0, name.startsWith('stride_') || name.startsWith('strideGuarded') ? 1 : 0, `${name}: one division where the step is not constant`);
  }
});

test('a loop with charges is unrolled as the same without', async () => {
  const text = `(module (memory 1) (func (export "limited") ${LOOPS.limited}))`;
  const loads = async (fuel: 'outband' | 'none') => {
    const ir = Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'ir', fuel })).artifact).toString();
    return ir.match(/load volatile i8,/g)?.length;
  };
  assert.is(await loads('outband'), 8);
  assert.is(await loads('none'), 8);
});

test('a small loop whose count is not known makes two turns in one, for the sake of its charges', async () => {
  const text = `(module (memory 1) (func (export "followed") ${LOOPS.followed}))`;
  const loads = async (fuel: 'outband' | 'none') => {
    const ir = Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'ir', fuel })).artifact).toString();
    return ir.match(/load volatile i8,/g)?.length;
  };
  assert.is(await loads('outband'), 2);
  assert.is(await loads('none'), 1);
  const assembly = Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'asm', target: 'x86_64-unknown-linux-gnu' })).artifact).toString();
  const turns = assembly.match(/^(\.LBB\d+_\d+):.*\n(?:.*\n)*?\tjne\t\1$/m)?.[0] ?? '';
  assert.is(turns.match(/movzbl/g)?.length, 2);
  assert.is(turns.match(/%rbp\), %rbp/g)?.length, 1, 'one payment for both');
});

test('a small loop makes two turns in one in machine code, and pays once', async () => {
  const count = async (name: string, fuel: 'outband' | 'none', pattern: RegExp) => {
    const text = `(module (memory 1) (func $nested (param i32 i32 i32) (result i64) unreachable) (func (export "f") ${LOOPS[name]}))`;
    const assembly = Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'asm', fuel, target: 'x86_64-unknown-linux-gnu' })).artifact).toString();
    return assembly.match(pattern)?.length ?? 0;
  };
  const LOAD = /^\t(movzbl|cmpb|testb).*\(%r.*,/gm, PAYMENT = /^\tleaq\t-?\d+\(%rbp\), %rbp/gm;
  assert.is(await count('scanned', 'none', LOAD), 1);
  assert.is(await count('scanned', 'outband', LOAD), 2);
  assert.is(await count('scanned', 'outband', PAYMENT), 3, 'in the loop, where it is left, and at the return');
  assert.is(await count('aside', 'none', LOAD), 1);
  assert.is(await count('aside', 'outband', LOAD), 2, 'what follows the test is there once');
});

test('branches are threaded through charges', async () => {
  const branches = async (fuel: 'outband' | 'none') => {
    const ir = Buffer.from((await build(await assemble(`(module (memory 1) (func (export "known") ${LOOPS.known}))`), { optLevel: 2, emit: 'ir', fuel })).artifact).toString();
    return ir.match(/ br i1/g)?.length;
  };
  assert.is(await branches('outband'), await branches('none'));
});

test('what the module has unrolled is rolled up again, and then vectorised whole', async () => {
  const vectors = async (name: string) => {
    const text = `(module (memory 2 2) (func (export "f") ${LOOPS[name]}))`;
    return Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'ir' })).artifact).toString();
  };
  for (const name of ['unrolled', 'unrolledSum', 'unrolledSumDown']) {
    const ir = await vectors(name);
    assert.match(ir, /(load|store) <\d+ x i(32|64)>/, name);
    assert.not.match(ir, /shufflevector <\d+ x i32> %[a-z]\S*, <\d+ x i32> poison, <\d+ x i32> <i32 0, i32 [34]/, `${name}: no strides`);
  }
});

test('a nest of loops is asked once', async () => {
  const text = `(module (memory 2 2) (func (export "f") ${LOOPS.rowsDown}))`;
  const ir = Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'ir' })).artifact).toString();
  assert.is(ir.match(/asm sideeffect "leaq \(%rbp,\$0\), %rbp", "r"/g)?.length, 1, 'one bill of which only the run knows the amount: (count of rows) x (columns) x cost');
});

test.after(closeCompiler);
test.run();
