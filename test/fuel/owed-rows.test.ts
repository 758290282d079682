/**
 * The table of what is owed has a row for each piece of a long function, so that the tick handler, which reads the entries of one row, takes no longer there than elsewhere. What is owed is exact
 * across all of its pieces.
 */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readSections } from '../../loader/elf-sections.js';
import { load } from '../../loader/index.js';
import { isMachO, readMachO } from '../../loader/macho.js';
import { OWED_ENTRIES_SECTION, OWED_ROWS_SECTION } from '../../runtime-c/abi.js';
import { assemble, closeCompiler, compile } from '../loader/wat.js';
import { COUNTER, injectMetering } from './inject.js';
import { outcome } from './outcome.js';

const STEPS = 400;
/** Branches, and loads of which any can be made to trap. */
const TEXT = `(module (memory 1) (func (export "f") (param $at i32) (param $way i32) (result i32) (local $sum i32)
  ${Array.from({ length: STEPS }, (_, i) => `(if (i32.and (local.get $way) (i32.const ${1 << i % 7})) (then (local.set $sum (i32.add (local.get $sum) (i32.const ${i})))))
    (local.set $sum (i32.add (local.get $sum) (i32.load (i32.add (i32.const ${4 * i}) (i32.mul (i32.eq (local.get $at) (i32.const ${i})) (i32.const 0x7fff0000))))))`).join('\n')}
  (local.get $sum)) (func (export "last") (result i32) (i32.load (i32.const -1))))`;

/** Of each row: where its code starts, as a number that is comparable with those of other rows, and its entries. */
function readRows(file: Buffer): { start: number; entries: { at: number; owed: number }[] }[] {
  const find = (name: string): { start: number; end: number } => {
    if (isMachO(file)) return readMachO(file, (message) => { throw new Error(message); }).sections.find((section) => section.name === `__${name}`) as { start: number; end: number };
    const { bytes } = readSections(file).find((section) => section.name === name) as { bytes: Buffer };
    return { start: bytes.byteOffset - file.byteOffset, end: bytes.byteOffset - file.byteOffset + bytes.length };
  };
  const [rows, table] = [find(OWED_ROWS_SECTION), find(OWED_ENTRIES_SECTION)]; // in one segment, so that distances in the file are those in memory
  return Array.from({ length: (rows.end - rows.start) / 8 }, (_, i) => {
    const row = rows.start + 8 * i;
    let at = row + file.readInt32LE(row + 4);
    assert.ok(at >= table.start && at < table.end);
    const number = (): number => { for (let value = 0, scale = 1; ; scale *= 128) { const byte = file[at++]; value += (byte & 0x7f) * scale; if (byte < 0x80) return value; } };
    const start = row + file.readInt32LE(row);
    let from = start;
    const entries = Array.from({ length: number() }, () => {
      from += number();
      return { at: from, owed: number() };
    });
    return { start, entries };
  });
}

test('rows have few entries, and those of one function join', async () => {
  for (const target of ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu', 'x86_64-apple-darwin', 'arm64-apple-darwin'] as const) {
    for (const optLevel of [0, 2] as const) {
      const rows = readRows(readFileSync(await compile(TEXT, { optLevel, target })));
      const long = rows.slice(0, -1);
      assert.ok(long.length > STEPS / 64, `${long.length} rows for ${target}`);
      assert.ok(rows.every(({ entries }) => entries.length > 0 && entries.length <= 65), `${target} -O${optLevel}: ${rows.map(({ entries }) => entries.length)}`);
      for (const [i, { start, entries }] of rows.entries()) {
        assert.ok(entries[0].at >= start);
        if (i > 0 && i < long.length) assert.is(entries[0].at, start, 'a later piece starts with an entry');
        if (i + 1 < rows.length) assert.ok((entries.at(-1) as { at: number }).at <= rows[i + 1].start, 'a piece ends before the next one');
        assert.is(entries.at(-1)?.owed === 0 || i < long.length - 1, true, 'at its end a function owes nothing');
      }
    }
  }
});

test('fuel at traps in every piece as on V8 with a counter', async () => {
  const oracle = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(injectMetering(await assemble(TEXT))))).exports;
  const observe = (exports: Record<string, unknown>, args: number[], consumed: () => bigint) => {
    const before = consumed();
    const end = outcome(() => (exports.f as (...args: number[]) => unknown)(...args));
    return `${end}, fuel ${consumed() - before}`;
  };
  for (const optLevel of [0, 2] as const) {
    const instance = load(await compile(TEXT, { optLevel })).instantiate({});
    for (let at = -1; at < STEPS; at++) {
      const args = [at, (at * 2_654_435) >>> 3];
      assert.is(observe(instance.exports, args, () => instance.fuel.consumed), observe(oracle, args, () => (oracle[COUNTER] as WebAssembly.Global).value as bigint), `f(${args.join(', ')}) at -O${optLevel}`);
    }
  }
});

test.after(closeCompiler);
test.run();
