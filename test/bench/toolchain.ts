/** What compiles the kernels: Debian's clang, for wasm and for this machine, and wabt's wasm2c where it is installed. */
import { execFile } from 'node:child_process';
import { constants, existsSync } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
export const CLANG = 'clang-22';

/** The path of a program, or undefined when it is not installed. */
export async function findTool(name: string): Promise<string | undefined> {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(dir, name);
    if (await access(path, constants.X_OK).then(() => true, () => false)) return path;
  }
  return undefined;
}

/** Runs a tool. @throws {Error} with what it printed when it fails. */
export async function runTool(tool: string, args: readonly string[]): Promise<void> {
  await execute(tool, [...args], { maxBuffer: 1 << 24 }).catch((error: Error & { stderr?: string }) => {
    throw new Error(`${tool} ${args.join(' ')}: ${error.stderr || error.message}`);
  });
}

const COMMON = ['-O3', '-std=c17', '-Wall', '-Wextra', '-Werror', '-nostdlib'];
// Native code is built for the same level as ours by default; without contraction and errno its results are the same to the bit.
const NATIVE = ['-march=x86-64-v3', '-ffp-contract=off', '-fno-math-errno'];

/** C to wasm: one export `run`, wasm 2.0 without SIMD, no libc. Not through a `wasm-opt` that clang may find on the PATH: the kernels should not depend on who runs them. */
export async function compileWasm(source: string, output: string): Promise<void> {
  await runTool(CLANG, ['--target=wasm32', '--no-wasm-opt', ...COMMON, '-mbulk-memory', '-Wl,--no-entry', '-Wl,--export=run', source, '-o', output]);
}

/** C to a shared object of this machine with `run` in it. */
export async function compileNative(source: string, output: string): Promise<void> {
  await runTool(CLANG, [...COMMON.filter((flag) => flag !== '-nostdlib'), ...NATIVE, '-shared', '-fPIC', '-fvisibility=hidden', source, '-o', output]);
}

/** The timing program of native code. */
export async function compileNativeDriver(source: string, output: string): Promise<void> {
  await runTool(CLANG, ['-O2', '-std=gnu17', '-Wall', '-Wextra', '-Werror', source, '-o', output, '-ldl']);
}

/** wasm2c, where its runtime is installed beside it as Debian's wabt does (the npm package has the program alone). */
export async function findWasm2c(): Promise<string | undefined> {
  const path = await findTool('wasm2c');
  return path && existsSync(join(wasm2cRuntime(path), 'wasm-rt-impl.c')) ? path : undefined;
}

/** Where wabt installs the C that wasm2c's output needs, relative to the program. */
const wasm2cRuntime = (wasm2c: string) => join(dirname(wasm2c), '../share/wabt/wasm2c');

/**
 * wasm to C by wasm2c and on to a shared object with `run` in it; `shim` is the C that calls what wasm2c generates.
 */
export async function compileWasm2c(wasm2c: string, shim: string, wasm: string, workDir: string, output: string): Promise<void> {
  const prefix = join(dirname(wasm2c), '..');
  const runtime = wasm2cRuntime(wasm2c);
  await mkdir(workDir, { recursive: true });
  const generated = join(workDir, 'guest.c');
  await runTool(wasm2c, ['-n', 'guest', wasm, '-o', generated]);
  const include = ['-I', runtime, '-I', join(prefix, 'include'), '-I', workDir];
  await runTool(CLANG, ['-O3', ...NATIVE, '-w', '-shared', '-fPIC', '-fvisibility=hidden', ...include, generated, shim, join(runtime, 'wasm-rt-impl.c'), '-o', output, '-lm']);
}
