/** Memories are V8's own objects: identity, growth from both sides, detaching, empty memories, sharing. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Memory, Store, Trap } from '../../loader/index.js';
import { closeCompiler, loadText } from './wat.js';

const BODY = `
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "size") (result i32) memory.size)
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))`;
const define = (limits: string) => loadText(`(module (memory (export "memory") ${limits})${BODY})`);
const importing = await loadText(`(module (import "" "memory" (memory 0))
  (import "" "host" (func $host))
  (func (export "around") (result i32 i32) memory.size call $host memory.size)
  (func (export "fillAfter") (param i32) call $host (memory.fill (i32.const 0) (i32.const 9) (local.get 0)))
  (export "memory" (memory 0)) ${BODY})`);

const outOfBounds = (error: unknown): boolean => error instanceof Trap && error.code === 'out_of_bounds_memory_access';

test('a defined memory is a WebAssembly.Memory that shares bytes with wasm', async () => {
  const { exports } = (await define('1 4')).instantiate();
  assert.ok(exports.memory instanceof WebAssembly.Memory);
  assert.is(Memory, WebAssembly.Memory);
  assert.is(exports.memory.buffer.byteLength, 65536);
  exports.store(5, 200);
  assert.is(new Uint8Array(exports.memory.buffer)[5], 200);
  new Uint8Array(exports.memory.buffer)[6] = 201;
  assert.is(exports.load(6), 201);
  assert.throws(() => exports.load(65536), outOfBounds);
  assert.throws(() => exports.store(-1, 0), outOfBounds);
});

test('growing from wasm detaches the buffer, growing from JS is seen by wasm, and the maximum holds', async () => {
  const { exports } = (await define('1 4')).instantiate();
  const before = exports.memory.buffer;
  exports.store(65535, 77);
  assert.is(exports.grow(1), 1);
  assert.is(before.byteLength, 0);
  assert.is(exports.memory.buffer.byteLength, 131072);
  assert.is(exports.load(65535), 77);
  exports.store(131071, 78);
  assert.is(exports.memory.grow(1), 2);
  assert.is(exports.size(), 3);
  assert.is(exports.load(131071), 78);
  exports.store(3 * 65536 - 1, 1);
  assert.is(exports.grow(2), -1);
  assert.is(exports.grow(-1), -1);
  assert.is(exports.grow(0x10000), -1);
  assert.is(exports.size(), 3);
  assert.is(exports.grow(0), 3);
  assert.is(exports.grow(1), 3);
  assert.throws(() => exports.memory.grow(1), (e: unknown) => e instanceof RangeError);
});

test('a memory of no pages', async () => {
  for (const limits of ['0', '0 2', '0 0']) {
    const { exports } = (await define(limits)).instantiate();
    assert.is(exports.size(), 0);
    assert.throws(() => exports.load(0), outOfBounds);
    exports.fill(0, 1, 0);
    assert.throws(() => exports.fill(0, 1, 1), outOfBounds);
    if (limits === '0 0') {
      assert.is(exports.grow(1), -1);
      continue;
    }
    assert.is(exports.grow(1), 0);
    exports.store(65535, 3);
    assert.is(new Uint8Array(exports.memory.buffer)[65535], 3);
  }
  const memory = new WebAssembly.Memory({ initial: 0 });
  const { exports } = importing.instantiate({ '': { memory, host: () => memory.grow(2) } });
  assert.equal(exports.around(), [0, 2]);
  exports.fillAfter(3 * 65536);
  assert.equal([...new Uint8Array(memory.buffer, 3 * 65536 - 1, 2)], [9, 0]);
});

test('one memory in several instances and stores', () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const host = () => {};
  const store = new Store();
  const a = importing.instantiate({ '': { memory, host } });
  const b = importing.instantiate({ '': { memory, host } }, { store });
  const c = importing.instantiate({ '': { memory: a.exports.memory, host } }, { store });
  for (const { exports } of [a, b, c]) assert.is(exports.memory, memory);
  a.exports.store(1, 11);
  assert.is(b.exports.load(1), 11);
  assert.is(c.exports.grow(1), 1);
  assert.is(a.exports.size(), 2);
  b.exports.store(70000, 5);
  assert.is(a.exports.load(70000), 5);
});

test('a program cannot make the runtime believe a wrong length', () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  Object.defineProperty(memory, 'buffer', { value: new ArrayBuffer(1 << 20) });
  Object.defineProperty(memory, 'grow', { value: () => 100 });
  const { exports } = importing.instantiate({ '': { memory, host: () => {} } });
  assert.is(exports.size(), 1);
  assert.throws(() => exports.fill(65536, 1, 1), outOfBounds);
  assert.is(exports.grow(1), 1);
  assert.is(exports.size(), 2);
});

test('size, fill and grow work deeper in the stack than JavaScript may go', async () => {
  const module = await loadText(`(module (import "" "memory" (memory 0)) (import "" "host" (func $host))
    (func $down (export "down") (param $n i32) (param $act i32) (result i32) (local $r i32)
      (if (i32.eqz (local.get $n))
        (then (if (i32.eqz (local.get $act)) (then (call $host)))
              (drop (memory.grow (i32.const 1))) (memory.fill (i32.const 65536) (i32.const 7) (i32.const 65536)) (return (memory.size))))
      (local.set $r (call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $act)))
      (i32.add (local.get $r) (i32.mul (local.get $n) (i32.const 0)))))`, { optLevel: 0 });
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = module.instantiate({ '': { memory, host: () => {} } });
  let depth = 1000;
  // As deep as needed for a host function in JavaScript to fail.
  for (; depth < 4_000_000; depth *= 2) {
    try {
      exports.down(depth, 0);
    } catch (error) {
      assert.instance(error, RangeError);
      break;
    }
  }
  const pages = memory.buffer.byteLength / 65536;
  memory.grow(1);
  assert.is(exports.down(depth, 1), pages + 2);
});

test('data segments are checked against the memory that is there', async () => {
  const module = await loadText('(module (import "" "memory" (memory 1)) (data (i32.const 65535) "ab"))');
  const memory = new WebAssembly.Memory({ initial: 1 });
  assert.throws(() => module.instantiate({ '': { memory } }), outOfBounds);
  memory.grow(1);
  module.instantiate({ '': { memory } });
  assert.equal([...new Uint8Array(memory.buffer, 65535, 2)], [97, 98]);
});

test('bulk operators of several pieces: overlapping copies both ways, fills, tables', async () => {
  const piece = 1 << 20; // of builtins.c
  const { exports } = (await loadText(`(module (memory (export "memory") 80) (table $t (export "table") 600000 externref) (data $d "${'0123456789'.repeat(150_000)}")
    (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
    (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
    (func (export "tableCopy") (param i32 i32 i32) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
    (func (export "tableFill") (param i32 externref i32) (table.fill $t (local.get 0) (local.get 1) (local.get 2)))
    (func (export "get") (param i32) (result externref) (table.get $t (local.get 0))))`)).instantiate();
  const bytes = new Uint8Array(exports.memory.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2654435761) >>> 13;
  const expected = bytes.slice();
  for (const count of [piece - 1, piece, piece + 1, 3 * piece + 7]) {
    for (const distance of [0, 1, -1, 4096, -4096, piece, -piece, piece + 3, -piece - 3, 4 * piece - count]) {
      const [to, from] = distance >= 0 ? [distance, 0] : [5, 5 - distance];
      exports.copy(to, from, count);
      expected.copyWithin(to, from, from + count);
      assert.is(Buffer.compare(bytes, expected), 0, `${count} bytes from ${from} to ${to}`);
    }
  }
  exports.fill(3, 7, 3 * piece);
  expected.fill(7, 3, 3 * piece + 3);
  exports.init(11, 2, 1_400_001);
  for (let i = 0; i < 1_400_001; i++) expected[11 + i] = 48 + ((i + 2) % 10);
  assert.is(Buffer.compare(bytes, expected), 0);
  assert.throws(() => exports.fill(1, 9, bytes.length), outOfBounds);
  assert.throws(() => exports.copy(1, 0, bytes.length), outOfBounds);
  assert.is(Buffer.compare(bytes, expected), 0, 'nothing of it was done');
  exports.tableFill(0, 'a', 200_000);
  exports.tableFill(200_000, 'b', 200_000);
  exports.tableCopy(100_000, 0, 400_000);
  for (const [i, value] of [[99_999, 'a'], [299_999, 'a'], [300_000, 'b'], [499_999, 'b'], [500_000, null]] as const) assert.is(exports.get(i), value, String(i));
  exports.tableCopy(0, 250_000, 250_000);
  for (const [i, value] of [[0, 'a'], [49_999, 'a'], [50_000, 'b'], [249_999, 'b'], [250_000, 'a']] as const) assert.is(exports.get(i), value, String(i));
});

test.after(closeCompiler);
test.run();
