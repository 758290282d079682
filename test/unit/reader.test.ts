import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CompileError } from '../../compiler/diagnostics.js';
import { DEFAULT_FEATURES, FEATURES, resolveFeatures, VERSION_2 } from '../../compiler/wasm/features.js';
import type { Operator } from '../../compiler/wasm/module.js';
import { readOperator } from '../../compiler/wasm/read-operator.js';
import { readValType } from '../../compiler/wasm/read-types.js';
import { Reader } from '../../compiler/wasm/reader.js';
import { random } from './module-bytes.js';

const reader = (...bytes: number[]) => new Reader(Uint8Array.from(bytes), 0, bytes.length, { file: 'r.wasm' });

/** The one error that `act` throws. */
function errorOf(act: () => unknown) {
  try {
    act();
  } catch (error) {
    if (error instanceof CompileError) return error.errors[0];
    throw error;
  }
  return assert.unreachable('nothing was thrown') as never;
}

function fails(act: () => unknown, kind: string, message: RegExp, offset: number) {
  const error = errorOf(act);
  assert.is(error.kind, kind);
  assert.match(error.message, message);
  assert.is(error.place?.offset, offset);
  assert.is(error.place?.file, 'r.wasm');
}

/** Signed or unsigned LEB128 of a value, padded with redundant bytes to a length. */
function encode(value: bigint, signed: boolean, length = 0): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    const sign = signed && (low & 0x40) !== 0;
    const last = rest === (sign ? -1n : 0n) && bytes.length + 1 >= length;
    bytes.push(last ? low : low | 0x80);
    if (last) return bytes;
  }
}

test('integers of every width round-trip, at the edges and at random, short and padded', () => {
  const rnd = random(7);
  const edges = [0n, 1n, 63n, 64n, 127n, 128n, 2n ** 14n, 2n ** 27n, 2n ** 28n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 62n, 2n ** 63n - 1n];
  const values = [...edges, ...Array.from({ length: 2000 }, () => BigInt(rnd(2 ** 30)) << BigInt(rnd(34)))];
  for (const value of values) {
    for (const length of [0, 3, 5]) {
      if (value < 2n ** 32n) assert.is(reader(...encode(value, false, length)).u32(), Number(value));
      for (const signed of [value, -value, -value - 1n]) {
        if (BigInt.asIntN(32, signed) === signed) assert.is(reader(...encode(signed, true, length)).s32(), Number(signed));
        if (BigInt.asIntN(33, signed) === signed) assert.is(reader(...encode(signed, true, length)).s33(), Number(signed));
        if (BigInt.asIntN(64, signed) === signed) assert.is(reader(...encode(signed, true, length * 2)).s64(), BigInt.asUintN(64, signed));
      }
    }
  }
});

test('overlong integers and integers with unused bits set are malformed, with the offset of the last byte', () => {
  const long = /^integer representation too long/;
  const large = /^integer too large/;
  fails(() => reader(0x80, 0x80, 0x80, 0x80, 0x80, 0x00).u32(), 'malformed', long, 4);
  fails(() => reader(0x80, 0x80, 0x80, 0x80, 0x10).u32(), 'malformed', large, 4);
  assert.is(reader(0xff, 0xff, 0xff, 0xff, 0x0f).u32(), 2 ** 32 - 1);
  fails(() => reader(0x80, 0x80, 0x80, 0x80, 0x80, 0x00).s32(), 'malformed', long, 4);
  for (const last of [0x08, 0x0f, 0x1f, 0x70, 0x77, 0x4f]) fails(() => reader(0xff, 0xff, 0xff, 0xff, last).s32(), 'malformed', large, 4);
  assert.is(reader(0x80, 0x80, 0x80, 0x80, 0x78).s32(), -(2 ** 31));
  for (const last of [0x10, 0x2f, 0x60, 0x6f]) fails(() => reader(0xff, 0xff, 0xff, 0xff, last).s33(), 'malformed', large, 4);
  assert.is(reader(0x80, 0x80, 0x80, 0x80, 0x70).s33(), -(2 ** 32));
  const nine = new Array<number>(9).fill(0x80);
  fails(() => reader(...nine, 0x80, 0x00).s64(), 'malformed', long, 9);
  for (const last of [0x01, 0x02, 0x7e, 0x41]) fails(() => reader(...nine, last).s64(), 'malformed', large, 9);
  assert.is(reader(...nine, 0x7f).s64(), 2n ** 63n);
  fails(() => reader(0x80).u32(), 'malformed', /^unexpected end/, 1);
  fails(() => reader(1, 2, 3).f32(), 'malformed', /^unexpected end/, 3);
  fails(() => reader(1, 2, 3, 4, 5, 6, 7).f64(), 'malformed', /^unexpected end/, 7);
});

