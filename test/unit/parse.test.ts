import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CompileError, formatDiagnostic } from '../../compiler/diagnostics.js';
import { resolveFeatures } from '../../compiler/wasm/features.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { body, END, EXTERNREF, F32, FUNCREF, funcType, I32, I64, judge, leb, module, name, oneFunction, section, vec } from './module-bytes.js';

const parse = (bytes: Uint8Array) => parseModule(bytes, { name: 'm.wasm' });

/** Parsing the bytes fails with one error of this kind at this offset. */
function fails(bytes: Uint8Array | number[], kind: string, message: RegExp, offset?: number) {
  try {
    parse(Uint8Array.from(bytes));
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    assert.is(error.errors.length, 1);
    assert.is(error.errors[0].kind, kind);
    assert.match(error.errors[0].message, message);
    assert.is(error.errors[0].place?.file, 'm.wasm');
    if (offset !== undefined) assert.is(error.errors[0].place?.offset, offset);
    return;
  }
  assert.unreachable(`no error: ${message}`);
}

const TYPES = section(1, vec([funcType([I32, I64], [F32]), funcType([], [])]));

test('a module with every section is decoded, with absolute offsets', () => {
  const bytes = module(
    TYPES,
    section(2, vec([
      [...name('env'), ...name('f'), 0, 1], [...name('env'), ...name('t'), 1, FUNCREF, 1, 1, 9],
      [...name('env'), ...name('m'), 2, 0, 2], [...name('env'), ...name('g'), 3, I32, 0],
    ])),
    section(3, vec([[1], [0]])),
    section(4, vec([[EXTERNREF, 0, 3]])),
    section(6, vec([[I64, 1, 0x42, 0x7f, END], [FUNCREF, 0, 0xd2, 2, END], [I32, 0, 0x23, 0, END], [EXTERNREF, 0, 0xd0, EXTERNREF, END]])),
    section(7, vec([[...name('run'), 0, 1], [...name('mem'), 2, 0]])),
    section(8, [1]),
    section(9, vec([[0, 0x41, 5, END, 1, 0], [1, 0, 1, 1], [7, EXTERNREF, 1, 0xd0, EXTERNREF, END], [6, 1, 0x41, 0, END, EXTERNREF, 0], [3, 0, 0]])),
    section(12, [2]),
    section(10, vec([body([END], [[2, I32], [1, F32]]), body([0x43, 0, 0, 0, 0, END])])),
    section(11, vec([[0, 0x41, 8, END, 3, 1, 2, 3], [1, 2, 4, 5]])),
    section(0, [...name('producers'), 9]),
    section(0, [...name('name'), 0, 4, 3, 97, 98, 99, 1, 6, 1, 2, 3, 102, 111, 111]),
  );
  const m = parse(bytes);
  assert.equal(m.types, [{ kind: 'func', params: ['i32', 'i64'], results: ['f32'], final: true }, { kind: 'func', params: [], results: [], final: true }]);
  assert.equal(m.funcs, [1, 1, 0]);
  assert.equal([m.importedFuncs, m.importedTables, m.importedMemories, m.importedGlobals], [1, 1, 1, 1]);
  assert.equal(m.imports.map((i) => [i.module, i.name, i.desc]), [
    ['env', 'f', { kind: 'func', type: 1 }],
    ['env', 't', { kind: 'table', type: { element: 'funcref', limits: { min: 1, max: 9 } } }],
    ['env', 'm', { kind: 'memory', type: { limits: { min: 2 } } }],
    ['env', 'g', { kind: 'global', type: { type: 'i32', mutable: false } }],
  ]);
  assert.equal(m.tables.map((t) => t.element), ['funcref', 'externref']);
  assert.equal(m.definedGlobals.map((g) => g.init), [
    { kind: 'const', type: 'i64', bits: 2n ** 64n - 1n }, { kind: 'func', index: 2 }, { kind: 'global', index: 0 }, { kind: 'null', type: 'externref' },
  ]);
  assert.is(m.globals.length, 5);
  assert.equal(m.exports.map((e) => [e.name, e.kind, e.index]), [['run', 'func', 1], ['mem', 'memory', 0]]);
  assert.is(m.start, 1);
  assert.equal(m.elems.map((e) => [e.mode, e.table, e.type, e.items.length]), [
    ['active', 0, '(ref func)', 1], ['passive', 0, '(ref func)', 1], ['declarative', 0, 'externref', 1], ['active', 1, 'externref', 0], ['declarative', 0, '(ref func)', 0],
  ]);
  assert.equal(m.bodies.map((b) => [b.type, b.locals]), [[1, ['i32', 'i32', 'f32']], [0, []]]);
  for (const b of m.bodies) assert.is(bytes[b.codeEnd - 1], END);
  assert.equal([...bytes.subarray(m.bodies[1].offset, m.bodies[1].codeEnd)], [0, 0x43, 0, 0, 0, 0, END]);
  assert.is(m.bodies[1].codeStart, m.bodies[1].offset + 1);
  assert.equal(m.datas.map((d) => [d.mode, [...bytes.subarray(d.start, d.end)]]), [['active', [1, 2, 3]], ['passive', [4, 5]]]);
  assert.is(m.dataCount, 2);
  assert.equal([...m.refs].sort(), [0, 1, 2]);
  assert.is(m.names.module, 'abc');
  assert.equal([...m.names.funcs], [[2, 'foo']]);
  assert.equal(m.customSections.map((s) => [s.name, [...bytes.subarray(s.start, s.end)]]), [['producers', [9]]]);
  assert.equal(judge(bytes), []);
});

