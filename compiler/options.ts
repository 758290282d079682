/** The options of `build`, their defaults, and their checking: the one types file that is the compiler's API reference. */
import { availableParallelism } from 'node:os';
import type { FuelModeName } from '../runtime-c/abi.js';
import { CompileError, type Diagnostic } from './diagnostics.js';
import type { CostTable } from './metering/cost.js';
import type { CompileProfile } from './profile.js';

export type OptLevel = 0 | 1 | 2 | 3;
/** What `build` returns: a linked artifact, or one of the intermediate forms of the pipeline. */
export type EmitKind = 'artifact' | 'obj' | 'asm' | 'ir' | 'bc';
/** CPU levels of an x86-64 artifact (x86-64 psABI, micro-architecture levels). `baseline` is the lowest that can be compiled for, v2; `native` is this machine. */
export const CPU_LEVELS = ['baseline', 'v2', 'v3', 'v4', 'native'] as const;
export type CpuLevel = (typeof CPU_LEVELS)[number];
/** Triples of the machines that there is code for; what differs between them is in `llvm/target.ts`. */
export const TRIPLES = ['x86_64-unknown-linux-gnu', 'aarch64-unknown-linux-gnu', 'x86_64-apple-darwin', 'arm64-apple-darwin'] as const;
export type Triple = (typeof TRIPLES)[number];
/** What `build` compiles for unless told otherwise. */
export const DEFAULT_TRIPLE: Triple = 'x86_64-unknown-linux-gnu';

export interface BuildOptions {
  /** Name of the input, for messages and the manifest. Default `module.wasm`. */
  readonly name?: string;
  /** Optimisation level, as clang's, but that 1 is a short pipeline for code that has been optimised before: about two thirds of 2's compile time. Default 2. */
  readonly optLevel?: OptLevel;
  /** How the code is metered. Default `outband`. */
  readonly fuel?: FuelModeName;
  /** Prices of operators. Default: the profile `wasmtime-1`. */
  readonly costTable?: CostTable;
  /**
   * Whether stacks know the sources, and debuggers the operators: the table that backtraces read, and DWARF for gdb and perf (line = byte offset in the wasm file). Lines of sources come from the module's own DWARF or source map.
   * Default false.
   */
  readonly debug?: boolean;
  /** With `debug`: replaces the beginnings of the sources' paths, `[from, to]`; of several that fit the last counts. Default: none. */
  readonly pathMap?: readonly (readonly [from: string, to: string])[];
  /** With `debug`: gives the source map that a module names by a URL other than `data:`; undefined when it cannot. Default: it cannot. */
  readonly readSourceMap?: (url: string) => Uint8Array | undefined;
  /** `canonical` makes every NaN that arithmetic produces the canonical one, so that results do not depend on level or target. Default `native`. */
  readonly nan?: 'native' | 'canonical';
  /** Triple of the machine to compile for. Default `x86_64-unknown-linux-gnu`; or `aarch64-unknown-linux-gnu`, `x86_64-apple-darwin`, `arm64-apple-darwin`. */
  readonly target?: string;
  /**
   * CPU level, for x86-64 only; or several, of v2, v3 and v4: the artifact then has code for each, and the best that a CPU can run is chosen when it is loaded. Default `v3`.
   */
  readonly cpu?: CpuLevel | readonly CpuLevel[];
  /** Features of WebAssembly to switch, by their names in `compiler/wasm/features.ts`: on, and then off. Default: all that are finished are on. */
  readonly features?: { readonly enable?: readonly string[]; readonly disable?: readonly string[] };
  /** What to return. Default `artifact`. */
  readonly emit?: EmitKind;
  /** Partitions compiled at a time, 1 or more; never more than there are cores, which is the default. The result does not depend on it. */
  readonly jobs?: number;
  /**
   * Bytes that the compile process may take: fewer partitions are compiled at a time, with the same result. A budget that the module is not expected to fit into is refused (an error of kind `memory`); the default is not: half of the
   * memory that there is.
   */
  readonly memoryBudget?: number;
  /** Whether to say where the time went, in `stats.profile`. Default false. */
  readonly profile?: boolean;
  /** Called as work is done: stage, units done, units in all. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress { readonly stage: 'validate' | 'lower' | 'codegen' | 'link'; readonly done: number; readonly total: number }

/** What a build did. */
export interface BuildStats {
  /** Functions defined in the module; bytes of wasm and of the result. */
  readonly functions: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Partitions that were compiled, in parallel. */
  readonly partitions: number;
  /** The most memory that the compile process has had, in bytes; of a warm compiler's, with the modules before. */
  readonly peakBytes: number;
  /** Milliseconds of wall time, in all and by stage. */
  readonly milliseconds: number;
  readonly stages: Readonly<Record<string, number>>;
  /** With the option `profile`: CPU time by partition and stage, the slowest passes and functions. */
  readonly profile?: CompileProfile;
}

export interface BuildResult {
  /** The bytes of what `emit` asked for; where a stage has several files (one a partition), they are joined (text) or returned in `parts`. */
  readonly artifact: Uint8Array;
  readonly parts?: readonly Uint8Array[];
  readonly warnings: readonly Diagnostic[];
  readonly stats: BuildStats;
}

type Optional = 'onProgress' | 'costTable' | 'features' | 'readSourceMap' | 'memoryBudget';
type Resolved = Required<Omit<BuildOptions, Optional | 'cpu'>> & Pick<BuildOptions, Optional> & { /** Ascending. */ readonly cpu: readonly CpuLevel[] };
/** Options with every default filled in. */
export type ResolvedOptions = Resolved;

const ALLOWED: { readonly [K in keyof BuildOptions]?: readonly unknown[] } = {
  optLevel: [0, 1, 2, 3],
  fuel: ['outband', 'sync', 'none'],
  debug: [true, false],
  profile: [true, false],
  nan: ['native', 'canonical'],
  target: TRIPLES,
  emit: ['artifact', 'obj', 'asm', 'ir', 'bc'],
};
const NAMES: readonly (keyof BuildOptions)[] = ['name', 'optLevel', 'fuel', 'costTable', 'debug', 'pathMap', 'readSourceMap', 'nan', 'target', 'cpu', 'features', 'emit', 'jobs', 'memoryBudget', 'profile', 'onProgress'];

/**
 * Fills in defaults.
 * @throws {CompileError} of kind `usage` for an unknown option (naming the nearest known one) or a value that is not allowed.
 */
export function resolveOptions(options: BuildOptions = {}): ResolvedOptions {
  for (const key of Object.keys(options)) {
    if (!NAMES.includes(key as keyof BuildOptions)) {
      throw new CompileError({ kind: 'usage', message: `unknown option ${JSON.stringify(key)}`, note: `did you mean ${JSON.stringify(nearestName(key, NAMES))}?` });
    }
  }
  for (const [key, allowed] of Object.entries(ALLOWED)) {
    const value = options[key as keyof BuildOptions];
    if (value !== undefined && !allowed.includes(value)) {
      throw new CompileError({ kind: 'usage', message: `${key} cannot be ${JSON.stringify(value)}`, note: `it is one of ${allowed.join(', ')}` });
    }
  }
  for (const key of ['jobs', 'memoryBudget'] as const) {
    const value = options[key];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) throw new CompileError({ kind: 'usage', message: `${key} must be a whole number of at least 1, not ${value}` });
  }
  const { target = DEFAULT_TRIPLE, cpu, pathMap } = options;
  if (pathMap !== undefined && !(Array.isArray(pathMap) && pathMap.every((pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === 'string')))) {
    throw new CompileError({ kind: 'usage', message: 'pathMap must be an array of pairs of strings: [[from, to], ...]' });
  }
  if (cpu !== undefined && !target.startsWith('x86_64')) {
    throw new CompileError({ kind: 'usage', message: `cpu cannot be ${JSON.stringify(cpu)} for ${target}`, note: 'the CPU levels are those of x86-64' });
  }
  const levels = resolveCpuLevels(cpu ?? 'v3');
  return {
    name: 'module.wasm', optLevel: 2, fuel: 'outband', debug: false, pathMap: [], nan: 'native', target: DEFAULT_TRIPLE, emit: 'artifact',
    jobs: availableParallelism(), profile: false,
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    cpu: levels,
  } as ResolvedOptions;
}

