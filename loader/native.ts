/** The one file that loads the native addon, and the types of what crosses into it. Nothing outside `loader/` uses this. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ABI_VERSION } from '../runtime-c/abi.js';
import type { AnyFunction } from './values.js';

/** An external of the addon: an artifact, an instance, a memory, a table or a global. Opaque; belongs to the store it was made in. */
export type Handle = { readonly __handle: never };

/** An import or export as the descriptor has it; `kind`, `valtype`, `params` and `results` are codes of abi.ts. */
export interface NativeExtern {
  readonly module?: string;
  readonly name: string;
  readonly kind: number;
  readonly params?: readonly number[];
  readonly results?: readonly number[];
  readonly valtype?: number;
  /** Of what references of that type refer to, where the code does not say all. */
  readonly ref?: Handle;
  readonly mutable?: number;
  readonly min?: number;
  readonly max?: number;
}

/** An artifact as `artifactOpen` returns it. */
export interface NativeArtifact {
  readonly handle: Handle;
  readonly manifest: string;
  readonly fuelMode: number;
  /** Bit set of CpuFeature. */
  readonly cpuFeatures: bigint;
  readonly imports: readonly NativeExtern[];
  readonly exports: readonly NativeExtern[];
}

/** What `storeFuel` reads and `storeFuelSet` does. */
export const FuelRead = { consumed: 0, limit: 1, remaining: 2, overshoot: 3 } as const;
export const FuelWrite = { set: 0, add: 1, charge: 2 } as const;

/** Why a store is interrupted: WAOT_INTERRUPT_* of wasm_aot.h. */
export const InterruptBit = { request: 1, timeout: 2, signal: 4, ending: 8 } as const;

/** The addon's functions. The store comes first everywhere, which also keeps it from being collected during the call. */
export interface Native {
  readonly version: string;
  readonly abiVersion: number;
  /** Bit set of CpuFeature: what code may use here. */
  readonly cpuFeatures: bigint;
  /** Whether this is the thread that the process began with, which is no worker. */
  readonly isFirstThread: boolean;
  setup(hooks: Hooks, threadId: number): void;
  /** Keeps an addon that is loaded from being unloaded when the worker that loaded it ends. */
  keepLoaded(path: string): boolean;
  /** Frees externref handles that no store can reach, when no wasm is on the stack. */
  collect(): void;
  /** Native stores and externref handles alive in this thread. */
  stats(): { stores: number; handles: number };
  /** Does nothing: what a Node-API call costs. */
  nothing(): void;
  /** The digest of bytes, in hexadecimal: node:crypto takes longer to load than most modules to hash. */
  sha256(bytes: Uint8Array): string;
  artifactVerify(path: string): void;
  artifactOpen(path: string): NativeArtifact;
  storeNew(store: object, values: unknown[]): void;
  storeFuel(store: object, what: number): bigint;
  storeFuelSet(store: object, what: number, n: bigint): boolean;
  /** Interrupts, for good, the stores of one thread, or of all but this one. */
  interruptThreads(threadId: number | undefined): void;
  /** Adds to, or takes from, why a store is interrupted: a set of `InterruptBit`. */
  storeInterrupt(store: object, why: number, on: boolean): void;
  storeInterrupts(store: object): number;
  /** The deadline so far, which `ns` replaces if given: in ns of process.hrtime, 0n for none. */
  storeDeadline(store: object, ns?: bigint): bigint;
  storeId(store: object): bigint;
  /** Whether that store, of any thread, still lives. */
  interruptById(id: bigint, why: number): boolean;
  /** The wasm frames of the call that has just failed and of those below it, innermost first: [hash and path of the artifact, address in it, number of the activation, ...]. */
  backtrace(): (string | number)[];
  /** 0 for the default. */
  configure(tickUs: number, tickSignal: number): void;
  /** Puts our signal handlers first. The tick signal if somebody has put a handler over ours since the last time, else 0. */
  handlersCheck(): number;
  instantiate(store: object, artifact: Handle, imports: readonly unknown[]): Handle;
  start(store: object, instance: Handle, artifact: Handle): unknown[];
  memoryNew(store: object, memory: WebAssembly.Memory, max: number | undefined): Handle;
  tableNew(store: object, wrapper: object, valtype: number, min: number, max: number | undefined, init: unknown): Handle;
  tableGet(store: object, table: Handle, index: number): unknown;
  tableSet(store: object, table: Handle, index: number, value: unknown): boolean;
  tableGrow(store: object, table: Handle, delta: number, value: unknown): number;
  tableLength(store: object, table: Handle): number;
  globalNew(store: object, wrapper: object, valtype: number, mutable: boolean, value: unknown, raw: boolean, ref?: Handle): Handle;
  globalGet(store: object, global: Handle, raw: boolean): unknown;
  globalSet(store: object, global: Handle, value: unknown, raw: boolean): boolean;
  callRaw(store: object, func: AnyFunction, args: readonly unknown[]): unknown[];
  funcType(func: unknown): { params: number[]; results: number[] } | undefined;
  heapLimit(store: object, bytes: number): void;
  heapStats(store: object): HeapStatistics;
  /** Collects garbage now; false where it cannot. */
  heapCollect(store: object): boolean;
  /** For tests: a collection before every allocation, in the whole process. */
  heapStress(on: boolean): void;
}

