/**
 * Interpreters, whose indirect jump the compiler repeats in each operation (compiler/llvm/codegen/repeat_dispatch.cc): results, traps, memory and fuel as on V8 with a counter injected, for
 * random bytecode.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { load } from '../../loader/index.js';
import { Random } from '../fuzz/random.js';
import { assemble, closeCompiler, compile } from '../loader/wat.js';
import { COUNTER, injectMetering } from './inject.js';
import { outcome } from './outcome.js';

type Func = (...args: number[]) => unknown;

const at = (depth: number) => `local.get $sp i32.const ${4 * depth} i32.sub`;
const move = (local: string, by: number) => `local.get ${local} i32.const ${by} i32.add local.set ${local}`;
const replaceTop = (value: string) => `${at(1)} ${value} i32.store`;
const operand = 'local.get $pc i32.load8_u';

/** What the operations do, by number; after each the loop goes on. */
const OPERATIONS: readonly string[] = [
  `local.get $sp ${operand} i32.store ${move('$sp', 4)} ${move('$pc', 1)}`,
  `${move('$sp', -4)} ${replaceTop(`${at(1)} i32.load local.get $sp i32.load i32.add`)}`,
  replaceTop(`${at(1)} i32.load i32.load`),
  `${move('$sp', -8)} local.get $sp i32.load local.get $sp i32.load offset=4 i32.store`,
  `${move('$sp', -4)} ${replaceTop(`${at(1)} i32.load local.get $sp i32.load i32.div_s`)}`,
  // Every jump back costs one of $n.
  `local.get $n i32.const 1 i32.sub local.tee $n i32.const 0 i32.gt_s if ${operand} local.set $pc else ${move('$pc', 1)} end`,
  `local.get $sp ${at(1)} i32.load i32.store ${move('$sp', 4)}`,
  replaceTop(`${at(1)} i32.load i32.const 65537 i32.mul`),
  `${at(1)} i32.load return`,
  'unreachable',
  `local.get $pc ${operand} i32.add local.set $pc`,
  `global.get $g ${at(1)} i32.load i32.xor global.set $g ${move('$sp', -4)}`,
];

/** The operation whose first number is `least`; those in `holes` are left to the default. */
function interpreter(name: string, least: number, holes: readonly number[], wrap: (opcode: string) => string): string {
  const labels = OPERATIONS.map((_, i) => (holes.includes(i) ? '$default' : `$op${i}`));
  const handlers = OPERATIONS.map((text, i) => `end ${holes.includes(i) ? '' : `${text} br $next`}`).join('\n');
  return `(func (export "${name}") (param $pc i32) (param $sp i32) (param $n i32) (result i32) (local $at i32)
    loop $next block $default ${OPERATIONS.map((_, i) => `block $op${OPERATIONS.length - 1 - i}`).join(' ')}
      local.get $pc local.tee $at i32.const 1 i32.add local.set $pc
      ${wrap('local.get $at i32.load8_u')} ${least > 0 ? `i32.const ${least} i32.sub` : ''} br_table ${labels.join(' ')} $default
    ${handlers} end ${replaceTop(`${at(1)} i32.load i32.const 5 i32.rotl`)} br $next end unreachable)`.replace(/end (\s*)end/g, 'end br $default end');
}

const INTERPRETERS = ['plain', 'shifted', 'holes', 'signed'] as const;
const TEXT = `(module (memory (export "memory") 1 1) (global $g (export "g") (mut i32) (i32.const 0))
  ${interpreter('plain', 0, [], (opcode) => opcode)}
  ${interpreter('shifted', 3, [], (opcode) => opcode)}
  ${interpreter('holes', 0, [4, 9], (opcode) => opcode)}
  ${interpreter('signed', 0, [], (opcode) => `${opcode} i32.extend8_s`)})`;

/** 256 bytes of code: most of it operations that need not trap. */
function randomCode(random: Random, least: number): Uint8Array {
  const opcode = () => random.pick([0, 0, 0, 0, 1, 6, 6, 7, 10, 11, 12, random.below(OPERATIONS.length + 1), random.below(OPERATIONS.length + 1)]) + least;
  return Uint8Array.from({ length: 256 }, () => (random.oneIn(60) ? random.below(256) : opcode()));
}

test('interpreters: results, traps, memory and fuel as on V8 with a counter', async () => {
  const oracle = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(injectMetering(await assemble(TEXT))))).exports;
  const counter = oracle[COUNTER] as WebAssembly.Global;
  const levels = await Promise.all(([0, 1, 2, 3] as const).map(async (optLevel) => load(await compile(TEXT, { optLevel })).instantiate()));
  const random = new Random(20_261_125);
  const seen = new Map<string, number>();
  for (const name of INTERPRETERS) {
    for (let round = 0; round < 150; round++) {
      const code = randomCode(random, name === 'shifted' ? 3 : 0);
      const args = [random.below(40), 32768 + 4 * random.below(3), 1 + random.below(200)];
      const prepare = (memory: WebAssembly.Memory) => new Uint8Array(memory.buffer).fill(0).set(code);
      prepare(oracle.memory as WebAssembly.Memory);
      const before = counter.value as bigint;
      const expected = outcome(() => (oracle[name] as Func)(...args));
      const consumed = (counter.value as bigint) - before;
      seen.set(expected === 'trap' ? 'trap' : 'result', (seen.get(expected === 'trap' ? 'trap' : 'result') ?? 0) + 1);
      for (const [level, instance] of levels.entries()) {
        const where = `${name}(${args.join(', ')}), code ${Buffer.from(code).toString('hex')}, at level ${level}`;
        prepare(instance.exports.memory as WebAssembly.Memory);
        const spent = instance.fuel.consumed;
        assert.is(outcome(() => (instance.exports[name] as Func)(...args)), expected, where);
        assert.is(instance.fuel.consumed - spent, consumed, `fuel of ${where}`);
        assert.ok(Buffer.compare(Buffer.from((instance.exports.memory as WebAssembly.Memory).buffer), Buffer.from((oracle.memory as WebAssembly.Memory).buffer)) === 0, `memory after ${where}`);
        assert.is((instance.exports.g as WebAssembly.Global).value, (oracle.g as WebAssembly.Global).value, `global after ${where}`);
      }
    }
  }
  assert.ok((seen.get('trap') ?? 0) > 100 && (seen.get('result') ?? 0) > 100, `both outcomes are met: ${JSON.stringify([...seen])}`);
});

test('each operation of an interpreter ends with a jump of its own', async () => {
  const asm = Buffer.from((await build(await assemble(TEXT), { optLevel: 2, emit: 'asm', target: 'x86_64-unknown-linux-gnu' })).artifact).toString();
  assert.ok((asm.match(/jmpq\s+\*%r/g)?.length ?? 0) > 8 * INTERPRETERS.length, 'most operations');
});

test.after(closeCompiler);
test.run();