test('the empty module is a module', () => {
  assert.equal(judge(module()), []);
});

test('headers: nothing, another file, text, another version, a component', () => {
  fails([], 'malformed', /^unexpected end: the file has 0 bytes/, 0);
  fails([0, 0x61, 0x73], 'malformed', /^unexpected end/, 3);
  fails([0, 0x61, 0x73, 0x6d, 1, 0], 'malformed', /^unexpected end/, 6);
  fails([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0], 'malformed', /^magic header not detected/, 0);
  fails([...new TextEncoder().encode(';; hi\n(module)')], 'malformed', /^magic header not detected.*wat2wasm/, 0);
  fails([0, 0x61, 0x73, 0x6d, 2, 0, 0, 0], 'malformed', /^unknown binary version/, 4);
  fails([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], 'unsupported', /components are not supported/, 4);
});

test('sections: ids, sizes, order, contents that end early or late', () => {
  fails(module([14, 0]), 'malformed', /^malformed section id: 14/, 8);
  fails(module([13, 1, 0]), 'unsupported', /^exception handling is not supported/, 8);
  fails(module([1, 5, 0]), 'malformed', /^length out of bounds: type section of 5 bytes, 1 left/, 10);
  fails(module([1, 2, 0, 0]), 'malformed', /^section size mismatch: 1 bytes left in the type section/, 11);
  fails(module([1, 1, 1]), 'malformed', /^unexpected end/, 11);
  fails(module(section(3, [0]), section(1, [0])), 'malformed', /^unexpected content after last section/, 11);
  fails(module(section(1, [0]), section(1, [0])), 'malformed', /^unexpected content after last section/, 11);
  fails(module(section(10, [0]), section(12, [0])), 'malformed', /^unexpected content after last section/, 11);
  fails(module(section(0, [])), 'malformed', /^unexpected end/, 10);
  fails(module(section(0, [1, 0xff])), 'malformed', /^malformed UTF-8/, 11);
  fails(module(TYPES, section(3, vec([[1]]))), 'malformed', /^function and code section have inconsistent lengths: 1 functions, 0 bodies/);
  fails(module(TYPES, section(10, vec([body([END])]))), 'malformed', /^function and code section have inconsistent lengths: 0 functions, 1 bodies/);
  fails(module(section(12, [1])), 'malformed', /^data count and data section have inconsistent lengths/);
  fails(module(section(12, [1]), section(11, [0])), 'malformed', /^data count and data section have inconsistent lengths/);
});

