/** memory.copy and memory.fill of few bytes, which compiled code does without a builtin: every length around the sizes of its accesses, overlapping, and at the memory's end. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load, Trap } from '../../loader/index.js';
import { closeCompiler, compile } from '../loader/wat.js';

const TEXT = `(module (memory (export "memory") 1 3)
  (func (export "copy") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.copy)
  (func (export "fill") (param i32 i32 i32) local.get 0 local.get 1 local.get 2 memory.fill)
  (func (export "copy24") (param i32 i32) local.get 0 local.get 1 i32.const 24 memory.copy)
  (func (export "fill5") (param i32 i32) local.get 0 local.get 1 i32.const 5 memory.fill)
  (func (export "grow") (result i32) i32.const 1 memory.grow))`;

type Func = (...args: number[]) => unknown;
const PAGE = 65536;

/** Runs the operation on the instance and on an array; both must agree in all bytes and in whether it traps. */
function compare(memory: WebAssembly.Memory, run: () => void, model: (bytes: Uint8Array) => void, inBounds: boolean, where: string): void {
  const expected = new Uint8Array(memory.buffer).slice();
  if (inBounds) {
    model(expected);
    run();
  } else {
    assert.throws(run, (error: Error) => error instanceof Trap, where);
  }
  assert.ok(Buffer.compare(expected, new Uint8Array(memory.buffer)) === 0, where);
}

for (const optLevel of [0, 2] as const) {
  test(`short copies and fills at level ${optLevel}`, async () => {
    const { exports } = load(await compile(TEXT, { optLevel })).instantiate();
    const memory = exports.memory as WebAssembly.Memory;
    const copy = exports.copy as Func;
    const fill = exports.fill as Func;
    new Uint8Array(memory.buffer).forEach((_, i, bytes) => { bytes[i] = (i * 73 + (i >> 8)) & 0xff; });
    for (let count = 0; count <= 70; count++) {
      for (const distance of [-65, -33, -16, -9, -3, -1, 0, 1, 2, 7, 15, 17, 31, 33, 64]) {
        compare(memory, () => copy(200 + distance, 200, count), (bytes) => bytes.copyWithin(200 + distance, 200, 200 + count), true, `copy of ${count} by ${distance}`);
      }
      compare(memory, () => fill(300, 0x1a5, count), (bytes) => bytes.fill(0xa5, 300, 300 + count), true, `fill of ${count}`);
      compare(memory, () => copy(PAGE - count, 10, count), (bytes) => bytes.copyWithin(PAGE - count, 10, 10 + count), true, `copy of ${count} to the end`);
      compare(memory, () => copy(PAGE - count + 1, 10, count), () => {}, false, `copy of ${count} beyond the end`);
      compare(memory, () => copy(10, PAGE - count + 1, count), () => {}, false, `copy of ${count} from beyond the end`);
      compare(memory, () => fill(PAGE - count + 1, 1, count), () => {}, false, `fill of ${count} beyond the end`);
    }
    compare(memory, () => copy(-1, 0, 1), () => {}, false, 'copy to the end of the index space');
    compare(memory, () => fill(-8, 0, 16), () => {}, false, 'fill around the end of the index space');
    compare(memory, () => (exports.copy24 as Func)(108, 100), (bytes) => bytes.copyWithin(108, 100, 124), true, 'copy of a constant length');
    compare(memory, () => (exports.fill5 as Func)(PAGE - 5, 7), (bytes) => bytes.fill(7, PAGE - 5), true, 'fill of a constant length');
    compare(memory, () => (exports.fill5 as Func)(PAGE - 4, 7), () => {}, false, 'fill of a constant length beyond the end');
    assert.is((exports.grow as Func)(), 1);
    compare(memory, () => copy(PAGE - 20, 64, 40), (bytes) => bytes.copyWithin(PAGE - 20, 64, 104), true, 'after growth');
    memory.grow(1);
    compare(memory, () => copy(2 * PAGE - 20, 64, 40), (bytes) => bytes.copyWithin(2 * PAGE - 20, 64, 104), true, 'after growth by the host');
  });
}

test.after(closeCompiler);
test.run();
