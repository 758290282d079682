/** node:wasi works over a wasm-aot instance, because its memory is V8's. */
import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { closeCompiler, compile } from './wat.js';

const path = await compile(`(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (data (i32.const 64) "hello from wasm\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 16))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (drop (memory.grow (i32.const 1)))
    (i32.store (i32.const 65536) (i32.const 64)) (i32.store (i32.const 65540) (i32.const 5))
    (drop (call $write (i32.const 1) (i32.const 65536) (i32.const 1) (i32.const 8)))
    (call $exit (i32.add (i32.load (i32.const 16)) (i32.load (i32.const 8))))))`);

test('a WASI command writes, reads its arguments, grows its memory, and exits', () => {
  const script = `import { WASI } from 'node:wasi'; const { load } = await import(process.argv[1]);
    const wasi = new WASI({ version: 'preview1', args: ['a', 'b', 'c'], returnOnExit: true });
    const instance = load(process.argv[2]).instantiate({ wasi_snapshot_preview1: wasi.wasiImport }, { fuel: 10_000 });
    process.exitCode = wasi.start(instance);`;
  const run = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script, new URL('../../loader/index.js', import.meta.url).href, path], { encoding: 'utf8' });
  assert.is(run.stdout, 'hello from wasm\nhello', run.stderr);
  assert.is(run.status, 8);
});

test.after(closeCompiler);
test.run();