test('what cannot be decoded in a section', () => {
  fails(module(section(1, [1, 0x61, 0, 0])), 'malformed', /^malformed function type: form 0x61/, 11);
  fails(module(section(1, [1, 0x5f, 1, 0x79, 0])), 'malformed', /^malformed value type: 0x79/, 13);
  fails(module(section(1, [1, 0x5e, I32, 2])), 'malformed', /^malformed mutability/, 13);
  fails(module(section(1, [3, 0x60, 0, 0, 0x60, 0, 0, 0x50, 2, 0, 1, 0x60, 0, 0])), 'invalid', /^a type can have one supertype at most/, 17);
  fails(module(section(1, [1, 0x60, 1, 0x40, 0])), 'malformed', /^malformed value type: 0x40/, 13);
  fails(module(section(1, [1, 0x60, 1, 0x69, 0])), 'unsupported', /^exception handling is not supported/, 13);
  fails(module(section(2, vec([[...name('a'), ...name('b'), 4, 0]]))), 'malformed', /^malformed import kind: 0x04.*exception handling/, 15);
  fails(module(section(2, vec([[...name('a'), ...name('b'), 3, I32, 2]]))), 'malformed', /^malformed mutability/, 17);
  fails(module(section(7, vec([[...name('a'), 9, 0]]))), 'malformed', /^malformed export kind/, 13);
  fails(module(section(4, vec([[I32, 0, 0]]))), 'malformed', /^malformed reference type/, 11);
  fails(module(section(5, vec([[3, 0, 1]]))), 'unsupported', /^threads are not supported/, 11);
  fails(module(section(5, vec([[4, 0]]))), 'unsupported', /^64-bit memories and tables are not supported/, 11);
  fails(module(section(5, vec([[8, 0]]))), 'malformed', /^integer too large/, 11);
  fails(module(section(9, vec([[8, 0]]))), 'malformed', /^malformed elements segment kind/, 11);
  fails(module(section(9, vec([[1, 1, 0]]))), 'malformed', /^malformed element kind/, 12);
  fails(module(section(11, vec([[3, 0]]))), 'malformed', /^malformed data segment kind/, 11);
  fails(module(section(11, vec([[1, 4, 0]]))), 'malformed', /^length out of bounds: data segment of 4 bytes, 1 left/, 13);
});

test('constant expressions hold one constant operator, or several and arithmetic', () => {
  const init = (...code: number[]) => module(section(6, vec([[I32, 0, ...code]])));
  fails(init(END), 'invalid', /^type mismatch: constant expression is empty/, 13);
  fails(init(0x41, 1, 0x41, 2, END), 'invalid', /^type mismatch/, 15);
  const without = { features: resolveFeatures({ disable: ['extended-const'] }) };
  const [refused] = judge(init(0x41, 1, 0x41, 2, 0x6a, END), without);
  assert.equal([refused.kind, refused.message, refused.place?.offset], ['invalid', 'constant expression required, found i32.add (extended constant expressions are switched off (feature "extended-const"))', 17]);
  fails(init(0x41, 1, 0x41, 2, 0x6d, END), 'invalid', /^constant expression required, found i32\.div_s/, 17);
  const value = (...code: number[]) => parse(init(...code)).definedGlobals[0].init;
  assert.equal(value(0x41, 1, 0x41, 2, 0x6a, END), { kind: 'const', type: 'i32', bits: 3n });
  assert.equal(value(0x41, 1, 0x41, 2, 0x6b, 0x41, 5, 0x6c, END), { kind: 'const', type: 'i32', bits: 0xfffffffbn });
  const extended = value(0x23, 0, 0x41, 2, 0x6c, END);
  assert.is(extended.kind, 'extended');
  const kinds = (extended as { readonly steps: readonly { readonly kind: string }[] }).steps.map((step) => step.kind);
  assert.equal(kinds, ['global', 'const', 'operator']);
  assert.match(judge(init(0x41, 1, 0x6a, END))[0].message, 'type mismatch: expected i32, found nothing');
  assert.match(judge(init(0x41, 1, 0x42, 1, 0x6a, END))[0].message, 'type mismatch: expected i32, found i64');
  assert.match(judge(init(0x42, 1, 0x42, 1, 0x7c, END))[0].message, 'type mismatch: expected i32, found i64');
  const deep = (n: number) => init(...Array.from({ length: n }, () => [0x41, 1]).flat(), ...Array.from({ length: n - 1 }, () => 0x6a), END);
  assert.equal(judge(deep(10_000)), []);
  assert.is(judge(deep(10_001))[0].kind, 'unsupported');
  fails(init(0x01, 0x41, 1, END), 'invalid', /^constant expression required, found nop/, 13);
  fails(init(0xf3, END), 'malformed', /^illegal opcode/, 13);
  fails(init(0x41, 1), 'malformed', /^unexpected end/, 15);
});

