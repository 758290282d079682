/** Living with the rest of the process: V8's own wasm, signal handlers of others, profilers, the inspector, child processes. Each case runs in a process of its own. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { assemble, closeCompiler, compile } from '../loader/wat.js';

const require = createRequire(import.meta.url);
const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-coexist-'));
const text = `(module (import "" "host" (func $host (param i32) (result i32))) (memory (export "memory") 1)
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
  (func $recurse (export "recurse") (param i32) (result i32) (i32.add (i32.const 1) (call $recurse (local.get 0))))
  (func (export "trap") unreachable)
  (func (export "host") (param i32) (result i32) (call $host (local.get 0)))
  (func (export "sum") (param $n i32) (result i32) (local $s i32)
    (loop $l (local.set $s (i32.add (local.get $s) (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))
  (func (export "forever") (loop (br 0))))`;
const artifact = await compile(text);
const wasm = join(directory, 'same.wasm');
writeFileSync(wasm, await assemble(text));
const loader = new URL('../../loader/index.js', import.meta.url).href;

/** What the scripts begin with. `ours` and `v8s` make an instance each of the same module; `caught` gives an error's class and message. */
const PRELUDE = `
  const { readFileSync } = require('node:fs'); const { execFileSync, spawnSync } = require('node:child_process'); const { Worker } = require('node:worker_threads'); const assert = require('node:assert');
  const artifact = ${JSON.stringify(artifact)}, loader = ${JSON.stringify(loader)};
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let lib; const ours = (host = (n) => n, options = {}) => lib.load(artifact).instantiate({ '': { host } }, options);
  const v8s = (host = (n) => n) => new WebAssembly.Instance(new WebAssembly.Module(readFileSync(${JSON.stringify(wasm)})), { '': { host } });
  const caught = (f) => { try { return f(); } catch (e) { return e.name + ': ' + e.message; } };
  function v8Traps() { const { exports: x } = v8s();
    assert.match(caught(() => x.load(-8)), /^RuntimeError: memory access out of bounds/); assert.match(caught(() => x.div(0)), /^RuntimeError: divide by zero/);
    assert.match(caught(() => x.trap()), /^RuntimeError: unreachable/); assert.match(caught(() => x.recurse(0)), /^RangeError: Maximum call stack/); }
  function ourTraps() { const { exports: x, fuel } = ours();
    assert.match(caught(() => x.load(-8)), /^Trap: out of bounds memory access/); assert.match(caught(() => x.div(0)), /^Trap: integer divide by zero/);
    assert.match(caught(() => x.trap()), /^Trap: unreachable/); assert.match(caught(() => x.recurse(0)), /^Trap: call stack exhausted/);
    fuel.set(1000n); assert.match(caught(() => x.forever()), /^OutOfFuel/); }
`;

/** Runs a script; it must say "done" at its end. Returns what it wrote to stderr. */
function run(script: string, options: { flags?: string[]; env?: Record<string, string> } = {}): string {
  const file = join(directory, 'script.cjs');
  writeFileSync(file, `${PRELUDE}(async () => { ${script}; console.log('done'); })().catch((error) => { console.error(error); process.exit(1); });`);
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [...(options.flags ?? []), file], { encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...options.env } });
  assert.is(status, 0, `${signal ?? status}\n${stdout}${stderr}`);
  assert.match(stdout, /done\n$/);
  return stderr;
}
const LOAD = 'lib = await import(loader);';

test("V8's own wasm traps and overflows before, during and after ours", () => {
  run(`v8Traps(); ${LOAD} v8Traps(); for (let i = 0; i < 20; i++) { ourTraps(); v8Traps(); }
    const outer = ours(() => { v8Traps(); ourTraps(); v8Traps(); return 5; }); assert.equal(outer.exports.host(1), 5);
    const theirs = v8s(() => { ourTraps(); v8Traps(); return 6; }); assert.equal(theirs.exports.host(1), 6);
    // Errors of one engine through frames of the other.
    const inner = ours(); assert.match(caught(() => v8s(() => inner.exports.div(0)).exports.host(1)), /^Trap: integer divide by zero/);
    assert.match(caught(() => ours(() => v8s().exports.load(-8)).exports.host(1)), /^RuntimeError: memory access out of bounds/);
    // Recursion through both, and through JavaScript, until the stack is used up.
    const a = v8s(() => b.exports.host(1)), b = ours(() => a.exports.host(1)); assert.match(caught(() => a.exports.host(1)), /call stack/i); ourTraps(); v8Traps();`);
});

