/**
 * The fuel law's clause 3 across targets: a module compiled for AArch64 (run in qemu-user) and for x86-64, at several levels, gives the same results, the same fuel at
 * every point where the host can look, the same traps and the same memory.
 */
import binaryen from 'binaryen';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BuildOptions, CompileError, openCompiler, parseCostTable } from '../../compiler/index.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { functionType } from '../../compiler/wasm/types.js';
import { ArtifactError, load } from '../../loader/index.js';
import { readArtifact } from '../../loader/artifact.js';
import { CROSS_ARM64, CROSS_ARM64_TOOLS, NATIVE, type Toolchain, buildRuntime, missingTools, runAll, runArm64, sources } from '../c/build.js';
import { findWasmOpt, generateModule } from '../fuzz/generate.js';
import { Random } from '../fuzz/random.js';
import { assemble } from '../loader/wat.js';

const ARM64 = 'aarch64-unknown-linux-gnu';
const LEVELS: readonly BuildOptions[] = [{ optLevel: 0 }, { optLevel: 2 }];
const TIMEOUT_MS = 120_000;
/** Random modules to compare: each is compiled four times and run as often. Most of what binaryen makes imports more than functions, and is passed over. */
const ROUNDS = 1;

const TEXT = `(module
  (import "env" "note" (func $note (param i32) (result i32)))
  (memory (export "memory") 1 4) (table 5 funcref) (elem (i32.const 0) $fib $sum)
  (type $t (func (param i32) (result i32)))
  (global $g (mut i64) (i64.const 3))
  (func $fib (export "fib") (param i32) (result i32) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func $sum (export "sum") (param i32) (result i32) (local i32 i32) (loop
    (local.set 2 (i32.add (local.get 2) (i32.load (i32.and (i32.shl (local.get 1) (i32.const 2)) (i32.const 0xfffc)))))
    (i32.store (i32.and (i32.mul (local.get 1) (i32.const 28)) (i32.const 0xfffc)) (local.get 2))
    (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br_if 0 (i32.lt_u (local.get 1) (local.get 0)))) (i32.xor (local.get 2) (local.get 1)))
  (func (export "fill_words") (param $n i32) (local $i i32) (loop $l
    (i32.store (i32.shl (local.get $i) (i32.const 2)) (i32.mul (local.get $i) (i32.const 3)))
    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
  (func (export "sum_odd") (param $p i32) (param $n i32) (result i64) (local $sum i64) (loop $l
    (if (i32.and (i32.load8_u (local.get $p)) (i32.const 1)) (then (local.set $sum (i64.add (local.get $sum) (i64.load (local.get $p))))))
    (local.set $p (i32.add (local.get $p) (i32.const 1))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $sum))
  (func (export "indirect") (param i32 i32) (result i32) (call_indirect (type $t) (local.get 0) (local.get 1)))
  (func (export "switch") (param i32) (result i32) (block (block (block (br_table 0 1 2 (local.get 0))) (return (call $note (i32.const 10)))) (return (call $note (i32.const 20)))) (i32.const 30))
  (func (export "notes") (param i32) (result i32) (local i32) (loop (local.set 1 (i32.add (local.get 1) (call $note (local.get 0)))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "remainder") (param i64 i64) (result i64) (i64.rem_s (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i64) (i64.load offset=8 (local.get 0)))
  (func (export "forever") (loop (global.set $g (i64.add (global.get $g) (i64.const 1))) (br 0)))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
  (func (export "grow") (param i32) (result i32) (i32.add (memory.grow (local.get 0)) (memory.size)))
  (func (export "truncate") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "saturate") (param f64) (result i64) (i64.trunc_sat_f64_u (local.get 0)))
  (func (export "floats") (param f64 f64) (result f64) (f64.add (f64.max (local.get 0) (local.get 1)) (f64.nearest (f64.mul (f64.sqrt (local.get 0)) (f64.const 0.3)))))
  (func (export "bits") (param i64) (result i64) (i64.add (i64.popcnt (local.get 0)) (i64.add (i64.clz (local.get 0)) (i64.rotl (local.get 0) (i64.const 13)))))
  (func (export "pair") (param i64 i32) (result i32 i64) (local.get 1) (local.get 0))
  (func (export "stop") (drop (call $note (i32.const 1))) unreachable))`;

