/** The fuel law (ARCHITECTURE.md, README.md), clause by clause. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseCostTable } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { type Instance, OutOfFuel, Trap } from '../../loader/index.js';
import { assemble, closeCompiler, loadText } from '../loader/wat.js';
import { COUNTER, injectMetering } from './inject.js';

type Func = (...args: unknown[]) => unknown;
const func = (instance: Instance, name = 'f') => instance.exports[name] as Func;
const trapOf = (run: () => unknown): Error => {
  try {
    run();
  } catch (error) {
    return error as Error;
  }
  return assert.unreachable('nothing was thrown') as never;
};

/** Small modules with a call, and the fuel that it takes by the law. wasmtime 50 (`consume_fuel`) reports the same for all but the last, where it charges each byte. */
const COUNTED: readonly { name: string; text: string; args: unknown[]; consumed: bigint }[] = [
  { name: 'operators cost 1, entry costs 1', text: '(func (export "f") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)', args: [1, 2], consumed: 4n },
  { name: 'nop, drop, block, loop, return, else, end cost 0', text: '(func (export "f") nop block end loop end i32.const 1 drop return)', args: [], consumed: 2n },
  {
    name: 'recursion', args: [10n], consumed: 105n,
    text: '(func $f (export "f") (param i64) (result i64) local.get 0 i64.eqz if (result i64) i64.const 1 else local.get 0 local.get 0 i64.const 1 i64.sub call $f i64.mul end)',
  },
  {
    name: 'a loop', args: [100], consumed: 902n,
    text: `(func (export "f") (param i32) (result i32) (local i32) loop local.get 1 i32.const 3 i32.add local.set 1 local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end local.get 1)`,
  },
  {
    name: 'call_indirect', args: [1], consumed: 7n,
    text: `(table 2 funcref) (elem (i32.const 0) $a $b) (type $t (func (result i32))) (func $a (result i32) i32.const 7) (func $b (result i32) i32.const 8 i32.const 1 i32.add)
      (func (export "f") (param i32) (result i32) local.get 0 call_indirect (type $t))`,
  },
  {
    name: 'br_table, and code that is never reached', args: [1], consumed: 4n,
    text: '(func (export "f") (param i32) (result i32) block block block local.get 0 br_table 0 1 2 end i32.const 10 return end i32.const 20 return i32.const 99 drop end i32.const 30)',
  },
  { name: 'br_if with a value, not taken', text: '(func (export "f") (param i32) (result i32) block (result i32) i32.const 5 local.get 0 br_if 0 drop i32.const 6 i32.const 7 i32.add end)', args: [0], consumed: 7n },
  { name: 'if without else', text: '(func (export "f") (param i32) (result i32) local.get 0 if i32.const 9 local.set 0 end local.get 0)', args: [0], consumed: 4n },
  { name: 'select', text: '(func (export "f") (param i32) (result i32) i32.const 1 i32.const 2 local.get 0 select)', args: [1], consumed: 5n },
  { name: 'bulk operators cost 1 by default', text: '(memory 1) (func (export "f") i32.const 0 i32.const 7 i32.const 1000 memory.fill i32.const 2000 i32.const 0 i32.const 1000 memory.copy)', args: [], consumed: 9n },
];

for (const { name, text, args, consumed } of COUNTED) {
  test(`clause 1 and 2, the default table: ${name}`, async () => {
    for (const optLevel of [0, 1, 2, 3] as const) {
      const instance = (await loadText(`(module ${text})`, { optLevel })).instantiate({}, { fuel: 1_000_000n });
      func(instance)(...args);
      assert.is(instance.fuel.consumed, consumed, `-O${optLevel}`);
      assert.is(instance.fuel.remaining, 1_000_000n - consumed);
    }
  });
}

test('clause 1: a price per unit, charged before the work', async () => {
  const costTable = parseCostTable('{"name": "bytes", "perUnit": {"memory.fill": 1, "memory.copy": 3, "memory.grow": 5, "table.fill": 7}}', 'bytes.json');
  const module = await loadText(`(module (memory 1 10) (table 10 externref)
    (func (export "fill") (param i32) i32.const 0 i32.const 7 local.get 0 memory.fill)
    (func (export "copy") (param i32) i32.const 2000 i32.const 0 local.get 0 memory.copy)
    (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
    (func (export "table") (param i32) i32.const 0 ref.null extern local.get 0 table.fill)
    (func (export "peek") (result i32) i32.const 0 i32.load8_u))`, { costTable });
  const spent = (name: string, ...args: unknown[]) => {
    const instance = module.instantiate({}, { fuel: 10_000_000n });
    try {
      func(instance, name)(...args);
    } catch (error) {
      assert.instance(error, Trap);
    }
    return instance.fuel.consumed;
  };
  assert.is(spent('fill', 1000), 5n + 1000n);
  assert.is(spent('copy', 1000), 5n + 3000n);
  assert.is(spent('grow', 2), 3n + 10n);
  assert.is(spent('grow', 100), 3n + 500n, 'a growth that fails has been charged');
  assert.is(spent('table', 4), 5n + 28n);
  assert.is(spent('fill', 100_000), 5n + 100_000n, 'a trap out of bounds has been charged');
  const poor = module.instantiate({}, { fuel: 500n });
  assert.instance(trapOf(() => func(poor, 'fill')(1000)), OutOfFuel);
  poor.fuel.add(1000n);
  assert.is(func(poor, 'peek')(), 0, 'the fill that could not be paid did not start');
});

