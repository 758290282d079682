/** The fuel API at its edges, and what happens when fuel runs out: exact bills, out-of-fuel at every kind of place, interruption. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Interrupted, OutOfFuel, Store } from '../../loader/index.js';
import { closeCompiler, loadText } from './wat.js';

const TEXT = `(module (import "" "host" (func $host (param i32)))
  (func (export "three") (result i32) (i32.add (i32.const 1) (i32.const 2)))
  (func (export "forever") (loop (br 0)))
  (func (export "hosts") (param i32) (loop (call $host (local.get 0)) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "trap") (result i32) (drop (i32.const 1)) unreachable))`;
const module = await loadText(TEXT);
const unmetered = await loadText(TEXT, { fuel: 'none' });
const imports = { '': { host: () => {} } };
const MAX = 2n ** 63n - 1n;

const isOutOfFuel = (limit: bigint) => (error: unknown): boolean =>
  error instanceof OutOfFuel && error instanceof WebAssembly.RuntimeError && error.limit === limit && error.consumed === limit && /out of fuel/.test(error.message);

test('amounts', () => {
  for (const good of [0, 0n, 1, -0, Number.MAX_SAFE_INTEGER, MAX]) assert.is(module.instantiate(imports, { fuel: good }).fuel.limit, BigInt(good));
  for (const bad of [-1, -1n, Number.NaN, 1.5, Infinity, -Infinity, 2 ** 53, MAX + 1n, -(2n ** 70n)]) {
    assert.throws(() => module.instantiate(imports, { fuel: bad }), (e: unknown) => e instanceof RangeError && /fuel/.test(e.message), String(bad));
  }
  for (const bad of ['5', true, {}, null, Symbol('x')]) assert.throws(() => module.instantiate(imports, { fuel: bad as never }), (e: unknown) => e instanceof TypeError && /fuel/.test(e.message));
  const { fuel } = module.instantiate(imports, { fuel: 10 });
  for (const method of ['add', 'set', 'charge'] as const) {
    for (const bad of [-1, Number.NaN, 1.5, -1n, MAX + 1n]) assert.throws(() => fuel[method](bad), (e: unknown) => e instanceof RangeError);
    for (const bad of ['5', undefined, null]) assert.throws(() => fuel[method](bad as never), (e: unknown) => e instanceof TypeError);
  }
  assert.is(fuel.limit, 10n);
});

test('without a limit it is 2^63-1, and adding saturates', () => {
  const { fuel, exports } = module.instantiate(imports);
  assert.is(fuel.limit, MAX);
  assert.is(exports.three(), 3);
  assert.is(fuel.consumed, 4n);
  assert.is(fuel.remaining, MAX - 4n);
  fuel.add(MAX);
  assert.is(fuel.limit, MAX);
});

test('the bill is exact, and a limit is enough at exactly the bill', () => {
  const instance = module.instantiate(imports, { fuel: 4n });
  assert.is(instance.exports.three(), 3);
  assert.is(instance.fuel.consumed, 4n);
  assert.is(instance.fuel.remaining, 0n);
  assert.throws(() => instance.exports.three(), isOutOfFuel(4n));
  assert.is(instance.fuel.consumed, 4n);
  instance.fuel.set(3n);
  assert.throws(() => instance.exports.three(), isOutOfFuel(3n));
  instance.fuel.set(8);
  assert.is(instance.exports.three() + instance.exports.three(), 6);
  const zero = module.instantiate(imports, { fuel: 0 });
  assert.throws(() => zero.exports.three(), isOutOfFuel(0n));
  zero.fuel.add(4);
  assert.is(zero.fuel.limit, 4n);
});

test('an endless loop ends soon after its limit, and the instance can go on with more fuel', () => {
  const instance = module.instantiate(imports, { fuel: 1_000_000n });
  const began = performance.now();
  assert.throws(() => instance.exports.forever(), isOutOfFuel(1_000_000n));
  assert.ok(performance.now() - began < 1000);
  instance.fuel.set(100n);
  assert.is(instance.exports.three(), 3);
});

test('exhaustion before a host call: the host is not called; the calls before are all seen', () => {
  const seen: number[] = [];
  const instance = module.instantiate({ '': { host: (n: number) => { seen.push(n); } } }, { fuel: 1_000_000 });
  instance.exports.hosts(10);
  const bill = instance.fuel.consumed;
  for (let limit = 0n; limit <= bill; limit++) {
    seen.length = 0;
    instance.fuel.set(limit);
    if (limit === bill) instance.exports.hosts(10);
    else assert.throws(() => instance.exports.hosts(10), isOutOfFuel(limit));
    // The function's entry and two operators come before the first call, seven operators lie between two calls.
    const between = (bill - 3n - 4n) / 9n;
    const expected = limit < 3n ? 0 : Number((limit - 3n) / between) + 1;
    assert.is(seen.length, Math.min(expected, 10), `limit ${limit} of ${bill}`);
  }
});

test('a host function can look, add, charge, and set', () => {
  const looks: bigint[] = [];
  let act = () => {};
  const instance = module.instantiate({ '': { host: () => { looks.push(instance.fuel.consumed); act(); } } }, { fuel: 1000 });
  instance.exports.hosts(2);
  assert.is(looks[0], 3n);
  const between = looks[1] - looks[0];
  assert.ok(between > 4n && between < 9n);
  act = () => instance.fuel.charge(10_000);
  assert.throws(() => instance.exports.hosts(3), isOutOfFuel(1000n));
  act = () => instance.fuel.add(between);
  instance.fuel.set(3);
  instance.exports.hosts(100_000);
  assert.is(instance.fuel.remaining >= 0n, true);
  act = () => { throw 'unchanged'; };
  instance.fuel.set(100);
  assert.throws(() => instance.exports.hosts(1), (e: unknown) => e === 'unchanged');
  act = () => { instance.fuel.charge(1000); throw 'overridden'; };
  assert.throws(() => instance.exports.hosts(1), isOutOfFuel(100n));
});

test('out of fuel overrides a trap, and a trap is billed to the operator', () => {
  const instance = module.instantiate(imports, { fuel: 2 });
  assert.throws(() => instance.exports.trap(), /unreachable/);
  assert.is(instance.fuel.consumed, 2n);
  instance.fuel.set(1);
  assert.throws(() => instance.exports.trap(), isOutOfFuel(1n));
});

test('instances of one store share its fuel', () => {
  const store = new Store({ fuel: 8 });
  const [a, b] = [module.instantiate(imports, { store }), module.instantiate(imports, { store })];
  assert.is(a.fuel, b.fuel);
  a.exports.three();
  b.exports.three();
  assert.throws(() => a.exports.three(), isOutOfFuel(8n));
  assert.throws(() => new Store({ fuel: -1 }), (e: unknown) => e instanceof RangeError);
  assert.throws(() => new Store({ foo: 1 } as never), /unknown option "foo"/);
});

test('a call into another store is billed to the store that was entered', async () => {
  const user = await loadText('(module (import "" "three" (func $f (result i32))) (func (export "twice") (result i32) (i32.add (call $f) (call $f))))');
  const a = module.instantiate(imports);
  const b = user.instantiate({ '': { three: a.exports.three } }, { fuel: 12 });
  assert.is(b.exports.twice(), 6);
  assert.is(b.fuel.consumed, 12n);
  assert.is(a.fuel.consumed, 0n);
  assert.throws(() => b.exports.twice(), isOutOfFuel(12n));
  assert.is(a.exports.three(), 3);
});

test('code that is not metered takes no limit', () => {
  assert.is(unmetered.instantiate(imports).exports.three(), 3);
  assert.throws(() => unmetered.instantiate(imports, { fuel: 100 }), (e: unknown) => e instanceof TypeError && /--fuel none/.test(e.message));
  assert.throws(() => unmetered.instantiate(imports, { store: new Store({ fuel: 5 }) }), /--fuel none/);
  unmetered.instantiate(imports, { store: new Store() });
});

test('an interrupted store', () => {
  const instance = module.instantiate({ '': { host: () => instance.store.interrupt() } });
  assert.throws(() => instance.exports.hosts(5), (e: unknown) => e instanceof Interrupted && e instanceof WebAssembly.RuntimeError);
  assert.throws(() => instance.exports.three(), (e: unknown) => e instanceof Interrupted);
  instance.store.clearInterrupt();
  assert.is(instance.exports.three(), 3);
});

test.after(closeCompiler);
test.run();
