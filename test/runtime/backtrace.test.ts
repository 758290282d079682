/** Stacks of errors: names, indices and offsets of wasm frames, in the order and the place that V8 gives them for the same module. */

import { rmSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Interrupted, load, type Module, OutOfFuel, Trap, wasmFrames } from '../../loader/index.js';
import { assemble, closeCompiler, compile, loadText } from '../loader/wat.js';

// Calls that are not in tail position and that nothing can inline away: the recursion keeps each frame.
const text = `(module (import "" "host" (func $host (param i32) (result i32))) (memory (export "memory") 1)
  (func $leaf (param i32 i32) (result i32)
    (if (i32.eqz (local.get 1)) (then (return (i32.div_s (i32.const 1) (local.get 0)))))
    (if (i32.eq (local.get 1) (i32.const 1)) (then (return (i32.load (i32.const -8)))))
    (if (i32.eq (local.get 1) (i32.const 2)) (then (loop (br 0))))
    (if (i32.eq (local.get 1) (i32.const 3)) (then (unreachable)))
    (call $host (local.get 0)))
  (func $middle (param i32 i32) (result i32)
    (if (i32.gt_s (local.get 0) (i32.const 0)) (then (return (i32.add (i32.const 1) (call $middle (i32.sub (local.get 0) (i32.const 1)) (local.get 1))))))
    (i32.add (i32.const 1) (call $leaf (i32.const 0) (local.get 1))))
  (func $outer (export "outer") (param i32 i32) (result i32) (i32.add (i32.const 1) (call $middle (local.get 0) (local.get 1))))
  (func (param i32) (result i32) (i32.add (i32.const 1) (call $host (local.get 0))))
  (export "unnamed" (func 4))
  (func $overflow (export "overflow") (param i32) (result i32) (i32.add (i32.const 1) (call $overflow (local.get 0)))))`;
const bytes = await assemble(text);
const plainPath = await compile(text);
const plain = load(plainPath);
const debug = load(await compile(text, { debug: true, optLevel: 0 }));
const optimised = load(await compile(text, { debug: true }));

type Host = (x: number) => unknown;
const make = (module: Module, host: Host = (x) => x) => module.instantiate({ '': { host } });
const makeV8 = (host: Host = (x) => x) => new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { '': { host: host as () => number } });

