/**
 * Switches that come as chains of tables and comparisons, of which the compiler makes one again (compiler/llvm/codegen/sink_charges.cc): results, traps and fuel as on V8 with a counter injected, for every
 * number that a chain asks for, and those around.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build, parseCostTable } from '../../compiler/index.js';
import { load } from '../../loader/index.js';
import { assemble, closeCompiler, compile } from '../loader/wat.js';
import { COUNTER, injectMetering, wasmtimePrice } from './inject.js';
import { outcome } from './outcome.js';

type Func = (...args: number[]) => unknown;

const add = (value: number) => `local.get $r i32.const ${value} i32.add local.set $r`;
const equals = (value: number, arm: string, compare = 'eq') => `local.get $x i32.const ${value} i32.${compare} if ${arm} end`;
/** Dispatches by `$x - least` to the labels, and otherwise to the last of them. */
const table = (least: number, labels: string) => `local.get $x i32.const ${least} i32.sub br_table ${labels}`;
/** What the arms of a chain do; each then leaves it. Of the last three, the first traps beyond memory, the second always, the third lets the host look. */
const ARMS = `end ${add(1)} br $out end ${add(1)} local.get $r i32.const 3 i32.mul local.set $r br $out end ${add(1)} br $common
  end local.get $p i32.load local.set $r br $out end unreachable end local.get $r call $look local.set $r`;
const chain = (text: string) => `block $out block $common block $host block $trap block $load block $c block $b block $a ${text} br $common ${ARMS} br $out end ${add(1000)} end`;
const func = (name: string, body: string) => `(func (export "${name}") (param $x i32) (param $p i32) (result i32) (local $r i32) ${body} local.get $r)`;

/** Each of `$x` and an address. */
const CHAINS: Record<string, string> = {
  tables: chain(`block $next ${table(40, '$a $b $c $a $load $trap $host $next $b $common $next')} end block $next ${table(10, '$c $c $common $next $load $host $a $trap $next')} end
    ${equals(25, 'br $a')} ${equals(60, 'br $b')} ${equals(61, 'br $load')} ${equals(62, 'br $trap')} ${equals(63, 'br $host')}`),
  comparisons: chain([...'abcabc'].map((arm, i) => equals(3 + 5 * i, `br $${arm}`)).join(' ') + [50, 51, 52, 53].map((value, i) => ` ${equals(value, `br $${['load', 'trap', 'host', 'a'][i]}`)}`).join('')),
  // Arms that are not left: what was asked first is known when the next is asked.
  through: [3, 4, 9, 4, 30, 31].map((value) => equals(value, add(value))).join(' '),
  otherwise: chain(`${[3, 4, 9, 12, 30, 31].map((value) => `local.get $x i32.const ${value} i32.ne if`).join(' ')} br $a ${[1, 2, 3, 4, 5, 6].map((value) => `${add(value)} end`).join(' ')} ${equals(12, 'br $load')}`),
  // A comparison to which two ways lead, one of them from a range.
  shared: chain(`block $again block $next ${table(20, '$a $b $again $c $load $again $next')} end local.get $x i32.const 9 i32.sub i32.const 5 i32.lt_u br_if $again ${equals(40, 'br $again')} ${equals(41, 'br $trap')} ${equals(42, 'br $host')} br $b
    end ${equals(10, 'br $load')} ${equals(13, 'br $a')} ${equals(22, 'br $host')} ${equals(40, 'br $c')}`),
  // A range between tables, and ways that say no.
  range: chain(`block $next ${table(40, '$a $b $c $a $load $trap $host $next')} end block $next local.get $x i32.const 9 i32.sub i32.const 5 i32.lt_u br_if $load ${table(20, '$c $c $a $next $trap $host $next')} end ${equals(2, 'br $b')}`),
  // Each way brings a number of its own to where they meet.
  meeting: `block $out (result i32) i32.const 7 block $other (param i32) (result i32) block $next (param i32) (result i32) ${table(5, '$out $next $out $other $next')} end
    i32.const 1 i32.add ${table(30, '$out $other $other $out $other')} end i32.const 2 i32.mul end local.set $r `
    + [2, 6, 9, 31].map((value) => `local.get $x i32.const ${value} i32.eq if (result i32) i32.const ${value} else local.get $r end local.set $r`).join(' '),
  // The same comparisons in each turn of a loop.
  turns: `i32.const 3 local.set $r loop $l ${[1, 2, 4, 8].map((value) => equals(value, `${add(value)} local.get $x i32.const 1 i32.shl local.set $x br $l`)).join(' ')} ${equals(16, 'local.get $p i32.load local.set $x')} end`,
};
const TEXT = `(module (import "env" "look" (func $look (param i32) (result i32))) (memory (export "memory") 1 1) ${Object.entries(CHAINS).map(([name, body]) => func(name, body)).join('\n')})`;

