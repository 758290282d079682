// Calling wasm and being called by it: numbers, 64-bit integers, several results, text through the memory.
import { load } from 'wasm-aot';
import { compile } from './assemble.mjs';

const path = await compile(`(module
  (import "host" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello from wasm")
  (func (export "greet") (call $log (i32.const 16) (i32.const 15)))
  (func (export "scale") (param i32 f64) (result f64) (f64.mul (f64.convert_i32_s (local.get 0)) (local.get 1)))
  (func (export "divmod") (param i64 i64) (result i64 i64)
    (i64.div_u (local.get 0) (local.get 1)) (i64.rem_u (local.get 0) (local.get 1))))`);

const module = load(path);
for (const { module: from, name, kind } of module.imports()) console.log(`it wants the ${kind} ${from}.${name}`);

const instance = module.instantiate({
  host: { log: (start, length) => console.log(new TextDecoder().decode(new Uint8Array(instance.exports.memory.buffer, start, length))) },
});
const { greet, scale, divmod } = instance.exports;
greet();
console.log(scale(3, 1.5));
console.log(divmod(10n ** 18n, 7n)); // 64-bit integers are BigInts, as in the WebAssembly JavaScript API

/* Prints:
it wants the function host.log
hello from wasm
4.5
[ 142857142857142857n, 1n ]
*/
