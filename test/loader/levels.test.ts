/** Artifacts with code for several CPU levels: the best that the CPU, and WASM_AOT_CPU, allow runs; results, fuel and stacks are those of every other level. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build, CompileError, type CpuLevel } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { readFunctionSymbols, readSections } from '../../loader/elf-sections.js';
import { load, type Module, OutOfFuel, Trap, wasmFrames } from '../../loader/index.js';
import { native } from '../../loader/native.js';
import { CPU_LEVEL_TABLE, CpuFeature, type CpuLevelName, cpuLevelFeatures } from '../../runtime-c/abi.js';
import { assemble, closeCompiler, compile } from './wat.js';

/** What levels compile differently: bits counted and rotated, floats rounded, loops that become vectors, SIMD; and every way into a function: calls, tables, references, start, host. */
const TEXT = `(module (import "" "host" (func $host (param i32) (result i32))) (memory (export "memory") 1) (data (i32.const 0) "levels of code")
  (type $t (func (param i32) (result i32))) (table 3 funcref) (elem (i32.const 0) $bits $host $fail) (global $started (mut i32) (i32.const 0)) (start $start)
  (func $start (global.set $started (i32.popcnt (i32.const 0x7777))))
  (func $bits (param i32) (result i32) (i32.add (i32.popcnt (local.get 0)) (i32.add (i32.ctz (local.get 0)) (i32.shl (i32.clz (local.get 0)) (i32.const 8)))))
  (func $fail (param i32) (result i32) (i32.add (i32.const 1) (i32.div_s (i32.const 7) (local.get 0))))
  (func (export "round") (param f64) (result f64) (f64.add (f64.nearest (local.get 0)) (f64.mul (f64.floor (local.get 0)) (f64.const 1e-3))))
  (func (export "sum") (param $n i32) (result i32) (local $i i32) (local $s i32)
    (loop $fill (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.mul (local.get $i) (i32.const 0x9e3779b1))) (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.set $i (i32.const 0))
    (loop $add (local.set $s (i32.add (local.get $s) (i32.load (i32.shl (local.get $i) (i32.const 2))))) (br_if $add (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
    (local.get $s))
  (func (export "lanes") (param i32) (result i32) (i32x4.extract_lane 2 (i32x4.mul (i32x4.splat (local.get 0)) (i32x4.max_u (v128.load (i32.const 16)) (i32x4.splat (i32.const 3))))))
  (func $through (export "through") (param i32 i32) (result i32) (i32.add (global.get $started) (call_indirect (type $t) (local.get 1) (local.get 0))))
  (func (export "spin") (param i32) (result i32) (loop $l (br_if $l (i32.popcnt (i32.const 1)))) (i32.const 0)))`;
/** A ring of tail calls, in LLVM's convention and with wrappers in C's. */
const TAIL = `(module (func $odd (param i32) (result i32) (if (result i32) (local.get 0) (then (return_call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
  (func $even (export "even") (param i32) (result i32) (if (result i32) (local.get 0) (then (return_call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.popcnt (i32.const 1))))))`;

/** Everything that one can see of a module's calls, but its CPU features; and of the code that trapped, the symbols. */
function observe(module: Module, tail: Module, path: string) {
  const log: unknown[] = [];
  const instance = module.instantiate({ '': { host: (x: number) => { log.push(['host', x, String(instance.fuel.consumed)]); return x ^ 5; } } }, { fuel: 10_000_000n });
  const { exports, fuel } = instance;
  const symbols = readFunctionSymbols(readSections(readFileSync(path)));
  const code = new Set<string>();
  for (const [name, ...args] of [['round', 2.5], ['round', -7.25], ['sum', 1000], ['sum', 17], ['lanes', 9], ['through', 0x00f0, 0], ['through', 3, 1], ['through', 2, 2], ['through', 0, 2], ['spin', 0]] as [string, ...number[]][]) {
    try {
      log.push([name, exports[name](...args), String(fuel.consumed)]);
    } catch (error) {
      if (error instanceof OutOfFuel) log.push([name, 'out of fuel', String(fuel.consumed)]);
      else {
        for (const place of native().backtrace()) if (typeof place === 'number') code.add(symbols.find(({ start, end }) => start <= place && place < end)?.name ?? '');
        log.push([name, (error as Trap).code, String(fuel.consumed), wasmFrames(error as Error)?.map(({ functionIndex, offset }) => [functionIndex, offset])]);
      }
    }
  }
  const other = tail.instantiate({}, { fuel: 1_000_000n });
  log.push(['even', other.exports.even(10_000), String(other.fuel.consumed)]);
  return { log, code: [...code].filter((name) => name.startsWith('through') || name.startsWith('fail')).sort() };
}

