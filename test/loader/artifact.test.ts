/** Files that are refused, with the reason; reading artifacts as data; the library through ffi-napi. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArtifactError, type ArtifactErrorKind, load } from '../../loader/index.js';
import { readArtifact } from '../../loader/artifact.js';
import { openLibrary } from '../../loader/library.js';
import { native } from '../../loader/native.js';
import { ABI_VERSION } from '../../runtime-c/abi.js';
import { closeCompiler, compile, scratch } from './wat.js';

const path = await compile('(module (import "env" "f" (func (param i32))) (memory (export "memory") 1 2) (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))', { name: 'test.wasm' });
const bytes = readFileSync(path);
let count = 0;
const write = (content: Uint8Array): string => {
  const file = join(scratch(), `bad${count++}.so`);
  writeFileSync(file, content);
  return file;
};
/** Where the header note's descriptor begins: after the name of the note whose type is 1. */
const headerAt = (() => {
  for (let at = bytes.indexOf('wasmaot\0'); at >= 0; at = bytes.indexOf('wasmaot\0', at + 1)) if (bytes.readUInt32LE(at - 4) === 1) return at + 8;
  throw new Error('no header note');
})();
const patched = (patch: (copy: Buffer) => void): string => {
  const copy = Buffer.from(bytes);
  patch(copy);
  return write(copy);
};

/** Everything that reads a file refuses it with one of the kinds; the message names the file. */
function refuses(file: string, kinds: ArtifactErrorKind[], readers: ((file: string) => unknown)[] = [load, readArtifact, openLibrary().verify, native().artifactVerify]): void {
  for (const read of readers) {
    assert.throws(() => read(file), (e: unknown) => {
      const known = e instanceof ArtifactError && kinds.includes(e.kind) && e.message.startsWith(file);
      if (!known) console.error(e);
      return known;
    });
  }
}

test('a good file is read alike by all', () => {
  const { header, manifest } = readArtifact(path);
  assert.is(header.abiVersion, ABI_VERSION);
  assert.is(header.fileSize, bytes.length);
  assert.is(header.fuel, 'outband');
  assert.is(header.os, 'linux');
  assert.is(manifest.source.name, 'test.wasm');
  assert.equal(load(path).manifest, manifest);
  assert.equal(load(pathToFileURL(path)).manifest, manifest);
  openLibrary().verify(path);
});

test('files that are no artifacts', () => {
  refuses(join(scratch(), 'missing.so'), ['io']);
  refuses(scratch(), ['io']);
  refuses(write(new Uint8Array()), ['format']);
  refuses(write(Buffer.from('\0asm\x01\0\0\0', 'latin1')), ['format']);
  refuses(write(Buffer.from('#!/bin/sh\necho\n')), ['format']);
  refuses('/dev/null', ['io']);
  refuses(process.execPath, ['format']);
  refuses(join(dirname(new URL(import.meta.url).pathname), 'artifact.test.js'), ['format']);
});

test('truncated at every length that differs', () => {
  for (let length = 0; length < bytes.length; length += length < 1024 ? 13 : 1021) refuses(write(bytes.subarray(0, length)), ['format', 'target'], [load, readArtifact]);
  refuses(write(Buffer.concat([bytes, Buffer.from([0])])), ['format']);
});

test('any flipped bit is noticed, wherever it is', () => {
  for (let at = 0; at < bytes.length; at += 97) {
    refuses(patched((copy) => { copy[at] ^= 1 << at % 8; }), ['hash', 'format', 'target', 'abi', 'cpu'], [load, readArtifact]);
  }
  for (let at = 0; at < 64 + 56 * bytes.readUInt16LE(56); at++) refuses(patched((copy) => { copy[at] ^= 0x80; }), ['hash', 'format', 'target'], [load, readArtifact]);
});

test('made for another version, system, or CPU', () => {
  refuses(patched((copy) => copy.writeUInt32LE(ABI_VERSION + 1, headerAt)), ['abi']);
  refuses(patched((copy) => copy.writeUInt32LE(77, headerAt + 8)), ['target']);
  refuses(patched((copy) => copy.writeUInt32LE(2, headerAt + 12)), ['target'], [load, openLibrary().verify]);
  refuses(patched((copy) => copy.writeUInt16LE(183, 18)), ['target'], [load, openLibrary().verify]);
  refuses(patched((copy) => copy.writeBigUInt64LE(1n << 63n, headerAt + 16)), ['cpu'], [load, openLibrary().verify]);
  refuses(patched((copy) => copy.writeUInt8(copy[headerAt + 32] ^ 1, headerAt + 32)), ['hash']);
});

test('arguments that are no paths', () => {
  for (const bad of [undefined, null, 5, {}, '', new URL('http://example.org/x'), 'a\0b']) assert.throws(() => load(bad as never), (e: unknown) => e instanceof TypeError, String(bad));
});

test('the file can be replaced or removed while it is in use', async () => {
  const file = join(scratch(), 'replaced.so');
  copyFileSync(path, file);
  const first = load(file).instantiate({ env: { f() {} } });
  const other = await compile('(module (func (export "sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1))))');
  const { renameSync, unlinkSync } = await import('node:fs');
  renameSync(other, file);
  const second = load(file).instantiate();
  assert.is(first.exports.add(5, 3), 8);
  assert.is(second.exports.sub(5, 3), 2);
  unlinkSync(file);
  assert.is(first.exports.add(5, 3), 8);
});

test('the library answers through ffi-napi, and the addon gives the same answers', () => {
  const library = openLibrary();
  assert.is(library.via, 'ffi-napi');
  assert.is(library.version(), native().version);
  assert.is(library.abiVersion(), native().abiVersion);
  assert.match(library.version(), /^wasm-aot runtime \d/);
});

test('without ffi-napi the loader works all the same', () => {
  const script = `import Module from 'node:module';
    const load0 = Module._load; Module._load = (name, ...rest) => { if (name === 'ffi-napi') throw new Error('missing'); return load0(name, ...rest); };
    const { load } = await import(process.argv[1]); const { openLibrary } = await import(process.argv[2]);
    console.log(load(process.argv[3]).instantiate({ env: { f() {} } }).exports.add(20, 22), openLibrary().via); openLibrary().verify(process.argv[3]);`;
  const url = (name: string): string => new URL(`../../loader/${name}`, import.meta.url).href;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script, url('index.js'), url('library.js'), path], { encoding: 'utf8' });
  assert.is(run.stdout, '42 addon\n', run.stderr);
});

test('without its native part the loader says what to do', () => {
  const root = join(scratch(), 'copy');
  mkdirSync(join(root, 'dist', 'loader'), { recursive: true });
  mkdirSync(join(root, 'dist', 'runtime-c'));
  const dist = new URL('../../', import.meta.url).pathname;
  for (const name of ['errors', 'native', 'values']) copyFileSync(join(dist, 'loader', `${name}.js`), join(root, 'dist', 'loader', `${name}.js`));
  copyFileSync(join(dist, 'runtime-c', 'abi.js'), join(root, 'dist', 'runtime-c', 'abi.js'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', `(await import(${JSON.stringify(pathToFileURL(join(root, 'dist', 'loader', 'native.js')).href)})).native()`], { encoding: 'utf8' });
  assert.match(run.stderr, /the native runtime is not built .*npm run build/);
});

test.after(closeCompiler);
test.run();
