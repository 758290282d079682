// Other people's code: each plugin has a budget, gets only the functions it is given, and cannot hold up the rest.
import { load, OutOfFuel, Trap } from 'wasm-aot';
import { compile } from './assemble.mjs';

const plugin = (body) => `(module (import "host" "emit" (func $emit (param i32)))
  (func (export "transform") (param $n i32) (local $i i32) ${body}))`;
const plugins = {
  countdown: await compile(plugin('(local.set $i (local.get $n)) (loop (call $emit (local.get $i)) (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))')),
  greedy: await compile(plugin('(loop (call $emit (local.get $i)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br 0))')),
  stuck: await compile(plugin('(loop (br 0))')),
  broken: await compile(plugin('(call $emit (i32.const 1)) unreachable')),
};

for (const [name, path] of Object.entries(plugins)) {
  const emitted = [];
  // Each instance is a store of its own: its fuel, its memory, its faults.
  const instance = load(path).instantiate({ host: { emit: (value) => { emitted.push(value); } } }, { fuel: 40 });
  let outcome = 'done';
  try {
    instance.exports.transform(3);
  } catch (error) {
    if (error instanceof OutOfFuel) outcome = 'out of fuel';
    else if (error instanceof Trap) outcome = error.message;
    else throw error;
  }
  console.log(`${name}: ${outcome}; ${instance.fuel.consumed} fuel; emitted ${emitted.join(' ') || 'nothing'}`);
}

/* Prints:
countdown: done; 24 fuel; emitted 3 2 1
greedy: out of fuel; 40 fuel; emitted 0 1 2 3 4 5
stuck: out of fuel; 40 fuel; emitted nothing
broken: unreachable; 3 fuel; emitted 1
*/