test('floats keep every bit, signalling NaNs included', () => {
  assert.is(reader(0x01, 0x00, 0xa0, 0xff).f32(), 0xffa00001n);
  assert.is(reader(0x01, 0, 0, 0, 0, 0, 0xf4, 0xff).f64(), 0xfff4000000000001n);
});

test('names are strict UTF-8 and keep a byte order mark', () => {
  assert.is(reader(6, 0xc3, 0xa9, 0xf0, 0x9f, 0x99, 0x82).name(), 'é🙂');
  assert.is(reader(3, 0xef, 0xbb, 0xbf).name(), '\ufeff');
  for (const bad of [[0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80], [0xe2, 0x82]]) {
    fails(() => reader(bad.length, ...bad).name(), 'malformed', /^malformed UTF-8 encoding/, 1);
  }
  fails(() => reader(5, 0x61).name(), 'malformed', /^length out of bounds/, 1);
});

function operator(...bytes: number[]): Operator {
  const r = reader(...bytes);
  const result = readOperator(r);
  assert.is(r.pos, bytes.length);
  return result;
}

test('operators carry their immediates where the interface says', () => {
  const memarg = operator(0x29, 3, 0x80, 0x80, 4);
  assert.equal([memarg.op.name, memarg.a, memarg.b, memarg.bits, memarg.offset], ['i64.load', 0, 3, 65536n, 0]);
  const constant = operator(0x41, 0x7f);
  assert.equal([constant.a, constant.bits], [-1, 0xffff_ffffn]);
  assert.is(operator(0x42, 0x7f).bits, 0xffff_ffff_ffff_ffffn);
  assert.is(operator(0x43, 0, 0, 0x80, 0x3f).bits, 0x3f80_0000n);
  const indirect = operator(0x11, 5, 2);
  assert.equal([indirect.a, indirect.b], [5, 2]);
  assert.equal(operator(0x0e, 2, 7, 8, 9).labels, [7, 8, 9]);
  assert.equal(operator(0x1c, 1, 0x6f).types, ['externref']);
  assert.equal(operator(0xd0, 0x70).types, ['funcref']);
  const init = operator(0xfc, 12, 3, 1);
  assert.equal([init.op.name, init.a, init.b], ['table.init', 3, 1]);
  const copy = operator(0xfc, 14, 2, 1);
  assert.equal([copy.op.name, copy.a, copy.b], ['table.copy', 2, 1]);
  assert.is(operator(0xfc, 0x8b, 0x80, 0, 0).op.name, 'memory.fill');
  assert.equal(operator(0x02, 0x40).block, { kind: 'empty' });
  assert.equal(operator(0x03, 0x7e).block, { kind: 'value', type: 'i64' });
  assert.equal(operator(0x04, 0x80, 0x01).block, { kind: 'func', index: 128 });
});

test('bad immediates are malformed', () => {
  fails(() => readOperator(reader(0x3f, 1), resolveFeatures(VERSION_2)), 'malformed', /^zero byte expected.*multiple memories are switched off/, 1);
  fails(() => readOperator(reader(0xfc, 10, 0, 1), resolveFeatures(VERSION_2)), 'malformed', /^zero byte expected.*multiple memories/, 3);
  fails(() => readOperator(reader(0x28, 32, 0), resolveFeatures(VERSION_2)), 'malformed', /^malformed memop flags/, 1);
  fails(() => readOperator(reader(0x28, 0x42, 0), resolveFeatures(VERSION_2)), 'malformed', /^malformed memop flags.*multiple memories/, 1);
  fails(() => readOperator(reader(0x28, 0x80, 1, 0)), 'malformed', /^malformed memop flags: 0x80$/, 1);
  // In 3.0 the alignment has 6 bits and the offset 64: too large is for validation to say.
  assert.is(readOperator(reader(0x28, 63, 0)).b, 63);
  assert.equal([readOperator(reader(0x28, 0x7f, 4, 0)).a, readOperator(reader(0x28, 0x7f, 4, 0)).b], [4, 63]);
  assert.is(readOperator(reader(0x28, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)).bits, 2n ** 64n - 1n);
  fails(() => readOperator(reader(0x28, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2)), 'malformed', /^integer too large/, 11);
  fails(() => readOperator(reader(0x28, 2, 0xff, 0xff, 0xff, 0xff, 0x10), resolveFeatures(VERSION_2)), 'malformed', /^integer too large/, 6);
  const { a, b, bits } = readOperator(reader(0x28, 0x42, 5, 9));
  assert.equal([a, b, bits], [5, 2, 9n]);
  fails(() => readOperator(reader(0x02, 0xff, 0x7f)), 'malformed', /^malformed block type/, 1);
  fails(() => readOperator(reader(0x02, 0x41)), 'malformed', /^malformed block type/, 1);
  fails(() => readOperator(reader(0xd0, 0x7f), resolveFeatures(VERSION_2)), 'malformed', /^malformed reference type/, 1);
  fails(() => readOperator(reader(0xd0, 0x7f)), 'malformed', /^malformed heap type/, 1);
  fails(() => readOperator(reader(0xd0, 0xf0, 0x7f)), 'malformed', /^malformed heap type/, 1);
  fails(() => readOperator(reader(0x0e, 0xff, 0xff, 0xff, 0xff, 0x0f, 0)), 'malformed', /^unexpected end/, 7);
  fails(() => readOperator(reader(0xff)), 'malformed', /^illegal opcode 0xff/, 0);
  fails(() => readOperator(reader(0x27)), 'malformed', /^illegal opcode 0x27/, 0);
  fails(() => readOperator(reader(0xfc, 18)), 'malformed', /^illegal opcode 0xfc 0x12/, 0);
  fails(() => readOperator(reader(0xfc, 0xff, 0xff, 3)), 'malformed', /^illegal opcode 0xfc/, 0);
});

