// Fuel: a limit, the exact bill, running out, and buying more from within a host function.
import { load, OutOfFuel } from 'wasm-aot';
import { parseCostTable } from 'wasm-aot/compiler';
import { compile } from './assemble.mjs';

const GUEST = `(module
  (import "host" "tick" (func $tick))
  (func (export "square") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
  (func (export "forever") (loop (br 0)))
  (func (export "ticks") (loop (call $tick) (br 0))))`;
const path = await compile(GUEST);
const idle = { host: { tick() {} } };

const instance = load(path).instantiate(idle, { fuel: 1000 });
instance.exports.square(12);
console.log('square costs', instance.fuel.consumed); // 1 for the call, and one each for two local.gets and the multiplication

try {
  instance.exports.forever();
} catch (error) {
  if (!(error instanceof OutOfFuel)) throw error;
  console.log(`stopped: ${error.consumed} of ${error.limit}`);
}

// Pay as you go: the host function sees an exact bill, and may raise the limit.
let ticks = 0;
const paying = load(path).instantiate({ host: { tick() { if (++ticks < 1000) paying.fuel.add(2); } } }, { fuel: 10 });
try {
  paying.exports.ticks();
} catch (error) {
  console.log(`${error.name} after ${ticks} ticks and ${error.consumed} fuel`);
}

// Prices of your own. They are compiled in; the artifact names the table and its hash.
const dear = await compile(GUEST, { costTable: parseCostTable('{ "name": "dear", "cost": { "i32.mul": 500 } }') });
const module = load(dear);
const other = module.instantiate(idle);
other.exports.square(12);
console.log(`with the table ${module.manifest.costTable.name}, square costs`, other.fuel.consumed);

/* Prints:
square costs 4n
stopped: 1000 of 1000
OutOfFuel after 1004 ticks and 2008 fuel
with the table dear, square costs 503n
*/
