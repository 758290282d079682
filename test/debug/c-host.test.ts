/** The C host's view of the same frames: function, offset, what was inlined. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { load, wasmFrames } from '../../loader/index.js';
import { StatusCode } from '../../runtime-c/abi.js';
import { compileSource, SOURCES, scratchFile } from './clang.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

test('waot_frame_places says what wasmFrames says', async () => {
  const host = scratchFile('host');
  const library = join(root, 'build/Release');
  const made = spawnSync('cc', ['-std=gnu11', '-Wall', '-Wextra', '-Werror', `-I${root}runtime-c/include`, join(SOURCES, 'host.c'), '-o', host, `-L${library}`, '-lwasm_aot', `-Wl,-rpath,${library}`], { encoding: 'utf8' });
  assert.is(made.status, 0, made.stderr);
  const { bytes } = compileSource('frames.c', ['outer'], ['-gdwarf-5', '-O2']);
  let inlined = 0;
  for (const options of [{ debug: true, optLevel: 2 }, { debug: true, optLevel: 0 }, { optLevel: 2 }] as const) {
    const path = scratchFile('module.so');
    writeFileSync(path, (await build(bytes, options)).artifact);
    const { exports } = load(path).instantiate({});
    for (const args of [[7, 0], [6, 0], [0x7fff, 1], [5, 2], [3, 3]]) {
      const { stdout, status } = spawnSync(host, [path, 'outer', ...args.map(String)], { encoding: 'utf8' });
      let frames = '';
      try {
        (exports.outer as (...values: number[]) => number)(...args);
      } catch (error) {
        frames = wasmFrames(error).map((f) => `${f.functionIndex} 0x${f.offset.toString(16)} 1 ${Number(f.inlined)}\n`).join('');
        assert.is(status, StatusCode[(error as { code: keyof typeof StatusCode }).code]);
      }
      assert.ok(frames.length > 0);
      assert.is(stdout, frames);
      inlined += frames.split('\n').filter((line) => line.endsWith(' 1')).length;
    }
  }
  assert.ok(inlined > 0);
});

test.run();
