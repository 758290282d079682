/**
 * `npm run bench:runtime`: what the runtime costs on this machine. How long after exhaustion a call returns, for three periods of the checker; what its ticks cost a hot loop;
 * calls in both directions, next to V8's own wasm and to an empty Node-API call; loading an artifact; a warm `wasm-aot run`; 100,000 out-of-fuel runs; each beside its target. Timings on a busy machine say little: the load is printed
 * first. With `--light`, a hundredth of everything: only to see that it runs.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { load } from '../../loader/index.js';
import { native } from '../../loader/native.js';
import { buildPrograms, missingTools, NATIVE } from '../c/build.js';
import { assemble, closeCompiler, compile } from '../loader/wat.js';

const TEXT = `(module (import "" "host" (func $host (param i32) (result i32)))
  (func (export "empty"))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "forever") (loop (br 0)))
  (func (export "divide") (param $n i32) (call $divide (local.get $n)))
  (func (export "divideThenForever") (param $n i32) (call $divide (local.get $n)) (loop (br 0)))
  (func $divide (param $n i32) (local $x i64)
    (loop $l (local.set $x (i64.div_u (i64.const -1) (i64.or (local.get $x) (i64.const 3)))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (if (i64.eqz (local.get $x)) (then (unreachable))))
  (func (export "sum") (param $n i32) (result i32) (local $s i32)
    (loop $l (local.set $s (i32.add (i32.rotl (local.get $s) (i32.const 5)) (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))
  (func (export "hostLoop") (param $n i32) (result i32) (local $s i32)
    (loop $l (local.set $s (call $host (local.get $n))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s)))`;

type Exports = Record<string, (...args: number[]) => number>;
const host = (x: number) => x;

/** Nanoseconds of one of `count` runs of a body, the best of five rounds. */
function best(count: number, body: (count: number) => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const begin = process.hrtime.bigint();
    body(count);
    least = Math.min(least, Number(process.hrtime.bigint() - begin) / count);
  }
  return least;
}

const ns = (value: number) => `${value.toFixed(1).padStart(8)} ns`;
const us = (value: number) => `${(value / 1000).toFixed(0)} us`;

/** Runs one part in a process of its own, with a period of the checker. */
function inProcess(part: string, path: string, tickUs: number): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), part, path], { encoding: 'utf8', env: { ...process.env, WASM_AOT_TICK_US: String(tickUs) }, timeout: 300_000 });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** Nanoseconds that a call takes until it is out of fuel. */
function timeOut(call: () => unknown): number {
  const begin = process.hrtime.bigint();
  try { call(); } catch { return Number(process.hrtime.bigint() - begin); }
  throw new Error('not out of fuel');
}

/** The distribution of times in ns. */
function distribution(times: number[]): string {
  times.sort((a, b) => a - b);
  const at = (part: number) => us(times[Math.min(times.length - 1, Math.floor(times.length * part))]);
  return `min ${at(0)}, median ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`;
}

const PARTS: Record<string, (path: string) => string> = {
  latency(path) {
    const { exports, fuel } = load(path).instantiate({ '': { host } });
    const times: number[] = [];
    const overshoots: number[] = [];
    for (let i = 0; i < 300; i++) {
      fuel.set(0n);
      // From a random place between two ticks: back to back, every run would begin with a tick.
      for (const start = performance.now() + (Math.random() * Number(process.env.WASM_AOT_TICK_US)) / 1000; performance.now() < start;);
      times.push(timeOut(exports.forever));
      overshoots.push(Number(fuel.overshoot));
    }
    overshoots.sort((a, b) => a - b);
    return `${distribution(times)}; overshoot median ${overshoots[150]}, max ${overshoots[299]} units`;
  },
  /** What is left lasts for some 30 ms; how late the end is seen, by the rate of the run. */
  steady(path) {
    const { exports, fuel } = load(path).instantiate({ '': { host } });
    const late: number[] = [];
    for (let i = 0; i < 100; i++) {
      const limit = Math.round(3e7 * (1 + Math.random()));
      fuel.set(BigInt(limit));
      const time = timeOut(exports.forever);
      late.push((time * Number(fuel.overshoot)) / (limit + Number(fuel.overshoot)));
    }
    return distribution(late);
  },
  /** Divisions, then a short loop, in which the fuel goes at once. */
  faster(path) {
    const { exports, fuel } = load(path).instantiate({ '': { host } });
    const late: number[] = [];
    fuel.set(100_000_000n);
    const rate = timeOut(exports.forever) / 1e8; // ns a unit
    for (let i = 0; i < 100; i++) {
      const divisions = Math.round(5e6 * (1 + Math.random()));
      fuel.set(2n ** 62n);
      exports.divide(divisions);
      fuel.set(fuel.consumed + 10_000n);
      timeOut(() => exports.divideThenForever(divisions));
      late.push(Number(fuel.overshoot) * rate);
    }
    return distribution(late);
  },
  hot(path) {
    const { exports } = load(path).instantiate({ '': { host } });
    exports.sum(1000);
    const before = process.cpuUsage(); // of all threads, the checker too; elapsed time would also count those of others
    for (let i = 0; i < 5; i++) exports.sum(100_000_000);
    const { user, system } = process.cpuUsage(before);
    return String(user + system);
  },
  many(path) {
    const { exports, fuel } = load(path).instantiate({ '': { host } });
    const run = (count: number) => { for (let i = 0; i < count; i++) { fuel.set(100n); try { exports.forever(); } catch {} } };
    run(20_000);
    const [rss, begin] = [process.memoryUsage.rss(), performance.now()];
    run(100_000);
    return `${((performance.now() - begin) / 1000).toFixed(1)} s, resident memory ${((process.memoryUsage.rss() - rss) / 1048576).toFixed(1)} MB more`;
  },
};

