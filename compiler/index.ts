/** `wasm-aot/compiler`: compiles WebAssembly into artifacts. The pipeline is `buildWith`, read top to bottom. */
import { basename } from 'node:path';
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { readFunctionSymbols, readSections } from '../loader/elf-sections.js';
import { readMachO, readMachOFunctions } from '../loader/macho.js';
import { MACHO_FRAMES, MACHO_SOURCES, SECTION_FRAMES, SECTION_SOURCES } from '../runtime-c/abi.js';
import { CompileProcess } from './compile-process.js';
import type { CompiledModule } from './compile-module.js';
import { appendSections } from './debug/append-sections.js';
import { refuseCode } from './debug/frame-rows.js';
import { makeFrameTable } from './debug/frame-table.js';
import { makeSourceTable } from './debug/source-table.js';
import { CompileError, type Diagnostic } from './diagnostics.js';
import { linkObjects, sealArtifact } from './link.js';
import { findTarget } from './llvm/target.js';
import { resolveOptions, type BuildOptions, type BuildResult, type ResolvedOptions } from './options.js';
import { resolveFeatures } from './wasm/features.js';
import type { WasmModule } from './wasm/module.js';
import { parseModule } from './wasm/parse.js';
import { validateModule } from './wasm/validate.js';

export { CompileError, ExitCode, formatDiagnostic } from './diagnostics.js';
export type { Diagnostic, DiagnosticKind, Place } from './diagnostics.js';
export type { BuildOptions, BuildResult, BuildStats, CpuLevel, EmitKind, OptLevel, Progress } from './options.js';
export { defaultCostTable, parseCostTable } from './metering/cost.js';
export type { CostTable } from './metering/cost.js';

/** bytes -> parse -> validate -> (child process: lower, codegen, scan) -> link -> add tables for backtraces -> seal. */
async function buildWith(child: CompileProcess, bytes: Uint8Array, given: BuildOptions): Promise<BuildResult> {
  const options = resolveOptions(given);
  const report = options.onProgress ?? (() => {});
  const clock = stopwatch();

  const features = resolveFeatures(options.features);
  const module = parseModule(bytes, { name: options.name, features });
  report({ stage: 'validate', done: 0, total: module.bodies.length });
  validateModule(module, { name: options.name, features });
  report({ stage: 'validate', done: module.bodies.length, total: module.bodies.length });
  clock.lap('validate');

  const compiled = await child.compile(bytes, options, report);
  clock.lap('compile');

  report({ stage: 'link', done: 0, total: 1 });
  const { artifact, warnings } = await finish(compiled, module, options);
  report({ stage: 'link', done: 1, total: 1 });
  clock.lap('link');

  return {
    artifact,
    ...(options.emit === 'artifact' ? {} : { parts: compiled.outputs }),
    warnings,
    stats: {
      functions: module.bodies.length, inputBytes: bytes.length, outputBytes: artifact.length, partitions: compiled.partitions, peakBytes: compiled.peakBytes,
      milliseconds: clock.total(), stages: { ...clock.laps, ...Object.fromEntries(Object.entries(compiled.milliseconds).map(([name, ms]) => [`${name} (cpu)`, ms])) },
      ...(compiled.profile ? { profile: compiled.profile } : {}),
    },
  };
}

/** Links; then adds what backtraces read, which needs the addresses of the linked code. */
async function finish(compiled: CompiledModule, module: WasmModule, options: ResolvedOptions): Promise<{ artifact: Uint8Array; warnings: readonly Diagnostic[] }> {
  if (options.emit !== 'artifact') return { artifact: Buffer.concat(compiled.outputs), warnings: [] };
  const { table, warnings } = options.debug ? makeSourceTable(module, options) : { table: undefined, warnings: [] };
  const link = findTarget(options.target).format === 'elf' ? linkElf : linkMachO;
  return { artifact: sealArtifact(await link(compiled.outputs, module, options, table)), warnings };
}

