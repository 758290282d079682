/** Source maps as a second source of lines: in the module, beside it, missing, malformed; the command line's --path-map; the cache of `run`. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Mapping, SourceMapGenerator } from 'source-map';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeSourceTable } from '../../compiler/debug/source-table.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { load, wasmFrames } from '../../loader/index.js';
import { PlaceTable } from '../../loader/place-table.js';
import { assemble } from '../loader/wat.js';
import { compileSource, SOURCES, scratchFile } from './clang.js';

const CLI = fileURLToPath(new URL('../../compiler/cli.js', import.meta.url));
const text = '(module (func (export "f") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)) (drop (i32.const 1)) (i32.const 300) (i32.add)))';

const leb = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)]);
const string = (value: string): number[] => [...leb(Buffer.byteLength(value)), ...Buffer.from(value)];

/** A module with a custom section that names a source map. */
function withUrl(bytes: Uint8Array, url: string): Uint8Array {
  const content = [...string('sourceMappingURL'), ...string(url)];
  return Uint8Array.from([...bytes, 0, ...leb(content.length), ...content]);
}

const bytes = await assemble(text);
const body = parseModule(bytes, { name: 'x' }).bodies[0];
/** Offset of the division: behind i32.const 1 and local.get 0. */
const DIVISION = body.codeStart + 4;

/** A map in which operators from the division on come from one place, those after it from another, the rest from nowhere. */
function makeMap(line = 7): string {
  const map = new SourceMapGenerator({ file: 'f.wasm', sourceRoot: 'src' });
  map.addMapping({ generated: { line: 1, column: DIVISION }, original: { line, column: 4 }, source: 'a.ts', name: 'f' });
  map.addMapping({ generated: { line: 1, column: DIVISION + 1 }, original: { line: 1000, column: 70 }, source: 'lib/b.ts' });
  map.addMapping({ generated: { line: 1, column: DIVISION + 3 } } as unknown as Mapping);
  return map.toString();
}

function read(module: Uint8Array, readSourceMap?: (url: string) => Uint8Array | undefined, pathMap: [string, string][] = []) {
  const { table, warnings } = makeSourceTable(parseModule(module, { name: 'f.wasm' }), { name: 'f.wasm', pathMap, readSourceMap });
  const places = table && new PlaceTable(table);
  return { warnings, lines: [0, 1, 2, 3].map((i) => places?.find(DIVISION + i).map(({ file, line, column }) => `${places.string(file)}:${line}:${column}`).join()) };
}

const EXPECTED = ['src/a.ts:7:5', 'src/lib/b.ts:1000:71', 'src/lib/b.ts:1000:71', ''];

test('a map in the module, in base 64 and as text; one beside it', () => {
  const map = makeMap();
  assert.equal(read(withUrl(bytes, `data:application/json;base64,${Buffer.from(map).toString('base64')}`)), { warnings: [], lines: EXPECTED });
  assert.equal(read(withUrl(bytes, `data:application/json,${encodeURIComponent(map)}`)), { warnings: [], lines: EXPECTED });
  assert.equal(read(withUrl(bytes, './f.wasm.map'), (url) => (url === './f.wasm.map' ? Buffer.from(map) : undefined)), { warnings: [], lines: EXPECTED });
  assert.is(read(withUrl(bytes, 'f.map'), () => Buffer.from(map), [['src/', '/home/x/']]).lines[0], '/home/x/a.ts:7:5');
});

test('a map that is missing or malformed is warned of', () => {
  const json = (change: object) => Buffer.from(JSON.stringify({ ...JSON.parse(makeMap()), ...change }));
  for (const map of [undefined, Buffer.from('{'), Buffer.from('null'), json({ version: 2 }), json({ mappings: 7 }), json({ sources: [1] }), json({ mappings: '*' }), json({ mappings: 'AA' }), json({ mappings: 'gggggggggg' })]) {
    const { warnings, lines } = read(withUrl(bytes, 'f.map'), () => map);
    assert.is(warnings.length, 1, String(map));
    assert.match(warnings[0].message, /source map "f.map"/);
    assert.is(lines[0], undefined);
  }
  assert.is(read(withUrl(bytes, 'f.map'), () => { throw new Error('no'); }).warnings.length, 1);
  assert.is(read(withUrl(bytes, 'http://127.0.0.1:9/f.map')).warnings.length, 1);
  // Sources that are not there, offsets before the first, and lines that wasm does not have.
  assert.equal(read(withUrl(bytes, 'f.map'), () => json({ mappings: ';AAAA' })).warnings, []);
});

/** Runs the command line; returns what it wrote on standard error. */
function cli(folder: string, ...args: string[]): string {
  const { stderr, status } = spawnSync(process.execPath, [CLI, ...args], { cwd: folder, encoding: 'utf8', env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') } });
  return `${status} ${stderr}`;
}

test('the command line reads the map beside the module; --path-map', () => {
  const folder = dirname(scratchFile('x'));
  mkdirSync(join(folder, 'in'), { recursive: true });
  writeFileSync(join(folder, 'in', 'f.wasm'), withUrl(bytes, 'f.wasm.map'));
  assert.match(cli(folder, 'build', '-g', 'in/f.wasm', '-o', 'without.so'), /^0 .*source map "f.wasm.map" cannot be read/s);
  writeFileSync(join(folder, 'in', 'f.wasm.map'), makeMap());
  assert.is(cli(folder, 'build', '-q', '-g', '--path-map', 'src/=lib:/', 'in/f.wasm', '-o', 'with.so'), '0 ');
  try {
    (load(join(folder, 'with.so')).instantiate({}).exports.f as (x: number) => number)(0);
    assert.unreachable();
  } catch (error) {
    assert.equal(wasmFrames(error).map(({ offset, sources }) => ({ offset, sources })), [{ offset: DIVISION, sources: [{ functionName: undefined, file: 'lib:/a.ts', line: 7, column: 5 }] }]);
    assert.match((error as Error).stack as string, /^Trap: integer divide by zero\n {4}at f \(lib:\/a.ts:7:5\)\n {4}at f \(wasm:/);
  }
  assert.match(cli(folder, 'build', '-g', '--path-map', 'nothing', 'in/f.wasm'), /^64 .*--path-map cannot be "nothing".*OLD=NEW/s);
});

test('run: a map that has changed is another artifact', () => {
  const folder = dirname(scratchFile('x'));
  writeFileSync(join(folder, 'g.wasm'), withUrl(bytes, 'g.wasm.map'));
  const keys = [7, 8, 7].map((line) => {
    writeFileSync(join(folder, 'g.wasm.map'), makeMap(line));
    return cli(folder, 'run', '-v', '-g', '--invoke', 'f', 'g.wasm', '1').match(/(found|built) \S*\/([0-9a-f]+)\.so/)?.slice(1);
  });
  assert.equal(keys.map((key) => key?.[0]), ['built', 'built', 'found']);
  assert.is(keys[0]?.[1], keys[2]?.[1]);
  assert.is.not(keys[0]?.[1], keys[1]?.[1]);
});

test('DWARF comes before a source map', () => {
  const { bytes: module } = compileSource('frames.c', ['outer'], ['-gdwarf-5', '-O2']);
  const { table } = makeSourceTable(parseModule(withUrl(module, 'x.map'), { name: 'x' }), { name: 'x', pathMap: [], readSourceMap: () => Buffer.from(makeMap()) });
  const places = new PlaceTable(table as Buffer);
  assert.ok(Array.from({ length: module.length }, (_, i) => places.find(i)).flat().every(({ file }) => [undefined, `${SOURCES}frames.c`].includes(places.string(file))));
});

test.run();
