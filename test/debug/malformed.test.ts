/** Malformed debugging information never fails a build, never hangs, and takes no more memory than its size accounts for: it is warned of, and what can be read is used. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeSourceTable } from '../../compiler/debug/source-table.js';
import { build } from '../../compiler/index.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { PlaceTable } from '../../loader/place-table.js';
import { Random } from '../fuzz/random.js';
import { compileProgram, compileSource } from './clang.js';

/** A module of one function, of 1 + 64 bytes of code, and custom sections. */
function moduleWith(sections: Readonly<Record<string, readonly number[]>>): Uint8Array {
  const leb = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb(Math.floor(value / 128))]);
  const section = (id: number, content: readonly number[]) => [id, ...leb(content.length), ...content];
  const body = [0, ...new Array<number>(63).fill(1), 0x0b];
  const custom = Object.entries(sections).flatMap(([name, content]) => section(0, [...leb(name.length), ...Buffer.from(name), ...content]));
  return Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, [1, 0x60, 0, 0]), ...section(3, [1, 0]), ...section(10, [1, ...leb(body.length), ...body]), ...custom]);
}
/** Where the contents of that module's code section begin. */
const CODE = 8 + 6 + 4 + 2;

const u16 = (value: number) => [value & 255, value >> 8];
const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];

/** A unit of .debug_line, version 4: no directories, the file `a.c`, then a program. */
function lineUnit(program: readonly number[], { version = 4, lineRange = 14, length = 0 } = {}): number[] {
  const rest = [1, 1, 1, 0xfb, lineRange, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, ...Buffer.from('a.c\0'), 0, 0, 0, 0];
  const unit = [...u16(version), ...u32(rest.length), ...rest, ...program];
  return [...u32(length || unit.length), ...unit];
}

const SET_ADDRESS = (address: number) => [0, 5, 2, ...u32(address)];
const END = [2, 4, 0, 1, 1]; // advance by 4, end the sequence

function read(sections: Readonly<Record<string, readonly number[]>>): { places: PlaceTable | undefined; warnings: string[] } {
  const module = parseModule(moduleWith(sections), { name: 'bad.wasm' });
  const { table, warnings } = makeSourceTable(module, { name: 'bad.wasm', pathMap: [] });
  return { places: table && new PlaceTable(table), warnings: warnings.map(({ message }) => message) };
}

const lineAt = (places: PlaceTable | undefined, address: number): string => (places?.find(CODE + address) ?? []).map(({ file, line }) => `${places?.string(file)}:${line}`).join(' ');

test('every standard opcode does what the standard says', () => {
  const program = [
    ...SET_ADDRESS(2), 3, 9, 1, // line 10
    5, 7, 10, 11, 12, 0, 6, 7, // column, prologue, epilogue, ISA, statement, block: nothing that is kept
    2, 2, 3, 0x7e, 1, // two bytes on, line 8
    8, 1, // 255 as a special opcode would: (255 - 13) / 14 = 17 bytes
    9, 2, 0, 1, // two bytes on
    4, 2, 1, // a file that is none
    4, 1, 13 + 14 * 3 + 6, // three bytes and a line on
    ...END,
  ];
  const { places, warnings } = read({ '.debug_line': lineUnit(program) });
  assert.equal(warnings, []);
  assert.equal([1, 2, 3, 4, 20, 21, 22, 23, 25, 26, 29, 30].map((address) => lineAt(places, address)), ['', 'a.c:10', 'a.c:10', 'a.c:8', 'a.c:8', 'a.c:8', 'a.c:8', 'undefined:8', 'undefined:8', 'a.c:9', 'a.c:9', '']);
});

test('a unit that is malformed is warned of; its neighbours are read', () => {
  const good = lineUnit([...SET_ADDRESS(2), 1, ...END]);
  const bad: Readonly<Record<string, readonly number[]>> = {
    'a version that does not exist': lineUnit([], { version: 77 }),
    'no special opcodes': lineUnit([1], { lineRange: 0 }),
    'a number that never ends': lineUnit([2, ...new Array<number>(20).fill(0xff)]),
    'an extended opcode of no bytes': lineUnit([0, 0]),
    'an extended opcode that does not fit': lineUnit([0, 100, 2]),
    'an address of three bytes': lineUnit([0, 4, 2, 1, 2, 3]),
  };
  for (const [what, unit] of Object.entries(bad)) {
    const { places, warnings } = read({ '.debug_line': [...unit, ...good] });
    assert.is(lineAt(places, 3), 'a.c:1', what);
    assert.is(warnings.length, 1, what);
    assert.match(warnings[0], /malformed.*\.debug_line at 0x/, what);
  }
});

