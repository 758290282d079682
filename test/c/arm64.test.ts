/** The C tests, cross-built for AArch64 Linux and run by qemu-user. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CROSS_ARM64, CROSS_ARM64_TOOLS, PROGRAMS, buildPrograms, missingTools, runArm64 } from './build.js';

const TIMEOUT_MS = 300_000;
const missing = missingTools(CROSS_ARM64_TOOLS);
/** What qemu-user 7.2 itself cannot do: fork a process that has threads, survive a SIGSEGV that is sent while translated code runs, run a program that a program starts. */
const SKIPPED = ['fork', 'fork while other threads hold locks', 'default: a signal sent while wasm runs', 'unlimited stack'];
/** Not for single-stepping: that needs the trap flag of x86-64. `unwind_brk_test` does the same with breakpoints. */
const programs = [...PROGRAMS.filter((name) => name !== 'unwind_test'), 'unwind_brk_test'];
let directory = '';
const at = (name: string) => join(directory, name);

if (missing) {
  console.log(`skipped: the AArch64 tests need ${missing}`);
} else {
  test.before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'wasm-aot-arm64-'));
    await buildPrograms(directory, CROSS_ARM64, programs);
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  for (const name of programs) {
    test(`${name.replace('_', ' ')} on AArch64`, () => {
      const { status, signal, stdout, stderr } = runArm64([at(name), at('guest.so')], TIMEOUT_MS, { WAOT_TEST_EMULATED: '1', WAOT_TEST_SKIP: SKIPPED.join(';') });
      assert.is(status, 0, `${name} ended with ${signal ?? status}\n${stdout}${stderr}`);
      assert.match(stdout, /^(ok .+\n)+$/);
    });
  }
}

test.run();
