/** The spec runner itself, on scripts made for the purpose: it must count what passes, and notice everything that does not. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assemble } from '../loader/wat.js';
import { matches, type SpecCommand, type SpecValue } from './commands.js';

const RUNNER = fileURLToPath(new URL('./run.js', import.meta.url));
const specDir = mkdtempSync(join(tmpdir(), 'wasm-aot-spec-test-'));
test.after(() => rmSync(specDir, { recursive: true, force: true }));

const MODULE = `(module
  (import "spectest" "print_i32" (func $print (param i32)))
  (global (export "answer") i32 (i32.const 42))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "same") (param f32) (result f32) (call $print (i32.const 1)) (local.get 0))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func $deep (export "deep") (call $deep) (call $deep)))`;

const i32 = (value: number): SpecValue => ({ type: 'i32', value: String(value) });
const call = (field: string, ...args: SpecValue[]): SpecCommand['action'] => ({ type: 'invoke', field, args });
const SIGNALLING = 0x7fa00001;

const GOOD: Omit<SpecCommand, 'line'>[] = [
  { type: 'module', filename: 'm.wasm', module_type: 'binary' },
  { type: 'assert_return', action: call('add', i32(1), i32(0xffffffff)), expected: [i32(0)] },
  { type: 'assert_return', action: call('same', { type: 'f32', value: String(SIGNALLING) }), expected: [{ type: 'f32', value: String(SIGNALLING) }] },
  { type: 'assert_return', action: { type: 'get', field: 'answer' }, expected: [i32(42)] },
  { type: 'assert_trap', action: call('divide', i32(1), i32(0)), text: 'integer divide by zero' },
  { type: 'assert_exhaustion', action: call('deep'), text: 'call stack exhausted' },
  { type: 'assert_malformed', filename: 'cut.wasm', module_type: 'binary', text: 'unexpected end' },
  { type: 'assert_invalid', filename: 'invalid.wasm', module_type: 'binary', text: 'type mismatch' },
  { type: 'assert_unlinkable', filename: 'unlinkable.wasm', module_type: 'binary', text: 'unknown import' },
  { type: 'assert_malformed', filename: 'x.wat', module_type: 'text', text: 'unknown operator' },
];
const BAD: Omit<SpecCommand, 'line'>[] = [
  { type: 'assert_return', action: call('add', i32(1), i32(1)), expected: [i32(3)] },
  { type: 'assert_return', action: call('same', { type: 'f32', value: String(SIGNALLING) }), expected: [{ type: 'f32', value: String(SIGNALLING | 0x400000) }] },
  { type: 'assert_return', action: call('add', i32(1), i32(1)), expected: [] },
  { type: 'assert_return', action: call('missing'), expected: [] },
  { type: 'assert_trap', action: call('divide', i32(1), i32(0)), text: 'integer overflow' },
  { type: 'assert_trap', action: call('divide', i32(1), i32(1)), text: 'integer divide by zero' },
  { type: 'assert_exhaustion', action: call('divide', i32(1), i32(0)), text: 'call stack exhausted' },
  { type: 'assert_malformed', filename: 'invalid.wasm', module_type: 'binary', text: 'unexpected end' },
  { type: 'assert_invalid', filename: 'm.wasm', module_type: 'binary', text: 'type mismatch' },
  { type: 'assert_unlinkable', filename: 'm.wasm', module_type: 'binary', text: 'unknown import' },
  { type: 'assert_uninstantiable', filename: 'm.wasm', module_type: 'binary', text: 'unreachable' },
  { type: 'module', filename: 'invalid.wasm', module_type: 'binary' },
];

function writeScript(group: string, name: string, commands: readonly Omit<SpecCommand, 'line'>[]): void {
  writeFileSync(join(specDir, group, `${name}.json`), JSON.stringify({ commands: commands.map((command, i) => ({ ...command, line: i + 1 })) }));
}

function runSpec(args: readonly string[], folder = specDir): { status: number | null; lines: string[]; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [RUNNER, ...args], { env: { ...process.env, SPEC_DIR: folder }, encoding: 'utf8', timeout: 120_000 });
  return { status, lines: stdout.trimEnd().split('\n'), stderr };
}

test.before(async () => {
  const bytes = await assemble(MODULE);
  const unlinkable = await assemble('(module (import "spectest" "nothing" (func)))');
  // A function of type [] -> [i32] whose body is empty.
  const invalid = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 10, 4, 1, 2, 0, 0x0b]);
  for (const group of ['good', 'bad']) {
    mkdirSync(join(specDir, group));
    writeFileSync(join(specDir, group, 'm.wasm'), bytes);
    writeFileSync(join(specDir, group, 'cut.wasm'), bytes.subarray(0, bytes.length - 3));
    writeFileSync(join(specDir, group, 'invalid.wasm'), invalid);
    writeFileSync(join(specDir, group, 'unlinkable.wasm'), unlinkable);
  }
  writeScript('good', 'first', GOOD);
  writeScript('good', 'second', GOOD.slice(0, 2));
  writeScript('bad', 'wrong', [GOOD[0], ...BAD]);
});

test('what holds passes; what needs the text format is skipped', () => {
  const { status, lines } = runSpec(['good', '-O0']);
  assert.is(status, 0, lines.join('\n'));
  assert.is(lines.at(-1), '11 passed, 0 failed, 1 skipped');
  assert.ok(lines.includes('ok   good/first: 9 passed') && lines.includes('ok   good/second: 2 passed'), lines.join('\n'));
});

test('everything that does not hold is a failure, with its line', () => {
  const { status, lines } = runSpec(['bad', '-O0', '--all']);
  assert.is(status, 1);
  assert.is(lines.at(-1), `1 passed, ${BAD.length} failed, 0 skipped`);
  BAD.forEach((_, i) => { assert.ok(lines.some((line) => line.includes(`line ${i + 2}: `)), `line ${i + 2} is not among\n${lines.join('\n')}`); });
});

test('--file runs one script; a missing group and an unknown option are refused; missing tests are no failure', () => {
  assert.is(runSpec(['good', '-O0', '--file', 'second']).lines.at(-1), '2 passed, 0 failed, 0 skipped');
  assert.is(runSpec(['good', '--file', 'third']).status, 2);
  assert.is(runSpec(['ugly']).status, 2);
  assert.match(runSpec(['--fast']).stderr, /unknown option --fast/);
  const absent = runSpec([], join(specDir, 'absent'));
  assert.equal([absent.status, absent.lines.at(-1)], [0, '0 passed, 0 failed, 0 skipped']);
});

test('results are compared by bits', () => {
  const one = (number: string): unknown => number;
  const f32 = (value: string): SpecValue => ({ type: 'f32', value });
  assert.ok(matches(0xffc00000n, f32('nan:canonical'), one) && matches(0x7fe00001n, f32('nan:arithmetic'), one));
  assert.not(matches(0x7fc00001n, f32('nan:canonical'), one));
  assert.not(matches(BigInt(SIGNALLING), f32('nan:arithmetic'), one));
  const lanes: SpecValue = { type: 'v128', lane_type: 'f32', value: ['0', 'nan:canonical', '1', '2'] };
  assert.ok(matches((2n << 96n) | (1n << 64n) | (0x7fc00000n << 32n), lanes, one));
  assert.not(matches((2n << 96n) | (1n << 64n) | (0x7f800000n << 32n), lanes, one));
  assert.ok(matches(null, { type: 'externref', value: 'null' }, one) && matches('7', { type: 'externref', value: '7' }, one));
  assert.not(matches(null, { type: 'funcref' }, one));
  assert.ok(matches(5n, { type: 'either', values: [i32(4), i32(5)] }, one));
});

test.run();