/** The garbage-collected heap of a store, which stores share that references can pass between: bytes that it may have, has, and had in objects after the last collection. */
export interface HeapStatistics {
  readonly limit: number;
  readonly held: number;
  readonly live: number;
  /** Structs and arrays that are not freed: those in use, and garbage since the last collection. */
  readonly objects: number;
  readonly collections: number;
}

/** What the addon calls; `addon_hook` in addon.h has the meanings. */
export interface Hooks {
  failure(status: number, store: object): Error;
  passed(value: unknown): void;
  error(kind: number, status: number, message: string): Error;
  adopt(func: AnyFunction, store: object, params: number): void;
  link(a: object, b: object): void;
  toBigInt(value: unknown): bigint;
  iterate(value: unknown, count: number): unknown[];
  memoryNew(store: object, min: number, max: number | undefined): WebAssembly.Memory;
  memoryBuffer(this: WebAssembly.Memory): ArrayBuffer;
  memoryGrow(this: WebAssembly.Memory, delta: number): number;
  wrapTable(store: object, handle: Handle, valtype: number): object;
  wrapGlobal(store: object, handle: Handle, valtype: number, mutable: boolean): object;
  object(store: object): object;
}

/** The signals that wasm raises by its traps. */
const FAULT_SIGNALS: ReadonlySet<unknown> = new Set(['SIGSEGV', 'SIGBUS', 'SIGILL']);

const hooks: Partial<Hooks> = {};
let loaded: Native | undefined;

/** Registers what the addon calls; every module that owns some does so while it is being imported, before the addon is loaded. */
export function provideHooks(some: Partial<Hooks>): void {
  Object.assign(hooks, some);
}

/** The directory of the native build, searched upwards from this file, because it runs from `dist/` and from an installed package. */
export function nativeDirectory(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(join(directory, 'package.json'))) return join(directory, 'build', 'Release');
    const parent = dirname(directory);
    if (parent === directory) throw new Error('wasm-aot: its package.json is not found: the installation is damaged');
    directory = parent;
  }
}

function loadAddon(): Native {
  const path = join(nativeDirectory(), 'addon.node');
  if (!existsSync(path)) {
    throw new Error(`wasm-aot: the native runtime is not built (${path} does not exist): run "npm run build" in a checkout, or "npm rebuild wasm-aot" in an app`);
  }
  try {
    return createRequire(import.meta.url)(path) as Native;
  } catch (cause) {
    throw new Error(`wasm-aot: the native runtime cannot be loaded: ${(cause as Error).message}; run "npm run build" in a checkout, or "npm rebuild wasm-aot" in an app`, { cause });
  }
}

/** Which thread this is. The module that knows takes a millisecond to load, so it is asked by workers, and where Node runs in a thread of somebody's program. */
function threadOf(addon: Native): { readonly isMainThread: boolean; readonly threadId: number } {
  return addon.isFirstThread ? { isMainThread: true, threadId: 0 } : createRequire(import.meta.url)('node:worker_threads');
}

/**
 * The addon, loaded and set up on first use in each thread.
 * @throws {Error} saying what to run when it isn't built, cannot be loaded, or is of another version.
 */
export function native(): Native {
  if (loaded) return loaded;
  const addon = loadAddon();
  if (addon.abiVersion !== ABI_VERSION) {
    throw new Error(`wasm-aot: the native runtime has ABI version ${addon.abiVersion}, this loader ${ABI_VERSION}: build it again ("npm run build")`);
  }
  const { isMainThread, threadId } = threadOf(addon);
  addon.setup(hooks as Hooks, threadId);
  // The process ends when its workers have, and wasm in them does not hear that they should.
  if (isMainThread) process.on('exit', () => addon.interruptThreads(undefined));
  // process.on('SIGSEGV') puts libuv's handler over ours; Node's own listener, which does that, was registered before this one. Workers cannot listen to signals.
  if (isMainThread) for (const event of ['newListener', 'removeListener']) process.on(event, (name) => { if (FAULT_SIGNALS.has(name)) addon.handlersCheck(); });
  loaded = addon;
  return addon;
}
