/** Builds the runtime and the C and C++ tests of this folder with gcc, the hand-made guest with clang-22, and runs them. Needs no Node addon. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const sources = join(root, 'test/c');
const runtime = join(root, 'runtime-c');
const run = promisify(execFile);

/** The flags that node-gyp builds the runtime with. */
const RUNTIME_FLAGS = ['-O2', '-g', '-fPIC', '-fvisibility=hidden', '-fexceptions', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-pthread', '-ftls-model=initial-exec'];
const TEST_FLAGS = ['-O1', '-g', '-Wall', '-Wextra', '-Werror', '-pthread'];
const LIBRARIES = ['-pthread', '-ldl', '-lm'];
/** Programs of one C file each, linked with the harness and run on the hand-made guest. */
const PROGRAMS = ['runtime_test', 'threads_test', 'foreign_test', 'unwind_test'];
/** Programs of one C file each that need no guest: they make their artifacts themselves, with gcc. */
const ARTIFACT_PROGRAMS = ['sha256_test', 'artifact_test', 'instance_test'];
const TIMEOUT_MS = 120_000;

const missing = [['gcc', 'g++'], ['g++', 'g++'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']].filter(([tool]) => spawnSync(tool, ['--version']).error !== undefined);
let directory = '';

/** Runs the commands, at most as many at once as there are processors. */
async function runAll(commands: readonly (readonly string[])[]): Promise<void> {
  const queue = [...commands];
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await run(next[0], next.slice(1));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

const at = (name: string) => join(directory, name);

async function build(): Promise<void> {
  const runtimeFiles = readdirSync(runtime).filter((name) => /\.[cS]$/.test(name) && !name.startsWith('addon'));
  await runAll([
    ...runtimeFiles.map((name) => ['gcc', ...RUNTIME_FLAGS, '-c', join(runtime, name), '-o', at(`${name}.o`)]),
    ...['harness', ...PROGRAMS, ...ARTIFACT_PROGRAMS].map((name) => ['gcc', '-std=gnu11', ...TEST_FLAGS, '-c', join(sources, `${name}.c`), '-o', at(`${name}.t.o`)]),
    ['gcc', '-c', join(sources, 'unwind_magic_x64.S'), '-o', at('unwind_magic_x64.t.o')],
    ['g++', '-std=c++17', ...TEST_FLAGS, '-c', join(sources, 'exception_test.cc'), '-o', at('exception_test.t.o')],
    // Code generation only: optimised, the guest's recursions would become loops.
    ['clang-22', '-O2', '-Xclang', '-disable-llvm-passes', '-fPIC', '-c', join(sources, 'guest.ll'), '-o', at('guest.o')],
  ]);
  const runtimeObjects = runtimeFiles.map((name) => at(`${name}.o`));
  const objects = [...runtimeObjects, at('harness.t.o')];
  await runAll([
    ['ld.lld-22', '-shared', '-Bsymbolic', '--eh-frame-hdr', at('guest.o'), '-o', at('guest.so')],
    ...PROGRAMS.map((name) => ['gcc', at(`${name}.t.o`), ...(name === 'unwind_test' ? [at('unwind_magic_x64.t.o')] : []), ...objects, '-o', at(name), ...LIBRARIES]),
    ...ARTIFACT_PROGRAMS.map((name) => ['gcc', at(`${name}.t.o`), ...runtimeObjects, '-o', at(name), ...LIBRARIES]),
    ['g++', at('exception_test.t.o'), ...objects, '-o', at('exception_test'), ...LIBRARIES],
  ]);
}

if (missing.length > 0) {
  console.log(`skipped: the C tests need ${missing.map(([tool]) => tool).join(', ')} (Debian packages ${[...new Set(missing.map(([, name]) => name))].join(', ')})`);
} else {
  test.before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'wasm-aot-c-'));
    await build();
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  const runs: readonly { name: string; tickUs?: string }[] = [
    ...[...PROGRAMS, 'exception_test', ...ARTIFACT_PROGRAMS].map((name) => ({ name })),
    // The shortest period: races with the checker that 1 ms would rarely meet.
    { name: 'threads_test', tickUs: '50' },
    { name: 'exception_test', tickUs: '50' },
  ];
  for (const { name, tickUs } of runs) {
    test(name.replace('_', ' ') + (tickUs ? `, ticked every ${tickUs} us` : ''), () => {
      const env = tickUs ? { ...process.env, WAOT_TEST_TICK_US: tickUs } : process.env;
      const { status, signal, stdout, stderr } = spawnSync(at(name), [at('guest.so')], { encoding: 'utf8', timeout: TIMEOUT_MS, env });
      assert.is(status, 0, `${name} ended with ${signal ?? status}\n${stdout}${stderr}`);
      assert.match(stdout, /^(ok .+\n)+$/);
    });
  }
}

test.run();
