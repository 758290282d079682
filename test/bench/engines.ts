/** The engines that are compared, and the preparation of a workload for each. */
import { execFile, execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BuildOptions, Compiler } from '../../compiler/index.js';
import { Driver } from './driver.js';
import { injectBlockMetering } from './inject.js';
import { SOURCE_DIR } from './kernels.js';
import { V8_FLAGS } from './serve.js';
import { compileNative, compileNativeDriver, compileWasm2c, findWasm2c } from './toolchain.js';
import { openProgramDriver, type Workload } from './workloads.js';

/**
 * Names of engines, as they occur in the ratios. `plain` is wasm-aot without metering and without exact traps (plain-child.ts). `metered-O0` is not timed: it is there to compare what it
 * consumes.
 */
export type EngineName =
  | 'metered' | 'unmetered' | 'plain' | 'sync' | 'metered-O0' | 'v8' | 'v8-injected' | 'native' | 'wasm2c' | 'wasmtime' | 'wasmtime-fuel' | 'wasmtime-epochs';

/** A workload's files, as `prepare` makes them one after another. `handicap` asks the metered engine for slow code. */
export interface Files { readonly workload: Workload; readonly wasm: string; readonly dir: string; readonly compiler: Compiler; readonly handicap: boolean }
/** What makes the file that an engine loads, and returns its path. */
type Prepare = (files: Files) => Promise<string>;

/** An engine: the process that runs it, the kind that its driver is told, and what makes the file that it loads. */
export interface Engine { readonly name: EngineName; readonly timed: boolean; readonly driver: Driver; readonly kind: (workload: Workload) => string; readonly prepare: Prepare }

const compiled = (name: EngineName, options: BuildOptions): Prepare => async ({ workload, wasm, dir, compiler, handicap }) => {
  const slow: BuildOptions = name === 'metered' && handicap ? { optLevel: 0 } : {};
  const { artifact } = await compiler.build(await readFile(wasm), { name: `${workload.name}.wasm`, ...options, ...slow });
  const path = join(dir, `${workload.name}.${name}.so`);
  await writeFile(path, artifact);
  return path;
};

const compilePlain: Prepare = async ({ workload, wasm, dir }) => {
  const path = join(dir, `${workload.name}.plain.so`);
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('./plain-child.js', import.meta.url)), wasm, path]);
  return path;
};

const inject: Prepare = async ({ workload, wasm, dir }) => {
  const path = join(dir, `${workload.name}.injected.wasm`);
  await writeFile(path, injectBlockMetering(await readFile(wasm)));
  return path;
};

const asWasm: Prepare = async ({ wasm }) => wasm;

/** The engines in Node, what their drivers call them, and what makes their files. */
const NODE_ENGINES: readonly { readonly name: EngineName; readonly kind: string; readonly prepare: Prepare; readonly timed?: false }[] = [
  { name: 'metered', kind: 'ours', prepare: compiled('metered', {}) },
  { name: 'unmetered', kind: 'ours', prepare: compiled('unmetered', { fuel: 'none' }) },
  { name: 'plain', kind: 'ours', prepare: compilePlain },
  { name: 'sync', kind: 'ours', prepare: compiled('sync', { fuel: 'sync' }) },
  { name: 'metered-O0', kind: 'ours', prepare: compiled('metered-O0', { optLevel: 0 }), timed: false },
  { name: 'v8', kind: 'v8', prepare: asWasm },
  { name: 'v8-injected', kind: 'v8-injected', prepare: inject },
];

const prepareNative: Prepare = async ({ workload, dir }) => {
  const path = join(dir, `${workload.name}.native.so`);
  await compileNative(workload.source as string, path);
  return path;
};

/** Makes the file of an engine that need not run: one of those in Node, or `native`. */
export function buildFor(name: EngineName, files: Files): Promise<string> {
  const prepare = name === 'native' ? prepareNative : NODE_ENGINES.find((row) => row.name === name)?.prepare;
  if (!prepare) throw new Error(`no files are made for ${name} alone`);
  return prepare(files);
}