test('lengths that cannot be', () => {
  const good = lineUnit([...SET_ADDRESS(2), 1, ...END]);
  for (const length of [0xfffffff0, 0x7fffffff, 1, 5]) assert.ok(read({ '.debug_line': lineUnit([1], { length }) }).warnings.length > 0, String(length));
  const { places, warnings } = read({ '.debug_line': [...good, ...u32(0xffffffff), ...u32(0xffffffff), ...u32(0xffffffff), 4, 0] });
  assert.is(lineAt(places, 3), 'a.c:1');
  assert.is(warnings.length, 1);
});

test('sequences outside of the code, and backwards, are not lines of the code', () => {
  const elsewhere = [...SET_ADDRESS(0), 1, ...END, ...SET_ADDRESS(0xffffffff), 1, ...END, ...SET_ADDRESS(60), 1, 2, 100, 1, ...END, ...SET_ADDRESS(1000), 1, ...END];
  const { places, warnings } = read({ '.debug_line': lineUnit([...elsewhere, ...SET_ADDRESS(9), 3, 4, 1, 9, 0xff, 0xff, 0, 1, 1]) });
  assert.equal([places, warnings], [undefined, []]);
  const backwards = read({ '.debug_line': lineUnit([...SET_ADDRESS(9), 3, 4, 1, ...SET_ADDRESS(5), 3, 2, 1, ...SET_ADDRESS(12), 0, 1, 1]) });
  assert.equal([5, 8, 9, 11, 12].map((address) => lineAt(backwards.places, address)), ['a.c:7', 'a.c:7', 'a.c:5', 'a.c:5', '']);
});

/** .debug_abbrev: 1 a unit with children and a table of lines, 2 a function with addresses and a name, 3 an inlined function by its origin, 4 the same with children. */
const ABBREVIATIONS = [
  1, 0x11, 1, 0x10, 0x17, 0, 0, 2, 0x2e, 1, 0x11, 0x01, 0x12, 0x06, 0x03, 0x08, 0, 0, 3, 0x1d, 0, 0x31, 0x13, 0x11, 0x01, 0x12, 0x06, 0, 0,
  4, 0x1d, 1, 0x31, 0x13, 0x11, 0x01, 0x12, 0x06, 0, 0, 5, 0x2e, 0, 0x31, 0x13, 0, 0, 0,
];
const infoUnit = (entries: readonly number[]): number[] => {
  const unit = [...u16(4), ...u32(0), 4, 1, ...u32(0), ...entries];
  return [...u32(unit.length), ...unit];
};
const FUNCTION = [2, ...u32(2), ...u32(60), ...Buffer.from('f\0')];
const inlined = (origin: number, code = 3) => [code, ...u32(origin), ...u32(4), ...u32(20)];
const LINES = lineUnit([...SET_ADDRESS(2), 1, ...END]);
const readInfo = (entries: readonly number[], abbreviations: readonly number[] = ABBREVIATIONS) => read({ '.debug_line': LINES, '.debug_info': infoUnit(entries), '.debug_abbrev': abbreviations });
const namesAt = (places: PlaceTable | undefined, address: number): string => (places?.find(CODE + address) ?? []).map(({ name }) => places?.string(name) ?? '?').join(' ');

test('origins that are nowhere, or each other, are functions without a name', () => {
  const first = 16; // the offset of the first entry within the unit
  for (const origin of [0, 0xffffff, first, first + FUNCTION.length]) {
    const { places, warnings } = readInfo([...FUNCTION, ...inlined(origin), 0, 0]);
    assert.equal(warnings, []);
    assert.is(namesAt(places, 5), origin === first ? 'f f' : '? f', String(origin));
  }
  // Two functions that are each other's origins.
  const [a, b] = [16, 21];
  assert.is(namesAt(readInfo([5, ...u32(b), 5, ...u32(a), ...FUNCTION, ...inlined(a), 0, 0]).places, 5), '? f');
});