test('clause 2: prices from a file', async () => {
  const costTable = parseCostTable('{"name": "mine", "cost": {"i32.add": 100, "local.get": 7, "nop": 3}}', 'mine.json');
  for (const optLevel of [0, 3] as const) {
    const module = await loadText('(module (func (export "f") (param i32 i32) (result i32) nop local.get 0 local.get 1 i32.add))', { costTable, optLevel });
    const instance = module.instantiate({}, { fuel: 1000 });
    assert.is(func(instance)(1, 2), 3);
    assert.is(instance.fuel.consumed, 1n + 3n + 14n + 100n);
    assert.equal(module.manifest.costTable, { name: 'mine', sha256: costTable.sha256 });
  }
});

test('clause 2: prices beyond one immediate', async () => {
  const costTable = parseCostTable(`{"name": "dear", "cost": {"i32.const": ${2 ** 31 - 1}}}`, 'dear.json');
  const instance = (await loadText('(module (func (export "f") i32.const 1 i32.const 2 i32.const 3 drop drop drop))', { costTable })).instantiate({}, { fuel: 2n ** 62n });
  func(instance)();
  assert.is(instance.fuel.consumed, 1n + 3n * (2n ** 31n - 1n));
});

/** Every kind of trap, in the middle of a line of code: what is before it and itself is paid, what is behind it is not. */
const TRAPS: readonly { code: string; text: string; consumed: bigint }[] = [
  { code: 'unreachable', text: '(func (export "f") i32.const 1 drop unreachable i32.const 2 drop)', consumed: 2n },
  { code: 'integer_divide_by_zero', text: '(func (export "f") (result i32) i32.const 1 i32.const 0 i32.div_s i32.const 5 i32.add)', consumed: 4n },
  { code: 'integer_divide_by_zero', text: '(func (export "f") (result i64) i64.const 1 i64.const 0 i64.rem_u i64.const 5 i64.add)', consumed: 4n },
  { code: 'integer_overflow', text: '(func (export "f") (result i32) i32.const -2147483648 i32.const -1 i32.div_s i32.const 5 i32.add)', consumed: 4n },
  { code: 'integer_overflow', text: '(func (export "f") (result i32) f32.const 1e10 i32.trunc_f32_s i32.const 1 i32.add)', consumed: 3n },
  { code: 'invalid_conversion_to_integer', text: '(func (export "f") (result i32) f64.const nan i32.trunc_f64_u i32.const 1 i32.add)', consumed: 3n },
  { code: 'out_of_bounds_memory_access', text: '(memory 1) (func (export "f") (result i32) i32.const 65533 i32.load i32.const 1 i32.add i32.const 2 i32.add)', consumed: 3n },
  { code: 'out_of_bounds_memory_access', text: '(memory 1) (func (export "f") i32.const 0 i32.load drop i32.const 65536 i32.load drop i32.const 4 i32.load drop)', consumed: 5n },
  { code: 'out_of_bounds_memory_access', text: '(memory 1) (func (export "f") i32.const -1 i64.const 1 i64.store offset=4294967295 i32.const 1 drop)', consumed: 4n },
  { code: 'out_of_bounds_memory_access', text: '(memory 1) (func (export "f") i32.const 65000 i32.const 1 i32.const 1000 memory.fill i32.const 1 drop)', consumed: 5n },
  { code: 'out_of_bounds_table_access', text: '(table 2 funcref) (func (export "f") i32.const 2 table.get 0 drop i32.const 1 drop)', consumed: 3n },
  { code: 'undefined_element', text: '(table 2 funcref) (func (export "f") i32.const 2 call_indirect i32.const 1 drop)', consumed: 3n },
  { code: 'uninitialized_element', text: '(table 2 funcref) (func (export "f") i32.const 1 call_indirect i32.const 1 drop)', consumed: 3n },
  { code: 'indirect_call_type_mismatch', text: '(table funcref (elem $g)) (func $g (param i32)) (func (export "f") i32.const 0 call_indirect i32.const 1 drop)', consumed: 3n },
];

