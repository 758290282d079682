/** Source tables against llvm-symbolizer, over every byte of the code; names; paths; what linkers leave behind. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeSourceTable } from '../../compiler/debug/source-table.js';
import type { WasmModule } from '../../compiler/wasm/module.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { PlaceTable } from '../../loader/place-table.js';
import { compileProgram, compileSource, SOURCES, symbolize } from './clang.js';

/** File offset of the code section's contents. */
function codeStart({ bytes }: WasmModule): number {
  const size = (at: number) => {
    let [value, end] = [0, at];
    for (let scale = 1; ; scale *= 128) {
      value += (bytes[end] & 127) * scale;
      if (bytes[end++] < 128) return { value, end };
    }
  };
  for (let at = 8; ;) {
    const { value, end } = size(at + 1);
    if (bytes[at] === 10) return end;
    at = end + value;
  }
}

function tableOf(bytes: Uint8Array, pathMap: [string, string][] = []) {
  const module = parseModule(bytes, { name: 'test.wasm' });
  const { table, warnings } = makeSourceTable(module, { name: 'test.wasm', pathMap });
  assert.equal(warnings, []);
  return { module, size: table?.length ?? 0, places: table && new PlaceTable(table) };
}

/** Functions and places at a file offset, as llvm-symbolizer writes them. */
function describe(places: PlaceTable, offset: number, short: boolean): string {
  const found = places.find(offset).map(({ name, file, line, column }) => `${(places.string(name) ?? '??').replace(short ? /^.*::/ : /^/, '')}\n${places.string(file) ?? '??'}:${line}:${column}`);
  return found.join('\n') || '??\n??:0:0';
}

/** Compares over the whole code section; returns how many addresses are in functions that were inlined. */
function compareAll({ path, bytes }: { path: string; bytes: Uint8Array }): number {
  const { module, places } = tableOf(bytes);
  assert.ok(places);
  const start = codeStart(module);
  const end = module.bodies[module.bodies.length - 1].codeEnd;
  const addresses = Array.from({ length: end - start - 1 }, (_, i) => i + 1);
  const expected = symbolize(path, addresses);
  assert.is(expected.length, addresses.length);
  let inlined = 0;
  for (const [i, address] of addresses.entries()) {
    const found = describe(places as PlaceTable, start + address, true);
    if (found !== expected[i]) assert.unreachable(`at 0x${address.toString(16)} of the code:\nllvm-symbolizer:\n${expected[i]}\nours:\n${found}`);
    if (found.split('\n').length > 2) inlined++;
  }
  return inlined;
}

for (const version of [2, 3, 4, 5]) {
  for (const level of ['-O0', '-O2']) {
    test(`DWARF ${version} at ${level}: every byte of the code as llvm-symbolizer has it`, () => {
      const inlined = compareAll(compileSource('frames.c', ['outer'], [`-gdwarf-${version}`, level]));
      assert.is(inlined > 0, level === '-O2');
    });
  }
}

for (const [name, flags] of [['json', ['-gdwarf-5', '-O2']], ['json', ['-gdwarf-4', '-O0']], ['lisp', ['-gdwarf-4', '-O2']], ['words', ['-gdwarf-5', '-Os']], ['lz', ['-gdwarf-5', '-g1', '-O2']]] as const) {
  test(`${name}.c with ${flags.join(' ')}: every byte of the code as llvm-symbolizer has it`, () => { assert.ok(compareAll(compileProgram(name, flags)) > 1000); });
}

test('names have the namespaces and types that they are in', () => {
  for (const version of ['-gdwarf-4', '-gdwarf-5']) {
    const { module, places } = tableOf(compileSource('names.cc', ['run'], [version, '-O2']).bytes);
    const names = new Set(Array.from({ length: module.bytes.length }, (_, i) => (places as PlaceTable).find(i)).flat().map(({ name }) => places?.string(name)));
    for (const name of ['geo::Box<int>::width', 'geo::Box<int>::ratio', 'geo::(anonymous namespace)::scale', 'geo::Shape::area', 'run']) assert.ok(names.has(name), `${name} in ${[...names].join(', ')}`);
    assert.ok([...names].some((name) => name?.endsWith('operator()')));
  }
});

test('what the linker removed is not found at the addresses that remain', () => {
  const { module, places } = tableOf(compileSource('frames.c', ['outer'], ['-gdwarf-4', '-O0']).bytes);
  const names = new Set(Array.from({ length: module.bytes.length }, (_, i) => (places as PlaceTable).find(i)).flat().map(({ name }) => places?.string(name)));
  assert.equal([...names].sort(), ['divide', 'leaf', 'middle', 'outer', 'square']);
});

test('paths can be mapped; of several replacements that fit the last counts', () => {
  const { bytes } = compileSource('frames.c', ['outer'], ['-gdwarf-5', '-O2']);
  const filesWith = (pathMap: [string, string][]) => {
    const { module, places } = tableOf(bytes, pathMap);
    return [...new Set(Array.from({ length: module.bytes.length }, (_, i) => (places as PlaceTable).find(i)).flat().map(({ file }) => places?.string(file)).filter((file) => file !== undefined))];
  };
  assert.equal(filesWith([]), [`${SOURCES}frames.c`]);
  assert.equal(filesWith([[SOURCES, '']]), ['frames.c']);
  assert.equal(filesWith([[SOURCES, 'x/'], [SOURCES, '/src/'], ['/nowhere', 'y']]), ['/src/frames.c']);
});

test('a module without debugging information has no table', () => {
  assert.is(tableOf(compileSource('frames.c', ['outer'], ['-O2']).bytes).places, undefined);
});

test.run();