const CALLS = `fib 0x7fffffffffffffff 15
fib 20 15
sum 100000000 1000
sum 5000 1000
sum 0 1
fill_words 100000000 10000
fill_words 100000000 16385
fill_words 1000 16385
sum_odd 100000000 0 9000
sum_odd 100000000 65000 1000
sum_odd 1000 0 9000
indirect 1000 5 0
indirect 1000 5 1
indirect 1000 5 2
indirect 1000 5 5
indirect 1000 5 0xffffffff
switch 100 0
switch 100 1
switch 100 2
switch 100 0xffffffff
notes 1000 5
notes 20 5
divide 100 7 0xfffffffe
divide 100 5 0
divide 100 0x80000000 0xffffffff
divide 3 5 0
remainder 100 0x8000000000000000 0xffffffffffffffff
load 100 65520
load 100 65521
load 100 0xffffffff
forever 1000000
fill 100 10 500
fill 100 65530 7
grow 100 2
grow 100 9
truncate 100 0x41F0000000000000
truncate 100 0x7ff8000000000000
truncate 100 0xC000000000000000
saturate 100 0xC000000000000000
saturate 100 0x7ff0000000000000
floats 100 0x4059000000000000 0x3ff8000000000000
floats 100 0x8000000000000000 0x0
bits 100 0x00f0123456789abc
pair 100 5 7
stop 100
stop 4
`;

const missing = missingTools(CROSS_ARM64_TOOLS);
let directory = '';
let count = 0;
const compiler = await openCompiler({ workers: 1 });

/** Builds the program that calls exports, for one machine; returns its path. */
async function buildRunner(toolchain: Toolchain): Promise<string> {
  const folder = join(directory, toolchain.arch);
  mkdirSync(folder);
  const objects = await buildRuntime(folder, toolchain);
  const program = join(folder, 'run_export');
  await runAll([[toolchain.cc, '-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror', join(sources, 'run_export.c'), ...objects, '-o', program, '-pthread', '-ldl', '-lm']]);
  return program;
}

/** What the calls give, by target. */
async function outcome(bytes: Uint8Array, options: BuildOptions, calls: string): Promise<string> {
  const { artifact } = await compiler.build(bytes, options);
  const path = join(directory, `${count++}.so`);
  writeFileSync(path, artifact);
  const arm = options.target === ARM64;
  const program = join(directory, arm ? 'arm64' : 'x64', 'run_export');
  const { status, signal, stdout, stderr } = arm ? runArm64([program, path], TIMEOUT_MS, {}, calls) : spawnSync(program, [path], { encoding: 'utf8', input: calls, timeout: TIMEOUT_MS });
  assert.is(status, 0, `ended with ${signal ?? status}: ${stderr}`);
  return stdout;
}

async function compare(bytes: Uint8Array, options: BuildOptions, calls: string): Promise<string> {
  let expected: string | undefined;
  for (const level of LEVELS) {
    for (const target of [undefined, ARM64]) {
      const found = await outcome(bytes, { ...options, ...level, target }, calls);
      expected ??= found;
      assert.is(found, expected, `${target ?? 'x86-64'} at -O${level.optLevel}`);
    }
  }
  return expected ?? '';
}

/** Calls of every exported function of a module that imports functions only; undefined for others. */
function randomCalls(bytes: Uint8Array, random: Random): string | undefined {
  const module = parseModule(bytes, { name: 'random.wasm' });
  if (module.imports.length > 16 || module.imports.some((entry) => entry.desc.kind !== 'func')) return undefined;
  const functions = module.exports.filter(({ kind, name }) => kind === 'func' && /^\S+$/.test(name));
  const value = () => (random.below(2) ? random.below(16) : `0x${random.next().toString(16)}`);
  const lines = functions.map(({ name, index }) => {
    const { params } = functionType(module, module.funcs[index]);
    return params.every((type) => /^[if]/.test(type)) ? `${name} ${20_000 + random.below(20_000)} ${params.map(value).join(' ')}` : undefined;
  });
  return lines.filter((line) => line !== undefined).map((line) => `${line}\n`).join('');
}

test.before(() => { directory = mkdtempSync(join(tmpdir(), 'wasm-aot-targets-')); });
test.after(async () => {
  await compiler.close();
  rmSync(directory, { recursive: true, force: true });
});