if (process.argv[2] === '--observe') {
  const [path, tailPath] = process.argv.slice(3);
  const module = load(path);
  process.stdout.write(JSON.stringify({ cpuFeatures: module.cpuFeatures, ...observe(module, load(tailPath), path) }));
  process.exit(0);
}

type Observed = ReturnType<typeof observe> & { cpuFeatures: string[] };
function observeAt(level: string, path: string, tail: string): Observed {
  const { stdout, stderr, status } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--observe', path, tail], { encoding: 'utf8', env: { ...process.env, WASM_AOT_CPU: level } });
  assert.is(status, 0, stderr);
  return JSON.parse(stdout);
}
async function compileBoth(options: BuildOptions): Promise<readonly [string, string]> {
  const tail = `${await compile(TEXT, options)}.tail.so`;
  writeFileSync(tail, (await build(await assemble(TAIL, { tail_call: true }), options)).artifact);
  return [tail.slice(0, -'.tail.so'.length), tail];
}

/** Whether this CPU has a level in full. */
const has = (level: CpuLevelName) => cpuLevelFeatures(level).every((name) => native().cpuFeatures >> BigInt(CpuFeature[name]) & 1n);
const LEVELS = CPU_LEVEL_TABLE.map(({ name }) => name).filter(has);

for (const options of [{}, { debug: true }, { optLevel: 0, fuel: 'sync' }] as BuildOptions[]) {
  test(`every level that the CPU has can be chosen, and all behave alike: ${JSON.stringify(options)}`, async () => {
    const all = CPU_LEVEL_TABLE.map(({ name }) => name);
    const [fat, fatTail] = await compileBoth({ ...options, cpu: all });
    const plain = observeAt('', ...await compileBoth({ ...options, cpu: 'v2' }));
    assert.ok(plain.log.length > 8);
    for (const level of LEVELS) {
      const seen = observeAt(level, fat, fatTail);
      assert.equal(seen.log, plain.log, level);
      assert.equal([...seen.cpuFeatures].sort(), cpuLevelFeatures(level).sort());
      // And it is that level's code: the least has the plain symbols.
      assert.ok(seen.code.length > 0);
      assert.equal(seen.code.map((name) => / \[(v\d)\]/.exec(name)?.[1] ?? 'v2'), seen.code.map(() => level));
    }
    // Without a limit, and with one above the CPU, the best that there is.
    for (const level of ['', 'v4']) assert.equal([...observeAt(level, fat, fatTail).cpuFeatures].sort(), cpuLevelFeatures(LEVELS.at(-1) as CpuLevelName).sort());
  });
}

test('what no level allows is refused, as is a wrong limit', async () => {
  const path = await compile('(module)', { cpu: ['v3', 'v4'] });
  const run = (level: string) => spawnSync(process.execPath, ['--input-type=module', '-e', `import { load } from ${JSON.stringify(new URL('../../loader/index.js', import.meta.url).href)};
    try { load(${JSON.stringify(path)}); console.log('loaded'); } catch (error) { console.log(error.name, error.kind, error.message); }`], { encoding: 'utf8', env: { ...process.env, WASM_AOT_CPU: level } }).stdout;
  assert.match(run('v2'), /^ArtifactError cpu .*needs CPU features that this machine lacks, or that WASM_AOT_CPU forbids: .*\bavx2\b/);
  assert.match(run('v5'), /^TypeError undefined the environment variable WASM_AOT_CPU must be v2, v3 or v4/);
});

test('levels are in order whatever order they are given in, the manifest lists them, and nonsense is refused', async () => {
  const path = await compile('(module (func (export "f")))', { cpu: ['v3', 'v2', 'v3'] });
  const { target } = load(path).manifest;
  assert.equal([target.cpu, target.features, target.levels], ['x86-64-v2', cpuLevelFeatures('v2'), [{ cpu: 'x86-64-v3', features: cpuLevelFeatures('v3') }]]);
  assert.equal(readFileSync(path), readFileSync(await compile('(module (func (export "f")))', { cpu: ['v2', 'v3'] })), 'the same bytes');
  const bytes = await assemble('(module)');
  for (const cpu of [[], ['v2', 'native'], ['baseline', 'v3'], ['v2', 'v9'], 'v9'] as (CpuLevel | CpuLevel[])[]) {
    await build(bytes, { cpu }).then(() => assert.unreachable(), (error) => assert.ok(error instanceof CompileError && error.errors[0].kind === 'usage', String(error)));
  }
});

test('a function whose name ends like a level\'s symbol is itself', async () => {
  const { f, g } = load(await compile('(module (func $g (export "g") (result i32) (i32.const 1)) (func (export "f") (result i32) (i32.const 2)) (func $x (export "g [v3]") (result i32) (i32.const 3)))', { cpu: ['v2', 'v3'] }))
    .instantiate().exports;
  assert.equal([f(), g()], [2, 1]);
});

test.after(closeCompiler);
test.run();
