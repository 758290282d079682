import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CompileError, type Diagnostic } from '../../compiler/diagnostics.js';
import { costTableJson, defaultCostTable, parseCostTable } from '../../compiler/metering/cost.js';
import { OPCODES } from '../../compiler/wasm/opcodes.js';

function faults(json: unknown): readonly Diagnostic[] {
  try {
    parseCostTable(typeof json === 'string' ? json : JSON.stringify(json), 'prices.json');
  } catch (error) {
    if (error instanceof CompileError) return error.errors;
    throw error;
  }
  return assert.unreachable('nothing was thrown') as never;
}

function refuses(json: unknown, message: RegExp | string) {
  const [error, ...rest] = faults(json);
  assert.is(error.kind, 'usage');
  assert.is(error.place?.file, 'prices.json');
  assert.match(`${error.message} ${error.note ?? ''}`, message);
  assert.equal(rest, []);
}

test('the default table prices every operator by the profile wasmtime-1', () => {
  const table = defaultCostTable();
  assert.is(table.name, 'wasmtime-1');
  for (const op of OPCODES) assert.is(table.cost.get(op.name), op.cost, op.name);
  assert.equal([table.cost.get('i32.add'), table.cost.get('drop'), table.cost.get('if'), table.cost.get('call')], [1, 0, 1, 1]);
  assert.equal([...table.perUnit.keys()], [
    'array.copy', 'array.fill', 'array.init_data', 'array.init_elem', 'array.new', 'array.new_data', 'array.new_default', 'array.new_elem',
    'memory.copy', 'memory.fill', 'memory.grow', 'memory.init', 'table.copy', 'table.fill', 'table.grow', 'table.init',
  ]);
  assert.ok([...table.perUnit.values()].every((cost) => cost === 0));
});

test('the hash is that of the canonical JSON, which does not depend on the order of the file', () => {
  for (const table of [defaultCostTable(), parseCostTable('{"name":"a","cost":{"i32.add":7}}', 'f')]) {
    assert.is(table.sha256, createHash('sha256').update(costTableJson(table)).digest('hex'));
  }
  const json = JSON.parse(costTableJson(defaultCostTable()));
  assert.equal(Object.keys(json.cost), [...new Set(OPCODES.map((op) => op.name))].sort());
  const one = parseCostTable('{"name":"a","cost":{"i32.add":7,"call":3}}', 'f');
  const two = parseCostTable('{ "cost": {"call":3, "i32.add":7}, "base": "wasmtime-1", "name": "a" }', 'g');
  assert.is(one.sha256, two.sha256);
  assert.is.not(one.sha256, parseCostTable('{"name":"b","cost":{"i32.add":7,"call":3}}', 'f').sha256);
  assert.is.not(one.sha256, parseCostTable('{"name":"a","cost":{"i32.add":7,"call":4}}', 'f').sha256);
});

test("the built-in profile's hash is pinned: artifacts carry it", () => {
  assert.is(defaultCostTable().sha256, '531f312d93f895600bd348469c8f2a27534b76fe31480cc46a8d965cab795e17');
});

test('a file changes what it names, over the base or over its default', () => {
  const over = parseCostTable(JSON.stringify({ name: 'mine', cost: { 'i32.add': 2, nop: 5, select: 9 }, perUnit: { 'memory.copy': 1, 'memory.grow': 2 ** 20 } }), 'f');
  assert.equal([over.name, over.cost.get('i32.add'), over.cost.get('nop'), over.cost.get('select')], ['mine', 2, 5, 9]);
  assert.equal([over.cost.get('i32.sub'), over.cost.get('drop')], [1, 0]);
  assert.equal([over.perUnit.get('memory.copy'), over.perUnit.get('memory.grow'), over.perUnit.get('memory.fill')], [1, 2 ** 20, 0]);
  const flat = parseCostTable('{"name":"flat","default":3,"cost":{"i64.mul":2147483647,"end":0}}', 'f');
  assert.equal(['drop', 'i32.add', 'i64.mul', 'end'].map((op) => flat.cost.get(op)), [3, 3, 2 ** 31 - 1, 0]);
});

test('a misspelt name gets the nearest known one', () => {
  refuses({ name: 'x', cost: { 'i32.ad': 2 } }, /unknown operator "i32\.ad".*"i32\.add"/);
  refuses({ name: 'x', perUnit: { 'memory.cpy': 2 } }, /unknown operator "memory\.cpy".*"memory\.copy"/);
  refuses({ name: 'x', costs: {} }, /unknown key "costs".*"cost"/);
  refuses({ name: 'x', cost: { toString: 1 } }, /unknown operator "toString"/);
  refuses('{"name":"x","cost":{"__proto__":1}}', /unknown operator "__proto__"/);
});

test('prices are integers in range', () => {
  for (const price of [-1, 1.5, 2 ** 31, '2', null, true, []]) refuses({ name: 'x', cost: { 'i32.add': price } }, /i32\.add must be an integer from 0 to 2147483647/);
  for (const price of [-1, 0.5, 2 ** 20 + 1, null]) refuses({ name: 'x', perUnit: { 'memory.fill': price } }, /memory\.fill must be an integer from 0 to 1048576/);
  refuses({ name: 'x', default: -1 }, /"default" must be an integer/);
  refuses('{"name":"x","cost":{"i32.add":1e999}}', /must be an integer/);
});

test('per-unit prices are for bulk operators only', () => {
  refuses({ name: 'x', perUnit: { 'i32.add': 1 } }, /cannot price i32\.add.*array\.copy.*memory\.copy/);
});

test('branches cannot be free, since loops could then run for ever', () => {
  for (const op of ['br', 'br_if', 'br_table', 'br_on_null', 'br_on_non_null', 'br_on_cast', 'br_on_cast_fail']) refuses({ name: 'x', cost: { [op]: 0 } }, new RegExp(`${op} must cost at least 1.*loop.*run for ever`));
  assert.is(faults({ name: 'x', default: 0 }).length, 7);
  const table = parseCostTable('{"name":"x","default":0,"cost":{"br":1,"br_if":1,"br_table":1,"br_on_null":1,"br_on_non_null":1,"br_on_cast":1,"br_on_cast_fail":1}}', 'f');
  assert.is(table.cost.get('call'), 0);
});

test('the file must be an object with a name of its own, over a known base', () => {
  refuses('{', /not JSON/);
  refuses('[]', /one JSON object/);
  refuses('null', /one JSON object/);
  refuses({}, /"name" is missing/);
  refuses({ name: '' }, /1 to 100 characters/);
  refuses({ name: 'n'.repeat(101) }, /1 to 100 characters/);
  refuses({ name: 3 }, /1 to 100 characters/);
  refuses({ name: 'wasmtime-1' }, /built-in/);
  refuses({ name: 'x', base: 'wasmtime-2' }, /"base" cannot be "wasmtime-2"/);
  refuses({ name: 'x', cost: [1] }, /"cost" must be an object/);
  refuses({ name: 'x', perUnit: 1 }, /"perUnit" must be an object/);
});

test('all faults of a file are told at once', () => {
  assert.is(faults({ nam: 'x', cost: { 'i32.ad': 1, 'i32.add': -1, br: 0 }, perUnit: { drop: 1 } }).length, 6);
});

test.run();
