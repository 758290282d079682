/** `wasm-aot run --invoke`: arguments and results of every type, and what is refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildText, type Outcome, put, wasmAot } from './command.js';

const lib = await buildText('types', `(module
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "externref") (param externref) (result externref) (local.get 0))
  (func (export "funcref") (param funcref) (result funcref) (local.get 0))
  (func $self (export "self") (result funcref) (ref.func $self))
  (func (export "f64 bits") (param f64) (result i64) (i64.reinterpret_f64 (local.get 0)))
  (func (export "f32 bits") (param f32) (result i32) (i32.reinterpret_f32 (local.get 0)))
  (func (export "all") (param i32 i64 f32 f64) (result f64 f32 i64 i32) (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "nothing"))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (global (export "global") i32 (i32.const 7)))`, '-O0');
const invoke = (name: string, ...args: string[]): Promise<Outcome> => wasmAot(['run', '--invoke', name, lib, ...args]);

/** A function, an argument, and the result. */
const GOOD: readonly (readonly [name: string, argument: string, result: string])[] = [
  ['i32', '42', '42'], ['i32', '-2147483648', '-2147483648'], ['i32', '4294967295', '-1'], ['i32', '0xFFFF_FFFF', '-1'], ['i32', '-0x10', '-16'], ['i32', '1_000_000', '1000000'],
  ['i64', '9223372036854775807', '9223372036854775807'], ['i64', '18446744073709551615', '-1'], ['i64', '-9223372036854775808', '-9223372036854775808'],
  ['f32', '0.1', '0.1'], ['f32', '16777217', '16777216'], ['f32', '-0', '-0'], ['f32', 'inf', 'inf'], ['f32', '-INF', '-inf'], ['f32', 'nan', 'nan'], ['f32', '1e39', 'inf'], ['f32', '0x1.8p1', '3'],
  ['f64', '0.1', '0.1'], ['f64', '1e-320', '1e-320'], ['f64', '-0.0', '-0'], ['f64', '.5', '0.5'], ['f64', '5.', '5'], ['f64', '0x1p-1074', '5e-324'], ['f64', '-infinity', '-inf'], ['f64', 'NaN', 'nan'],
  ['f64 bits', '0x1.fffffffffffffp1023', '9218868437227405311'], ['f64 bits', '0x1p-1074', '1'], ['f64 bits', '-0', '-9223372036854775808'],
  ['f32 bits', '3.4028235e38', '2139095039'], ['f32 bits', '1e-45', '1'],
  ['externref', 'null', 'null'], ['funcref', 'null', 'null'],
];
test('arguments and results of every type', async () => {
  // A few processes at a time.
  for (let i = 0; i < GOOD.length; i += 4) {
    await Promise.all(GOOD.slice(i, i + 4).map(async ([name, argument, result]) => {
      const { status, stdout, stderr } = await invoke(name, argument);
      assert.is(stdout, `${result}\n`, `${name} ${argument}: ${stderr}`);
      assert.is(status, 0);
    }));
  }
});

test('several results are lines; none is silence', async () => {
  assert.is((await invoke('all', '1', '2', '3.5', '-4.25')).stdout, '-4.25\n3.5\n2\n1\n');
  const nothing = await invoke('nothing');
  assert.is(nothing.stdout, '');
  assert.is(nothing.status, 0);
  assert.is((await invoke('self')).stdout, 'funcref\n');
});

const BAD: readonly (readonly [name: string, args: readonly string[], message: RegExp])[] = [
  ['i32', ['2147483648.5'], /is no i32/], ['i32', ['4294967296'], /-2147483648 to 4294967295/], ['i32', ['-2147483649'], /is no i32/], ['i32', ['ten'], /"ten" is no i32/], ['i32', [''], /"" is no i32/],
  ['i32', ['1__0'], /is no i32/], ['i64', ['18446744073709551616'], /is no i64/], ['i64', ['1n'], /is no i64/], ['f64', ['1,5'], /is no f64/], ['f64', ['.'], /is no f64/], ['f64', ['0x'], /is no f64/],
  ['externref', ['1'], /is no externref/], ['i32', [], /takes 1 argument \(i32\), not 0/], ['i32', ['1', '2'], /takes 1 argument \(i32\), not 2/], ['all', ['1'], /takes 4 arguments \(i32, i64, f32, f64\), not 1/],
  ['i23', ['1'], /no function "i23" is exported/], ['i23', ['1'], /did you mean "i32"\?/], ['global', [], /no function "global" is exported/],
];
test('what is refused: values that do not fit, wrong counts, unknown names', async () => {
  for (let i = 0; i < BAD.length; i += 4) {
    await Promise.all(BAD.slice(i, i + 4).map(async ([name, args, message]) => {
      const { status, stdout, stderr } = await invoke(name, ...args);
      assert.is(status, 64, stderr);
      assert.is(stdout, '');
      assert.match(stderr, message);
    }));
  }
});

test('a trap is a trap', async () => {
  const { status, stderr } = await invoke('divide', '1', '0');
  assert.is(status, 134);
  assert.match(stderr, /integer divide by zero/);
  assert.is((await invoke('divide', '-2147483648', '-1')).status, 134);
  assert.is((await invoke('divide', '-7', '2')).stdout, '-3\n');
});

test('without --invoke it has to be a command', async () => {
  const { status, stderr } = await wasmAot(['run', lib]);
  assert.is(status, 64);
  assert.match(stderr, /no function "_start"/);
  assert.match(stderr, /--invoke: i32, i64, /);
});

test('a reactor is initialised first; a command is not started', async () => {
  const reactor = await buildText('reactor', `(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (memory (export "memory") 1) (global $n (mut i32) (i32.const 1))
    (func (export "_initialize") (global.set $n (i32.const 42))) (func (export "get") (result i32) (global.get $n)))`, '-O0');
  assert.is((await wasmAot(['run', '--invoke', 'get', reactor])).stdout, '42\n');
});

test('imports that are missing: 68, and which', async () => {
  const needy = await buildText('needy', '(module (import "env" "missing" (func (param i32))) (func (export "f")))', '-O0');
  const { status, stderr } = await wasmAot(['run', '--invoke', 'f', needy]);
  assert.is(status, 68);
  assert.match(stderr, /"env".*"missing"|env\.missing/);
});

test('imports that WASI has, of another type: 68', async () => {
  const wrong = await buildText('wrong', '(module (import "wasi_snapshot_preview1" "args_get" (global i32)) (memory (export "memory") 1) (func (export "_start")))', '-O0');
  const { status, stderr } = await wasmAot(['run', wrong]);
  assert.is(status, 68, stderr);
  assert.match(stderr, /args_get/);
});

test('a start function is metered, and may trap', async () => {
  const loop = await buildText('loop', '(module (func $forever (loop (br 0))) (start $forever) (func (export "f")))', '-O0');
  assert.is((await wasmAot(['run', '--fuel', '1000', '--invoke', 'f', loop])).status, 152);
  const trap = await buildText('trap', '(module (func $trap unreachable) (start $trap) (func (export "f")))', '-O0');
  assert.is((await wasmAot(['run', '--invoke', 'f', trap])).status, 134);
});

test('a file that is neither wasm nor an artifact: 65; an object that is no artifact: 76', async () => {
  const text = await wasmAot(['run', put('text.txt', 'hello')]);
  assert.is(text.status, 65);
  assert.match(text.stderr, /neither wasm nor an artifact/);
  assert.is((await wasmAot(['run', put('empty', '')])).status, 65);
  assert.is((await wasmAot(['run', process.execPath])).status, 76);
});

test.run();
