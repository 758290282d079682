/**
 * `npm run test:unwind`: unwinders against every instruction of the trampolines and of compiled code.
 *
 * libgcc's, libunwind's (where libunwind-dev is installed) and the runtime's own single-step by the trap flag; gdb steps by itself; each rule that a CFI directive of the trampolines
 * has made is removed in turn, which must be noticed; perf must name wasm functions in a Node process. What a machine lacks is said, not failed. The last line: `N instructions unwound, N failures`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPrograms, missingTools, NATIVE } from '../c/build.js';
import { buildSteppables } from './artifacts.js';
import { buildThrowing } from './exceptions.js';
import { mutateTrampolines } from './mutate.js';
import { isGood, recordByPerf, whyNoPerf } from './perf.js';
import { hasLibunwind, linkWithLibunwind } from './programs.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-unwind-'));
const at = (name: string) => join(directory, name);
let [instructions, failures] = [0, 0];

function report(ok: boolean, what: string): void {
  if (!ok) failures++;
  console.log(`${ok ? 'ok' : 'FAILED'} ${what}`);
}

function run(command: string, args: readonly string[], timeout = 60_000) {
  const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout, maxBuffer: 1 << 28 });
  return { ok: status === 0, status, text: `${stdout}${stderr}`, stdout, end: signal ?? status };
}

/** The unwinders that the test program has in it. */
function stepByTrapFlag(program: string, name: string): void {
  const { ok, text, end } = run(at(program), [at('guest.so')]);
  const [, gcc, libunwind, own] = /ok (\d+) instructions unwound by libgcc, (\d+) by libunwind, (\d+) walks/.exec(text) ?? [];
  instructions += Number(name === 'libunwind' ? libunwind ?? 0 : gcc ?? 0) + (name === 'libunwind' ? 0 : Number(own ?? 0));
  report(ok && gcc !== undefined, ok ? `${name}: ${name === 'libunwind' ? libunwind : `${gcc} instructions, ${own} walks of the runtime's own`}` : `${name}: ended with ${end}\n${text}`);
}

/** Compiled code of every kind, with a tick at many of its instructions. */
async function stepArtifacts(program: string): Promise<void> {
  for (const { name, path, calls } of await buildSteppables(directory, [0, 2, 3])) {
    const { ok, text, end } = run(at(program), [path, '40', ...calls], 240_000);
    const [, gcc, libunwind, own] = (/ok (\d+) instructions unwound by libgcc, (\d+) by libunwind, (\d+) walks/.exec(text) ?? []).map(Number);
    if (ok) instructions += gcc + libunwind + own;
    report(ok && gcc > 1000, ok ? `${name}: ${gcc} instructions by libgcc, ${libunwind} by libunwind, ${own} walks of the runtime's own` : `${name}: ended with ${end}\n${text}`);
  }
}

/** Exceptions out of frames of every kind. */
async function throwThroughArtifacts(): Promise<void> {
  for (const { name, path, exports } of await buildThrowing(directory, [{ optLevel: 0 }, { optLevel: 1 }, { optLevel: 2 }, { optLevel: 3 }])) {
    const { ok, text, end } = run(at('exception_artifact_test'), [path, ...exports], 240_000);
    report(ok, ok ? `${name}: C++ exceptions out of ${exports.length} functions` : `${name}: ended with ${end}\n${text}`);
  }
}

function stepByGdb(): void {
  const { text } = run('gdb', ['-q', '-batch', '-nx', '-x', join(root, 'test/unwind/step.py'), '--args', at('unwind_test'), at('guest.so'), 'for a debugger'], 240_000);
  const [, steps, lost] = /gdb: (\d+) steps, (\d+) failures/.exec(text) ?? [];
  instructions += Number(steps ?? 0);
  report(Number(steps) > 300 && lost === '0', `gdb: ${steps ?? 'no'} steps, ${lost ?? '?'} failures${Number(steps) > 300 && lost === '0' ? '' : `\n${text.slice(-2000)}`}`);
}

async function mutate(): Promise<void> {
  const { tried, noticed, wrong } = await mutateTrampolines(directory, 1);
  for (const line of wrong) report(false, line);
  report(tried > 300, `${noticed} of ${tried} rules of the trampolines' unwind tables are missed when they are removed, ${tried - noticed} are redundant`);
}

async function stepByPerf(): Promise<void> {
  const why = whyNoPerf();
  if (why) {
    console.log(`skipped: ${why}`);
    return;
  }
  const samples = await recordByPerf(directory);
  report(isGood(samples), `perf: ${samples.whole} of ${samples.inWasm} samples in wasm show its functions, and how it was entered${isGood(samples) ? '' : `\n${samples.text.slice(-2000)}`}`);
}

const missing = process.arch === 'x64' ? missingTools([['gcc', 'g++'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']]) : 'an x86-64 machine';
if (missing) {
  console.log(`the unwinding test needs ${missing}`);
  process.exitCode = 1;
} else {
  try {
    await buildPrograms(directory, NATIVE, ['unwind_test', 'unwind_artifact_test', 'exception_test', 'exception_artifact_test']);
    stepByTrapFlag('unwind_test', 'libgcc');
    const libunwind = hasLibunwind();
    if (libunwind) stepByTrapFlag(await linkWithLibunwind(directory, 'unwind_test'), 'libunwind');
    else console.log('skipped: libunwind (Debian package libunwind-dev)');
    await stepArtifacts(libunwind ? await linkWithLibunwind(directory, 'unwind_artifact_test') : 'unwind_artifact_test');
    report(run(at('exception_test'), [at('guest.so')]).ok, 'C++ exceptions through wasm');
    await throwThroughArtifacts();
    if (missingTools([['gdb', 'gdb']])) console.log('skipped: gdb (Debian package gdb)');
    else stepByGdb();
    await mutate();
    await stepByPerf();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  console.log(`${instructions} instructions unwound, ${failures} failures`);
  process.exitCode = failures > 0 ? 1 : 0;
}