/** Calls each chain with every number, and an address within memory or beyond, at each level; `dear` prices all comparisons for equality. */
async function compareWithV8(dear?: number) {
  const price = (name: string) => (name === 'i32.eq' && dear !== undefined ? dear : wasmtimePrice(name));
  const costTable = dear === undefined ? undefined : parseCostTable(`{"name": "dear", "cost": {"i32.eq": ${dear}}}`, 'dear.json');
  const looked: [number, bigint][] = [];
  const bytes = Uint8Array.from(injectMetering(await assemble(TEXT), price));
  const counted: WebAssembly.Exports = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { look: (r: number) => r + looked.push([r, (counted[COUNTER] as WebAssembly.Global).value as bigint]) } }).exports;
  const counter = counted[COUNTER] as WebAssembly.Global;
  const seen = new Map<string, number>();
  for (const optLevel of [0, 1, 2, 3] as const) {
    let notes: [number, bigint][] = [];
    const instance = load(await compile(TEXT, { optLevel, costTable })).instantiate({ env: { look: (r: number) => r + notes.push([r, instance.fuel.consumed]) } });
    for (const name of Object.keys(CHAINS)) {
      for (let x = -2; x < 70; x++) {
        for (const address of [16, 65_534]) {
          looked.length = 0;
          notes = [];
          const before = counter.value as bigint, spent = instance.fuel.consumed;
          const expected = outcome(() => (counted[name] as Func)(x, address));
          const where = `${name}(${x}, ${address}) at level ${optLevel}`;
          assert.is(outcome(() => (instance.exports[name] as Func)(x, address)), expected, where);
          assert.is(instance.fuel.consumed - spent, (counter.value as bigint) - before, `fuel of ${where}`);
          assert.equal(notes.map(([r, fuel]) => [r, fuel - spent]), looked.map(([r, fuel]) => [r, fuel - before]), `what the host saw of ${where}`);
          const kind = expected === 'trap' ? 'trap' : notes.length > 0 ? 'host' : 'result';
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
      }
    }
  }
  assert.ok(['trap', 'host', 'result'].every((kind) => (seen.get(kind) ?? 0) > 30), `all outcomes are met: ${JSON.stringify([...seen])}`);
}

test('chains of comparisons: results, traps and fuel as on V8 with a counter', () => compareWithV8());

test('the same with charges of which no two can be one', () => compareWithV8(2 ** 30 + 5));

for (const optLevel of [2, 3] as const) test(`a chain of comparisons becomes one switch at -O${optLevel}, with charges as without`, async () => {
  const count = async (name: string, fuel: 'outband' | 'none', pattern: RegExp) => {
    const text = `(module (import "env" "look" (func $look (param i32) (result i32))) (memory 1 1) ${func(name, CHAINS[name])})`;
    const ir = Buffer.from((await build(await assemble(text), { optLevel, emit: 'ir', fuel })).artifact).toString();
    return ir.match(pattern)?.length ?? 0;
  };
  for (const name of ['tables', 'comparisons', 'range']) {
    for (const [what, pattern] of [['switches', /^\s+switch /gm], ['comparisons', /icmp (?:eq|ne) i32/g]] as const) {
      assert.is(await count(name, 'outband', pattern), await count(name, 'none', pattern), `${what} of ${name}`);
    }
  }
});

test.after(closeCompiler);
test.run();
