/** Validation of struct and array types: what the official tests leave out, limits above all. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CompileError } from '../../compiler/diagnostics.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { validateModule } from '../../compiler/wasm/validate.js';
import { body, leb, module, section, vec } from './module-bytes.js';

const END = 0x0b;
const FUNC = [0x60, 0, 0];
const repeat = (count: number, bytes: readonly number[]): number[] => Array.from({ length: count }, () => bytes).flat();
const struct = (fields: number): number[] => [0x5f, ...leb(fields), ...repeat(fields, [0x7f, 1])];

/** What is said of a module with these types after a function type 0, and a function of that with this code. */
function judge(types: readonly (readonly number[])[], code: readonly number[] = [END]): string {
  const bytes = module(section(1, [...leb(types.length + 1), ...FUNC, ...types.flat()]), section(3, vec([[0]])), section(10, vec([body(code)])));
  try {
    validateModule(parseModule(bytes, { name: 'm.wasm' }), { name: 'm.wasm' });
    return 'valid';
  } catch (error) {
    assert.instance(error, CompileError);
    const [{ kind, message }] = (error as CompileError).errors;
    return `${kind}: ${message}`;
  }
}

test('supertypes come first, and not too many above each other', () => {
  const chain = (length: number) => [[0x50, 0, 0x5f, 0], ...Array.from({ length: length - 1 }, (_, i) => [0x50, 1, ...leb(i + 1), 0x5f, 0])];
  assert.is(judge(chain(64)), 'valid');
  assert.match(judge(chain(65)), /^unsupported: too many supertypes: 64/);
  assert.match(judge([[0x50, 1, 1, 0x5f, 0]]), /^invalid: unknown type 1: a supertype/);
  assert.match(judge([[0x4e, 2, 0x50, 1, 2, 0x5f, 0, 0x50, 0, 0x5f, 0]]), /^invalid: unknown type 2: a supertype/);
  assert.match(judge([[0x50, 1, 0, 0x5f, 0]]), /^invalid: sub type 1 does not match super type 0, which is final/);
});

test('a struct is no block type, and not that of a function', () => {
  assert.match(judge([struct(0)], [0x02, 1, END, END]), /^invalid: type mismatch: type 1 is not one of functions/);
  assert.match(judge([struct(0)], [0x00, 0xfb, 7, 1, 0x1a, END]), /^invalid: type mismatch: type 1 is not one of arrays/);
});

test('long lists of operands cost code that cannot be reached nothing', () => {
  assert.match(judge([struct(10_001)]), /^unsupported: too many fields: 10001/);
  assert.match(judge([[0x5e, 0x7f, 1]], [0x00, 0xfb, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a, END]), /^unsupported: too many operands of array.new_fixed: 4294967295/);
  assert.match(judge([[0x5e, 0x7f, 1]], [0x41, 0, 0xfb, 8, 1, 2, 0x1a, END]), /^invalid: type mismatch: expected i32, found nothing/);
  // With lists these would be 10^9 operands.
  assert.is(judge([struct(10_000)], [0x00, ...repeat(100_000, [0xfb, 0, 1, 0x1a]), END]), 'valid');
  assert.is(judge([[0x5e, 0x7f, 1]], [0x00, ...repeat(50_000, [0xfb, 8, 1, 0x90, 0x4e, 0x1a, 0xfb, 8, 1, 0x8f, 0x4e, 0x1a]), END]), 'valid');
});

test.run();
