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
import type { Worker } from 'node:worker_threads';
import { native } from './native.js';
import './symbols.js'; // by which stacks get their names

export { type SourceFrame, type WasmFrame, wasmFrames } from './backtrace.js';
export { ArtifactError, type ArtifactErrorKind, Interrupted, type InterruptReason, LinkError, OutOfFuel, Trap, type TrapCode } from './errors.js';
export { Global, type GlobalDescriptor } from './global.js';
export type { Imports } from './imports.js';
export { type Exports, Instance, type InstanceOptions } from './instance.js';
export { type CallLimits, interrupt } from './interrupt.js';
export type { Manifest } from './manifest.js';
export { type ExportDescriptor, type ImportDescriptor, load, Module } from './module.js';
export { configure, type RuntimeOptions } from './signals.js';
export type { HeapStatistics } from './native.js';
export { type Fuel, Store, type StoreOptions } from './store.js';
export { Table, type TableDescriptor, type TableElement } from './table.js';
export type { ExternKindName, ExternType, ValueType } from './values.js';

/** V8's own class: memories are real `WebAssembly.Memory` objects. */
export const Memory = WebAssembly.Memory;
export type Memory = WebAssembly.Memory;

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
