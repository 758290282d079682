/** Builds the runtime and the C and C++ programs of this folder, for this machine or another, plainly or with sanitizers. Needs no Node addon. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../../', import.meta.url));
export const sources = join(root, 'test/c');
export const runtimeSources = join(root, 'runtime-c');
const execute = promisify(execFile);

/** The flags that node-gyp builds the runtime with. */
const RUNTIME_FLAGS = ['-O2', '-g', '-fPIC', '-fvisibility=hidden', '-fexceptions', '-fasynchronous-unwind-tables', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-pthread', '-ftls-model=initial-exec'];
const TEST_FLAGS = ['-O1', '-g', '-Wall', '-Wextra', '-Werror', '-pthread'];
const LIBRARIES = ['-pthread', '-ldl', '-lm'];

/** Programs of one C file each, linked with the harness and run on the hand-made guest. */
export const GUEST_PROGRAMS = ['runtime_test', 'threads_test', 'interrupt_test', 'pace_test', 'foreign_test', 'unwind_test'];
/** Programs of one C file each that need no guest: they make their artifacts themselves, with the C compiler. */
export const ARTIFACT_PROGRAMS = ['sha256_test', 'artifact_test', 'instance_test', 'type_test', 'heap_test'];
/** Programs that are linked without the harness. */
const BARE_PROGRAMS = [...ARTIFACT_PROGRAMS, 'load_bench'];
/** Programs in C++. */
const CXX_PROGRAMS = ['exception_test', 'exception_artifact_test'];
/** All, the one in C++ too, that need nothing that the compiler has made. */
export const PROGRAMS = [...GUEST_PROGRAMS, 'exception_test', ...ARTIFACT_PROGRAMS];

/** What differs between the builds. */
export interface Toolchain {
  readonly cc: string;
  readonly cxx: string;
  readonly arch: 'x64' | 'arm64';
  /** More flags for the runtime's files, for the tests' own, and for linking. */
  readonly runtimeFlags?: readonly string[];
  readonly testFlags?: readonly string[];
  readonly linkFlags?: readonly string[];
}

export const NATIVE: Toolchain = { cc: 'gcc', cxx: 'g++', arch: 'x64' };

/** From this machine to AArch64 Linux, and the tools that building and running take. */
export const CROSS_ARM64: Toolchain = { cc: 'aarch64-linux-gnu-gcc', cxx: 'aarch64-linux-gnu-g++', arch: 'arm64' };
export const CROSS_ARM64_TOOLS = [
  ['aarch64-linux-gnu-gcc', 'gcc-aarch64-linux-gnu'], ['aarch64-linux-gnu-g++', 'g++-aarch64-linux-gnu'], ['qemu-aarch64', 'qemu-user'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22'],
] as const;

/** Runs a program built by CROSS_ARM64 in the emulator; compilers that it starts are cross compilers too. */
export function runArm64(command: readonly string[], timeout: number, env: NodeJS.ProcessEnv = {}, input = ''): { status: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string } {
  return spawnSync('qemu-aarch64', ['-L', '/usr/aarch64-linux-gnu', ...command], { encoding: 'utf8', timeout, input, env: { ...process.env, CC: CROSS_ARM64.cc, ...env } });
}

/** The runtime under AddressSanitizer and UndefinedBehaviorSanitizer. The first report ends the program. */
export const SANITIZED: Toolchain = {
  ...NATIVE,
  // -O1 for readable reports. Warnings that only the instrumented code provokes are no errors.
  runtimeFlags: ['-O1', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined', '-Wno-error'],
  testFlags: ['-fsanitize=address', '-Wno-error'],
  linkFlags: ['-fsanitize=address,undefined'],
};
/** Faults and signal stacks are the runtime's; and the landing leaves frames without their epilogues, which a shadow of returned-from frames would not survive. */
export const ASAN_OPTIONS = [
  'handle_segv=0', 'handle_sigbus=0', 'handle_sigill=0', 'allow_user_segv_handler=1', 'use_sigaltstack=0', 'detect_stack_use_after_return=0', 'exitcode=99',
].join(':');

/** Whether gcc has its sanitizers' libraries: without them it still compiles, and prints a bare file name for a library that it does not find. */
export function hasSanitizers(): boolean {
  return ['libasan.so', 'libubsan.so'].every((name) => existsSync(spawnSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' }).stdout?.trim() ?? ''));
}

/** Of these tools, those that are not installed, with the Debian packages that have them: a sentence, or undefined. */
export function missingTools(needed: readonly (readonly [tool: string, debianPackage: string])[]): string | undefined {
  const missing = needed.filter(([tool]) => spawnSync(tool, ['--version']).error !== undefined);
  if (missing.length === 0) return undefined;
  return `${missing.map(([tool]) => tool).join(', ')} (Debian packages ${[...new Set(missing.map(([, name]) => name))].join(', ')})`;
}

/** Runs the commands, at most as many at once as there are processors. Rejects with the output of the first that fails. */
export async function runAll(commands: readonly (readonly string[])[]): Promise<void> {
  const queue = [...commands];
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) await execute(next[0], next.slice(1));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

/** The hand-made guest as IR for the architecture: the files differ in the triple, in the charge, and in how the fuel register is reserved. */
function guestText(arch: Toolchain['arch']): string {
  const text = readFileSync(join(sources, 'guest.ll'), 'utf8');
  if (arch === 'x64') return text;
  return text
    .replaceAll('"addq $0, %rbp", "i,~{flags}"', '"add x28, x28, $0", "i"')
    .replace('x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu')
    .replace('"frame-pointer"="reserved"', '"target-features"="+reserve-x28"');
}

/** Builds the runtime's objects into the directory; returns their paths. */
export async function buildRuntime(directory: string, toolchain: Toolchain): Promise<string[]> {
  const files = readdirSync(runtimeSources).filter((name) => /\.[cS]$/.test(name) && !name.startsWith('addon'));
  const object = (name: string) => join(directory, `${name}.o`);
  await runAll(files.map((name) => [toolchain.cc, ...RUNTIME_FLAGS, ...(toolchain.runtimeFlags ?? []), '-c', join(runtimeSources, name), '-o', object(name)]));
  return files.map(object);
}

/** The command that compiles a C file of this folder to `<name>.t.o`. */
export function compileCommand(directory: string, toolchain: Toolchain, name: string): string[] {
  return [toolchain.cc, '-std=gnu11', ...TEST_FLAGS, ...(toolchain.testFlags ?? []), '-c', join(sources, `${name}.c`), '-o', join(directory, `${name}.t.o`)];
}

/** Builds the guest, as `guest.so`. */
export async function buildGuest(directory: string, arch: Toolchain['arch']): Promise<void> {
  const [text, object] = [join(directory, 'guest.ll'), join(directory, 'guest.o')];
  writeFileSync(text, guestText(arch));
  // Code generation only: optimised, the guest's recursions would become loops.
  await runAll([['clang-22', '--target=' + (arch === 'x64' ? 'x86_64' : 'aarch64') + '-unknown-linux-gnu', '-O2', '-Xclang', '-disable-llvm-passes', '-fPIC', '-c', text, '-o', object]]);
  await runAll([['ld.lld-22', '-shared', '-Bsymbolic', '--eh-frame-hdr', object, '-o', join(directory, 'guest.so')]]);
}

/** Builds the programs of this folder that are named, and what they need, into the directory; a program is then run as `<directory>/<name> <directory>/guest.so`. */
export async function buildPrograms(directory: string, toolchain: Toolchain, programs: readonly string[] = PROGRAMS): Promise<void> {
  const at = (name: string) => join(directory, name);
  const { cc, cxx, arch, testFlags = [], linkFlags = [] } = toolchain;
  // What programs are linked with, beside the harness.
  const parts = (name: string) => (/^unwind.*_test$/.test(name) ? ['unwind_magic', ...(name === 'unwind_brk_test' ? [] : ['unwind_check'])] : []);
  const runtime = await buildRuntime(directory, toolchain);
  await runAll([
    ...['harness', ...programs.filter((name) => !CXX_PROGRAMS.includes(name)), ...(programs.flatMap(parts).includes('unwind_check') ? ['unwind_check'] : [])].map((name) => compileCommand(directory, toolchain, name)),
    ...(programs.flatMap(parts).length > 0 ? [[cc, '-c', join(sources, `unwind_magic_${arch}.S`), '-o', at('unwind_magic.t.o')]] : []),
    ...programs.filter((name) => CXX_PROGRAMS.includes(name)).map((name) => [cxx, '-std=c++17', ...TEST_FLAGS, ...testFlags, '-c', join(sources, `${name}.cc`), '-o', at(`${name}.t.o`)]),
  ]);
  await buildGuest(directory, arch);
  await runAll(programs.map((name) => [
    CXX_PROGRAMS.includes(name) ? cxx : cc, at(`${name}.t.o`), ...parts(name).map((part) => at(`${part}.t.o`)),
    ...(BARE_PROGRAMS.includes(name) ? [] : [at('harness.t.o')]), ...runtime, ...linkFlags, '-o', at(name), ...LIBRARIES,
  ]));
}
