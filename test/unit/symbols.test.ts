/** Symbols of functions: unique whatever the names, for two functions of one symbol would be one to the linker. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { assignSymbols } from '../../compiler/emit/symbols.js';
import type { WasmModule } from '../../compiler/wasm/module.js';
import { body, END, funcType, I32, leb, module, name, section, vec } from './module-bytes.js';

/** The symbols of functions with these names, in order; undefined: none. */
function symbolsOf(...names: (string | undefined)[]): string[] {
  const named = names.flatMap((name, index) => (name === undefined ? [] : [[index, name] as const]));
  return assignSymbols({ funcs: names.map(() => 0), names: { funcs: new Map(named) }, exports: [] } as unknown as WasmModule);
}

test('names that are free stay as they are', () => {
  assert.equal(symbolsOf('main', undefined, 'a b', 'café'), ['main', 'func[1]', 'a b', 'café']);
});

test('names that cannot be symbols', () => {
  assert.equal(symbolsOf('', 'func[7]', 'x@y', 'a\0b', 'memcpy', 'waot_module', '__multi3', 'llvm.trap'), ['func[0]', 'func[1]', 'func[2]', 'a?b', 'memcpy [4]', 'waot_module [5]', '__multi3 [6]', 'llvm.trap [7]']);
});

test('symbols are unique, also where a name looks like a symbol that was made up', () => {
  const long = 'x'.repeat(511);
  for (const names of [
    ['a', 'a', 'a'], ['a [2]', 'a', 'a'], ['a [2] [2]', 'a [2]', 'a', 'a', 'a [3]'], ['memcpy [1]', 'memcpy'], ['a [1]', 'a [1]', 'a', 'a'], ['a', 'b', 'a [3]', 'a'],
    [`${long}1`, `${long}2`, `${long}23`], [`${long}\u{1f600}`, `${long}\u{10ffff}`, `${long}\ufffd`],
  ]) {
    const symbols = symbolsOf(...names).map((symbol) => Buffer.from(symbol).toString('latin1'));
    assert.is(new Set(symbols).size, names.length, JSON.stringify(symbols));
  }
});

test('a module whose names collide compiles', async () => {
  const names = vec(['a [2]', 'a', 'a'].map((text, index) => [...leb(index), ...name(text)]));
  const bytes = module(section(1, vec([funcType([], [I32])])), section(3, vec([[0], [0], [0]])), section(10, vec([1, 2, 3].map((n) => body([0x41, n, END])))),
    section(0, [...name('name'), 1, ...leb(names.length), ...names]));
  assert.ok((await build(bytes)).artifact.length > 0);
});

test.run();