test("process.on('SIGSEGV'), SIGILL and SIGBUS: the program's listener gets what is sent to it, wasm its traps, V8 too", () => {
  run(`${LOAD} ourTraps(); let events = 0; const count = () => { events++; };
    for (const name of ['SIGSEGV', 'SIGILL', 'SIGBUS']) process.on(name, count);
    ourTraps(); v8Traps(); await sleep(20); assert.equal(events, 0);
    process.kill(process.pid, 'SIGSEGV'); process.kill(process.pid, 'SIGILL'); await sleep(50); assert.equal(events, 2);
    ourTraps(); v8Traps();
    for (const name of ['SIGSEGV', 'SIGILL', 'SIGBUS']) process.removeListener(name, count);
    ourTraps(); v8Traps(); await sleep(20); assert.equal(events, 2);
    for (let i = 0; i < 50; i++) { process.on('SIGSEGV', count); ourTraps(); process.removeListener('SIGSEGV', count); ourTraps(); v8Traps(); } assert.equal(events, 2);`);
});

test("process.on('SIGSEGV') before the first load, and where only a worker has wasm-aot", () => {
  run(`let events = 0; process.on('SIGSEGV', () => { events++; }); ${LOAD} ourTraps(); v8Traps(); await sleep(20); assert.equal(events, 0);
    process.kill(process.pid, 'SIGSEGV'); await sleep(50); assert.equal(events, 1); ourTraps();`);
  // Nothing hears of the listener here, but the checker finds its handler within a period; until then the fault repeats, and the listener hears of it.
  run(`let events = 0; const worker = new Worker(\`const { parentPort } = require('node:worker_threads'); import('\${loader}').then(({ load }) => { const { exports } = load(\${JSON.stringify(artifact)}).instantiate({ '': { host: () => 1 } });
      parentPort.on('message', () => { const out = []; for (let i = 0; i < 100; i++) try { exports.load(-8); } catch (e) { out.push(e.name); } parentPort.postMessage(out.length + out[99]); }); parentPort.postMessage('ready'); })\`, { eval: true });
    const next = () => new Promise((resolve) => worker.once('message', resolve)); await next(); process.on('SIGSEGV', () => { events++; });
    worker.postMessage(0); assert.equal(await next(), '100Trap'); await worker.terminate();`);
});

test('a crash of the process itself is still one', () => {
  const script = `${PRELUDE} (async () => { ${LOAD} ourTraps(); process.kill(process.pid, 'SIGSEGV'); await sleep(1000); })()`;
  const { signal } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 });
  assert.is(signal, 'SIGSEGV');
});

const WORK = `for (const end = performance.now() + 700; performance.now() < end;) { const i = ours((n) => { let s = 0; for (let k = 0; k < 1000; k++) s += k * n; return s | 0; }); for (let k = 0; k < 100; k++) i.exports.host(k);
  assert.equal(i.exports.sum(30000) , 450015000); i.fuel.set(1000n); assert.match(caught(() => i.exports.forever()), /^OutOfFuel/); ourTraps(); }`;

test('--cpu-prof', () => {
  const out = mkdtempSync(join(directory, 'prof-'));
  run(`${LOAD} ${WORK}`, { flags: ['--cpu-prof', '--cpu-prof-interval', '100', '--cpu-prof-dir', out] });
  const profile = JSON.parse(readFileSync(join(out, readdirSync(out)[0]), 'utf8')) as { samples: unknown[]; nodes: unknown[] };
  assert.ok(profile.samples.length > 500 && profile.nodes.length > 10);
});

test('the inspector: --inspect, and a session that profiles, takes a heap snapshot and pauses', () => {
  run(`${LOAD} ${WORK}`, { flags: ['--inspect=127.0.0.1:0'] });
  run(`${LOAD} const { Session } = require('node:inspector/promises'); const session = new Session(); session.connect(); await session.post('Profiler.enable'); await session.post('Profiler.setSamplingInterval', { interval: 100 });
    await session.post('Profiler.start'); ${WORK} const { profile } = await session.post('Profiler.stop'); assert.ok(profile.samples.length > 500);
    await session.post('HeapProfiler.enable'); await session.post('HeapProfiler.takeHeapSnapshot'); await session.post('Debugger.enable'); let paused = 0; session.on('Debugger.paused', ({ params }) => { paused += params.callFrames.length; });
    const i = ours(() => { debugger; return 4; }); assert.equal(i.exports.host(1), 4); assert.ok(paused >= 1); ourTraps();`);
});