/** One process for all of them. */
function nodeEngines(): Engine[] {
  const driver = new Driver(process.execPath, [...V8_FLAGS, fileURLToPath(new URL('./node-driver.js', import.meta.url))]);
  return NODE_ENGINES.map(({ name, kind, prepare, timed = true }) => ({ name, timed, driver, kind: () => kind, prepare }));
}

async function nativeEngines(dir: string): Promise<Engine[]> {
  const program = join(dir, 'native-driver');
  await compileNativeDriver(join(SOURCE_DIR, 'native-driver.c'), program);
  const native: Engine = { name: 'native', timed: true, driver: new Driver(program, []), kind: () => 'native', prepare: prepareNative };
  const wasm2c = await findWasm2c();
  if (!wasm2c) return [native];
  const translated: Engine = {
    name: 'wasm2c', timed: true, driver: new Driver(program, []), kind: () => 'native',
    async prepare({ workload, wasm, dir }) {
      const path = join(dir, `${workload.name}.wasm2c.so`);
      await compileWasm2c(wasm2c, join(SOURCE_DIR, 'wasm2c-shim.c'), wasm, join(dir, `${workload.name}.wasm2c`), path);
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
  const engine = (name: EngineName, kind: string): Engine => ({ name, timed: true, driver, kind: () => kind, prepare: asWasm });
  return [engine('wasmtime-fuel', 'fuel'), engine('wasmtime-epochs', 'epochs'), engine('wasmtime', 'none')];
}

/** Starts every engine for kernels that this machine has; `dir` is for their files. */
export async function openKernelEngines(dir: string): Promise<Engine[]> {
  return [...nodeEngines(), ...await nativeEngines(dir), ...wasmtimeEngines()];
}

/**
 * Those of some engines that have these names; without names, all. The processes of the others are left to whoever ends them all.
 * @throws {RangeError} for a name that none of them has: it is wrong, or this machine lacks the engine.
 */
export function chooseEngines<T extends { readonly name: EngineName }>(engines: readonly T[], names?: readonly string[]): T[] {
  const known = engines.map(({ name }) => name);
  const missing = names?.find((name) => !(known as readonly string[]).includes(name));
  if (missing !== undefined) throw new RangeError(`there is no engine ${JSON.stringify(missing)} here; there are ${known.join(', ')}`);
  return engines.filter(({ name }) => names?.includes(name) ?? true);
}

/** The engines for programs, whose glue is JavaScript: those in Node. `sync` only counts, at -O0: programs are large, and most of a run would be building them. */
export const PROGRAM_ENGINES = NODE_ENGINES.map(({ name, kind, prepare, timed = true }) => (
  name === 'sync' ? { name, kind, prepare: compiled(name, { fuel: 'sync', optLevel: 0 }), timed: false } : { name, kind, prepare, timed }));

/** Starts the engines for programs, each in a process of its own: all, or those that are timed; with names, of these. @throws {RangeError} as `chooseEngines` does. */
export function openProgramEngines({ timedOnly = false, names }: { timedOnly?: boolean; names?: readonly string[] } = {}): Engine[] {
  return chooseEngines(PROGRAM_ENGINES, names).filter(({ timed }) => timed || !timedOnly).map((row) => ({ ...row, driver: openProgramDriver(row.kind), kind: (workload) => workload.name }));
}

/** Ends their processes. */
export function closeEngines(engines: readonly Engine[]): void {
  for (const driver of new Set(engines.map((engine) => engine.driver))) driver.close();
}

/** Makes a workload's files for every engine and loads them there, under the number that `loadId` gives. @returns the files' paths. */
export async function prepareWorkload(files: Omit<Files, 'wasm'>, id: number, engines: readonly Engine[]): Promise<ReadonlyMap<EngineName, string>> {
  const wasm = join(files.dir, `${files.workload.name}.wasm`);
  await files.workload.writeWasm(wasm);
  return new Map(await Promise.all(engines.map(async (engine, index) => {
    const path = await engine.prepare({ ...files, wasm });
    // Answers come in the order of commands, so concurrent loads in one driver get theirs.
    await engine.driver.load(loadId(id, index), engine.kind(files.workload), path);
    return [engine.name, path] as const;
  })));
}

/** The number under which workload `workload` is loaded for engine `engine`. */
export const loadId = (workload: number, engine: number): number => workload * 16 + engine;
