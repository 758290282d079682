/**
 * The tables of artifacts for macOS, read back here as the loader reads them there: the code's against llvm-symbolizer on the objects, and against the same module's for Linux; the sources' against those.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type BuildOptions, openCompiler } from '../../compiler/index.js';
import { locateTool } from '../../compiler/llvm/locate.js';
import { readArtifactFile } from '../../loader/artifact.js';
import { readSymbols, type Symbols } from '../../loader/symbols.js';
import { assemble } from '../loader/wat.js';
import { compileSource, scratchFile } from './clang.js';

const TARGETS = ['x86_64-apple-darwin', 'arm64-apple-darwin'] as const;
const LINUX = { 'x86_64-apple-darwin': 'x86_64-unknown-linux-gnu', 'arm64-apple-darwin': 'aarch64-unknown-linux-gnu' } as const;
const compiler = await openCompiler({ workers: 1 });
test.after(() => compiler.close());

/** More than a partition: the linker puts several objects together. */
const large = await assemble(`(module (memory 1) ${Array.from({ length: 2 }, (_, i) => `
  (func $f${i} (export "f${i}") (param i32) (result i32) ${'(i32.store (i32.const 8) (i32.add (local.get 0) (i32.load (i32.const 8))))'.repeat(800)} (i32.add (call $leaf${i} (local.get 0)) (i32.load (local.get 0))))
  (func $leaf${i} (param i32) (result i32) (i32.div_s (i32.const 7) (i32.load offset=${i} (local.get 0))))`).join('')})`);
const MODULES: Readonly<Record<string, { bytes: Uint8Array; options: BuildOptions }>> = {
  frames: { bytes: compileSource('frames.c', ['outer'], ['-gdwarf-5', '-O2']).bytes, options: { optLevel: 2 } },
  'several partitions': { bytes: large, options: { optLevel: 0 } },
};

function run(tool: string, args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(locateTool(tool, 'llvm-22'), args, { encoding: 'utf8', input, maxBuffer: 2 ** 30 });
  assert.is(status, 0, `${tool}: ${stderr}`);
  return stdout;
}

/** The functions of a file by llvm-nm: names without the format's underscore, addresses. Assembler's labels are not functions. */
function functionsOf(path: string): Map<string, number> {
  return new Map([...run('llvm-nm', ['--defined-only', path]).matchAll(/^([\da-f]+) [tT] (.+)$/gm)].filter(([, , name]) => !/^l(tmp|_)/.test(name)).map(([, address, name]) => [name.replace(/^_/, ''), Number.parseInt(address, 16)]));
}

interface Built { readonly path: string; readonly symbols: Symbols; readonly functions: Map<string, number> }

async function make(module: keyof typeof MODULES, target: string, debug: boolean): Promise<Built> {
  const { bytes, options } = MODULES[module];
  const { artifact } = await compiler.build(bytes, { ...options, name: 'module.wasm', target, debug });
  const path = scratchFile('artifact');
  writeFileSync(path, artifact);
  const symbols = readSymbols(readArtifactFile(path));
  if (!symbols) throw new Error(`${module} for ${target} has no frame table`);
  return { path, symbols, functions: functionsOf(path) };
}

/** Functions and wasm offsets, innermost first, as a line of text. */
const describe = ({ frames, functionAt }: Symbols, address: number): string => frames.find(address).map(({ name, line }) => `${functionAt(name - 1)?.name ?? `func[${name - 1}]`}:${line}`).join(' < ');

/** Addresses of the functions of an object, by function. Padding between functions is nobody's for the one and the function's for the other: up to 15 bytes before the next one are left out. */
function addressesIn(object: string): { name: string; start: number; address: number }[] {
  const own = [...functionsOf(object)].sort((a, b) => a[1] - b[1]);
  const size = Number(/__text\): (\d+)/.exec(run('llvm-size', ['--format=darwin', object]))?.[1]);
  return own.flatMap(([name, start], i) => Array.from({ length: Math.max(1, (own[i + 1]?.[1] ?? size + 15) - start - 15) }, (_, at) => ({ name, start, address: start + at })));
}

/** What llvm-symbolizer says, in the form of `describe`: in the compiler's DWARF a line is an offset in the wasm file. */
function symbolizeCode(object: string, addresses: readonly number[]): string[] {
  const output = run('llvm-symbolizer', [`--obj=${object}`, '--inlines', '--no-demangle'], addresses.map((address) => `0x${address.toString(16)}`).join('\n'));
  return output.trimEnd().split('\n\n').map((answer) => {
    const lines = answer.trim().split('\n');
    return Array.from({ length: lines.length / 2 }, (_, i) => `${lines[2 * i]}:${/:(\d+):\d+$/.exec(lines[2 * i + 1])?.[1]}`).join(' < ');
  });
}

for (const target of TARGETS) {
  for (const module of Object.keys(MODULES)) {
    test(`${target}, ${module}: with -g, every address of the code as llvm-symbolizer has it in the objects`, async () => {
      const { symbols, functions } = await make(module, target, true);
      const { parts = [] } = await compiler.build(MODULES[module].bytes, { ...MODULES[module].options, name: 'module.wasm', target, debug: true, emit: 'obj' });
      let [compared, inlined, objects, unknown] = [0, 0, 0, 0];
      for (const part of parts) {
        const object = scratchFile('part.o');
        writeFileSync(object, part);
        const addresses = addressesIn(object).filter(({ name }) => !name.startsWith('waot.')); // adapters have no lines
        const expected = symbolizeCode(object, addresses.map(({ address }) => address));
        if (addresses.length > 0) objects++;
        for (const [i, { name, start, address }] of addresses.entries()) {
          if (/^[^<]*:0(?: <|$)/.test(expected[i])) { // LLVM's DWARF does not say; the table says what is next
            unknown++;
            continue;
          }
          assert.is(describe(symbols, (functions.get(name) as number) + address - start), expected[i], `${name}+0x${(address - start).toString(16)}`);
          compared++;
          if (expected[i].includes(' < ')) inlined++;
        }
      }
      assert.ok(compared > 1000 || module === 'frames', `${compared} addresses`);
      assert.ok(unknown * 4 < compared, `${unknown} addresses beside ${compared}`);
      assert.is(inlined > 0, module === 'frames');
      assert.is(objects > 1, module === 'several partitions');
    });

    test(`${target}, ${module}: functions, operators and sources are those of the artifact for Linux`, async () => {
      for (const debug of [true, false]) {
        const [there, here] = [await make(module, target, debug), await make(module, LINUX[target], debug)];
        const placesOf = ({ symbols, functions }: Built): string[] => [...functions].map(([name, start]) => `${name} ${describe(symbols, start)}`).sort();
        assert.equal(placesOf(there), placesOf(here));
        assert.ok(placesOf(there).filter((place) => /:\d+$/.test(place)).length >= 1);
        assert.equal([there.symbols.sources !== undefined, here.symbols.sources !== undefined], Array(2).fill(debug && module === 'frames'));
        for (let offset = 0; there.symbols.sources && offset < MODULES[module].bytes.length; offset++) {
          const describeSource = ({ sources }: Symbols) => JSON.stringify(sources?.find(offset).map(({ name, file, line, column }) => [sources.string(name), sources.string(file), line, column]));
          assert.is(describeSource(there.symbols), describeSource(here.symbols), `offset ${offset}`);
        }
      }
    });
  }
}

test.run();