for (const [i, { code, text, consumed }] of TRAPS.entries()) {
  test(`clause 3: exact at traps: ${code} (${i})`, async () => {
    for (const options of [{ optLevel: 0 }, { optLevel: 2 }, { optLevel: 3 }, { optLevel: 2, fuel: 'sync' }] as BuildOptions[]) {
      const instance = (await loadText(`(module ${text})`, options)).instantiate({}, { fuel: 1000 });
      const error = trapOf(() => func(instance)());
      assert.instance(error, Trap);
      assert.is((error as Trap).code, code);
      assert.is(instance.fuel.consumed, consumed, JSON.stringify(options));
    }
  });
}

test('clause 3: exact at calls of imported functions', async () => {
  for (const optLevel of [0, 2] as const) {
    const module = await loadText(`(module (import "e" "h" (func $h (param i32) (result i32)))
      (func (export "f") (param i32) (local i32) loop local.get 1 call $h local.set 1 local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end))`, { optLevel });
    const seen: bigint[] = [];
    const instance: Instance = module.instantiate({ e: { h: (x: number) => { seen.push(instance.fuel.consumed); return x + 1; } } }, { fuel: 1000 });
    func(instance)(4);
    // Entry and two operators before the first call; eight a round after it.
    assert.equal(seen, [3n, 11n, 19n, 27n]);
    assert.is(instance.fuel.consumed, 33n);
  }
});

test('clause 4: exhaustion overrides a normal return, a trap and a call of the host', async () => {
  for (const [fuel, optLevel] of [['outband', 0], ['outband', 2], ['sync', 2]] as const) {
    const module = await loadText(`(module (import "e" "h" (func $h))
      (func (export "return") (result i32) i32.const 1 i32.const 2 i32.add)
      (func (export "trap") i32.const 1 drop unreachable)
      (func (export "host") i32.const 1 drop call $h))`, { fuel, optLevel });
    let called = 0;
    const run = (name: string, limit: bigint) => {
      const instance = module.instantiate({ e: { h: () => { called++; } } }, { fuel: limit });
      const error = trapOf(() => func(instance, name)());
      assert.instance(error, OutOfFuel, `${name} under ${limit}, ${fuel}`);
      assert.is((error as OutOfFuel).limit, limit);
      assert.is((error as OutOfFuel).consumed, limit, 'after out-of-fuel the reported consumption is the limit');
      assert.is(instance.fuel.consumed, limit);
      assert.is(instance.fuel.remaining, 0n);
    };
    for (const limit of [0n, 1n, 2n, 3n]) run('return', limit);
    for (const limit of [0n, 1n]) run('trap', limit);
    for (const limit of [0n, 1n, 2n]) run('host', limit);
    assert.is(called, 0, 'no host function ran for a guest that could not pay');
    const enough = module.instantiate({ e: { h: () => { called++; } } }, { fuel: 4n });
    assert.is(func(enough, 'return')(), 3, 'a limit that is just enough is enough');
    assert.is(enough.fuel.remaining, 0n);
  }
});

test('clause 4: exhaustion lasts until there is more fuel, also for outer activations whose host function keeps quiet about it', async () => {
  for (const [fuel, optLevel] of [['outband', 0], ['outband', 2], ['sync', 2]] as const) {
    const module = await loadText(`(module (import "e" "h" (func $h)) (memory (export "memory") 1)
      (func (export "outer") call $h)
      (func (export "forever") loop br 0 end)
      (func (export "free") nop)
      (export "host" (func $h)))`, { fuel, optLevel });
    let refuel = () => {};
    let nested = true;
    const { exports, fuel: budget } = module.instantiate({ e: { h: () => {
      if (!nested) return;
      assert.instance(trapOf(() => exports.forever()), OutOfFuel);
      assert.is(budget.consumed, budget.limit);
      const error = trapOf(() => exports.free());
      assert.instance(error, OutOfFuel, 'a new call does not begin');
      assert.is((error as OutOfFuel).overshoot, budget.overshoot);
      refuel();
    } } }, { fuel: 1000n });
    assert.instance(trapOf(() => exports.outer()), OutOfFuel, `${fuel} -O${optLevel}`);
    assert.is(budget.consumed, 1000n);
    nested = false;
    for (const name of ['host', 'outer', 'free']) assert.instance(trapOf(() => exports[name]()), OutOfFuel, `a new call of ${name}`);
    budget.add(0);
    assert.instance(trapOf(() => exports.host()), OutOfFuel, 'nothing was added');
    budget.add(1);
    exports.free();
    assert.is(budget.remaining, 0n, 'what was added is there to the unit');
    exports.host();
    assert.is(budget.consumed, 1001n, 'at the limit, a host function that costs nothing can be called');
    nested = true;
    refuel = () => budget.add(5);
    budget.set(1000);
    exports.outer();
    assert.is(budget.remaining, 5n, 'the outer activation goes on with what it gets');
  }
});