/** The levels to compile for, the least first. @throws {CompileError} of kind `usage`. */
function resolveCpuLevels(cpu: CpuLevel | readonly CpuLevel[]): CpuLevel[] {
  const levels = typeof cpu === 'string' ? [cpu] : [...cpu];
  const unknown = levels.find((level) => !CPU_LEVELS.includes(level));
  if (unknown !== undefined || levels.length === 0) throw new CompileError({ kind: 'usage', message: `cpu cannot be ${JSON.stringify(unknown ?? cpu)}`, note: `it is one of ${CPU_LEVELS.join(', ')}` });
  if (levels.length > 1 && levels.some((level) => level === 'native' || level === 'baseline')) {
    throw new CompileError({ kind: 'usage', message: `cpu cannot be ${JSON.stringify(levels)}`, note: 'several levels are of v2, v3 and v4' });
  }
  return CPU_LEVELS.filter((level) => levels.includes(level));
}

/** The known name with the smallest Levenshtein distance to `name`. */
export function nearestName(name: string, known: readonly string[]): string {
  const distance = (a: string, b: string): number => {
    let row = Array.from({ length: b.length + 1 }, (_, j) => j);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      row = next;
    }
    return row[b.length];
  };
  return [...known].sort((x, y) => distance(name.toLowerCase(), x.toLowerCase()) - distance(name.toLowerCase(), y.toLowerCase()))[0];
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/**
 * A number of bytes as people write it: with K, M, G or T behind it for their powers of 1024.
 * @param name where it was written, for the message.
 * @throws {CompileError} of kind `usage`.
 */
export function parseSize(text: string, name: string): number {
  const match = /^(\d{1,12})([KMGT]?)i?B?$/i.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[match[2].toUpperCase()] : 0;
  if (Number.isSafeInteger(bytes) && bytes >= 1) return bytes;
  throw new CompileError({ kind: 'usage', message: `${name} cannot be ${JSON.stringify(text)}`, note: 'it is a number of bytes, such as 500M or 2G' });
}
