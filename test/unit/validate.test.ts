import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveFeatures } from '../../compiler/wasm/features.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { validateModule } from '../../compiler/wasm/validate.js';
import { body, END, EXTERNREF, F32, F64, FUNCREF, funcType, I32, I64, judge, module, name, oneFunction, section, vec } from './module-bytes.js';

/** The module is valid, here and in V8. */
function accepts(bytes: Uint8Array) {
  assert.equal(judge(bytes), []);
  assert.ok(WebAssembly.validate(bytes as BufferSource));
}

/** The module has one error, whose message begins so; V8 refuses it too. */
function refuses(bytes: Uint8Array, message: string, kind = 'invalid') {
  const errors = judge(bytes);
  assert.equal(errors.map((error) => error.kind), [kind], message);
  assert.ok(errors[0].message.startsWith(message), `${errors[0].message} does not begin with ${message}`);
  assert.ok(errors[0].place?.offset !== undefined, message);
  assert.not.ok(WebAssembly.validate(bytes as BufferSource));
}

const UNREACHABLE = 0x00;
const BLOCK = 0x02;
const LOOP = 0x03;
const IF = 0x04;
const ELSE = 0x05;
const BR = 0x0c;
const BR_IF = 0x0d;
const BR_TABLE = 0x0e;
const DROP = 0x1a;
const SELECT = 0x1b;
const SELECT_T = 0x1c;
const EMPTY = 0x40;
const i32 = (n: number) => [0x41, n];
const i64 = (n: number) => [0x42, n];
const f32 = [0x43, 0, 0, 0, 0];
const noResult = (...code: number[]) => oneFunction([], [], [...code, END]);
const anI32 = (...code: number[]) => oneFunction([], [I32], [...code, END]);

test('operands: types, number, and none from outside the block', () => {
  accepts(anI32(...i32(1), ...i32(2), 0x6a));
  refuses(anI32(...i32(1), ...f32, 0x6a), 'type mismatch: expected i32, found f32');
  refuses(anI32(0x6a), 'type mismatch: expected i32, found nothing');
  refuses(noResult(...i32(1)), 'type mismatch: 1 value too many at the end of the function');
  refuses(noResult(...i32(1), BLOCK, EMPTY, DROP, END), 'type mismatch: an operand is missing');
  refuses(anI32(), 'type mismatch: expected i32, found nothing');
});

test('the offset of an error is its operator, and the function is named', () => {
  const bytes = anI32(...i32(1), ...f32, 0x6a);
  const [error] = judge(bytes);
  assert.is(bytes[error.place?.offset as number], 0x6a);
  assert.equal(error.place?.func, { index: 0, name: undefined });
  assert.is(error.place?.file, 'test.wasm');
});

test('unreachable code is polymorphic, and checked all the same', () => {
  accepts(anI32(UNREACHABLE, 0x6a));
  accepts(anI32(UNREACHABLE, ...i32(1), 0x6a));
  refuses(anI32(UNREACHABLE, ...f32, 0x6a), 'type mismatch');
  refuses(noResult(UNREACHABLE, ...i32(1)), 'type mismatch');
  accepts(anI32(UNREACHABLE, SELECT));
  accepts(noResult(UNREACHABLE, 0xd1, DROP));
  refuses(noResult(UNREACHABLE, 0x20, 5, DROP), 'unknown local 5');
  // The block is reachable from the polymorphic stack, but not polymorphic itself.
  refuses(noResult(UNREACHABLE, BLOCK, EMPTY, DROP, END), 'type mismatch');
});

test('blocks: parameters, results, else, and what an if without else passes through', () => {
  const withTypes = (code: number[]) => module(
    section(1, vec([funcType([], []), funcType([I32], [I32]), funcType([I32], [I64]), funcType([], [I32, I64])])), section(3, vec([[0]])), section(10, vec([body([...code, END])])),
  );
  accepts(withTypes([...i32(1), BLOCK, 1, 0x45, END, DROP]));
  refuses(withTypes([BLOCK, 1, END, DROP]), 'type mismatch');
  accepts(withTypes([...i32(1), ...i32(1), IF, 1, END, DROP]));
  refuses(withTypes([...i32(1), ...i32(1), IF, 2, 0xac, END, DROP]), 'type mismatch: an if');
  accepts(withTypes([...i32(1), ...i32(1), IF, 2, 0xac, ELSE, 0xad, END, DROP]));
  accepts(withTypes([BLOCK, 3, ...i32(1), ...i64(1), END, DROP, DROP]));
  refuses(withTypes([BLOCK, 9, END]), 'unknown type 9');
  refuses(withTypes([BLOCK, EMPTY, ELSE, END]), 'END opcode expected', 'malformed');
  refuses(withTypes([...i32(1), IF, EMPTY, ELSE, ELSE, END]), 'END opcode expected', 'malformed');
});