async function linkElf(objects: readonly Uint8Array[], module: WasmModule, options: ResolvedOptions, sources: Buffer | undefined): Promise<Buffer> {
  const linked = await linkObjects(objects, { soname: basename(options.name), triple: options.target });
  const frames = { name: SECTION_FRAMES, bytes: makeFrameTable(readFunctionSymbols(readSections(linked)), objects, module) };
  return appendSections(linked, [frames, ...(sources ? [{ name: SECTION_SOURCES, bytes: sources }] : [])]);
}

/** To a Mach-O file, in which everything is in a segment and segments lie close together, the linker itself must add sections: it runs again with what the first run made known. */
async function linkMachO(objects: readonly Uint8Array[], module: WasmModule, options: ResolvedOptions, sources: Buffer | undefined): Promise<Buffer> {
  const link = (frames: Buffer) => linkObjects(objects, {
    soname: basename(options.name), triple: options.target, tables: [{ name: MACHO_FRAMES, bytes: frames }, ...(sources ? [{ name: MACHO_SOURCES, bytes: sources }] : [])],
  });
  const functionsOf = (file: Buffer) => readMachOFunctions(file, readMachO(file, refuseCode));
  const functions = functionsOf(await link(Buffer.alloc(1)));
  const linked = await link(makeFrameTable(functions, objects, module));
  if (!isDeepStrictEqual(functionsOf(linked), functions)) throw new CompileError({ kind: 'internal', message: 'the linker has moved code to make room for the frame table' });
  return linked;
}

function stopwatch(): { laps: Record<string, number>; lap: (name: string) => void; total: () => number } {
  const start = performance.now();
  let last = start;
  const laps: Record<string, number> = {};
  return {
    laps,
    lap(name) {
      const now = performance.now();
      laps[name] = now - last;
      last = now;
    },
    total: () => performance.now() - start,
  };
}

function checkBytes(bytes: unknown): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes;
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes);
  throw new CompileError({ kind: 'usage', message: 'build wants the module\'s bytes: a Uint8Array or an ArrayBuffer' });
}

/**
 * Compiles one module.
 * @param bytes The module in the binary format.
 * @returns The artifact (or what `options.emit` asks for), warnings, and what was done.
 * @throws {CompileError} (rejected): malformed, invalid or unsupported input with its place; bad options; missing tools; faults of the compiler itself.
 */
export async function build(bytes: Uint8Array | ArrayBuffer, options: BuildOptions = {}): Promise<BuildResult> {
  const child = new CompileProcess();
  try {
    return await buildWith(child, checkBytes(bytes), options);
  } finally {
    child.close();
  }
}

/** A warm compiler: child processes that stay, for many modules one after another or at once. */
export interface Compiler {
  /** As `build`. Up to `workers` modules compile at a time. */
  build(bytes: Uint8Array | ArrayBuffer, options?: BuildOptions): Promise<BuildResult>;
  /** Ends the child processes. */
  close(): Promise<void>;
}

/**
 * Opens a warm compiler.
 * @param options.workers Child processes, 1 or more. Default: the number of cores, at most 4.
 */
export async function openCompiler({ workers = Math.min(4, availableParallelism()) }: { workers?: number } = {}): Promise<Compiler> {
  if (!Number.isInteger(workers) || workers < 1) throw new CompileError({ kind: 'usage', message: `workers must be a whole number of at least 1, not ${workers}` });
  const idle = Array.from({ length: workers }, () => new CompileProcess());
  const all = [...idle];
  const waiting: ((child: CompileProcess) => void)[] = [];
  const acquire = () => new Promise<CompileProcess>((resolve) => {
    const child = idle.pop();
    if (child) resolve(child);
    else waiting.push(resolve);
  });
  const release = (child: CompileProcess) => {
    const next = waiting.shift();
    if (next) next(child);
    else idle.push(child);
  };
  return {
    async build(bytes, options = {}) {
      const checked = checkBytes(bytes);
      const child = await acquire();
      try {
        return await buildWith(child, checked, options);
      } finally {
        release(child);
      }
    },
    async close() {
      for (const child of all) child.close();
    },
  };
}
