// A WASI command in your process: node:wasi, unchanged, over an instance of ours, because its memory is a real WebAssembly.Memory.
import { WASI } from 'node:wasi';
import { load } from 'wasm-aot';
import { compile } from './assemble.mjs';

const path = await compile(`(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\10\\00\\00\\00") (data (i32.const 16) "hello from WASI\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) ;; one buffer of 16 bytes at 16, to standard output
    (drop (call $sizes (i32.const 40) (i32.const 44)))
    (call $exit (i32.load (i32.const 40)))))`);

const wasi = new WASI({ version: 'preview1', args: ['guest', 'one', 'two'], returnOnExit: true });
const instance = load(path).instantiate(wasi.getImportObject(), { fuel: 10_000 });
const code = wasi.start(instance);
console.log(`exit code ${code}, ${instance.fuel.consumed} fuel`);

/* Prints:
hello from WASI
exit code 3, 12 fuel
*/