test('locals: runs are expanded, equal declarations shared, too many refused', () => {
  const m = parse(module(TYPES, section(3, vec([[1], [1]])), section(10, vec([body([END], [[1000, I32], [0, I64], [1, F32]]), body([END], [[1000, I32], [0, I64], [1, F32]])]))));
  assert.is(m.bodies[0].locals.length, 1001);
  assert.is(m.bodies[0].locals[1000], 'f32');
  assert.is(m.bodies[0].locals, m.bodies[1].locals);
  fails(oneFunction([], [], [END], [[2 ** 31, I32], [2 ** 31, I64]]), 'malformed', /^too many locals/);
  fails(oneFunction([], [], [END], [[50_001, I32]]), 'unsupported', /^too many locals: 50001 \(the implementation limit is 50000\)/);
  fails(oneFunction([I32], [], [END], [[50_000, I32]]), 'unsupported', /^too many locals: 50001/);
  assert.equal(judge(oneFunction([I32], [], [END], [[49_999, I32]])), []);
  try {
    parse(oneFunction([], [], [END], [[1, 0x22]]));
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /^m\.wasm:0x[0-9a-f]+: func\[0\]: malformed value type/);
  }
});

test('claimed counts and sizes allocate nothing before the bytes are there', () => {
  const huge = leb(2 ** 32 - 1);
  for (const id of [1, 2, 3, 4, 5, 6, 7, 9, 10, 11]) {
    for (const count of [huge, leb(90_000)]) {
      const start = process.memoryUsage().heapUsed;
      const kind = judge(module(section(id, count)))[0].kind;
      assert.ok(kind === 'malformed' || kind === 'unsupported');
      assert.ok(process.memoryUsage().heapUsed - start < 20e6, `section ${id}`);
    }
  }
  fails(module(section(1, [1, 0x60, ...leb(1001)])), 'unsupported', /^too many parameters: 1001 \(the implementation limit is 1000\)/, 12);
  fails(module(section(11, leb(100_001))), 'unsupported', /^too many data segments/, 10);
});

test('a few bytes for each function cannot make the locals of all functions fill the heap', () => {
  const funcs = 5000;
  const runs = (i: number): (readonly [number, number])[] => [[1 + i, I32], [49_999 - i, I64]];
  const bytes = module(TYPES, section(3, vec(Array.from({ length: funcs }, () => [1]))), section(10, vec(Array.from({ length: funcs }, (_, i) => body([END], runs(i))))));
  fails(bytes, 'unsupported', /^too many locals in the module/);
});

test('an ill-formed name section is ignored, and names of no function are', () => {
  const named = (...contents: number[]) => parse(module(section(0, [...name('name'), ...contents]))).names;
  assert.equal([...named(1, 6, 1, 2, 3, 102, 111, 111).funcs], []);
  assert.is(named(0, 4, 3, 97, 98, 99).module, 'abc');
  assert.is(named(0, 9, 3, 97, 98, 99).module, undefined);
  assert.is(named(0, 2, 1, 0xff).module, undefined);
  assert.is(named(0, 2, 1, 97, 1, 3, 1, 0, 5).module, undefined);
  assert.is(named(9, 1, 0, 0, 2, 1, 97).module, 'a');
});

test('features that are off are refused where a section needs them', () => {
  const refuse = (feature: string, bytes: Uint8Array) => {
    assert.equal(judge(bytes), []);
    const [error] = judge(bytes, { features: resolveFeatures({ disable: [feature] }) });
    assert.is(error.kind, 'unsupported');
    assert.match(error.message, feature);
  };
  refuse('multi-value', module(section(1, vec([funcType([], [I32, I32])]))));
  refuse('reference-types', module(section(1, vec([funcType([EXTERNREF], [])]))));
  refuse('reference-types', module(section(4, vec([[FUNCREF, 0, 0], [FUNCREF, 0, 0]]))));
  refuse('bulk-memory', module(section(12, [0])));
  refuse('bulk-memory', module(section(11, vec([[1, 0]]))));
  refuse('bulk-memory', module(section(9, vec([[1, 0, 0]]))));
  refuse('mutable-globals', module(section(2, vec([[...name('a'), ...name('b'), 3, I32, 1]]))));
  refuse('mutable-globals', module(section(6, vec([[I32, 1, 0x41, 0, END]])), section(7, vec([[...name('a'), 3, 0]]))));
});

test('errors render with file, offset and function', () => {
  const [error] = judge(module(section(1, vec([funcType([], [I32])])), section(3, vec([[0]])), section(10, vec([body([0x43, 0, 0, 0, 0, END])])), section(0, [...name('name'), 1, 8, 1, 0, 5, ...new TextEncoder().encode('parse')])));
  assert.is(formatDiagnostic(error), 'test.wasm:0x1d: func[0] "parse": type mismatch: expected i32, found f32');
});

test.run();
