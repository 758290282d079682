/** `wasm-aot inspect`, for people and as JSON; and artifacts that are refused: 76, by every command that reads them. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildText, put, wasmAot } from './command.js';

const TEXT = `(module
  (import "env" "log" (func (param i32 f64))) (import "env" "base" (global i32)) (import "env" "table" (table 1 10 funcref))
  (memory (export "memory") 2 16) (global (export "counter") (mut i64) (i64.const 0))
  (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0)) (func $start) (start $start))`;
const so = await buildText('whole', TEXT, '-O1');
const bytes = readFileSync(so);
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

test('for people: target, options, prices, hashes, memories, imports, exports', async () => {
  const { status, stdout, stderr } = await wasmAot(['inspect', so]);
  assert.is(status, 0);
  assert.is(stderr, '');
  const wasm = readFileSync(so.replace(/\.so$/, '.wasm'));
  for (const line of [
    /^artifact {4}\S+whole\.so, [\d.]+ KiB$/m, new RegExp(`^sha256 {6}${sha256(bytes)}$`, 'm'), /^source {6}\S+whole\.wasm, \d+ B$/m, new RegExp(`^ {12}sha256 ${sha256(wasm)}$`, 'm'),
    /^target {6}x86_64-\S+linux\S*, cpu x86-64-v3$/m, /^needs {7}.*\bavx2\b/m, /^options {5}-O1, fuel outband, NaN native$/m, /^cost table {2}wasmtime-1, sha256 [0-9a-f]{64}$/m,
    /^made by {5}wasm-aot \d\S+, LLVM 22\.\S+, ABI \d+$/m, /^functions {3}2 defined, 1 imported; has a start function$/m,
    /^memories \(1\)\n {2}0: memory of 2\.\.16 pages$/m,
    /^imports \(3\)\n {2}"env" "log": func \(i32, f64\) -> \(\)\n {2}"env" "base": global i32\n {2}"env" "table": table of 1\.\.10 funcref$/m,
    /^exports \(3\)\n {2}"memory": memory of 2\.\.16 pages\n {2}"counter": global var i64\n {2}"swap": func \(i32, i64\) -> \(i64, i32\)$/m,
  ]) assert.match(stdout, line);
});

test('as JSON: the whole manifest', async () => {
  const json = JSON.parse((await wasmAot(['inspect', '--json', so])).stdout);
  assert.is(json.file, so);
  assert.is(json.bytes, bytes.length);
  assert.is(json.sha256, sha256(bytes));
  assert.is(basename(json.source.name), 'whole.wasm');
  assert.equal(json.imports[0], { module: 'env', name: 'log', kind: 'func', params: ['i32', 'f64'], results: [] });
  assert.equal(json.exports[2], { name: 'swap', kind: 'func', params: ['i32', 'i64'], results: ['i64', 'i32'] });
  assert.equal(json.memories, [{ min: 2, max: 16, imported: false }]);
  assert.equal(json.functions, { imported: 1, defined: 2 });
  assert.is(json.start, true);
});

/** The artifact with one change, and what must be said. */
const flipped = (at: number): Buffer => { const copy = Buffer.from(bytes); copy[at] ^= 1; return copy; };
const DAMAGED: readonly (readonly [what: string, content: Buffer, message: RegExp])[] = [
  ['cut to half', bytes.subarray(0, bytes.length >> 1), /truncated/],
  ['cut by a byte', bytes.subarray(0, bytes.length - 1), /truncated/],
  ['with something added', Buffer.concat([bytes, Buffer.from('x')]), /added/],
  ['with a bit of its code flipped', flipped(bytes.length >> 1), /hash/],
  ['with its last bit flipped', flipped(bytes.length - 1), /hash|damaged/],
  ['of which only the magic number is left', Buffer.from('\x7fELF'), /truncated|artifact/],
];
for (const [what, content, message] of DAMAGED) {
  test(`refused: an artifact ${what}`, async () => {
    const path = put('damaged.so', content);
    for (const args of [['inspect', path], ['inspect', '--json', path], ['run', '--invoke', 'swap', path, '1', '2']]) {
      const { status, stdout, stderr } = await wasmAot(args);
      assert.is(status, 76, `${args[0]}: ${stderr}`);
      assert.is(stdout, '');
      assert.match(stderr, /^wasm-aot: error: \S+damaged\.so: /);
      assert.match(stderr, message);
    }
  });
}

test('what is no artifact at all', async () => {
  assert.is((await wasmAot(['inspect', process.execPath])).status, 76);
  assert.is((await wasmAot(['inspect', put('hello.txt', 'hello')])).status, 76);
  assert.is((await wasmAot(['inspect', put('nothing.so', '')])).status, 76);
});

test.run();
