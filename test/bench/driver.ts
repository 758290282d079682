/** The harness's side of a driver: a process that loads kernels and times them on command. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** One timed command: the checksum, nanoseconds of the fastest call, and the fuel that one call consumed where the engine counts it. */
export interface Timed { readonly checksum: number; readonly nanoseconds: number; readonly consumed?: bigint }

/** A running driver. Commands are answered one at a time, in order. */
export class Driver {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;
  readonly #what: string;
  #stderr = '';

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#what = [command, ...args].join(' ');
    this.#child = spawn(command, args, { env });
    this.#child.stderr.on('data', (chunk) => { this.#stderr += chunk; });
    this.#child.stdin.on('error', () => {}); // Its end shows in the answers.
    this.#child.on('error', (error) => { this.#stderr += error.message; });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async #ask(command: string): Promise<string> {
    this.#child.stdin.write(`${command}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`${this.#what}: ended at the command ${JSON.stringify(command)}: ${this.#stderr}`);
    if (value.startsWith('error')) throw new Error(`${this.#what}: ${JSON.stringify(command)}: ${value}`);
    return value;
  }

  /** Loads a file under a number. */
  async load(id: number, kind: string, path: string): Promise<void> {
    await this.#ask(`load ${id} ${kind} ${path}`);
  }

  /** Calls `run(n)` of what was loaded `calls` times. */
  async run(id: number, n: number, calls: number): Promise<Timed> {
    const [checksum, nanoseconds, consumed] = (await this.#ask(`run ${id} ${n} ${calls}`)).split(' ');
    return { checksum: Number(checksum), nanoseconds: Number(nanoseconds), ...(consumed === undefined ? {} : { consumed: BigInt(consumed) }) };
  }

  /** Lets the process come to its own end. @throws {Error} when that is not a good one. */
  async end(): Promise<void> {
    const ended = once(this.#child, 'close');
    this.#child.stdin.end();
    const [code, signal] = await ended;
    if (code !== 0) throw new Error(`${this.#what}: ended with ${code ?? signal}: ${this.#stderr}`);
  }

  /** Ends the process. */
  close(): void {
    this.#child.kill();
  }
}
