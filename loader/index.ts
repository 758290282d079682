/**
 * wasm-aot: loads artifacts that `wasm-aot build` wrote, and runs them in this process at native speed, under a fuel limit.
 *
 *     import { load } from 'wasm-aot';
 *     const module = load('prog.so');
 *     const instance = module.instantiate({ env: { log: console.log } }, { fuel: 1_000_000n });
 *     instance.exports.work(1, 2n);
 *     instance.fuel.consumed;
 *
 * Names and semantics are those of the WebAssembly JS API; what is added is the fuel, the store, and the errors of a metered call. All calls are synchronous.
 * An object belongs to the thread that made it; each worker loads its own.
 */
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { cpuFeatureNames, openArtifact } from './artifact.js';
import type { Imports } from './imports.js';
import { artifacts, Instance, type InstanceOptions } from './instance.js';
import type { Manifest } from './manifest.js';
import { type NativeExtern, native } from './native.js';
import { type ExternKindName, type ExternType, externType, kindName } from './values.js';

export { type SourceFrame, type WasmFrame, wasmFrames } from './backtrace.js';
export { ArtifactError, type ArtifactErrorKind, Interrupted, type InterruptReason, LinkError, OutOfFuel, Trap, type TrapCode } from './errors.js';
export { Global, type GlobalDescriptor } from './global.js';
export type { Imports } from './imports.js';
export { type Exports, Instance, type InstanceOptions } from './instance.js';
export { type CallLimits, interrupt } from './interrupt.js';
export type { Manifest } from './manifest.js';
export { configure, type RuntimeOptions } from './signals.js';
export type { HeapStatistics } from './native.js';
export { type Fuel, Store, type StoreOptions } from './store.js';
export { Table, type TableDescriptor, type TableElement } from './table.js';
export type { ExternKindName, ExternType, ValueType } from './values.js';

/** V8's own class: memories are real `WebAssembly.Memory` objects. */
export const Memory = WebAssembly.Memory;
export type Memory = WebAssembly.Memory;

/** An export of a module. */
export interface ExportDescriptor { readonly name: string; readonly kind: ExternKindName; readonly type: ExternType }
/** An import of a module. */
export interface ImportDescriptor extends ExportDescriptor { readonly module: string }

const describeExport = (extern: NativeExtern): ExportDescriptor => ({ name: extern.name, kind: kindName(extern), type: externType(extern) });
const describeImport = (extern: NativeExtern): ImportDescriptor => ({ module: extern.module as string, ...describeExport(extern) });

/** A loaded artifact: code without state, as `WebAssembly.Module`. `load` makes them. */
export class Module {
  /** What the artifact says of itself: source, target, options, cost table, imports, exports. */
  readonly manifest: Manifest;
  /**
   * The CPU features that its code needs, such as `avx2`. An artifact can have code for several levels (`build --cpu v2,v3`): these are those of the code that runs, the best for this CPU
   * and for the level that the environment variable WASM_AOT_CPU (v2, v3, v4) allows at most when the process first loads the artifact.
   */
  readonly cpuFeatures: readonly string[];

  /** As `load(path)`. */
  constructor(path: string | URL) {
    const file = toPath(path);
    const artifact = openArtifact(file);
    artifacts.set(this, artifact);
    this.manifest = artifact.manifest;
    this.cpuFeatures = cpuFeatureNames(artifact.cpuFeatures);
  }
  /** The imports, in order. */
  imports(): ImportDescriptor[] {
    return (artifacts.get(this)?.imports ?? []).map(describeImport);
  }
  /** The exports, in order. */
  exports(): ExportDescriptor[] {
    return (artifacts.get(this)?.exports ?? []).map(describeExport);
  }
  /** The imports of a module, as `WebAssembly.Module.imports`. */
  static imports(module: Module): ImportDescriptor[] {
    return Module.#check(module).imports();
  }
  /** The exports of a module, as `WebAssembly.Module.exports`. */
  static exports(module: Module): ExportDescriptor[] {
    return Module.#check(module).exports();
  }
  /** Makes an instance: see the constructor of `Instance`. */
  instantiate(imports?: Imports, options?: InstanceOptions): Instance {
    return new Instance(this, imports, options);
  }
  get [Symbol.toStringTag](): string {
    return 'WebAssembly.Module';
  }
  static #check(module: Module): Module {
    if (!(module instanceof Module)) throw new TypeError('the argument must be a Module of wasm-aot');
    return module;
  }
}

function toPath(path: unknown): string {
  if (path instanceof URL) return fileURLToPath(path);
  if (typeof path !== 'string') throw new TypeError(`the path of an artifact must be a string or a file: URL, not ${path === null ? 'null' : `of type ${typeof path}`}`);
  if (path === '') throw new TypeError('the path of an artifact is empty');
  return path;
}

/**
 * Ends a worker as `worker.terminate()` does, which also ends wasm that never returns, but only from within compiled code: this one interrupts it at every boundary as well.
 * @returns The exit code of the worker.
 */
export function terminate(worker: Worker): Promise<number> {
  const id = worker.threadId;
  const ended = worker.terminate();
  if (id >= 0) native().interruptThreads(id);
  return ended;
}

/**
 * Loads an artifact: verifies the file (structure, size, hash, ABI version, target, CPU features), and only then maps it. Nothing of it runs before `instantiate`.
 * Loading one file twice shares its code.
 *
 * @param path A path, or a `file:` URL.
 * @throws {ArtifactError} whose `kind` says why the file was refused.
 * @throws {TypeError} when `path` is neither a string nor a `file:` URL.
 * @throws {Error} when the native runtime is not built, saying how to build it.
 */
export function load(path: string | URL): Module {
  return new Module(path);
}
