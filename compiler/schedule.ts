/**
 * Which jobs run at a time: as many as there are slots, as long as the memory that they are expected to take stays within a budget. One job always runs, whatever it takes.
 *
 * Slots take the next job when they are free, so that cores stay busy whatever the jobs' lengths; the caller queues long jobs first.
 */

/** Estimates are in bytes. */
export class Schedule {
  private readonly waiting: { readonly bytes: number; readonly start: () => void }[] = [];
  private running = 0;
  private taken = 0;

  /**
   * @param slots jobs at a time, 1 or more.
   * @param budget bytes that running jobs may be expected to take together.
   */
  constructor(private readonly slots: number, private readonly budget: number) {}

  /** Runs a job when its turn has come. Jobs start in the order of these calls. */
  async run<T>(bytes: number, job: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => {
      this.waiting.push({ bytes, start });
      this.next();
    });
    try {
      return await job();
    } finally {
      this.running--;
      this.taken -= bytes;
      this.next();
    }
  }

  private next(): void {
    while (this.waiting.length > 0 && this.running < this.slots && (this.running === 0 || this.taken + this.waiting[0].bytes <= this.budget)) {
      const { bytes, start } = this.waiting.shift() as { bytes: number; start: () => void };
      this.running++;
      this.taken += bytes;
      start();
    }
  }
}