test('operators of proposals that are not supported are refused by name', () => {
  const table: [string, ...number[]][] = [
    ['threads are not supported', 0xfe, 0],
    ['exception handling is not supported', 0x06, 0x40],
    ['exception handling is not supported', 0x1f, 0x40, 0], ['wide arithmetic is not supported', 0xfc, 19],
  ];
  for (const [message, ...bytes] of table) {
    const error = errorOf(() => readOperator(reader(...bytes)));
    assert.equal([error.kind, error.message, error.place?.offset], ['unsupported', message, 0]);
  }
  assert.is(errorOf(() => readValType(reader(0x69))).message, 'exception handling is not supported');
  assert.is(errorOf(() => readValType(reader(0x40))).kind, 'malformed');
});

test('a feature that is switched off is refused by name', () => {
  const without = (name: string) => resolveFeatures({ disable: [name] });
  const refuse = (name: string, ...bytes: number[]) => {
    const error = errorOf(() => readOperator(reader(...bytes), without(name)));
    assert.is(error.kind, 'unsupported');
    assert.match(error.message, name);
    assert.ok(readOperator(reader(...bytes)));
  };
  refuse('sign-extension', 0xc0);
  refuse('saturating-float-to-int', 0xfc, 0);
  refuse('bulk-memory', 0xfc, 11, 0);
  refuse('reference-types', 0xd0, 0x70);
  refuse('reference-types', 0x1c, 1, 0x7f);
  refuse('multi-value', 0x02, 0);
  refuse('simd', 0xfd, 0x6e);
  refuse('relaxed-simd', 0xfd, 0x80, 2);
  refuse('tail-call', 0x12, 0);
  refuse('tail-call', 0x13, 0, 0);
  for (const bytes of [[0x14, 0], [0x15, 0], [0xd4], [0xd5, 0], [0xd6, 0], [0x02, 0x63, 0], [0x02, 0x64, 0x70], [0x1c, 1, 0x73]]) refuse('function-references', ...bytes);
  assert.match(errorOf(() => readValType(reader(0x7b), without('simd'))).message, 'SIMD');
});

test('reference types: the short names where there are some, else the heap type', () => {
  const type = (...bytes: number[]) => readValType(reader(...bytes));
  assert.equal([type(0x70), type(0x63, 0x70), type(0x6f), type(0x63, 0x6f), type(0x73), type(0x63, 0x72)], ['funcref', 'funcref', 'externref', 'externref', 'nullfuncref', 'nullexternref']);
  assert.equal([type(0x64, 0x70), type(0x64, 0x6f), type(0x64, 0x73), type(0x63, 5), type(0x64, 0x80, 1)], ['(ref func)', '(ref extern)', '(ref nofunc)', '(ref null 5)', '(ref 128)']);
  assert.equal(operator(0xd0, 5).types, ['(ref null 5)']);
  assert.equal(operator(0x02, 0x64, 5).block, { kind: 'value', type: '(ref 5)' });
  assert.equal([type(0x64, 0x6e), type(0x63, 0x71), type(0x6b), type(0x63, 0x6c)], ['(ref any)', 'nullref', 'structref', 'i31ref']);
  assert.is(errorOf(() => type(0x64, 0x69)).message, 'exception handling is not supported');
  assert.is(errorOf(() => type(0x64, 0x7f)).kind, 'malformed');
});

test('features: names are checked, all that are supported are on', () => {
  assert.equal([...DEFAULT_FEATURES], FEATURES.filter((row) => row.supported).map((row) => row.name));
  assert.ok(DEFAULT_FEATURES.has('simd'));
  assert.equal([...resolveFeatures({ enable: ['multi-value'] })], [...DEFAULT_FEATURES]);
  const unknown = errorOf(() => resolveFeatures({ disable: ['bulk-memroy'] }));
  assert.equal([unknown.kind, unknown.message, unknown.note], ['usage', 'unknown feature "bulk-memroy"', 'did you mean "bulk-memory"?']);
  assert.match(errorOf(() => resolveFeatures({ disable: ['mvp'] })).message, 'cannot be switched off');
});

test.run();