function compareCalls(ours: Exports, v8s: Exports, scale: number): void {
  const { nothing } = native();
  const row = (name: string, measure: (x: Exports) => number, target = '') => console.log(`  ${name.padEnd(36)} ${ns(measure(ours))}   V8 ${ns(measure(v8s))}${target}`);
  console.log(`  ${'an empty Node-API call'.padEnd(36)} ${ns(best(1_000_000 * scale, (n) => { for (let i = 0; i < n; i++) nothing(); }))}`);
  row('JS -> wasm, ()', (x) => best(1_000_000 * scale, (n) => { const { empty } = x; for (let i = 0; i < n; i++) empty(); }), '   target: 25 ns above the empty call');
  row('JS -> wasm, (i32, i32) -> i32', (x) => best(1_000_000 * scale, (n) => { const { add } = x; for (let i = 0; i < n; i++) add(i, 1); }));
  row('wasm -> JS, (i32) -> i32', (x) => best(500_000 * scale, (n) => { x.hostLoop(n); }));
}

async function benchC(large: string): Promise<void> {
  const missing = process.arch === 'x64' ? missingTools([['gcc', 'g++'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']]) : 'an x86-64 machine';
  if (missing) return console.log(`  skipped: calls from C need ${missing}`);
  const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-bench-'));
  try {
    await buildPrograms(directory, NATIVE, ['call_bench', 'load_bench']);
    for (const [program, artifact] of [['call_bench', join(directory, 'guest.so')], ['load_bench', large]]) {
      const { stdout, stderr } = spawnSync(join(directory, program), [artifact], { encoding: 'utf8', timeout: 120_000 });
      console.log((stdout || stderr).replace(/^/gm, '  ').trimEnd());
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** An artifact of about a megabyte: many small functions, each with its place in a table, and calls between them. */
function compileLarge(): Promise<string> {
  const names = Array.from({ length: 3000 }, (_, i) => `$f${i}`);
  const functions = names.map((name, i) => `(func ${name} (param i32) (result i32) (local i32) (local.set 1 (i32.mul (local.get 0) (i32.const ${2 * i + 1})))
    (loop $l (i32.store (i32.and (local.get 1) (i32.const 0xfff0)) (i32.add (i32.load offset=${i} (i32.and (local.get 1) (i32.const 0xff0))) (local.get 1)))
      (br_if $l (local.tee 1 (i32.shr_u (local.get 1) (i32.const ${(i % 5) + 1})))))
    (if (result i32) (i32.and (local.get 0) (i32.const ${1 << i % 8})) (then (call $f${Math.max(0, i - 1)} (i32.shr_u (local.get 0) (i32.const 1)))) (else (local.get 1))))`);
  return compile(`(module (memory 1) (table 3000 funcref) (elem (i32.const 0) ${names.join(' ')}) ${functions.join('\n')} (func (export "run") (result i32) (call $f2999 (i32.const 77))))`, { optLevel: 1 });
}

/** From opening to the end of the first call, in this process; after each time everything is collected, since an artifact that is open already is not opened again. */
async function benchLoad(path: string): Promise<void> {
  const collect = new Script('gc').runInNewContext() as () => void;
  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const begin = process.hrtime.bigint();
    load(path).instantiate({}).exports.run();
    times.push(Number(process.hrtime.bigint() - begin));
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => { collect(); setTimeout(resolve, 2); });
  }
  const [first] = times;
  times.sort((a, b) => a - b);
  console.log(`  JS, open to first call: best ${us(times[0])}, median ${us(times[25])}, in a new process ${us(first)}; target: 2000 us`);
}

/** Processor time of `wasm-aot run FILE.wasm` beyond that of `node -e 0`, the artifact being in the cache: best of 20, alternating. */
async function benchRun(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-bench-'));
  try {
    const file = join(directory, 'command.wasm');
    writeFileSync(file, await assemble('(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (memory (export "memory") 1) (func (export "_start") (drop (call 0))))'));
    const commands = { node: ['-e', '0'], run: [fileURLToPath(new URL('../../compiler/cli.js', import.meta.url)), 'run', file] };
    const least: Record<string, number> = { node: Number.POSITIVE_INFINITY, run: Number.POSITIVE_INFINITY };
    for (let round = 0; round <= 20; round++) {
      for (const [name, args] of Object.entries(commands)) {
        // bash says what its child took; process.resourceUsage() knows nothing of children.
        const script = 'TIMEFORMAT="%U %S"; time "$@"';
        const { status, stderr } = spawnSync('bash', ['-c', script, 'bash', process.execPath, ...args], { encoding: 'utf8', env: { ...process.env, XDG_CACHE_HOME: directory } });
        if (status !== 0) throw new Error(stderr);
        const [user, system] = stderr.trim().split(' ').map(Number);
        if (round > 0) least[name] = Math.min(least[name], (user + system) * 1000); // round 0 fills the cache
      }
    }
    console.log(`  node -e 0: ${least.node.toFixed(0)} ms; run: ${(least.run - least.node).toFixed(0)} ms more; target: 60`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A hundredth of the calls from JavaScript, and nothing else. */
async function light(): Promise<void> {
  const v8s = new WebAssembly.Instance(new WebAssembly.Module((await assemble(TEXT)) as BufferSource), { '': { host } });
  compareCalls(load(await compile(TEXT)).instantiate({ '': { host } }).exports as Exports, v8s.exports as Exports, 0.01);
  await closeCompiler();
}

async function main(): Promise<void> {
  console.log(`load average ${loadavg()[0].toFixed(1)}`);
  const path = await compile(TEXT);
  const atTicks = (part: string) => { for (const tickUs of [100, 1000, 10_000]) console.log(`  tick ${us(tickUs * 1000).padEnd(8)} ${inProcess(part, path, tickUs)}`); };
  console.log('exhaustion to return, 300 runs; target: a median below the period:');
  atTicks('latency');
  console.log('the same after some 30 ms at an even rate, 100 runs; target: the same:');
  atTicks('steady');
  console.log('the same in a short loop after slow code, 100 runs; bound: 1 ms, 10 ms, 10 ms, and what the machine is late:');
  atTicks('faster');
  console.log('a hot loop without limits under ticks, against none (a tick a second), processor time of all threads, alternating, best of 5; target: below 0.3 % at 1 ms:');
  const least = new Map<number, number>();
  for (let round = 0; round < 5; round++) for (const tickUs of [1_000_000, 10_000, 1000, 100]) least.set(tickUs, Math.min(least.get(tickUs) ?? Number.POSITIVE_INFINITY, Number(inProcess('hot', path, tickUs))));
  const none = least.get(1_000_000) as number;
  for (const [tickUs, time] of least) if (tickUs !== 1_000_000) console.log(`  tick ${us(tickUs * 1000).padEnd(8)} ${((time / none - 1) * 100).toFixed(2)} %`);
  console.log('calls, best of 5 rounds:');
  const v8s = new WebAssembly.Instance(new WebAssembly.Module((await assemble(TEXT)) as BufferSource), { '': { host } });
  compareCalls(load(path).instantiate({ '': { host } }).exports as Exports, v8s.exports as Exports, 1);
  console.log('loading an artifact of a megabyte:');
  const large = await compileLarge();
  await benchLoad(large);
  await benchC(large);
  console.log('a warm wasm-aot run, processor time:');
  await benchRun();
  console.log(`100,000 out-of-fuel runs, tick 50 us: ${inProcess('many', path, 50)}`);
  await closeCompiler();
}

setFlagsFromString('--expose-gc'); // for benchLoad
const [part, path] = process.argv.slice(2);
if (part === '--light') await light();
else if (part) writeFileSync(1, `${PARTS[part](path)}\n`);
else await main();