test('an artifact for another machine is described, and refused', async () => {
  const { artifact } = await compiler.build(await assemble('(module (func (export "f") (result i32) i32.const 1))'), { target: ARM64 });
  const path = join(directory, 'foreign.so');
  writeFileSync(path, artifact);
  assert.is(readArtifact(path).manifest.target.triple, ARM64);
  assert.throws(() => load(path), (error: unknown) => error instanceof ArtifactError && error.kind === 'target');
});

test('targets and CPU levels that do not exist are refused', async () => {
  const bytes = await assemble('(module)');
  for (const options of [{ target: 'riscv64-unknown-linux-gnu' }, { target: ARM64, cpu: 'v3' }] as BuildOptions[]) {
    try {
      await compiler.build(bytes, options);
      assert.unreachable();
    } catch (error) {
      assert.ok(error instanceof CompileError && error.errors[0].kind === 'usage', String(error));
    }
  }
});

if (missing) {
  console.log(`skipped: comparing targets needs ${missing}`);
} else {
  test('the same outcomes and fuel on both, at every level', async () => {
    await Promise.all([buildRunner(NATIVE), buildRunner(CROSS_ARM64)]);
    const bytes = await assemble(TEXT);
    const outband = await compare(bytes, {}, CALLS);
    assert.match(outband, /import 0 at 3: 00000001\n/);
    assert.match(outband, /forever\(1000000\):\n {2}out of fuel, consumed 1000000\n/);
    assert.is(await compare(bytes, { fuel: 'sync' }, CALLS), outband);
  });

  test('calls through typed references, and null', async () => {
    const source = binaryen.parseText(`(module (import "env" "note" (func $note (param i32) (result i32))) (type $f (func (param i32) (result i32)))
      (table $t 3 (ref null $f)) (elem (table $t) (i32.const 0) (ref null $f) (ref.func $inc) (ref.func $note))
      (func $inc (type $f) (i32.add (local.get 0) (i32.const 1)))
      (func (export "call") (param i32 i32) (result i32) (call_ref $f (local.get 0) (table.get $t (local.get 1))))
      (func (export "tail") (param i32 i32) (result i32) (return_call_ref $f (local.get 0) (table.get $t (local.get 1))))
      (func (export "must") (param i32) (result i32) (call_ref $f (i32.const 9) (ref.as_non_null (table.get $t (local.get 0)))))
      (func (export "or") (param i32) (result i32) (call_ref $f (i32.const 5) (block $b (result (ref $f)) (br_on_non_null $b (table.get $t (local.get 0))) (ref.func $inc)))))`);
    source.setFeatures(binaryen.Features.ReferenceTypes | binaryen.Features.GC | binaryen.Features.TailCall);
    const found = await compare(source.emitBinary(), {}, ['call 100 4 0', 'call 100 4 1', 'call 100 4 2', 'tail 100 4 0', 'tail 100 4 1', 'tail 100 4 2', 'must 100 0', 'must 100 2', 'or 100 0', 'or 100 2', 'call 4 4 1', ''].join('\n'));
    for (const outcome of [/null function reference, consumed 5,/, / null reference, consumed 5,/, /out of fuel, consumed 4\n/]) assert.match(found, outcome);
    assert.is(found.match(/ok, consumed/g)?.length, 7, found);
  });

  test('tail calls: a million in constant stack, with the same fuel', async () => {
    const nine = Array.from({ length: 9 }, (_, i) => `(param $p${i} i64)`).join(' ');
    const pass = (by: number) => Array.from({ length: 9 }, (_, i) => `(local.get $p${(i + by) % 9})`).join(' ');
    const less = '(i32.sub (local.get $n) (i32.const 1))';
    // More arguments than registers on both machines, argument areas of different sizes, through a table, to the host, and a trap at the end.
    const bytes = await assemble(`(module (import "env" "note" (func $note (param i32) (result i32)))
      (type $one (func (param i32) (result i64))) (table $t 2 funcref) (elem (table $t) (i32.const 0) $few $indirect)
      (func $even (export "even") (param $n i32) ${nine} (result i64) (if (i32.eqz (local.get $n)) (then (return (local.get $p0)))) (return_call $odd ${less} ${pass(1)}))
      (func $odd (param $n i32) ${nine} (result i64) (return_call $even ${less} ${pass(3)}))
      (func $few (export "few") (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.const 7)))) (return_call $wide ${less} ${pass(0).replaceAll(/\(local\.get \$p(\d)\)/g, '(i64.const $1)')}))
      (func $wide (param $n i32) ${nine} (result i64) (if (i32.eqz (local.get $n)) (then unreachable)) (return_call $few ${less}))
      (func $indirect (export "indirect") (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.const 5)))) (return_call_indirect $t (type $one) ${less} (i32.const 1)))
      (func (export "host") (param i32) (result i32) (return_call $note (local.get 0))))`, { tail_call: true });
    const nines = '1 2 3 4 5 6 7 8 9';
    const found = await compare(bytes, {}, [`even 100000000 1000000 ${nines}`, `even 5000 1000000 ${nines}`, 'few 100000000 1000000', 'few 100000000 999999', 'indirect 100000000 1000000', 'host 100 3', 'host 2 3', ''].join('\n'));
    assert.match(found, /few\(100000000\):\n {2}unreachable, consumed/);
    assert.is(found.match(/ok, consumed/g)?.length, 4, found);
  });

  test('charges of every size', async () => {
    // Around the limits of an immediate of AArch64's add: 12 bits, 12 more, and what takes several instructions.
    const costs = { 'i32.add': 4095, 'i32.sub': 4096, 'i32.mul': 4097, 'i32.xor': 16_777_215, 'i32.or': 16_777_216, 'i32.and': 123_456_789, 'i32.shl': 0xfff000, 'i32.shr_u': 1_000_000_000 };
    const functions = Object.keys(costs).map((name) => `(func (export "${name}") (param i32 i32) (result i32) (${name} (local.get 0) (local.get 1)))`);
    // A loop whose bill is paid up front, from a register, and merged charges that no immediate of AArch64 holds.
    const loop = `(func (export "loop") (param $n i32) (result i32) (local $s i32) (loop $l (i32.store (i32.shl (local.get $n) (i32.const 2)) (local.get $s))
      (local.set $s (i32.xor (local.get $s) (i32.and (local.get $n) (i32.const 7)))) (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))`;
    const bytes = await assemble(`(module (memory (export "memory") 1) ${loop} (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0))) ${functions.join('')})`);
    const costTable = parseCostTable(JSON.stringify({ name: 'large', cost: costs, perUnit: { 'memory.fill': 1_000_003 } }), 'large.json');
    const calls = [...Object.entries(costs).flatMap(([name, cost]) => [`${name} 0x7fffffffffffffff 5 3\n`, `${name} ${cost + 2} 5 3\n`]), 'fill 0x7fffffffffffffff 65536\n', 'fill 1000 65536\n', 'loop 0x7fffffffffffffff 900\n', 'loop 123456789012 900\n'].join('');
    const found = await compare(bytes, { costTable }, calls);
    for (const [name, cost] of Object.entries(costs)) assert.ok(found.includes(`${name}(0x7fffffffffffffff):\n  ok, consumed ${cost + 3} `), `${name}\n${found}`);
  });

  test('a counted loop on AArch64 has a copy without charges', async () => {
    const ir = Buffer.from((await compiler.build(await assemble(TEXT), { target: ARM64, optLevel: 2, emit: 'ir' })).artifact).toString();
    const [fill] = /define[^\n]* @fill_words\([\s\S]*?\n}/.exec(ir) ?? [''];
    assert.match(fill, /store <4 x i32>/);
    assert.match(fill, /asm sideeffect "add x28, x28, \$0", "r"/);
  });

  const wasmOpt = findWasmOpt();
  if (!wasmOpt) console.log('skipped: random modules need the npm package binaryen');
  else {
    test('random modules', async () => {
      const random = new Random(20261124);
      let compared = 0;
      for (let tries = 0; compared < ROUNDS && tries < 10 * ROUNDS; tries++) {
        const bytes = await generateModule(random, directory);
        const calls = bytes && randomCalls(bytes, random);
        if (!bytes || !calls) continue;
        await compare(bytes, { nan: 'canonical' }, calls);
        compared++;
      }
      assert.is(compared, ROUNDS, 'too few modules could be compared');
    });
  }
}

test.run();
