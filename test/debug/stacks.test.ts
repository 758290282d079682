/** Stacks of modules with debugging information: the wasm frames that V8 has, whatever LLVM inlined, with the lines that llvm-symbolizer gives for them. */
import { writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { FRAME_ROWS_SECTION } from '../../runtime-c/abi.js';
import { type Instance, load, Trap, wasmFrames } from '../../loader/index.js';
import { compileSource, SOURCES, scratchFile, symbolize } from './clang.js';

const compiler = await openCompiler({ workers: 1 });
test.after(() => compiler.close());

async function instantiate(bytes: Uint8Array, options: BuildOptions, imports: WebAssembly.Imports = {}): Promise<Instance> {
  const { artifact, warnings } = await compiler.build(bytes, options);
  assert.equal(warnings, []);
  const path = scratchFile('module.so');
  writeFileSync(path, artifact);
  return load(path).instantiate(imports);
}

type Call = (...args: number[]) => unknown;

function thrown(call: () => unknown): Error {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** Index and offset of each wasm frame in a stack. */
const framesIn = (stack = ''): string[] => [...stack.matchAll(/wasm-function\[(\d+)\]:(0x[0-9a-f]+)\)?$/gm)].map(([, index, offset]) => `${index} ${offset}`);

/** Arguments of `outer` in frames.c: each traps somewhere else. */
const TRAPS = [[7, 0], [6, 0], [1, 1], [0x7fff, 1], [5, 2], [6, 3], [3, 3]] as const;

/** The offset of the code section's contents, by the section headers. */
function codeStart(bytes: Uint8Array): number {
  for (let at = 8; ;) {
    const id = bytes[at++];
    let size = 0;
    for (let scale = 1; ; scale *= 128) {
      size += (bytes[at] & 127) * scale;
      if (bytes[at++] < 128) break;
    }
    if (id === 10) return at;
    at += size;
  }
}

for (const flags of [['-gdwarf-4', '-O0'], ['-gdwarf-4', '-O2'], ['-gdwarf-5', '-O0'], ['-gdwarf-5', '-O2'], ['-gdwarf-5', '-O1', '-g1']]) {
  test(`clang ${flags.join(' ')}: frames as in V8, lines as llvm-symbolizer says, at -O0, -O2 and -O3`, async () => {
    const { path, bytes } = compileSource('frames.c', ['outer'], flags);
    const v8 = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource)).exports.outer as Call;
    const start = codeStart(bytes);
    let inlined = 0;
    for (const optLevel of [0, 2, 3] as const) {
      const { exports } = await instantiate(bytes, { debug: true, optLevel });
      for (const args of TRAPS) {
        const error = thrown(() => (exports.outer as Call)(...args));
        const where = `-O${optLevel}, outer(${args.join(', ')}): ${error.stack}`;
        assert.instance(error, Trap, where);
        assert.equal(framesIn(error.stack), framesIn(thrown(() => v8(...args)).stack), where);
        const frames = wasmFrames(error);
        const expected = symbolize(path, frames.map(({ offset }) => offset - start));
        const found = frames.map(({ sources }) => sources.map(({ functionName, file, line, column }) => `${functionName ?? '??'}\n${file}:${line ?? 0}:${column ?? 0}`).join('\n'));
        assert.equal(found, expected, where);
        inlined += frames.filter((frame) => frame.inlined).length;
        if (optLevel === 0) assert.is(inlined, 0);
      }
    }
    assert.ok(inlined > 0, 'LLVM inlined nothing, so this tested nothing');
  });
}

test("the text: source frames as JavaScript's, above the wasm frame that they stand for", async () => {
  const { bytes } = compileSource('frames.c', ['outer'], ['-gdwarf-5', '-O2']);
  for (const optLevel of [0, 2] as const) {
    const { exports } = await instantiate(bytes, { debug: true, optLevel, pathMap: [[SOURCES, 'src/']] });
    const lines = (thrown(function caller() { return (exports.outer as Call)(7, 0); }).stack as string).split('\n').map((line) => line.replace(/wasm\/[0-9a-f]{8}/, 'wasm/HASH').replace(/0x[0-9a-f]+/, 'OFFSET'));
    const at = lines.findIndex((line) => line.includes('caller'));
    assert.equal(lines.slice(0, at).map((line) => line.replace(/\[\d+\]/, '[N]')), [
      'Trap: integer divide by zero',
      '    at divide (src/frames.c:7:12)',
      '    at square (src/frames.c:10:42)',
      '    at leaf (src/frames.c:13:25)',
      '    at leaf (wasm://wasm/HASH:wasm-function[N]:OFFSET)',
      '    at middle (src/frames.c:21:13)',
      '    at middle (wasm://wasm/HASH:wasm-function[N]:OFFSET)',
      '    at outer (src/frames.c:28:12)',
      '    at outer (wasm://wasm/HASH:wasm-function[N]:OFFSET)',
    ]);
    for (const line of lines.slice(1)) assert.match(line, /^ {4}at (?:[^()]+ \((?:.+:\d+:\d+|wasm:\/\/wasm\/HASH:wasm-function\[\d+\]:OFFSET)\)|.+:\d+:\d+)$/);
  }
});

test("without -g: V8's frames as well, inlined or not, without sources", async () => {
  const { bytes } = compileSource('frames.c', ['outer'], ['-gdwarf-5', '-O2']);
  const v8 = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource)).exports.outer as Call;
  for (const optLevel of [0, 1, 2, 3] as const) {
    const { exports } = await instantiate(bytes, { optLevel });
    let inlined = 0;
    for (const args of TRAPS) {
      const error = thrown(() => (exports.outer as Call)(...args));
      assert.equal(framesIn(error.stack), framesIn(thrown(() => v8(...args)).stack), `-O${optLevel}, outer(${args.join(', ')}): ${error.stack}`);
      for (const frame of wasmFrames(error)) {
        assert.equal(frame.sources, []);
        if (frame.inlined) inlined++;
      }
    }
    assert.is(inlined > 0, optLevel >= 2, `-O${optLevel}: ${inlined} frames inlined`);
  }
});

test('without -g an artifact has no DWARF', async () => {
  const { bytes } = compileSource('frames.c', ['outer'], ['-gdwarf-5', '-O2']);
  for (const debug of [true, false]) {
    const { artifact } = await compiler.build(bytes, { debug });
    assert.is(Buffer.from(artifact).includes('.debug_'), debug);
    assert.not(Buffer.from(artifact).includes(FRAME_ROWS_SECTION), 'the linker has dropped what the frame table is made of');
  }
});

test('the same input gives the same bytes with -g, too', async () => {
  const { bytes } = compileSource('names.cc', ['run'], ['-gdwarf-5', '-O2']);
  const [a, b] = [await compiler.build(bytes, { debug: true }), await compiler.build(bytes, { debug: true })];
  assert.ok(Buffer.from(a.artifact).equals(Buffer.from(b.artifact)));
});

test.run();
