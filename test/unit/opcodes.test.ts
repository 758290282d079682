import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { opcodeByCode, opcodeByName, OPCODES } from '../../compiler/wasm/opcodes.js';

test('every operator of 2.0 without SIMD has its row, in order of opcodes', () => {
  const codes = OPCODES.map((op) => op.code);
  assert.equal(codes, [...codes].sort((a, b) => a - b));
  const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
  assert.equal(codes, [
    ...range(0x00, 0x05), ...range(0x0b, 0x11), ...range(0x1a, 0x1c), ...range(0x20, 0x26), ...range(0x28, 0xc4), ...range(0xd0, 0xd2), ...range(0xfc00, 0xfc11),
  ]);
});

test('names are unique but for select, and look-ups agree with the table', () => {
  const seen = new Map<string, number>();
  for (const op of OPCODES) seen.set(op.name, (seen.get(op.name) ?? 0) + 1);
  assert.equal([...seen].filter(([, count]) => count > 1), [['select', 2]]);
  for (const op of OPCODES) {
    assert.is(opcodeByCode(op.code), op);
    if (op.code !== 0x1c) assert.is(opcodeByName(op.name), op);
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
    'memory.init': { cost: 0, unit: 'byte' }, 'memory.copy': { cost: 0, unit: 'byte' }, 'memory.fill': { cost: 0, unit: 'byte' },
    'table.init': { cost: 0, unit: 'element' }, 'table.copy': { cost: 0, unit: 'element' }, 'table.grow': { cost: 0, unit: 'element' }, 'table.fill': { cost: 0, unit: 'element' },
  });
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
      const bits = /(?:load|store)(8|16|32)/.exec(name)?.[1] ?? type.slice(1);
      assert.is(width, Number(bits) / 8, name);
    } else assert.is(width, undefined, name);
    if (['load', 'store', 'divide', 'truncate'].includes(lower)) assert.is(traps, true, name);
    if (['compare', 'binary', 'shift', 'unary', 'convert', 'saturate', 'const', 'local', 'global'].includes(lower)) assert.is(traps, undefined, name);
  }
});

test.run();
