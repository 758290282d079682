/**
 * The parent's side of the compile processes. Compiling runs in a child because llvm-bindings never frees what it makes and tolerates one isolate, and because a
 * fault in LLVM must not take the caller's process with it. A child serves many modules and is replaced when it has grown.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { allocatorEnvironment } from './allocator.js';
import type { Reply, Request } from './compile-child.js';
import type { CompiledModule } from './compile-module.js';
import { CompileError } from './diagnostics.js';
import { PROCESS_BYTES } from './memory-budget.js';
import type { Progress, ResolvedOptions } from './options.js';

/** A child is replaced when its resident memory has passed this many bytes. */
const MAX_RESIDENT = 1536 * 1024 * 1024;

interface Pending { readonly resolve: (result: CompiledModule) => void; readonly reject: (error: Error) => void; readonly report: (progress: Progress) => void }

/** One child process. */
export class CompileProcess {
  private child: ChildProcess | undefined;
  private readonly pending = new Map<number, Pending>();
  private nextId = 0;
  private stderr = '';
  /** Resident bytes of the child after the last module. */
  private resident = 0;
  /** Whether the child was started for modules with a memory budget. */
  private budgeted = false;

  /** Compiles a valid module. Rejects with a CompileError, also when the child dies. */
  compile(bytes: Uint8Array, options: ResolvedOptions, report: (progress: Progress) => void): Promise<CompiledModule> {
    const { onProgress: _, readSourceMap: __, ...plain } = options; // functions do not go to another process
    const request: Request = { id: this.nextId++, bytes, options: plain };
    // What the modules before have left behind would be missing in this one's budget.
    const budgeted = options.memoryBudget !== undefined;
    if (budgeted && (this.resident > PROCESS_BYTES || !this.budgeted) && this.pending.size === 0) this.close();
    const child = this.start(budgeted);
    return new Promise((resolve, reject) => {
      this.pending.set(request.id, { resolve, reject, report });
      // Node holds its event loop for a child only while something is awaited.
      child.ref();
      child.channel?.ref();
      child.send(request, (error) => {
        if (error) this.settle(request.id)?.reject(new CompileError({ kind: 'internal', message: `cannot reach the compile process: ${error.message}` }));
      });
    });
  }

  /** Ends the child. What is pending is rejected. */
  close(): void {
    const { child } = this;
    child?.kill('SIGKILL');
    if (child) this.fail(child, 'the compile process was ended');
  }

  private start(budgeted: boolean): ChildProcess {
    if (this.child) return this.child;
    this.budgeted = budgeted;
    const child = fork(fileURLToPath(new URL('./compile-child.js', import.meta.url)), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
      env: { ...process.env, ...(budgeted ? {} : allocatorEnvironment()), UV_THREADPOOL_SIZE: process.env.UV_THREADPOOL_SIZE ?? String(Math.max(2, availableParallelism())) },
    });
    this.child = child;
    this.stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => { this.stderr = (this.stderr + chunk.toString()).slice(-4000); });
    (child.stderr as unknown as { unref?: () => void } | null)?.unref?.();
    child.on('message', (reply: Reply) => this.receive(child, reply));
    child.on('error', (error) => this.fail(child, `cannot start the compile process: ${error.message}`));
    child.on('close', (code, signal) => this.fail(child, `the compile process died (${signal ?? `exit code ${code}`})${this.stderr ? `:\n${this.stderr.trim()}` : ''}`));
    return child;
  }

  private receive(child: ChildProcess, reply: Reply): void {
    if ('progress' in reply) {
      this.pending.get(reply.id)?.report(reply.progress);
      return;
    }
    const pending = this.settle(reply.id);
    if ('errors' in reply) pending?.reject(new CompileError(...reply.errors));
    else pending?.resolve(reply.result);
    if ('resident' in reply) this.resident = reply.resident;
    if (this.resident > MAX_RESIDENT && this.pending.size === 0 && this.child === child) this.close();
  }

  private settle(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    if (this.pending.size === 0) {
      this.child?.unref();
      this.child?.channel?.unref();
    }
    return pending;
  }

  /** A child is gone. Of one that was ended before, its successor's work is none. */
  private fail(child: ChildProcess, message: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    this.resident = 0;
    const error = new CompileError({ kind: 'internal', message, note: 'this is a fault of wasm-aot: please report it with the module' });
    for (const id of [...this.pending.keys()]) this.settle(id)?.reject(error);
  }
}
