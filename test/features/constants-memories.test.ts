/** Extended constant expressions, multiple memories, and the switches of features, through compiler and loader. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CompileError, type Compiler, openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { Global, load, Trap } from '../../loader/index.js';
import { put, wasmAot } from '../cli/command.js';
import { scratch } from '../loader/wat.js';
import { body, END, FUNCREF, funcType, I32, I64, module, name, section, vec } from '../unit/module-bytes.js';

let compiler: Compiler;
test.before(async () => { compiler = await openCompiler({ workers: 1 }); });
test.after(async () => await compiler.close());

let count = 0;
async function build(bytes: Uint8Array, options: BuildOptions = {}) {
  const { artifact } = await compiler.build(bytes, options);
  const path = join(scratch(), `features-${count++}.so`);
  writeFileSync(path, artifact);
  return load(path);
}

const [GET, ADD, SUB, MUL, ADD64] = [0x23, 0x6a, 0x6b, 0x6c, 0x7c];

/** Offsets and globals computed from imported globals: what position-independent code does. */
const CONSTANTS = module(
  section(1, vec([funcType([], [I32])])),
  section(2, vec([[...name('env'), ...name('base'), 3, I32, 0], [...name('env'), ...name('wide'), 3, I64, 0]])),
  section(3, vec([[0]])),
  section(4, vec([[FUNCREF, 0, 20]])),
  section(5, vec([[0, 1]])),
  section(6, vec([
    [I32, 0, GET, 0, 0x41, 2, MUL, 0x41, 3, ADD, END], // base * 2 + 3
    [I64, 0, GET, 1, 0x42, 0x7f, ADD64, END], // wide - 1
    [I32, 0, GET, 2, GET, 0, SUB, END], // an earlier global of the module's own
    [I32, 0, 0x41, 40, 0x41, 2, ADD, END], // constants only
  ])),
  section(7, vec([[...name('memory'), 2, 0], [...name('table'), 1, 0], ...[2, 3, 4, 5].map((i) => [...name(`g${i}`), 3, i])])),
  section(9, vec([[0, GET, 0, 0x41, 1, ADD, END, 1, 0]])),
  section(10, vec([body([0x41, 7, END])])),
  section(11, vec([[0, GET, 0, 0x41, 4, MUL, END, 2, 0xaa, 0xbb]])),
);

test('extended constant expressions: globals, offsets of data and elements', async () => {
  const instance = (await build(CONSTANTS)).instantiate({ env: { base: new Global({ value: 'i32' }, 5), wide: new Global({ value: 'i64' }, 0n) } });
  const { memory, table, ...globals } = instance.exports as Record<string, { value: unknown; get(i: number): () => unknown; buffer: ArrayBuffer }>;
  assert.equal(Object.values(globals).map((global) => global.value), [13, -1n, 8, 42]);
  assert.equal([...new Uint8Array(memory.buffer).subarray(19, 23)], [0, 0xaa, 0xbb, 0]);
  assert.is(table.get(6)(), 7);
  assert.is(table.get(5), null);
});

test('extended constant expressions wrap around, and an offset out of bounds traps', async () => {
  const artifact = await build(CONSTANTS);
  const env = (base: number) => ({ env: { base: new Global({ value: 'i32' }, base), wide: new Global({ value: 'i64' }, -0x8000000000000000n) } });
  // The element is far outside the table; then, inside, the data are outside the memory.
  assert.throws(() => artifact.instantiate(env(0x40000001)), (error: unknown) => error instanceof Trap && error.code === 'out_of_bounds_table_access');
  const { g2, g3 } = artifact.instantiate(env(18)).exports as Record<string, { value: unknown }>;
  assert.equal([g2.value, g3.value], [39, 0x7fffffffffffffffn]);
});

