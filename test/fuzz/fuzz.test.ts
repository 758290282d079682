/** The fuzzer itself: a short, deterministic run; that it notices what differs; that the reducer reduces. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BuildOptions, type Compiler, openCompiler, parseCostTable } from '../../compiler/index.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { assemble } from '../loader/wat.js';
import { findBoundaries } from './boundaries.js';
import { checkModule, makeModule, planFor } from './check.js';
import { compareModule, DEFAULT_LEVEL, type Plan, planOf, showDifference } from './compare.js';
import { describe, parsePlan } from './failure.js';
import { findWasmOpt, generateModule, VECTORS } from './generate.js';
import { generateProgram } from './program.js';
import { Random } from './random.js';
import { reduceModule } from './reduce.js';
import { relaxModule } from './relax.js';
import { callsOf } from './session.js';

const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-fuzz-test-'));
let compiler: Compiler;
test.before(async () => { compiler = await openCompiler({ workers: 1 }); });
test.after(async () => {
  await compiler.close();
  rmSync(folder, { recursive: true, force: true });
});

const build = async (bytes: Uint8Array, options: BuildOptions) => (await compiler.build(bytes, options)).artifact;
const ONE_LEVEL: Plan = { ...planOf(1, 'each', 0), levels: [DEFAULT_LEVEL], fuel: 10_000n };
const LOOP = `(module (memory 1) (global (mut i32) (i32.const 0)) (func (export "f") (param i32 i32) (result i32) (local i32)
  loop local.get 0 local.get 1 i32.store local.get 0 i32.const 4 i32.add local.set 0 local.get 2 i32.const 3 i32.add local.set 2 local.get 1 i32.const 1 i32.sub local.tee 1 br_if 0 end
  local.get 2 global.set 0 local.get 2))`;

test('programs of loops agree with V8', async () => {
  for (const seed of [1, 2]) {
    const bytes = generateProgram(new Random(seed), 8);
    const { comparison, error, skipped } = await checkModule(bytes, planOf(seed, 'each'), compiler, folder);
    assert.is(error ?? skipped, undefined);
    assert.is(comparison?.difference && showDifference(comparison.difference), undefined, `seed ${seed}`);
    assert.ok((comparison?.runs ?? 0) > 150, `${comparison?.runs} runs`);
  }
});

if (findWasmOpt()) {
  test('random modules of binaryen agree with V8', async () => {
    const bytes = await makeModule('modules', 5, folder);
    const { comparison, error, skipped } = await checkModule(bytes as Uint8Array, planFor('modules', 5), compiler, folder);
    assert.is(error ?? skipped, undefined);
    assert.is(comparison?.difference && showDifference(comparison.difference), undefined);
  });

  test('random modules with relaxed vector operators are alike at all levels', async () => {
    const { bytes, relaxed } = relaxModule((await generateModule(new Random(9), folder, VECTORS)) as Uint8Array, new Random(9));
    assert.ok(relaxed >= 10, `${relaxed} relaxed operators`);
    const { comparison, error, skipped } = await checkModule(bytes, planFor('relaxed', 9), compiler, folder);
    assert.is(error ?? skipped, undefined);
    assert.is(comparison?.difference && showDifference(comparison.difference), undefined);
  });
}

test('the same seed gives the same program, and V8 finds it valid', () => {
  for (let seed = 1; seed < 60; seed++) {
    const bytes = generateProgram(new Random(seed), 12);
    assert.ok(WebAssembly.validate(bytes as BufferSource), `seed ${seed}`);
    assert.ok(Buffer.from(bytes).equals(generateProgram(new Random(seed), 12)), `seed ${seed}`);
  }
});

/** What is found when something else than the module is compiled. */
async function differenceWith(other: string, options: BuildOptions = {}): Promise<string> {
  const wrong = await assemble(other);
  const { difference } = await compareModule(await assemble(LOOP), ONE_LEVEL, async (bytes, given) => {
    // The state is exported from the module that is compiled, too: both have one memory and one global.
    const exposed = Buffer.from(bytes);
    const [from, to] = [Buffer.from(await assemble(LOOP)), Buffer.from(wrong)];
    const code = (of: Buffer) => of.subarray(of.lastIndexOf(0x0a, of.indexOf(Buffer.from([0x03, 0x40]))));
    assert.is(code(from).length, code(to).length);
    code(to).copy(exposed, exposed.indexOf(code(from)));
    return build(exposed, { ...given, ...options });
  }, folder);
  return difference?.text ?? 'nothing';
}

test('it notices wrong results, memory, globals, traps and fuel', async () => {
  assert.is(await differenceWith(LOOP), 'nothing');
  assert.match(await differenceWith(LOOP.replace('i32.const 3', 'i32.const 5')), /: \d+, instead of|: -?\d+ instead of/);
  assert.match(await differenceWith(LOOP.replace('local.get 0 local.get 1 i32.store ', 'local.get 0 local.get 2 i32.store ')), /memory 0 at \d+/);
  assert.match(await differenceWith(LOOP.replace('i32.store', 'i32.store offset=1')), /memory 0 at \d+|trap/);
  assert.match(await differenceWith(LOOP.replace('local.get 2 global.set 0', 'local.get 1 global.set 0')), /state /);
  const costTable = parseCostTable('{"name": "other", "cost": {"global.set": 2}}', 'other.json');
  assert.match(await differenceWith(LOOP, { costTable }), /consumed/);
});

test('boundaries are where a call begins to trap', async () => {
  const module = parseModule(await assemble(LOOP), { name: 'loop' });
  const ending = ({ args }: { args: readonly unknown[] }) => ((args[0] as number) + 4 * Math.max(1, args[1] as number) > 65536 ? 'trap' : 'result');
  const calls = [{ name: 'f', args: [1000, 100] }];
  const values = findBoundaries(module, calls, ending, new Random(4)).map((call) => call.args.join());
  assert.ok(values.includes('65136,100') && values.includes('65137,100'), values.join(' '));
  assert.ok(callsOf(module, 1, 3).flat().length === 3);
});

test('descriptions of failures are read as they were written', () => {
  const plan: Plan = { ...ONE_LEVEL, sessions: [[{ name: 'f', args: [1, -0, 2n, null, Number.POSITIVE_INFINITY] }]], limit: 12n };
  const difference = { level: DEFAULT_LEVEL, session: plan.sessions?.[0] ?? [], limit: 12n, text: 'this\nand that' };
  assert.equal(parsePlan(describe(plan, difference)), plan);
  assert.equal(parsePlan(describe(plan)), plan);
  assert.throws(() => parsePlan('colour blue'), /no line/);
});

test('the reducer keeps what it was asked to keep, and little else', async () => {
  const bytes = generateProgram(new Random(3), 6);
  // Looked for: a store of 64 bits, anywhere behind the names.
  const holds = async (candidate: Uint8Array) => Buffer.from(candidate).includes(Buffer.of(0x37, 0x00), Buffer.from(candidate).lastIndexOf('loop5'));
  assert.ok(await holds(bytes));
  const reduced = await reduceModule(bytes, holds, 0.2);
  assert.ok(await holds(reduced));
  assert.ok(WebAssembly.validate(reduced as BufferSource));
  assert.ok(reduced.length < bytes.length / 4, `${reduced.length} of ${bytes.length} bytes`);
});

test.run();