test('branches: labels, arity, loops take parameters', () => {
  accepts(anI32(BLOCK, I32, ...i32(1), BR, 0, END));
  accepts(anI32(...i32(1), ...i32(1), BR_IF, 0));
  refuses(noResult(BR, 1), 'unknown label 1');
  refuses(anI32(LOOP, I32, ...i32(1), BR, 0, 0x6a, BR, 7, END), 'unknown label 7');
  accepts(noResult(LOOP, EMPTY, BR, 0, END));
  refuses(anI32(BLOCK, I32, ...f32, BR, 0, END), 'type mismatch: expected i32, found f32');
  accepts(noResult(...i32(0), BR_TABLE, 1, 0, 0));
  refuses(anI32(BLOCK, EMPTY, ...i32(1), ...i32(0), BR_TABLE, 1, 0, 1, END, ...i32(1)), "type mismatch: br_table's labels");
  refuses(noResult(...i32(0), BR_TABLE, 1, 3, 0), 'unknown label 3');
  // Two labels of different types can both be right in unreachable code.
  accepts(oneFunction([], [], [BLOCK, I32, BLOCK, F32, UNREACHABLE, ...i32(0), BR_TABLE, 1, 0, 1, END, DROP, ...i32(1), END, DROP, END]));
  refuses(oneFunction([], [], [BLOCK, I32, BLOCK, F32, ...f32, ...i32(0), BR_TABLE, 1, 0, 1, END, DROP, ...i32(1), END, DROP, END]), 'type mismatch');
});

test('select: untyped of numbers only, typed of one type', () => {
  accepts(noResult(...i64(1), ...i64(2), ...i32(0), SELECT, DROP));
  refuses(noResult(...i64(1), ...i32(2), ...i32(0), SELECT, DROP), 'type mismatch: select of i64 and i32');
  refuses(noResult(0xd0, FUNCREF, 0xd0, FUNCREF, ...i32(0), SELECT, DROP), 'type mismatch: select of funcref must name its type');
  accepts(noResult(0xd0, FUNCREF, 0xd0, FUNCREF, ...i32(0), SELECT_T, 1, FUNCREF, DROP));
  refuses(noResult(...i32(1), ...i32(2), ...i32(0), SELECT_T, 0, DROP), 'invalid result arity');
  refuses(noResult(...i32(1), ...i32(2), ...i32(0), SELECT_T, 2, I32, I32, DROP), 'invalid result arity');
});

test('memory: needed, aligned naturally at most, data segments counted', () => {
  accepts(noResult(...i32(0), 0x29, 3, 0, DROP));
  refuses(noResult(...i32(0), 0x29, 4, 0, DROP), 'alignment must not be larger than natural');
  refuses(noResult(...i32(0), 0x2c, 1, 0, DROP), 'alignment must not be larger than natural');
  const noMemory = (...code: number[]) => module(section(1, vec([funcType([], [])])), section(3, vec([[0]])), section(10, vec([body([...code, END])])));
  refuses(noMemory(...i32(0), 0x28, 2, 0, DROP), 'unknown memory 0');
  refuses(noMemory(0x3f, 0, DROP), 'unknown memory 0');
  refuses(noMemory(...i32(0), ...i32(0), ...i32(0), 0xfc, 11, 0), 'unknown memory 0');
  refuses(noResult(0xfc, 9, 0), 'data count section required', 'malformed');
  const data = (count: number[], index: number) => module(
    section(1, vec([funcType([], [])])), section(3, vec([[0]])), section(5, vec([[0, 1]])), ...(count.length ? [section(12, count)] : []),
    section(10, vec([body([...i32(0), ...i32(0), ...i32(0), 0xfc, 8, index, 0, 0xfc, 9, index, END])])), section(11, vec([[1, 1, 7]])),
  );
  accepts(data([1], 0));
  refuses(data([1], 1), 'unknown data segment 1');
  refuses(data([], 0), 'data count section required', 'malformed');
});

/** One function over two tables (funcref, externref), two element segments of those types, an immutable and a mutable global, one import. */
const rich = (...code: number[]) => module(
  section(1, vec([funcType([], []), funcType([I32], [I64])])),
  section(2, vec([[...name('e'), ...name('f'), 0, 1], [...name('e'), ...name('g'), 3, I32, 0]])),
  section(3, vec([[0], [0]])), section(4, vec([[FUNCREF, 0, 1], [EXTERNREF, 0, 1]])), section(6, vec([[F64, 1, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, END]])),
  section(9, vec([[1, 0, 1, 1], [5, EXTERNREF, 0]])), section(10, vec([body([...code, END]), body([END])])),
);