/** Two memories of one and two pages. `move(from, to)`: copies 4 bytes of memory 1 into memory 0 by load and store; `grow`, `size`, `fill`, `copy` of memory 1. */
const memory1 = (opcode: number, offset = 0) => [opcode, 0x42, 1, offset];
const MEMORIES = module(
  section(1, vec([funcType([I32, I32], []), funcType([I32], [I32]), funcType([], [I32])])),
  section(3, vec([[0], [1], [2], [0], [0]])),
  section(5, vec([[0, 1], [1, 2, 3]])),
  section(7, vec([[...name('a'), 2, 0], [...name('b'), 2, 1], ...['move', 'grow', 'size', 'fill', 'copy'].map((n, i) => [...name(n), 0, i])])),
  section(10, vec([
    body([0x20, 1, 0x20, 0, ...memory1(0x28, 4), 0x36, 2, 0, END]),
    body([0x20, 0, 0x40, 1, END]),
    body([0x3f, 1, END]),
    body([0x20, 0, 0x20, 1, 0x41, 8, 0xfc, 11, 1, END]),
    body([0x20, 0, 0x20, 1, 0x41, 8, 0xfc, 10, 0, 1, END]),
  ])),
  section(11, vec([[2, 1, 0x41, 8, END, 4, 1, 2, 3, 4]])),
);

for (const optLevel of [0, 2] as const) {
  test(`two memories are two memories, -O${optLevel}`, async () => {
    const instance = (await build(MEMORIES, { optLevel })).instantiate({}, { fuel: 1_000_000n });
    const { a, b, move, grow, size, fill, copy } = instance.exports as unknown as Record<string, WebAssembly.Memory & ((...args: number[]) => unknown)>;
    move(4, 100);
    assert.equal([...new Uint8Array(a.buffer).subarray(99, 105)], [0, 1, 2, 3, 4, 0]);
    assert.is(new Uint8Array(b.buffer)[100], 0);
    assert.is(size(), 2);
    assert.throws(() => move(131072 - 7, 0), (error: unknown) => error instanceof Trap && error.code === 'out_of_bounds_memory_access');
    assert.throws(() => move(0, 65536 - 3), (error: unknown) => error instanceof Trap);
    assert.is(grow(1), 2);
    move(131072 - 7, 0);
    assert.is(grow(1), -1);
    fill(20, 0x77);
    copy(200, 16);
    assert.equal([...new Uint8Array(a.buffer).subarray(200, 210)], [0, 0, 0, 0, 0x77, 0x77, 0x77, 0x77, 0, 0]);
    // In the order of the calls, each with 1 for its entry; the third traps at its load.
    assert.is(instance.fuel.consumed, BigInt(5 + 2 + 4 + 5 + 3 + 5 + 3 + 5 + 5));
  });
}

test('a module that needs a feature which is off is refused by name', async () => {
  const refusal = async (bytes: Uint8Array, options: BuildOptions): Promise<CompileError> => {
    try {
      await compiler.build(bytes, options);
    } catch (error) {
      if (error instanceof CompileError) return error;
      throw error;
    }
    throw new Error('it was accepted');
  };
  assert.match((await refusal(CONSTANTS, { features: { disable: ['extended-const'] } })).message, 'extended-const');
  assert.match((await refusal(MEMORIES, { features: { disable: ['multi-memory'] } })).message, 'multiple memories');
  const unknown = await refusal(MEMORIES, { features: { enable: ['multi-memroy'] } });
  assert.equal([unknown.errors[0].kind, unknown.errors[0].note], ['usage', 'did you mean "multi-memory"?']);
});

test('--enable and --disable on the command line', async () => {
  const wasm = put('memories.wasm', MEMORIES);
  const refused = await wasmAot(['build', '--disable', 'simd', '--disable', 'multi-memory', wasm, '-o', 'memories.so']);
  assert.is(refused.status, 65, refused.stderr);
  assert.match(refused.stderr, /multiple memories/);
  const misspelt = await wasmAot(['build', '--enable', 'multi-memroy', wasm, '-o', 'memories.so']);
  assert.equal([misspelt.status, /did you mean "multi-memory"/.test(misspelt.stderr)], [64, true]);
  assert.is((await wasmAot(['build', '-q', '--enable', 'multi-memory', '--disable', 'simd', wasm, '-o', 'memories.so'])).status, 0);
});

test.run();
