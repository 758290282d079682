/** The parent's side of the processes in which modules run (`worker.ts`). */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job, Report } from './worker.js';

/** A module that takes longer hangs. */
const TIMEOUT_MS = 300_000;
/** Modules after which the child is replaced: artifacts stay mapped for as long as their process lives. */
const JOBS_OF_CHILD = 200;

/** Runs one job at a time in a child process, which is replaced when it dies. */
export class Runner {
  private child: ChildProcess | undefined;
  private done = 0;

  /** Never rejects: the death of the child is a failure of the module. */
  run(job: Job): Promise<Report> {
    if (this.child && ++this.done % JOBS_OF_CHILD === 0) this.close();
    this.child ??= fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [], { serialization: 'advanced' });
    const { child } = this;
    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
      const settle = (report: Report) => {
        clearTimeout(timer);
        child.off('message', settle).off('exit', died);
        resolve(report);
      };
      const died = (code: number | null, signal: string | null) => {
        if (this.child === child) this.child = undefined;
        settle({ runs: 0, failure: `the process died: ${signal ?? `exit code ${code}`}` });
      };
      child.on('message', settle).on('exit', died);
      child.send(job);
    });
  }

  close(): void {
    const { child } = this;
    this.child = undefined;
    if (child?.connected) child.disconnect();
  }
}