test('child processes and synchronous waiting in host functions, ticked all the while', () => {
  run(`${LOAD} const i = ours((n) => { assert.equal(String(execFileSync('echo', ['hello'])), 'hello\\n'); assert.equal(spawnSync('sh', ['-c', 'sleep 0.05; exit 3']).status, 3);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20); return n + 1; });
    for (let k = 0; k < 5; k++) { i.exports.sum(3000000); assert.equal(i.exports.host(k), k + 1); } i.fuel.set(1000n); assert.match(caught(() => i.exports.forever()), /^OutOfFuel/);
    // Signals of the child are its own: it is not born with ours blocked or ignored.
    assert.equal(String(execFileSync('sh', ['-c', 'grep -E "Sig(Blk|Ign)" /proc/self/status'])).match(/SigBlk:\\s+0+\\n/) !== null, true);`, { env: { WASM_AOT_TICK_US: '50' } });
});

test('wasm-aot in workers only, one after the other, then on the main thread', () => {
  run(`const source = \`const { parentPort } = require('node:worker_threads'); import('\${loader}').then(({ load, OutOfFuel }) => { const i = load(\${JSON.stringify(artifact)}).instantiate({ '': { host: () => 1 } }, { fuel: 1000n });
      try { i.exports.forever(); } catch (e) { parentPort.postMessage(e.name); } try { i.exports.load(-8); } catch (e) { parentPort.postMessage(e.name); } })\`;
    for (let k = 0; k < 8; k++) { const worker = new Worker(source, { eval: true }); const seen = []; worker.on('message', (m) => seen.push(m)); await new Promise((resolve) => worker.on('exit', resolve)); assert.equal(seen[0], 'OutOfFuel'); v8Traps(); }
    ${LOAD} ourTraps(); v8Traps();`);
});

/** A shared object with a handler for a signal: `install(signal)`, and from its constructor when SIGNAL_BEFORE is set. */
function buildForeign(): string | undefined {
  const [source, library] = [join(directory, 'foreign.c'), join(directory, 'foreign.so')];
  writeFileSync(source, `#include <signal.h>
    #include <stdlib.h>
    static volatile int count; static void on(int s) { (void)s; count++; }
    int install(int s) { return signal(s, on) == SIG_ERR; } int counted(void) { return count; } int send(int s) { return raise(s); }
    __attribute__((constructor)) static void before(void) { if (getenv("SIGNAL_BEFORE")) install(atoi(getenv("SIGNAL_BEFORE"))); }\n`);
  const { status, error } = spawnSync('gcc', ['-shared', '-fPIC', '-o', library, source], { encoding: 'utf8' });
  return error || status !== 0 ? undefined : library;
}
const foreign = buildForeign();
if (foreign) {
  const before = { LD_PRELOAD: foreign, SIGNAL_BEFORE: '42' };
  test('somebody handles the tick signal already: named, and another one by environment or configure', () => {
    run(`${LOAD} assert.match(caught(() => ours()), /signal 42 .SIGRTMIN.8. already has a handler.*WASM_AOT_TICK_SIGNAL/)`, { env: before });
    run(`${LOAD} ourTraps()`, { env: { ...before, WASM_AOT_TICK_SIGNAL: 'SIGRTMIN+9' } });
    run(`${LOAD} assert.throws(() => lib.configure({ tickSignal: 42 }), /signal 42/); lib.configure({ tickSignal: 45, tickUs: 200 }); ourTraps(); lib.configure({ tickSignal: 45, tickUs: 200 });
      assert.throws(() => lib.configure({ tickSignal: 46 }), /already runs with tick_us 200 and tick_signal 45/);
      for (const bad of [null, { tick: 1 }, { tickUs: 0 }, { tickUs: 1.5 }, { tickUs: 49 }, { tickSignal: 9 }, { tickSignal: '45' }]) assert.throws(() => lib.configure(bad), TypeError);`, { env: before });
    run(`${LOAD} assert.match(caught(() => ours()), /WASM_AOT_TICK_SIGNAL is "tick"/)`, { env: { WASM_AOT_TICK_SIGNAL: 'tick' } });
  });

  test('somebody handles the tick signal later: both work, and the program is warned once', () => {
    const stderr = run(`${LOAD} ourTraps(); const other = require(${JSON.stringify(require.resolve('ffi-napi'))}).Library(${JSON.stringify(foreign)}, { install: ['int', ['int']], counted: ['int', []], send: ['int', ['int']] });
      other.install(42); other.send(42); assert.equal(other.counted(), 1); ourTraps(); other.send(42); other.send(42); assert.ok(other.counted() >= 3); ourTraps(); ours(); await sleep(10);`);
    assert.is(stderr.match(/WASM_AOT_SIGNAL\] Warning|\[WASM_AOT_SIGNAL\]/g)?.length, 1, stderr);
    assert.match(stderr, /signal 42/);
  });
}

test.after(async () => {
  rmSync(directory, { recursive: true, force: true });
  await closeCompiler();
});
test.run();