test('entries that cannot be read end their unit; the lines stay', () => {
  for (const [what, entries, abbreviations] of [
    ['an abbreviation that is none', [77], ABBREVIATIONS], ['an entry that is cut off', [2, 0], ABBREVIATIONS], ['no abbreviations', FUNCTION, []],
    ['a form that is none', [2, 0, 0], [1, 0x11, 1, 0x10, 0x17, 0, 0, 2, 0x2e, 0, 3, 0x7f, 0, 0, 0]],
    ['a thousand attributes', FUNCTION, [1, 0x11, 1, ...new Array<number[]>(1000).fill([3, 0x19]).flat(), 0, 0, 0]],
    ['endless nesting', new Array<number>(3000).fill(6), [...ABBREVIATIONS.slice(0, -1), 6, 0x0b, 1, 0, 0, 0]],
    ['endless inlining', [...FUNCTION, ...new Array<number[]>(900).fill(inlined(0, 4)).flat()], ABBREVIATIONS],
  ] as const) {
    const { places, warnings } = readInfo(entries, abbreviations);
    assert.is(lineAt(places, 3).split(' ')[0], 'a.c:1', what);
    assert.is(warnings.length, 1, what);
    assert.match(warnings[0], /\.debug_(info|abbrev)|it ends too early/, what);
  }
});

test('a build with malformed debugging information succeeds, and warns', async () => {
  const { artifact, warnings } = await build(moduleWith({ '.debug_line': lineUnit([0, 0]), '.debug_info': [1, 2, 3] }), { debug: true, name: 'bad.wasm' });
  assert.ok(artifact.length > 0);
  assert.is(warnings.length, 1);
  assert.match(warnings[0].message, /debugging information is malformed/);
  assert.equal((await build(moduleWith({ '.debug_line': [9] }), {})).warnings, []);
});

test('a thousand random damages to real sections: neither thrown nor slow, and every answer can be read', () => {
  for (const { bytes } of [compileSource('frames.c', ['outer'], ['-gdwarf-4', '-O2']), compileSource('names.cc', ['run'], ['-gdwarf-5', '-O2'])]) {
    const { customSections } = parseModule(bytes, { name: 'x' });
    const debug = customSections.filter(({ name }) => name.startsWith('.debug_'));
    const random = new Random(bytes.length);
    for (let i = 0; i < 500; i++) {
      const copy = Uint8Array.from(bytes);
      for (let count = 1 + random.below(8); count > 0; count--) {
        const { start, end } = debug[random.below(debug.length)];
        copy[start + random.below(end - start)] = [0, 0xff, 0x7f, 0x80, 1, random.below(256)][random.below(6)];
      }
      const started = performance.now();
      const { table } = makeSourceTable(parseModule(copy, { name: 'x' }), { name: 'x', pathMap: [] });
      assert.ok(performance.now() - started < 2000);
      if (table) for (const places = new PlaceTable(table), at = { offset: 0 }; at.offset < copy.length; at.offset += 7) assert.ok(places.find(at.offset).length < 300);
    }
  }
});

test('sections that are made to cost: tables that overlap, ranges that are read again and again', () => {
  const bytes = readFileSync(compileProgram('json', ['-gdwarf-4', '-O2']).path);
  const { customSections } = parseModule(bytes, { name: 'x' });
  const section = (name: string) => [...bytes.subarray(...(({ start, end }) => [start, end] as const)(customSections.find((s) => s.name === name) as { start: number; end: number }))];
  // As many units as fit, each with abbreviations of its own that overlap with all the others'.
  const abbreviations = section('.debug_abbrev');
  const units = Array.from({ length: 20_000 }, (_, i) => [...u32(8), ...u16(4), ...u32(i % abbreviations.length), 4, 0]).flat();
  const started = performance.now();
  const { warnings } = read({ '.debug_line': LINES, '.debug_abbrev': abbreviations, '.debug_info': units });
  assert.is(warnings.length, 1);
  // One list of ranges, named by ten thousand functions.
  const ranges = [...Array.from({ length: 20_000 }, () => [...u32(3), ...u32(5)]).flat(), ...u32(0), ...u32(0)];
  const many = [1, 0x11, 1, 0x10, 0x17, 0, 0, 2, 0x2e, 0, 0x55, 0x17, 0, 0, 0];
  const info = infoUnit(new Array<number[]>(10_000).fill([2, ...u32(0)]).flat());
  const costly = read({ '.debug_line': LINES, '.debug_abbrev': many, '.debug_info': info, '.debug_ranges': ranges });
  assert.match(costly.warnings[0], /too many ranges/);
  assert.ok(performance.now() - started < 60_000);
});

test.run();
