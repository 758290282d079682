/** What the benchmark runs: the kernels in C, and the programs from npm packages. */
import { fileURLToPath } from 'node:url';
import { nearestName } from '../../compiler/options.js';
import { Driver } from './driver.js';
import { allKernels } from './kernels.js';
import { PROGRAMS } from './programs.js';
import { V8_FLAGS } from './serve.js';
import { compileWasm } from './toolchain.js';

/** Something to run in several engines, which calculates a checksum from a number: the larger, the longer. */
export interface Workload {
  readonly name: string;
  readonly n: number;
  /** Of a kernel: its source, which native code is made of. Programs have none. */
  readonly source?: string;
  /** Writes its module to a file. */
  readonly writeWasm: (path: string) => Promise<void>;
}

/** Starts a process that runs programs in an engine (program-driver.ts). @param under a command that is to run Node, such as valgrind's. */
export function openProgramDriver(engine: string, under: readonly string[] = [], env?: NodeJS.ProcessEnv): Driver {
  const [command, ...args] = [...under, process.execPath, ...V8_FLAGS, '--expose-gc', fileURLToPath(new URL('./program-driver.js', import.meta.url)), engine];
  return new Driver(command, args, env);
}

/** Writes the module that a program compiles: some packages have it inside their JavaScript. */
async function recordModule(name: string, path: string): Promise<void> {
  const driver = openProgramDriver('record');
  try {
    await driver.load(0, name, path);
  } finally {
    driver.close();
  }
}

/** All kernels, by name. */
export const kernelWorkloads = (): Workload[] => allKernels().map(({ name, source, n }) => ({ name, source, n, writeWasm: (path) => compileWasm(source, path) }));
/** All programs, by name. */
export const programWorkloads = (): Workload[] => PROGRAMS.map(({ name, n }) => ({ name, n, writeWasm: (path) => recordModule(name, path) }));

/** What a run is about. */
export interface Choice { readonly kernels: readonly Workload[]; readonly programs: readonly Workload[] }

/**
 * The workloads of these names, of which `kernels` and `programs` mean all of a kind; without names, everything.
 * @throws {RangeError} for an unknown one.
 */
export function chooseWorkloads(names: readonly string[] = ['kernels', 'programs']): Choice {
  const all = { kernels: kernelWorkloads(), programs: programWorkloads() };
  const known = ['kernels', 'programs', ...all.kernels.map(({ name }) => name), ...all.programs.map(({ name }) => name)];
  for (const name of names) {
    if (!known.includes(name)) throw new RangeError(`there is no kernel or program ${JSON.stringify(name)}; did you mean ${JSON.stringify(nearestName(name, known))}?`);
  }
  const choose = (kind: keyof Choice) => (names.includes(kind) ? all[kind] : all[kind].filter(({ name }) => names.includes(name)));
  return { kernels: choose('kernels'), programs: choose('programs') };
}
