/** Builds and runs examples/01-c-host by its own Makefile, in a copy, against the built runtime and compiler. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const missing = ['make', 'cc', 'clang-22'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined);
for (const built of ['build/Release/libwasm_aot.so', 'build/Release/codegen.node']) if (!existsSync(join(root, built))) missing.push(built);

if (missing.length > 0) {
  console.log(`skipped: the C example needs ${missing.join(', ')}`);
} else {
  test('01-c-host: runs to the end, into a trap, out of fuel, and on', () => {
    const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-example-'));
    try {
      cpSync(join(root, 'examples/01-c-host'), directory, { recursive: true });
      for (const made of ['main', 'guest.wasm', 'guest.so']) rmSync(join(directory, made), { force: true });
      const output = execFileSync('make', ['-s', '-C', directory, `ROOT=${root.replace(/\/$/, '')}`, 'run'], { encoding: 'utf8', timeout: 120_000 });
      const lines = output.split('\n');
      assert.equal(
        lines.filter((line) => line.startsWith('  the guest reports')).map((line) => Number(line.split(' ').at(-1))),
        [2, 3, 5, 7, 11, 13, 17, 19],
      );
      assert.match(output, /^primes: ok; consumed [1-9]\d* of 10000; result 8$/m);
      assert.match(output, /^ {2}8 reports$/m);
      assert.match(output, /^divide: integer divide by zero; consumed [1-9]\d* of 10000$/m);
      assert.match(output, /^forever: out of fuel; consumed 10000000 of 10000000$/m);
      assert.match(output, /^divide: ok; consumed [1-9]\d* of 10000; result 42$/m);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
  test.run();
}
