/** C++ exceptions that a host function throws, through the compiler's own code to a C++ caller: on x86-64, and for AArch64 in the emulator. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BuildOptions } from '../../compiler/index.js';
import { buildPrograms, CROSS_ARM64, CROSS_ARM64_TOOLS, missingTools, NATIVE, runArm64, type Toolchain } from '../c/build.js';
import { buildThrowing } from './exceptions.js';

const TIMEOUT_MS = 120_000;
const TOOLS = [['gcc', 'g++'], ['g++', 'g++'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']] as const;
const arm64 = { target: 'aarch64-unknown-linux-gnu' } as const;
const MACHINES: readonly { name: string; toolchain: Toolchain; missing: string | undefined; variants: readonly BuildOptions[]; run: (command: readonly string[]) => { status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string } }[] = [
  {
    name: 'x86-64', toolchain: NATIVE, missing: process.arch === 'x64' ? missingTools(TOOLS) : 'an x86-64 machine', variants: [{ optLevel: 0 }, { optLevel: 2 }, { optLevel: 3 }, { optLevel: 2, fuel: 'sync' }],
    run: ([program, ...args]) => spawnSync(program, args, { encoding: 'utf8', timeout: TIMEOUT_MS }),
  },
  {
    name: 'AArch64', toolchain: CROSS_ARM64, missing: missingTools(CROSS_ARM64_TOOLS), variants: [{ ...arm64, optLevel: 0 }, { ...arm64, optLevel: 2 }],
    run: (command) => runArm64(command, TIMEOUT_MS),
  },
];

const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-exceptions-'));
test.after(() => rmSync(directory, { recursive: true, force: true }));

for (const { name, toolchain, missing, variants, run } of MACHINES) {
  if (missing) {
    console.log(`skipped: C++ exceptions on ${name} need ${missing}`);
    continue;
  }
  test(`C++ exceptions pass through compiled code on ${name}`, async () => {
    const own = join(directory, name);
    mkdirSync(own);
    await buildPrograms(own, toolchain, ['exception_artifact_test']);
    for (const { name: artifact, path, exports } of await buildThrowing(own, variants)) {
      const { status, signal, stdout, stderr } = run([join(own, 'exception_artifact_test'), path, ...exports]);
      assert.is(status, 0, `${artifact}: ${signal ?? status}\n${stdout}${stderr}`);
      assert.is(stdout, `ok ${exports.length} functions\n`);
      assert.ok(exports.length >= 6);
    }
  });
}

test.run();