test('calls, globals, tables and references', () => {
  accepts(rich(...i32(1), 0x10, 0, DROP, 0x10, 1));
  refuses(rich(0x10, 0, DROP), 'type mismatch');
  refuses(rich(0x10, 3), 'unknown function 3');
  accepts(rich(...i32(1), ...i32(0), 0x11, 1, 0, DROP));
  refuses(rich(...i32(1), ...i32(0), 0x11, 1, 1, DROP), 'type mismatch: call_indirect through a table of externref');
  refuses(rich(...i32(0), 0x11, 0, 2), 'unknown table 2');
  refuses(rich(...i32(0), 0x11, 2, 0), 'unknown type 2');
  accepts(rich(0x23, 1, 0x24, 1, 0x23, 0, DROP));
  refuses(rich(...i32(1), 0x24, 0), 'global is immutable');
  refuses(rich(0x23, 2, DROP), 'unknown global 2');
  accepts(rich(0xd2, 1, DROP));
  refuses(rich(0xd2, 2, DROP), 'undeclared function reference');
  refuses(rich(0xd2, 9, DROP), 'unknown function 9');
  accepts(rich(...i32(0), ...i32(0), 0x25, 1, 0x26, 1));
  refuses(rich(...i32(0), ...i32(0), 0x25, 1, 0x26, 0), 'type mismatch: expected funcref, found externref');
  accepts(rich(0xd0, EXTERNREF, ...i32(0), 0xfc, 15, 1, DROP, ...i32(0), 0xd0, FUNCREF, ...i32(0), 0xfc, 17, 0));
  const three = [...i32(0), ...i32(0), ...i32(0)];
  accepts(rich(...three, 0xfc, 12, 0, 0, ...three, 0xfc, 12, 1, 1, ...three, 0xfc, 14, 1, 1, 0xfc, 13, 1));
  refuses(rich(...three, 0xfc, 12, 1, 0), 'type mismatch: table of funcref, elements of externref');
  refuses(rich(...three, 0xfc, 12, 2, 0), 'unknown elem segment 2');
  refuses(rich(...three, 0xfc, 14, 0, 1), 'type mismatch: table of funcref, elements of externref');
  refuses(rich(0xfc, 13, 2), 'unknown elem segment 2');
  refuses(rich(...i32(1), 0xd1, DROP), 'type mismatch: expected a reference, found i32');
});

test('locals: parameters first, set and tee check types', () => {
  const locals = (...code: number[]) => oneFunction([I32], [], [...code, END], [[2, I64]]);
  accepts(locals(0x20, 1, 0x21, 2, 0x20, 0, 0x22, 0, DROP));
  refuses(locals(0x20, 0, 0x21, 1), 'type mismatch: expected i64, found i32');
  refuses(locals(0x20, 3, DROP), 'unknown local 3');
});

test('bodies that end too early or too late are malformed', () => {
  refuses(oneFunction([], [], [BLOCK, EMPTY, END]), 'END opcode expected', 'malformed');
  refuses(oneFunction([], [], [END, 0x01]), 'section size mismatch', 'malformed');
  refuses(oneFunction([], [], [0x41]), 'unexpected end', 'malformed');
});

