/**
 * The fuel register cannot be driven all the way round between two ticks (compiler/llvm/codegen/check_charges.cc): loops that are paid for at once and take no time, operators that are
 * very dear. The period is the longest there is, so that no tick comes to the rescue.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build, parseCostTable } from '../../compiler/index.js';
import { configure, type Instance, OutOfFuel } from '../../loader/index.js';
import { assemble, closeCompiler, loadText } from '../loader/wat.js';

configure({ tickUs: 1_000_000 });

/** Two operators each, within what still gets the level's full effort (compiler/emit/effort.ts). */
const ITERATION = 1_900;
/** A loop of 2^31 - 1 iterations, each of which costs much and does nothing, inside a loop of `$outer`. Constant or not, the inner loop vanishes. */
const nothing = (trips: string, name: string) => `(func (export "${name}") (param $outer i32) (param $n i32) (local $i i32)
  loop $o ${trips} local.set $i loop $l ${'i32.const 0 drop '.repeat(ITERATION)} local.get $i i32.const 1 i32.sub local.tee $i br_if $l end
    local.get $outer i32.const 1 i32.sub local.tee $outer br_if $o end)`;
const TRIPS = 2 ** 31 - 1;
const TEXT = `(module ${nothing('local.get $n', 'counted')} ${nothing(`i32.const ${TRIPS}`, 'constant')} ${nothing('i32.const 10000', 'short')}
  (func (export "sometimes") (param $outer i32) (param $n i32) (local $i i32) (local $p i32)
    loop $o i32.const 1000 local.set $i loop $l local.get $i local.get $n i32.and if ${'i32.const 0 drop '.repeat(ITERATION)} end local.get $i i32.const 1 i32.sub local.tee $i br_if $l end
      local.get $outer i32.const 1 i32.sub local.tee $outer br_if $o end))`;

/** Runs with a limit of 1000 and expects the one outcome that the law allows. */
function expectExhaustion(instance: Instance, name: string, ...args: number[]): void {
  instance.fuel.set(1000n);
  try {
    instance.exports[name](...args);
    assert.unreachable(`${name}(${args}) ended normally, ${instance.fuel.consumed} of 1000 consumed`);
  } catch (error) {
    assert.ok(error instanceof OutOfFuel && error.consumed === 1000n, `${name}(${args}): ${error}`);
  }
}

for (const optLevel of [2, 3] as const) {
  test(`work that takes no time cannot wrap the bill at -O${optLevel}`, async () => {
    const instance = (await loadText(TEXT, { optLevel })).instantiate();
    const once = BigInt(ITERATION + 5) * BigInt(TRIPS);
    const half = Number((1n << 63n) / once);
    for (const outer of [1, 2, half - 1, half + 1, Math.floor(half * 1.5), 2 * half - 1, 2 * half + 1, 3 * half]) {
      expectExhaustion(instance, 'counted', outer, TRIPS);
      expectExhaustion(instance, 'constant', outer, 0);
    }
    expectExhaustion(instance, 'short', 1000, 0);
    expectExhaustion(instance, 'sometimes', 1000, -1);
  });
}

test('the bill of such work is exact below the limit', async () => {
  const instance = (await loadText(TEXT, { optLevel: 2 })).instantiate();
  instance.fuel.set(2n ** 62n);
  instance.exports.counted(3, TRIPS);
  // A drop costs nothing. The function's entry costs 1, what is outside the inner loop 7 a time.
  assert.is(instance.fuel.consumed, 1n + 3n * (BigInt(ITERATION + 5) * BigInt(TRIPS) + 7n));
});

test('dear operators are looked at where they are charged', async () => {
  const costTable = parseCostTable(JSON.stringify({ name: 'dear', cost: { 'i32.add': 2 ** 31 - 1 } }), 'dear.json');
  const body = 'local.get $s i32.const 1 i32.add local.set $s '.repeat(200);
  const text = `(module (func (export "f") (param $n i32) (result i32) (local $s i32) loop $l ${body} local.get $n i32.const 1 i32.sub local.tee $n br_if $l end local.get $s))`;
  for (const optLevel of [0, 2] as const) {
    const instance = (await loadText(text, { optLevel, costTable })).instantiate();
    expectExhaustion(instance, 'f', 2_000_000_000);
  }
});

test('every dear charge is followed by a check, on AArch64 as well', async () => {
  for (const target of ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu']) {
    const ir = Buffer.from((await build(await assemble(TEXT), { target, optLevel: 2, emit: 'ir' })).artifact).toString();
    // Charges: an amount in a register that is not known to be small, as the bill of `sometimes` is; or a constant. How many there are depends on how often a target has loops unrolled.
    const small = new Set([...ir.matchAll(/attributes (#\d+) = \{.*"waot-small"/g)].map((match) => match[1]));
    assert.ok(small.size > 0);
    const isSmall = (line: string) => small.has(/ (#\d+)(,|$)/.exec(line)?.[1] ?? '');
    const dear = (line: string) => (/"(leaq \(%rbp,\$0\), %rbp|add x28, x28, \$0)", "r"/.test(line) && !isSmall(line)) || Number(/"i"\(i64 (\d+)\)/.exec(line)?.[1] ?? 0) > 2 ** 24;
    const lines = ir.split('\n');
    const charges = lines.flatMap((line, i) => (dear(line) ? [i] : []));
    assert.ok(charges.length >= 5, `${target}: ${charges.length}`);
    for (const i of charges) assert.match(lines.slice(i + 1, i + 4).join('\n'), /"(movq %rbp, \$0|mov \$0, x28)"[\s\S]*%exhausted\d* = icmp sgt i64 %fuel\d*, 0[\s\S]*br i1 %exhausted/, `${target}: ${lines[i]}`);
    assert.is(ir.match(/ubsantrap\(i8 64\)/g)?.length, charges.length);
  }
});

test.after(closeCompiler);
test.run();
