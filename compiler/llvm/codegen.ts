/** The code generator: LLVM 22, in this process, through the node-gyp addon `codegen.node`. The one file that loads it. */
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { DESCRIPTOR_SYMBOL } from '../../runtime-c/abi.js';
import { CompileError } from '../diagnostics.js';
import type { Effort } from '../emit/effort.js';
import { type CpuLevel, DEFAULT_TRIPLE, type OptLevel } from '../options.js';
import { type ResolvedCpu, findTarget, resolveCpuFrom } from './target.js';

/** What to generate code for. `triple` is one of `TARGETS`; `features` as LLVM spells them: `+avx2,-fma`. */
export interface MachineOptions { readonly triple: string; readonly cpu: string; readonly features: string }

export interface CompileOptions extends MachineOptions {
  /** IR text (LLVM 22 syntax) or bitcode of the helpers that the module calls: `linkonce_odr hidden alwaysinline`. Empty for none. */
  readonly prelude: Uint8Array | string;
  readonly optLevel: OptLevel;
  /** A pass pipeline, as for `opt -passes`, instead of `default<On>`. It must contain `always-inline` if the prelude's helpers are to be inlined. */
  readonly passes?: string;
  /** An ELF object, assembly, IR after the passes, or bitcode after the passes. */
  readonly emit: 'obj' | 'asm' | 'ir' | 'bc';
  /** Whether to return a trace. */
  readonly profile?: boolean;
  /** How much of the level's work the module gets. Default `full`. */
  readonly effort?: Effort;
}

/** Milliseconds of CPU time in the steps of a job: parsing, linking the prelude and verifying; passes; generating code. */
export interface JobTimes { readonly read: number; readonly passes: number; readonly emit: number }
/** `milliseconds`: wall time in LLVM. `trace`: with `profile`, where it went, in Chrome's trace format. */
export interface CompileOutput { readonly output: Buffer; readonly milliseconds: number; readonly cpu: JobTimes; readonly trace?: string }

/** An instruction that mentions the fuel register, with its place and how often the function has it; `text` is empty for bytes that are no instruction. */
export interface Mention { readonly symbol: string; readonly offset: number; readonly text: string; readonly count: number }
export interface Disassembly { readonly functions: number; readonly instructions: number; readonly milliseconds: number; readonly hits: Mention[] }

interface Addon {
  compile(input: Uint8Array, options: CompileOptions & { effort: Exclude<Effort, 'none'>; exported: string }): Promise<CompileOutput>;
  scan(object: Uint8Array, options: MachineOptions & { pattern: string }): Promise<Disassembly>;
  version(): string;
  hostCpu(): { name: string; features: string };
}

let addon: Addon | undefined;

/** Loads the addon at its first use. Where it sits is the same from the sources' folder and from `dist`: the build folder of the package. */
function load(): Addon {
  if (addon) return addon;
  // libuv reads this when its pool starts; four threads (its default) would leave cores idle. A parent that wants to be sure sets it in the child's environment.
  process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, availableParallelism()));
  const require = createRequire(import.meta.url);
  try {
    addon = require('../../../build/Release/codegen.node') as Addon;
    return addon;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new CompileError({
      kind: 'unavailable',
      message: 'the LLVM 22 code generator is not built on this machine',
      note: `on Debian: sudo apt-get install llvm-22-dev lld-22, then npm rebuild wasm-aot (or, in a clone, node .ci/native.mjs); ${reason}`,
    });
  }
}

/** Whether this machine can compile: the addon is built and its libraries are there. */
export function isCodegenAvailable(): boolean {
  try {
    return load() !== undefined;
  } catch {
    return false;
  }
}

async function settle<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw new CompileError({ kind: 'internal', message: error instanceof Error ? error.message : String(error) });
  }
}

/**
 * Compiles a module on libuv's thread pool; several calls run in parallel. Links the prelude in, sets the attributes that metering and the runtime rely on,
 * hides every symbol but the descriptor, verifies, optimises, emits position-independent code.
 * @param input LLVM bitcode of version 22 or older, or IR text; copied.
 * @throws {CompileError} of kind `unavailable` without the addon; a rejected promise of kind `internal` with LLVM's words when the module is wrong.
 */
export async function compile(input: Uint8Array, options: CompileOptions): Promise<CompileOutput> {
  const { reserveFeatures, llvmTriple } = findTarget(options.triple);
  const features = [options.features, ...reserveFeatures].filter(Boolean).join(',');
  const { effort = 'full', optLevel } = options;
  const work = effort === 'none' ? { effort: 'full' as const, optLevel: 0 as const } : { effort, optLevel };
  return await settle(load().compile(input, { ...options, ...work, triple: llvmTriple, features, exported: DESCRIPTOR_SYMBOL }));
}

/**
 * Disassembles an object's code, on the thread pool, and returns the instructions that mention the target's fuel register. `scan.ts` judges them.
 * Errors as `compile`.
 */
export async function findMentions(object: Uint8Array, machine: MachineOptions): Promise<Disassembly> {
  const { cpu, features } = machine;
  const { llvmTriple, mention } = findTarget(machine.triple);
  return await settle(load().scan(object, { triple: llvmTriple, cpu, features, pattern: mention }));
}

/** LLVM's version, `22.1.8`. */
export function version(): string {
  return load().version();
}

/** LLVM's name for this machine's CPU, and its features (`+avx,-fma,...`). */
export function hostCpu(): { name: string; features: string } {
  return load().hostCpu();
}

/** The CPU to compile for: of x86-64 the level (see `resolveCpuFrom`), of AArch64 what every one has that the system runs on (Linux: Armv8.0-A; macOS: an M1). */
export function resolveCpu(level: CpuLevel, triple: string = DEFAULT_TRIPLE): ResolvedCpu {
  const { cpu } = findTarget(triple);
  if (cpu !== undefined) return { cpu, features: '', required: [] };
  return resolveCpuFrom(level, level === 'native' ? hostCpu().features : '');
}
