/**
 * Charges are paid together and late (compiler/llvm/codegen/place_charges.cc). In random control flow of which every step can be made the one that ends the activation, `consumed` there, at
 * each call of the host, and at the end is what V8 counts with an addition before each operator.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { type Instance, load } from '../../loader/index.js';
import { Random } from '../fuzz/random.js';
import { assemble, closeCompiler, compile } from '../loader/wat.js';
import { COUNTER, injectMetering } from './inject.js';
import { outcome } from './outcome.js';

const FUNCTIONS = 12;
const LEVELS = [0, 1, 2, 3] as const;

/** Writes one function `(param $at i32) (param $way i32) (result i32)`: step number `at` traps, the bits of `way` decide at branches. */
class FunctionWriter {
  steps = 0;
  private labels = 0;
  constructor(private readonly random: Random, private readonly self: number) {}

  body(): string {
    return `${this.block(3)} local.get $sum`;
  }

  private block(depth: number): string {
    return Array.from({ length: 2 + this.random.below(4) }, () => (depth > 0 && this.random.below(2) === 0 ? this.branching(depth - 1) : this.step())).join('\n');
  }

  /** Zero, but one when this step is to trap. */
  private ends(): string {
    return `(i32.eq (local.get $at) (i32.const ${this.steps++}))`;
  }

  private step(): string {
    const address = () => `(i32.add (i32.const ${this.random.below(4000) * 4}) (i32.mul ${this.ends()} (i32.const 0x7fff0000)))`;
    const sum = (value: string) => `(local.set $sum (i32.add (local.get $sum) ${value}))`;
    switch (this.random.below(8)) {
      case 0: return `(i32.store ${address()} (local.get $sum))`;
      case 1: return sum(`(i32.div_u (i32.const 1000) (i32.eqz ${this.ends()}))`);
      case 2: return `(if ${this.ends()} (then unreachable))`;
      case 3: return sum(`(call_indirect (type $unary) (local.get $sum) (i32.add (i32.const 0) (i32.mul ${this.ends()} (i32.const ${1 + this.random.below(3)}))))`);
      case 4: return `(call $host (i32.const ${this.steps}))`;
      case 5: return this.self > 0 ? `(if ${this.ends()} (then unreachable) (else ${sum(`(call $f${this.random.below(this.self)} (i32.const -1) (local.get $way))`)}))` : '(nop)';
      default: return sum(`(i32.load ${address()})`);
    }
  }

  private condition(): string {
    return `(i32.and (i32.shr_u (local.get $way) (i32.const ${this.random.below(12)})) (i32.const 1))`;
  }

  private branching(depth: number): string {
    const label = `$l${this.labels++}`;
    switch (this.random.below(6)) {
      case 0: return `(if ${this.condition()} (then ${this.block(depth)}))`;
      case 1: return `(if ${this.condition()} (then ${this.block(depth)}) (else ${this.block(depth)}))`;
      case 2: return `(block ${label} ${this.block(depth)} (br_if ${label} ${this.condition()}) ${this.block(depth)})`;
      case 3: return `(block ${label} ${this.block(depth)} (if ${this.condition()} (then ${this.step()} (return (local.get $sum)))) ${this.step()})`;
      case 4: {
        const counter = `$c${depth}`;
        return `(local.set ${counter} (i32.const ${1 + this.random.below(3)}))
          (loop ${label} ${this.block(depth)} (br_if ${label} (local.tee ${counter} (i32.sub (local.get ${counter}) (i32.const 1)))))`;
      }
      default: return `(block ${label} (block ${label}b (block ${label}a
        (br_table ${label}a ${label}b ${label} (i32.and (i32.shr_u (local.get $way) (i32.const ${this.random.below(12)})) (i32.const 3))))
        ${this.block(depth)} ${this.random.below(2) ? `(br ${label})` : ''}) ${this.block(depth)})`;
    }
  }
}

