/** The child process that compiles: takes requests over IPC, one at a time. See compile-process.ts for the parent's side and the reasons. */
import { compileModule, type CompiledModule } from './compile-module.js';
import { CompileError, type Diagnostic } from './diagnostics.js';
import type { Progress, ResolvedOptions } from './options.js';

export interface Request { readonly id: number; readonly bytes: Uint8Array; readonly options: ResolvedOptions }
export type Reply =
  | { readonly id: number; readonly progress: Progress }
  | { readonly id: number; readonly result: CompiledModule; /** Resident bytes of this process. */ readonly resident: number }
  | { readonly id: number; readonly errors: readonly Diagnostic[] };

function send(reply: Reply): void {
  process.send?.(reply);
}

async function handle({ id, bytes, options }: Request): Promise<void> {
  try {
    const result = await compileModule(bytes, options, (progress) => send({ id, progress }));
    send({ id, result, resident: process.memoryUsage.rss() });
  } catch (error) {
    const errors = error instanceof CompileError ? error.errors : [{ kind: 'internal' as const, message: error instanceof Error ? (error.stack ?? error.message) : String(error) }];
    send({ id, errors });
  }
}

let queue = Promise.resolve();
process.on('message', (request: Request) => {
  queue = queue.then(() => handle(request));
});
// The parent is gone: nobody waits for the answer.
process.on('disconnect', () => process.exit(0));