test('clause 4: what the host sees does not depend on timing', async () => {
  const module = await loadText(`(module (import "e" "h" (func $h (param i32)))
    (func (export "f") (local i32) loop local.get 0 call $h local.get 0 i32.const 1 i32.add local.set 0 br 0 end))`);
  for (let i = 0; i < 20; i++) {
    const seen: number[] = [];
    const instance = module.instantiate({ e: { h: (x: number) => { seen.push(x); } } }, { fuel: 1000n + BigInt(i) });
    assert.instance(trapOf(() => func(instance)()), OutOfFuel);
    // 3 to the first call, 7 from one to the next.
    assert.is(seen.length, Math.floor((1000 + i - 3) / 7) + 1);
    assert.equal(seen, seen.map((_, n) => n));
  }
});

const ENDLESS = [
  ['br 0', '(func (export "f") loop br 0 end)'],
  ['a loop with work', '(memory 1) (func (export "f") (local i32) loop local.get 0 i32.const 1 i32.add local.tee 0 i32.const 255 i32.and i32.const 7 i32.store br 0 end)'],
  ['br_if', '(func (export "f") loop i32.const 1 br_if 0 end)'],
  ['br_table', '(func (export "f") loop i32.const 0 br_table 0 0 end)'],
  ['a loop in a called function', '(func $g loop br 0 end) (func (export "f") call $g)'],
  ['exponential recursion', '(func $g (param i32) local.get 0 if local.get 0 i32.const 1 i32.sub call $g local.get 0 i32.const 1 i32.sub call $g end) (func (export "f") i32.const 60 call $g)'],
  ['bulk work in a loop', '(memory 256) (func (export "f") loop i32.const 0 i32.const 1 i32.const 65536 memory.fill br 0 end)'],
] as const;

for (const [name, text] of ENDLESS) {
  test(`clause 5: endless code stops: ${name}`, async () => {
    for (const options of [{ optLevel: 0 }, { optLevel: 2 }, { optLevel: 3 }, { optLevel: 2, fuel: 'sync' }] as BuildOptions[]) {
      const instance = (await loadText(`(module ${text})`, options)).instantiate({}, { fuel: 100_000n });
      const error = trapOf(() => func(instance)());
      assert.instance(error, OutOfFuel);
      assert.is((error as OutOfFuel).consumed, 100_000n);
    }
  });
}

test('clause 5: a cost table under which a loop could be free is refused', () => {
  for (const name of ['br', 'br_if', 'br_table']) {
    assert.throws(() => parseCostTable(`{"name": "free", "cost": {"${name}": 0}}`, 'free.json'), new RegExp(`${name}`));
  }
});

test('--fuel sync stops at a deterministic place', async () => {
  const module = await loadText('(module (global $n (export "n") (mut i32) (i32.const 0)) (func (export "f") loop global.get $n i32.const 1 i32.add global.set $n br 0 end))', { fuel: 'sync' });
  const rounds = () => {
    const instance = module.instantiate({}, { fuel: 1000 });
    assert.instance(trapOf(() => func(instance)()), OutOfFuel);
    return (instance.exports.n as { value: number }).value;
  };
  const first = rounds();
  assert.is(first, 200);
  for (let i = 0; i < 50; i++) assert.is(rounds(), first);
});

test('--fuel none does not meter, and refuses a limit', async () => {
  const module = await loadText('(module (func (export "f") (result i32) i32.const 7))', { fuel: 'none' });
  const instance = module.instantiate({});
  assert.is(func(instance)(), 7);
  assert.is(instance.fuel.consumed, 0n);
  assert.throws(() => module.instantiate({}, { fuel: 10 }), /none/);
});

test('the start function is metered', async () => {
  const module = await loadText('(module (func $s loop br 0 end) (start $s))');
  assert.instance(trapOf(() => module.instantiate({}, { fuel: 1000 })), OutOfFuel);
  const cheap = await loadText('(module (func $s i32.const 1 drop) (start $s))');
  assert.is(cheap.instantiate({}, { fuel: 1000 }).fuel.consumed, 2n);
});

test('the oracle: the same counts as V8 gives on a module with a counter injected', async () => {
  for (const { text, args, consumed } of COUNTED) {
    const bytes = injectMetering(await assemble(`(module ${text})`));
    const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(bytes)));
    (instance.exports.f as Func)(...args);
    assert.is((instance.exports[COUNTER] as WebAssembly.Global).value, consumed);
  }
});

test.after(closeCompiler);
test.run();
