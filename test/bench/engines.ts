/** The engines that are compared, and the preparation of a kernel for each. */
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions, Compiler } from '../../compiler/index.js';
import { Driver } from './driver.js';
import { injectBlockMetering } from './inject.js';
import { type Kernel, SOURCE_DIR } from './kernels.js';
import { V8_FLAGS } from './node-driver.js';
import { compileNative, compileNativeDriver, compileWasm, compileWasm2c, findWasm2c } from './toolchain.js';

/** Names of engines, as they occur in the ratios. `metered-O0` is not timed: it is there to compare what it consumes. */
export type EngineName =
  | 'metered' | 'unmetered' | 'sync' | 'metered-O0' | 'v8' | 'v8-injected' | 'native' | 'wasm2c' | 'wasmtime' | 'wasmtime-fuel' | 'wasmtime-epochs';

/** A kernel's files, as `prepare` makes them one after another. */
interface Files { readonly kernel: Kernel; readonly wasm: string; readonly dir: string; readonly compiler: Compiler }

/** An engine: the process that runs it, the kind that its driver is told, and what makes the file that it loads. */
export interface Engine {
  readonly name: EngineName;
  readonly timed: boolean;
  readonly driver: Driver;
  readonly kind: string;
  prepare(files: Files): Promise<string>;
}

const ours = (name: EngineName, driver: Driver, options: BuildOptions, timed = true): Engine => ({
  name, timed, driver, kind: 'ours',
  async prepare({ kernel, wasm, dir, compiler }) {
    const { artifact } = await compiler.build(await readFile(wasm), { name: `${kernel.name}.wasm`, ...options });
    const path = join(dir, `${kernel.name}.${name}.so`);
    await writeFile(path, artifact);
    return path;
  },
});

const asWasm = (name: EngineName, driver: Driver, kind: string): Engine => ({ name, timed: true, driver, kind, prepare: async ({ wasm }) => wasm });

function nodeEngines(driver: Driver): Engine[] {
  return [
    ours('metered', driver, {}),
    ours('unmetered', driver, { fuel: 'none' }),
    ours('sync', driver, { fuel: 'sync' }),
    ours('metered-O0', driver, { optLevel: 0 }, false),
    asWasm('v8', driver, 'v8'),
    {
      name: 'v8-injected', timed: true, driver, kind: 'v8-injected',
      async prepare({ kernel, wasm, dir }) {
        const path = join(dir, `${kernel.name}.injected.wasm`);
        await writeFile(path, injectBlockMetering(await readFile(wasm)));
        return path;
      },
    },
  ];
}

async function nativeEngines(dir: string): Promise<Engine[]> {
  const program = join(dir, 'native-driver');
  await compileNativeDriver(join(SOURCE_DIR, 'native-driver.c'), program);
  const driver = new Driver(program, []);
  const native: Engine = {
    name: 'native', timed: true, driver, kind: 'native',
    async prepare({ kernel, dir }) {
      const path = join(dir, `${kernel.name}.native.so`);
      await compileNative(kernel.source, path);
      return path;
    },
  };
  const wasm2c = await findWasm2c();
  if (!wasm2c) return [native];
  const translated: Engine = {
    name: 'wasm2c', timed: true, driver: new Driver(program, []), kind: 'native',
    async prepare({ kernel, wasm, dir }) {
      const path = join(dir, `${kernel.name}.wasm2c.so`);
      await compileWasm2c(wasm2c, join(SOURCE_DIR, 'wasm2c-shim.c'), wasm, join(dir, `${kernel.name}.wasm2c`), path);
      return path;
    },
  };
  return [native, translated];
}

/** A Python that has the package wasmtime: `$WASMTIME_PYTHON`, or python3. */
function findWasmtime(): string | undefined {
  for (const python of [process.env.WASMTIME_PYTHON, 'python3']) {
    if (!python) continue;
    try {
      execFileSync(python, ['-c', 'import wasmtime'], { stdio: 'ignore' });
      return python;
    } catch {
      // Not that one.
    }
  }
  return undefined;
}

function wasmtimeEngines(): Engine[] {
  const python = findWasmtime();
  if (!python) return [];
  const driver = new Driver(python, [join(SOURCE_DIR, 'wasmtime_driver.py')]);
  return [asWasm('wasmtime-fuel', driver, 'fuel'), asWasm('wasmtime-epochs', driver, 'epochs'), asWasm('wasmtime', driver, 'none')];
}

/** Starts every engine that this machine has; `dir` is for their files. */
export async function openEngines(dir: string): Promise<Engine[]> {
  const node = new Driver(process.execPath, [...V8_FLAGS, fileURLToPath(new URL('./node-driver.js', import.meta.url))]);
  return [...nodeEngines(node), ...await nativeEngines(dir), ...wasmtimeEngines()];
}

/** Ends their processes. */
export function closeEngines(engines: readonly Engine[]): void {
  for (const driver of new Set(engines.map((engine) => engine.driver))) driver.close();
}

/** Builds a kernel for every engine and loads it there, under the number `id` x 16 + the engine's. */
export async function prepareKernel(kernel: Kernel, id: number, engines: readonly Engine[], dir: string, compiler: Compiler): Promise<void> {
  const wasm = join(dir, `${kernel.name}.wasm`);
  await compileWasm(kernel.source, wasm);
  await Promise.all(engines.map(async (engine, index) => {
    const path = await engine.prepare({ kernel, wasm, dir, compiler });
    // Answers come in the order of commands, so concurrent loads in one driver get theirs.
    await engine.driver.load(loadId(id, index), engine.kind, path);
  }));
}

/** The number under which kernel `kernel` is loaded for engine `engine`. */
export const loadId = (kernel: number, engine: number): number => kernel * 16 + engine;
