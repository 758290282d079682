/** Indices whose register is clear above already, and those whose register is not (compiler/llvm/codegen/zero_extended.cc). */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { load } from '../../loader/index.js';
import { assemble, closeCompiler, compile } from '../loader/wat.js';

type Func = (...args: unknown[]) => unknown;

/** A list of three cells at 64, 128 and 192, each with the address of the next and a number behind it. */
const LIST = '(data (i32.const 64) "\\80\\00\\00\\00\\01\\00\\00\\00") (data (i32.const 128) "\\c0\\00\\00\\00\\02\\00\\00\\00") (data (i32.const 192) "\\00\\00\\00\\00\\04\\00\\00\\00")';
const WALK = 'loop local.get $sum local.get $p i32.load offset=4 i32.add local.set $sum local.get $p i32.load local.tee $p br_if 0 end local.get $sum';

test('walking along a list moves no pointer to itself', async () => {
  const text = `(module (memory 1) ${LIST} (func (export "walk") (param $p i32) (result i32) (local $sum i32) ${WALK}))`;
  const asm = Buffer.from((await build(await assemble(text), { optLevel: 2, emit: 'asm', target: 'x86_64-unknown-linux-gnu' })).artifact).toString();
  const turn = /^(\.LBB\d+_\d+):.*\n(?:(?!\.LBB)[^\n]*\n)*?\tjne\t\1$/m.exec(asm)?.[0] ?? '';
  assert.match(turn, /\(%r\w+,%r\w+\)/, 'the loop, in which memory is read');
  assert.not.match(turn, /movl\t%\w+, %/);
  assert.is((load(await compile(text)).instantiate().exports.walk as Func)(64), 7);
});

test('what is above 32 bits never gets into an address', async () => {
  // Numbers whose low halves are addresses: as parameters and results, chosen in a loop, rotated, through a table, and around again.
  const text = `(module (memory 1) ${LIST} (type $t (func (param i64) (result i32))) (table funcref (elem $low $other))
    (func $low (param $x i64) (result i32) local.get $x i32.wrap_i64)
    (func $other (param $x i64) (result i32) local.get $x i64.const 7 i64.mul i64.const 7 i64.div_u i32.wrap_i64)
    (func $walk (param $p i32) (result i32) (local $sum i32) ${WALK})
    (func (export "call") (param $x i64) (result i32) local.get $x i32.wrap_i64 call $walk)
    (func (export "tail") (param $x i64) (result i32) local.get $x i32.wrap_i64 return_call $walk)
    (func (export "result") (param $x i64) (result i32) (local $p i32) (local $sum i32) local.get $x i32.const 0 call_indirect (type $t) local.set $p ${WALK})
    (func (export "again") (param $x i64) (result i32) (local $p i32) (local $sum i32) local.get $x i32.wrap_i64 local.set $p
      loop local.get $sum local.get $p i32.load offset=4 i32.add local.set $sum
        local.get $p i32.load i64.extend_i32_u local.get $x i64.const 32 i64.shr_u i64.const 32 i64.shl i64.or local.tee $x i32.wrap_i64 local.tee $p br_if 0 end local.get $sum local.get $x i64.const 32 i64.shr_u i32.wrap_i64 i32.add)
    (func (export "either") (param $x i64) (result i32) (local $p i32) (local $sum i32) local.get $x i32.wrap_i64 local.set $p
      loop local.get $sum local.get $p i32.load offset=4 i32.add local.set $sum
        local.get $sum i32.const 2 i32.and if (result i32) local.get $p i32.load else local.get $x i64.const 64 i64.add i32.const 0 call_indirect (type $t) end
        local.tee $p br_if 0 end local.get $sum)
    (func (export "signed") (param $x i64) (result i32) (local $p i32) (local $sum i32) (local $y i64) local.get $x i32.wrap_i64 local.set $p
      loop local.get $sum local.get $p i32.load offset=4 i32.add local.set $sum
        local.get $y local.get $p i32.const -2147483648 i32.or i64.extend_i32_s i64.add local.set $y
        local.get $p i32.load local.tee $p br_if 0 end local.get $sum local.get $y i64.const 0 i64.lt_s i32.add))`;
  const expected: Record<string, number> = { call: 7, tail: 7, result: 7, again: 7 + 0x2345_6789, either: 7, signed: 8 };
  for (const optLevel of [1, 2, 3] as const) {
    const instance = load(await compile(text, { optLevel }, { tail_call: true })).instantiate();
    for (const [name, result] of Object.entries(expected)) assert.is((instance.exports[name] as Func)(0x2345_6789_0000_0040n), result, `${name} at -O${optLevel}`);
  }
});

test.after(closeCompiler);
test.run();