function writeModule(random: Random): { text: string; steps: number[] } {
  const steps: number[] = [];
  const functions = Array.from({ length: FUNCTIONS }, (_, i) => {
    const writer = new FunctionWriter(random, i);
    const body = writer.body();
    steps.push(writer.steps);
    return `(func $f${i} (export "f${i}") (param $at i32) (param $way i32) (result i32) (local $sum i32) (local $c0 i32) (local $c1 i32) (local $c2 i32) ${body})`;
  });
  // The table: a function of the type, one of another type, nothing; beyond its end there is a fourth way to fail.
  const text = `(module (type $unary (func (param i32) (result i32))) (import "m" "host" (func $host (param i32))) (memory (export "memory") 1)
    (table 3 funcref) (elem (i32.const 0) $next $f0)
    (func $next (type $unary) (i32.add (local.get 0) (i32.const 1))) ${functions.join('\n')})`;
  return { text, steps };
}

/** What can be seen of a call: its result or that it traps, and the fuel at each call of the host and at the end. */
function observe(run: (...args: number[]) => unknown, args: readonly number[], seen: bigint[], consumed: () => bigint): string {
  seen.length = 0;
  const before = consumed();
  const end = outcome(() => run(...args));
  return `${end}, fuel ${consumed() - before}, at calls of the host ${seen.map((at) => at - before).join(' ')}`;
}

test('random control flow: fuel at every trap, call of the host and return as on V8 with a counter', async () => {
  const random = new Random(20_261_125);
  const { text, steps } = writeModule(random);
  const seen: bigint[] = [];
  const oracle = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(injectMetering(await assemble(text)))), { m: { host: () => seen.push(counted()) } }).exports;
  const counted = () => (oracle[COUNTER] as WebAssembly.Global).value as bigint;
  const instances: Instance[] = [];
  for (const optLevel of LEVELS) {
    const instance: Instance = load(await compile(text, { optLevel })).instantiate({ m: { host: () => { seen.push(instance.fuel.consumed); } } });
    instances.push(instance);
  }
  let traps = 0;
  for (const [i, count] of steps.entries()) {
    for (let at = -1; at < count; at++) {
      for (let round = 0; round < 3; round++) {
        const args = [at, random.below(4096)];
        const expected = observe(oracle[`f${i}`] as () => unknown, args, seen, counted);
        if (expected.startsWith('trap')) traps++;
        for (const [level, instance] of instances.entries()) {
          assert.is(observe(instance.exports[`f${i}`] as () => unknown, args, seen, () => instance.fuel.consumed), expected, `f${i}(${args.join(', ')}) at -O${LEVELS[level]}`);
        }
      }
    }
  }
  assert.ok(traps > 200, `enough of them trap: ${traps}`);
});

test('small functions: each owes what it owes, whatever the one before did; and branches on what is loaded', async () => {
  const load1 = '(i32.load (local.get 0))';
  const bodies = [load1, load1, `(i32.add ${load1} ${load1})`, load1, '(drop (i32.load (i32.const 8))) unreachable', '(drop (i32.load (i32.const 8))) unreachable', load1,
    // The comparison of the branch reads memory itself: what is paid for the branch must not come before it.
    '(loop (br_if 0 (i32.load8_u (local.get 0)))) (i32.const 4)', `(loop (br_if 0 (i32.eq ${load1} (i32.const 77)))) (i32.const 4)`,
    // At -O0 the block between the conversion, of which only the trap is left, and the loop has no instruction, and yet has to pay.
    '(drop (i32.trunc_f32_u (f32.convert_i32_u (i32.shr_u (local.get 0) (i32.const 8))))) (loop (br_if 0 (i32.load8_u (local.get 0)))) (i32.const 4)'];
  const text = `(module (memory 1) ${bodies.map((body, i) => `(func (export "f${i}") (param i32) (result i32) ${body})`).join('\n')})`;
  const oracle = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(injectMetering(await assemble(text))))).exports;
  const counted = () => (oracle[COUNTER] as WebAssembly.Global).value as bigint;
  for (const optLevel of LEVELS) {
    const instance = load(await compile(text, { optLevel })).instantiate({});
    for (const i of bodies.keys()) {
      for (const address of [0, -1]) {
        const expected = observe(oracle[`f${i}`] as () => unknown, [address], [], counted);
        assert.is(observe(instance.exports[`f${i}`] as () => unknown, [address], [], () => instance.fuel.consumed), expected, `f${i}(${address}) at -O${optLevel}`);
      }
    }
  }
});