test('sections: limits, globals, exports, start, segments', () => {
  refuses(module(section(5, vec([[1, 2, 1]]))), 'size minimum must not be greater than maximum');
  refuses(module(section(4, vec([[FUNCREF, 1, 2, 1]]))), 'size minimum must not be greater than maximum');
  refuses(module(section(5, vec([[0, 0x81, 0x80, 4]]))), 'memory size must be at most 65536 pages (4GiB)');
  refuses(module(section(5, vec([[1, 0, 0x81, 0x80, 4]]))), 'memory size must be at most 65536 pages (4GiB)');
  const features = resolveFeatures({ disable: ['multi-memory', 'extended-const', 'gc'] });
  for (const two of [module(section(5, vec([[0, 1], [0, 1]]))), module(section(2, vec([[...name('a'), ...name('b'), 2, 0, 1]])), section(5, vec([[0, 1]])))]) {
    assert.match(judge(two, { features })[0].message, 'multiple memories');
    assert.equal(judge(two), []);
  }
  // V8 says so at instantiation only.
  assert.match(judge(module(section(4, vec([[FUNCREF, 0, 0x81, 0xad, 0xe2, 4]]))))[0].message, 'too many elements in a table: 10000001');
  refuses(module(section(6, vec([[I32, 0, 0x42, 0, END]]))), 'type mismatch: expected i32, found i64');
  const earlier = module(section(6, vec([[I32, 0, 0x41, 0, END], [I32, 0, 0x23, 0, END]])));
  assert.match(judge(earlier, { features })[0].message, 'unknown global 0');
  assert.equal(judge(earlier), []);
  refuses(module(section(6, vec([[I32, 0, 0x23, 0, END]]))), 'unknown global 0');
  refuses(module(section(6, vec([[FUNCREF, 0, 0xd2, 0, END]]))), 'unknown function 0');
  refuses(module(section(2, vec([[...name('a'), ...name('b'), 3, I32, 1]])), section(6, vec([[I32, 0, 0x23, 0, END]]))), 'constant expression required');
  refuses(module(section(5, vec([[0, 1]])), section(7, vec([[...name('a'), 2, 0], [...name('a'), 2, 0]]))), 'duplicate export name "a"');
  for (const [kind, title] of ['function', 'table', 'memory', 'global'].entries()) refuses(module(section(7, vec([[...name('a'), kind, 0]]))), `unknown ${title} 0`);
  refuses(module(section(8, [0])), 'unknown function 0');
  refuses(module(section(1, vec([funcType([I32], [])])), section(3, vec([[0]])), section(8, [0]), section(10, vec([body([END])]))), 'start function');
  refuses(module(section(9, vec([[0, 0x41, 0, END, 0]]))), 'unknown table 0');
  refuses(module(section(4, vec([[EXTERNREF, 0, 0]])), section(9, vec([[0, 0x41, 0, END, 0]]))), 'type mismatch: table of externref');
  refuses(module(section(4, vec([[FUNCREF, 0, 0]])), section(9, vec([[0, 0x42, 0, END, 0]]))), 'type mismatch: expected i32, found i64');
  refuses(module(section(9, vec([[1, 0, 1, 0]]))), 'unknown function 0');
  refuses(module(section(9, vec([[5, FUNCREF, 1, 0xd0, EXTERNREF, END]]))), 'type mismatch: expected funcref, found externref');
  refuses(module(section(11, vec([[0, 0x41, 0, END, 0]]))), 'unknown memory 0');
  refuses(module(section(5, vec([[0, 0]])), section(11, vec([[2, 1, 0x41, 0, END, 0]]))), 'unknown memory 1');
  refuses(module(section(2, vec([[...name('a'), ...name('b'), 0, 3]]))), 'unknown type 3');
  refuses(module(section(3, vec([[2]])), section(10, vec([body([END])]))), 'unknown type 2');
});

test('errors of several functions are collected, up to ten; a missing feature is named once', () => {
  const functions = (code: number[], count: number) => module(
    section(1, vec([funcType([], [])])), section(3, vec(Array.from({ length: count }, () => [0]))), section(10, vec(Array.from({ length: count }, () => body(code)))),
  );
  assert.equal(judge(functions([DROP, END], 3)).map((error) => error.place?.func?.index), [0, 1, 2]);
  assert.is(judge(functions([DROP, END], 500)).length, 10);
  assert.equal(judge(functions([0x06, END], 30)).map((error) => error.message), ['exception handling is not supported']);
});

test('progress goes from none to all of the functions', () => {
  const count = 1000;
  const bytes = module(section(1, vec([funcType([], [])])), section(3, vec(Array.from({ length: count }, () => [0]))), section(10, vec(Array.from({ length: count }, () => body([END])))));
  const seen: number[] = [];
  validateModule(parseModule(bytes, { name: 'p.wasm' }), {
    onProgress: (done, total) => {
      assert.is(total, count);
      seen.push(done);
    },
  });
  assert.is(seen[0], 0);
  assert.is(seen.at(-1), count);
  assert.equal(seen, [...seen].sort((a, b) => a - b));
});

test('nesting is bounded by a limit, not by the stack', () => {
  const nested = (depth: number) => oneFunction([], [], [Array.from({ length: depth }, () => [BLOCK, EMPTY]), new Array<number>(depth + 1).fill(END)].flat(2));
  accepts(nested(49_999));
  assert.match(judge(nested(60_000))[0].message, 'too many nested blocks');
});

test('a few bytes cannot make the operand stack fill the heap', () => {
  const thousand = new Array<number>(1000).fill(I64);
  const blocks = Array.from({ length: 2000 }, () => [BLOCK, 1, UNREACHABLE, END]).flat();
  const bytes = module(section(1, vec([funcType([], []), funcType([], thousand)])), section(3, vec([[0]])), section(10, vec([body([...blocks, UNREACHABLE, END])])));
  const [error] = judge(bytes);
  assert.is(error.kind, 'unsupported');
  assert.match(error.message, 'too many operands on the stack');
});

test('a br_table of many labels with many values is checked once for each target', () => {
  const thousand = new Array<number>(1000).fill(I64);
  const labels = new Array<number>(65_521).fill(0);
  const code = [UNREACHABLE, ...i32(0), BR_TABLE, 0xf0, 0xff, 3, ...labels, END];
  const bytes = module(section(1, vec([funcType([], thousand)])), section(3, vec([[0]])), section(10, vec([body(code)])));
  const start = performance.now();
  accepts(bytes);
  assert.ok(performance.now() - start < 2000);
});

test.run();
