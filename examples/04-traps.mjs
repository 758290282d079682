// Faults of a guest end one call, and nothing else: the process, other instances and the instance itself go on. A host function's exception passes through unchanged.
import { load, OutOfFuel, Trap } from 'wasm-aot';
import { compile } from './assemble.mjs';

const path = await compile(`(module
  (import "host" "refuse" (func $refuse))
  (memory 1)
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
  (func $deep (export "deep") (param i32) (result i32) (i32.add (local.get 0) (call $deep (i32.add (local.get 0) (i32.const 1)))))
  (func (export "forever") (loop (br 0)))
  (func (export "ask") (call $refuse)))`);

class Refused extends Error {}
const instance = load(path).instantiate({ host: { refuse() { throw new Refused('not for you'); } } });

function attempt(name, ...args) {
  instance.fuel.set(50_000_000);
  try {
    return instance.exports[name](...args);
  } catch (error) {
    if (error instanceof Trap) return `trap ${error.code}`;
    if (error instanceof OutOfFuel) return 'out of fuel';
    return `${error.constructor.name}: ${error.message}`;
  }
}

console.log('divide 7 by 2:', attempt('divide', 7, 2));
console.log('divide 7 by 0:', attempt('divide', 7, 0));
console.log('peek beyond the memory:', attempt('peek', 65_536));
console.log('recurse without end:', attempt('deep', 0));
console.log('loop without end:', attempt('forever'));
console.log('ask:', attempt('ask'));
console.log('divide 7 by 2, again:', attempt('divide', 7, 2));

/* Prints:
divide 7 by 2: 3
divide 7 by 0: trap integer_divide_by_zero
peek beyond the memory: trap out_of_bounds_memory_access
recurse without end: trap call_stack_exhausted
loop without end: out of fuel
ask: Refused: not for you
divide 7 by 2, again: 3
*/