test('a loop with several exits pays once a turn: the rest is paid on the way out', async () => {
  const text = `(module (memory 1) (func (export "f") (param $at i32) (result i32)
    (block $out (loop $next
      (br_if $out (i32.eqz (i32.load8_u (local.get $at))))
      (br_if $out (i32.eqz (i32.load8_u offset=99 (local.tee $at (i32.add (local.get $at) (i32.const 1))))))
      (br_if $out (i32.eqz (i32.load8_u offset=999 (local.tee $at (i32.mul (local.get $at) (i32.add (local.get $at) (i32.const 3)))))))
      (br $next)))
    (local.get $at)))`;
  const { artifact } = await build(await assemble(text), { emit: 'asm', target: 'x86_64-unknown-linux-gnu' });
  const lines = Buffer.from(artifact).toString().split('\n').map((line) => line.trim());
  const loop = lines.flatMap((line, end) => {
    const start = lines.indexOf(`${/^j\w+\s+(\.LBB\w+)/.exec(line)?.[1]}:`);
    return start >= 0 && start < end ? [lines.slice(start, end)] : [];
  });
  assert.is(loop.length, 1, 'one jump back');
  assert.is(loop[0].filter((line) => line.includes('movzbl') || line.includes('cmpb')).length, 3, 'three accesses');
  assert.is(loop[0].filter((line) => /^leaq\s+-?\d+\(%rbp\), %rbp/.test(line)).length, 1);
});

test('what all ways out of a function do in the end costs each nothing of its own', async () => {
  const text = `(module (memory 1) (func (export "f") (param $at i32) (result i32)
    (block $out (loop $next
      (br_if $out (i32.eqz (i32.load8_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 7)) (then (local.set $at (i32.mul (local.get $at) (i32.load (local.get $at)))) (br $out)))
      (if (i32.eq (i32.load8_u offset=9 (local.get $at)) (i32.const 8)) (then (i32.store (local.get $at) (i32.const 3)) (br $out)))
      (br $next)))
    (i32.mul (i32.add (local.get $at) (i32.const 3)) (local.get $at))))`;
  const { artifact } = await build(await assemble(text), { emit: 'asm', target: 'x86_64-unknown-linux-gnu' });
  const code = /^f:\n(.*?)^\.Lfunc_end/ms.exec(Buffer.from(artifact).toString())?.[1] ?? '';
  const blocks = code.split(/^\.LBB\w+:/m), payments = (text: string) => text.match(/^\tleaq\t-?\d+\(%rbp\), %rbp/gm)?.length ?? 0;
  const last = blocks.filter((block) => block.includes('\tretq'));
  assert.is(last.length, 1, 'they meet');
  assert.match(last[0], /^\timull\t/m, 'and compute the result there');
  assert.is(payments(last[0]), 0, 'but have paid for it before');
  assert.is(payments(code), 5, 'each way out pays once, and each turn');
});

for (const optLevel of [2, 3] as const) test(`functions are inlined as without metering at -O${optLevel}`, async () => {
  const step = (i: number) => `(if (i32.and (local.get $n) (i32.const ${1 << i})) (then (i32.store offset=${i * 4} (local.get $at) (local.get $n))))`;
  const calls = async (fuel: 'outband' | 'none', steps: number) => {
    const text = `(module (memory 1) (func $inner (param $at i32) (param $n i32) ${Array.from({ length: steps }, (_, i) => step(i)).join(' ')})
      ${['a', 'b'].map((name) => `(func (export "${name}") (param i32 i32) (call $inner (local.get 0) (local.get 1)))`).join(' ')})`;
    const { artifact } = await build(await assemble(text), { emit: 'asm', target: 'x86_64-unknown-linux-gnu', optLevel, fuel });
    return Buffer.from(artifact).toString().match(/^\tcallq\t(?!\*)/gm)?.length ?? 0;
  };
  const sizes = Array.from({ length: 16 }, (_, i) => 1 + i), unmetered = await Promise.all(sizes.map((steps) => calls('none', steps)));
  assert.ok(new Set(unmetered).size > 1, `some are inlined and some are not: ${unmetered}`);
  assert.equal(await Promise.all(sizes.map((steps) => calls('outband', steps))), unmetered);
});

test.after(closeCompiler);
test.run();
