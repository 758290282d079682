/** How an artifact lies in memory: nothing is bound lazily, relocations only touch data that is read-only afterwards, and its text is one for all processes. */
import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { load } from '../../loader/index.js';
import { closeCompiler, compile } from './wat.js';

/** Addresses of code in data (a table), of data in data (names, segments), and calls in every way: all that needs relocations. */
const TEXT = `(module (import "" "host" (func $host (param i32) (result i32))) (memory (export "m") 1) (data (i32.const 8) "data") (type $t (func (param i32) (result i32)))
  (table 2 funcref) (elem (i32.const 0) $twice $host) (global (export "g") i32 (i32.const 7))
  (func $twice (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
  (func (export "run") (param i32) (result i32) (call_indirect (type $t) (call_indirect (type $t) (call $twice (local.get 0)) (i32.const 1)) (i32.const 0))))`;

/** Program headers (type, flags, address, size) and the dynamic section's entries (System V gABI, chapter 5). */
function readElf(path: string) {
  const bytes = readFileSync(path);
  const segments = Array.from({ length: bytes.readUInt16LE(56) }, (_, i) => Number(bytes.readBigUInt64LE(32)) + i * 56).map((at) => ({
    type: bytes.readUInt32LE(at), flags: bytes.readUInt32LE(at + 4), offset: Number(bytes.readBigUInt64LE(at + 8)), address: Number(bytes.readBigUInt64LE(at + 16)), size: Number(bytes.readBigUInt64LE(at + 40)),
  }));
  const dynamic = segments.find((s) => s.type === 2);
  assert.ok(dynamic);
  const entries = new Map(Array.from({ length: dynamic.size / 16 }, (_, i) => dynamic.offset + 16 * i).map((at) => [Number(bytes.readBigUInt64LE(at)), Number(bytes.readBigUInt64LE(at + 8))]));
  return { bytes, segments, entries };
}

const [DT_JMPREL, DT_RELA, DT_RELASZ, DT_TEXTREL] = [23, 7, 8, 22];
const [PT_LOAD, PT_RELRO] = [1, 0x6474e552];
const [R_RELATIVE_X64, R_RELATIVE_ARM64] = [8, 1027];

test('nothing is bound lazily, and relocations only touch data that is read-only afterwards', async () => {
  for (const target of ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu']) {
    const { bytes, segments, entries } = readElf(await compile(TEXT, { target }));
    assert.not(entries.has(DT_JMPREL), 'a procedure linkage table');
    assert.not(entries.has(DT_TEXTREL));
    const relro = segments.find((s) => s.type === PT_RELRO);
    assert.ok(relro);
    // The tables' place in the file: they are in the first segment, which is mapped as it is.
    const [rela, size] = [entries.get(DT_RELA) as number, entries.get(DT_RELASZ) as number];
    assert.ok(size > 0);
    for (let at = rela; at < rela + size; at += 24) {
      const [place, info] = [Number(bytes.readBigUInt64LE(at)), Number(bytes.readBigUInt64LE(at + 8))];
      assert.is(info, target.startsWith('x86') ? R_RELATIVE_X64 : R_RELATIVE_ARM64, 'a relocation that looks up no symbol');
      assert.ok(place >= relro.address && place + 8 <= relro.address + relro.size);
    }
    for (const load of segments.filter((s) => s.type === PT_LOAD && (s.flags & 2) !== 0)) {
      assert.ok(load.address >= relro.address && load.address + load.size <= relro.address + relro.size, 'writable data after relocation');
    }
  }
});

/** Kilobytes that the mappings of a file with these permissions have of a kind, as /proc says. */
function mapped(path: string, permissions: string, kind: string): number {
  const lines = readFileSync('/proc/self/smaps', 'utf8').split('\n');
  let [sum, inside] = [0, false];
  for (const line of lines) {
    const head = /^[0-9a-f]+-[0-9a-f]+ (\S{4}) \S+ \S+ \S+ +(.*)$/.exec(line);
    if (head) inside = head[2] === path && head[1] === permissions;
    else if (inside && line.startsWith(`${kind}:`)) sum += Number.parseInt(line.slice(kind.length + 1), 10);
  }
  return sum;
}

if (process.argv[2] === '--child') {
  const path = process.argv[3];
  const { run } = load(path).instantiate({ '': { host: (x: number) => x + 1 } }).exports;
  // A file that has just been written has dirty pages of its own; `Anonymous` are those that a process has copied.
  const sum = (kind: string) => mapped(path, 'r-xp', kind);
  process.stdout.write(JSON.stringify({ result: run(5), copied: sum('Anonymous'), shared: sum('Shared_Clean') + sum('Shared_Dirty'), writable: mapped(path, 'rw-p', 'Size') }));
} else {
  test('two processes have the text in common, and nothing is writable', async () => {
    const path = realpathSync(await compile(TEXT));
    const { run } = load(path).instantiate({ '': { host: (x: number) => x + 1 } }).exports;
    assert.is(run(5), 22);
    const { stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--child', path], { encoding: 'utf8' });
    assert.is(stderr, '');
    const { shared, ...rest } = JSON.parse(stdout);
    assert.equal(rest, { result: 22, copied: 0, writable: 0 });
    assert.ok(shared > 0, 'this process has the same page');
  });
  test.after(closeCompiler);
  test.run();
}