function thrown(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** The wasm frames in a stack: name, index, offset. The hash of the script is V8's own and differs. */
const wasmLines = (stack = ''): string[] => [...stack.matchAll(/at (?:(\S+) \()?wasm:\/\/wasm\/[^:]+:wasm-function\[(\d+)\]:(0x[0-9a-f]+)\)?$/gm)].map(([, name, index, at]) => `${name ?? '-'} ${index} ${at}`);

/** What V8 says, with the offset of each frame. */
const v8Frames = (mode: number, depth: number) => wasmLines(thrown(() => (makeV8().exports.outer as (a: number, b: number) => void)(depth, mode)).stack);

test("traps have V8's frames, to the byte, without optimisation and with -g", () => {
  for (const mode of [0, 1, 3]) {
    for (const depth of [0, 3]) {
      const error = thrown(() => make(debug).exports.outer(depth, mode));
      assert.instance(error, Trap);
      // V8's text format has no name section here: wabt wrote none, so only the exported function has a name in ours.
      assert.equal(wasmLines(error.stack).map((line) => line.replace(/^\S+ /, '')), v8Frames(mode, depth).map((line) => line.replace(/^\S+ /, '')), `mode ${mode}, depth ${depth}\n${error.stack}`);
      assert.is(wasmFrames(error).length, depth + 3);
    }
  }
});

test('without -g, optimised: names, indices, offsets, and the caller in its place', () => {
  const named = function caller() { return make(plain).exports.outer(2, 0); };
  const error = thrown(named);
  const frames = wasmFrames(error);
  const lines = (error.stack as string).split('\n');
  assert.is(lines[0], 'Trap: integer divide by zero');
  assert.match(lines[1], /^ {4}at wasm:\/\/wasm\/[0-9a-f]{8}:wasm-function\[1\]:0x[0-9a-f]+$/);
  assert.is(frames.at(-1)?.functionName, 'outer');
  assert.is(frames.at(-1)?.functionIndex, 3);
  // The caller comes right after the last wasm frame.
  const last = lines.length - 1 - [...lines].reverse().findIndex((line) => line.includes('wasm-function'));
  assert.match(lines[last], /^ {4}at outer \(wasm:/);
  assert.match(lines[last + 1], /caller/);
});

test("optimised, with -g and without: V8's frames too, whatever was inlined", () => {
  for (const [mode, depth, module] of [0, 1, 3].flatMap((mode) => [0, 1, 3].flatMap((depth) => [[mode, depth, optimised], [mode, depth, plain]] as const))) {
    const error = thrown(() => make(module).exports.outer(depth, mode));
    assert.equal(wasmLines(error.stack).map((line) => line.replace(/^\S+ /, '')), v8Frames(mode, depth).map((line) => line.replace(/^\S+ /, '')), `mode ${mode}, depth ${depth}\n${error.stack}`);
  }
});

test('out of fuel and interrupted: in a loop, at a host call, at its return', () => {
  const loop = make(debug);
  loop.fuel.set(1000n);
  const exhausted = thrown(() => loop.exports.outer(1, 2));
  assert.instance(exhausted, OutOfFuel);
  assert.equal(wasmFrames(exhausted).map((f) => f.functionIndex), [1, 2, 2, 3]);
  loop.fuel.set(2n ** 62n);
  const late = thrown(() => loop.within({ timeoutMs: 5 }, () => loop.exports.outer(0, 2)));
  assert.instance(late, Interrupted);
  assert.equal(wasmFrames(late).map((f) => f.functionIndex), [1, 2, 3]);
  const charging = make(debug, (x) => { charging.fuel.charge(2n ** 40n); return x; });
  charging.fuel.set(1_000_000n);
  assert.equal(wasmFrames(thrown(() => charging.exports.outer(0, 4))).map((f) => f.functionIndex), [1, 2, 3]);
  let calls = 0;
  const poor = make(debug, (x) => { calls++; return x; });
  poor.fuel.set(15n); // enough to get to the call, not to pay for it
  assert.equal(wasmFrames(thrown(() => poor.exports.outer(0, 4))).map((f) => f.functionIndex), [1, 2, 3]);
  assert.is(calls, 0);
  // At the normal return, and before anything ran, there is no wasm frame any more.
  const spent = make(debug);
  spent.fuel.set(0n);
  spent.fuel.charge(1n);
  assert.equal(wasmFrames(thrown(() => spent.exports.outer(0, 0))), []);
});

test('ticks anywhere in functions that were inlined into each other: no frame is missing, with -g and without', async () => {
  const spinning = `(module (memory 1)
    (func $mix (param i32) (result i32) (if (result i32) (i32.and (local.get 0) (i32.const 1)) (then (i32.div_u (i32.load (i32.const 16)) (i32.or (local.get 0) (i32.const 1)))) (else (i32.mul (local.get 0) (i32.const 7)))))
    (func $spin (param i32) (loop $l (local.set 0 (i32.add (local.get 0) (i32.const 1))) (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (call $mix (local.get 0)))) (br $l)))
    (func $middle (param i32) (call $spin (i32.add (local.get 0) (i32.const 3))))
    (func (export "go") (param i32) (call $middle (local.get 0)) (call $middle (i32.const 2))))`;
  for (const options of [{ optLevel: 0 }, { optLevel: 2 }, { optLevel: 2, debug: true }] as const) {
    const instance = (await loadText(spinning, options)).instantiate({});
    let inlined = 0;
    for (let round = 0; round < 30; round++) {
      instance.fuel.set(round % 3 === 0 ? 2n ** 62n : BigInt(500 + 37 * round));
      const error = thrown(() => instance.within({ timeoutMs: round % 3 === 0 ? 2 : 60_000 }, () => instance.exports.go(round)));
      assert.instance(error, round % 3 === 0 ? Interrupted : OutOfFuel);
      const frames = wasmFrames(error);
      assert.ok(['0 1 2 3', '1 2 3'].includes(frames.map((f) => f.functionIndex).join(' ')), error.stack);
      inlined += frames.filter((f) => f.inlined).length;
    }
    assert.is(inlined >= 60, options.optLevel === 2, `${inlined} frames inlined`);
  }
});

test('a stack overflow has frames, too', () => {
  const error = thrown(() => make(plain).exports.overflow(0)) as Trap;
  assert.is(error.code, 'call_stack_exhausted');
  const frames = wasmFrames(error);
  assert.ok(frames.length >= 60 && frames.every((f) => f.functionName === 'overflow'));
  assert.is(wasmLines(error.stack).length, Error.stackTraceLimit);
});

test('wasm -> JS -> wasm: every frame in its place, as in V8', () => {
  const shape = (stack = '') => stack.split('\n').slice(1).map((line) => /wasm-function\[(\d+)\]/.exec(line)?.[1] ?? /at (?:Object\.)?(\w+)/.exec(line)?.[1]).filter((name) => name !== undefined && /^(\d+|host\w*|start\w*)$/.test(name));
  const both = (instantiate: (host: Host) => { exports: Record<string, unknown> }) => {
    let level = 0;
    const instance: { exports: Record<string, unknown> } = instantiate(function hostInner(x) {
      if (++level === 3) return (instance.exports.outer as (a: number, b: number) => number)(1, 0);
      return (function hostDeeper() { return (instance.exports.unnamed as (a: number) => number)(x); })();
    });
    return shape(thrown(function startHere() { return (instance.exports.outer as (a: number, b: number) => number)(0, 4); }).stack);
  };
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  const ours = both((host) => make(debug, host) as never);
  const v8s = both((host) => makeV8(host));
  Error.stackTraceLimit = limit;
  assert.equal(ours, v8s);
  assert.ok(ours.length > 10, ours.join());
});

test('an error that is caught, kept and thrown again elsewhere keeps what it has', () => {
  const kept = thrown(() => make(debug).exports.outer(0, 0));
  const before = kept.stack;
  const other = make(debug, () => { throw kept; });
  assert.is(thrown(() => other.exports.outer(0, 4)), kept);
  assert.is(kept.stack, before);
});

test("the stack is an ordinary property; a program's own prepareStackTrace and stackTraceLimit hold", () => {
  const error = thrown(() => make(plain).exports.outer(0, 0));
  error.stack = 'mine';
  assert.is(error.stack, 'mine');
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.prepareStackTrace = (_error, sites) => sites.length;
  const prepared = thrown(() => make(plain).exports.outer(0, 0)).stack as unknown;
  Error.prepareStackTrace = prepareStackTrace;
  assert.type(prepared, 'number');
  Error.stackTraceLimit = 0;
  assert.is(thrown(() => make(plain).exports.outer(0, 0)).stack, 'Trap: integer divide by zero');
  Error.stackTraceLimit = stackTraceLimit;
  assert.equal(wasmFrames(new Error('not ours')), []);
  assert.equal(wasmFrames(undefined), []);
});

test('nothing is formatted before somebody looks', () => {
  const { prepareStackTrace } = Error;
  let formatted = 0;
  Error.prepareStackTrace = (_error, sites) => { formatted += sites.length; return ''; };
  thrown(() => make(plain).exports.outer(0, 0));
  Error.prepareStackTrace = prepareStackTrace;
  assert.is(formatted, 0);
});

test('a trap is a Trap where Error.stackTraceLimit is constant', () => {
  const before = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') as PropertyDescriptor;
  Object.defineProperty(Error, 'stackTraceLimit', { value: 10, writable: false, configurable: true });
  const error = thrown(() => make(plain).exports.outer(0, 0));
  Object.defineProperty(Error, 'stackTraceLimit', before);
  assert.is(error.name, 'Trap');
  assert.ok(wasmFrames(error).length > 0);
});

test('an artifact whose file is gone has errors without names', () => {
  const gone = plainPath; // already known: names come from memory
  rmSync(gone);
  assert.ok(wasmFrames(thrown(() => make(plain).exports.outer(0, 0))).length > 0);
});

test.after(closeCompiler);
test.run();
