import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { opcodeByCode, opcodeByName, OPCODES } from '../../compiler/wasm/opcodes.js';

/** Sub-opcodes of 2.0's vector operators: 236 of the 256, for some lane shapes lack an operator that others have. */
const GAPS = [0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4, 0xe2, 0xee];
const SIMD = Array.from({ length: 256 }, (_, sub) => sub).filter((sub) => !GAPS.includes(sub)).map((sub) => 0xfd00 + sub);

test('every operator has its row, in order of opcodes', () => {
  const codes = OPCODES.map((op) => op.code);
  assert.equal(codes, [...codes].sort((a, b) => a - b));
  const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
  assert.equal(codes, [
    ...range(0x00, 0x05), ...range(0x0b, 0x15), ...range(0x1a, 0x1c), ...range(0x20, 0x26), ...range(0x28, 0xc4), ...range(0xd0, 0xd6), ...range(0xfb00, 0xfb1e), ...range(0xfc00, 0xfc11),
    ...SIMD, ...range(0xfd0100, 0xfd0113),
  ]);
});

test('names are unique but for select and casts, and look-ups agree with the table', () => {
  const seen = new Map<string, number>();
  for (const op of OPCODES) seen.set(op.name, (seen.get(op.name) ?? 0) + 1);
  assert.equal([...seen].filter(([, count]) => count > 1), [['select', 2], ['ref.test', 2], ['ref.cast', 2]]);
  for (const op of OPCODES) {
    assert.is(opcodeByCode(op.code), op);
    if (![0x1c, 0xfb15, 0xfb17].includes(op.code)) assert.is(opcodeByName(op.name), op);
  }
  assert.is(opcodeByName('select')?.code, 0x1b);
  assert.is(opcodeByCode(0x06), undefined);
  assert.is(opcodeByName('i32.ad'), undefined);
});

test('costs are those of the profile wasmtime-1', () => {
  const free = OPCODES.filter((op) => op.cost === 0).map((op) => op.name);
  assert.equal(free, ['unreachable', 'nop', 'block', 'loop', 'else', 'end', 'return', 'drop']);
  assert.ok(OPCODES.every((op) => op.cost === 0 || op.cost === 1));
  const units = Object.fromEntries(OPCODES.filter((op) => op.costPerUnit).map((op) => [op.name, op.costPerUnit]));
  assert.equal(units, {
    'memory.grow': { cost: 0, unit: 'page' },
    ...Object.fromEntries(['new', 'new_default', 'new_data', 'new_elem', 'fill', 'copy', 'init_data', 'init_elem'].map((name) => [`array.${name}`, { cost: 0, unit: 'element' }])),
    'memory.init': { cost: 0, unit: 'byte' }, 'memory.copy': { cost: 0, unit: 'byte' }, 'memory.fill': { cost: 0, unit: 'byte' },
    'table.init': { cost: 0, unit: 'element' }, 'table.copy': { cost: 0, unit: 'element' }, 'table.grow': { cost: 0, unit: 'element' }, 'table.fill': { cost: 0, unit: 'element' },
  });
});

/** Bits of memory that a load or store names: `i32.load8_u` 8, `v128.load16x4_s` 64, `f64.store` 64. */
function accessBits(name: string): number {
  const [, bits, lanes] = /(?:load|store)(8|16|32|64)(?:x(\d))?/.exec(name) ?? [];
  return bits === undefined ? Number(name.split('.')[0].slice(1)) : Number(bits) * Number(lanes ?? 1);
}

test('vector operators: shapes give the lane types', () => {
  const scalar: Record<string, string> = { i8x16: 'i32', i16x8: 'i32', i32x4: 'i32', i64x2: 'i64', f32x4: 'f32', f64x2: 'f64' };
  for (const { name, signature, immediates, feature, lower, width, traps } of OPCODES.filter((op) => op.code >= 0xfd00)) {
    assert.is(feature, name.includes('relaxed') ? 'relaxed-simd' : 'simd', name);
    const [shape, op] = name.split('.');
    const text = signature && `${signature.params.join(' ')} -> ${signature.results.join(' ')}`;
    if (op === 'splat') assert.is(text, `${scalar[shape]} -> v128`, name);
    else if (op.startsWith('extract_lane')) assert.equal([text, immediates], [`v128 -> ${scalar[shape]}`, 'lane'], name);
    else if (op === 'replace_lane') assert.equal([text, immediates], [`v128 ${scalar[shape]} -> v128`, 'lane'], name);
    else if (/^(all_true|any_true|bitmask)$/.test(op)) assert.is(text, 'v128 -> i32', name);
    else if (/^sh[lr]/.test(op)) assert.is(text, 'v128 i32 -> v128', name);
    else if (lower === 'vector' && width === undefined) assert.match(text as string, /^v128( v128){0,2} -> v128$/, name);
    if (op.endsWith('_lane') && shape === 'v128') assert.equal([immediates, width, traps], ['memarg_lane', accessBits(name) / 8, true], name);
  }
});

/** The type that an operator's name begins with, and what its name says of its signature. */
test('signatures, widths and traps are what the names say', () => {
  for (const { name, signature, lower, width, traps } of OPCODES) {
    const type = name.split('.')[0];
    const text = signature && `${signature.params.join(' ')} -> ${signature.results.join(' ')}`;
    switch (lower) {
      case 'load': assert.is(text, `i32 -> ${type}`, name); break;
      case 'store': assert.is(text, `i32 ${type} -> `, name); break;
      case 'const': assert.is(text, ` -> ${type}`, name); break;
      case 'compare': assert.is(text, name.endsWith('eqz') ? `${type} -> i32` : `${type} ${type} -> i32`, name); break;
      case 'binary': case 'shift': case 'divide': assert.is(text, `${type} ${type} -> ${type}`, name); break;
      case 'unary': assert.is(text, `${type} -> ${type}`, name); break;
      case 'convert': case 'truncate': case 'saturate': {
        const from = /_(i32|i64|f32|f64)/.exec(name)?.[1] ?? type;
        assert.is(text, `${from} -> ${type}`, name);
        break;
      }
    }
    if (lower === 'load' || lower === 'store') {
      assert.is(width, accessBits(name) / 8, name);
    } else if (!name.startsWith('v128.')) assert.is(width, undefined, name);
    if (['load', 'store', 'divide', 'truncate'].includes(lower)) assert.is(traps, true, name);
    if (['compare', 'binary', 'shift', 'unary', 'convert', 'saturate', 'const', 'local', 'global'].includes(lower)) assert.is(traps, undefined, name);
  }
});

test.run();
