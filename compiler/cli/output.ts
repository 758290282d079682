/** What the CLI writes: messages, colours where they are wanted, sizes and times for people, and the progress bar. */
import type { Progress } from '../options.js';

const prepared = new Set<NodeJS.WriteStream>();

function prepare(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  if (prepared.has(stream)) return stream;
  prepared.add(stream);
  // Node makes a pipe non-blocking when its stream is first looked at. A guest writes to the descriptor itself, and would lose what a full pipe refuses.
  (stream as unknown as { _handle?: { setBlocking?: (on: boolean) => void } })._handle?.setBlocking?.(true);
  // A reader that went away (`wasm-aot inspect x | head -1`) is no failure of ours; 128 + SIGPIPE, as a shell would have it.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(141);
    throw error;
  });
  return stream;
}

/** Standard output. All of the CLI writes through this and `standardError`; both are opened when they are first used, since that takes milliseconds that a silent `run` does without. */
export const standardOutput = (): NodeJS.WriteStream => prepare(process.stdout);
/** Standard error. */
export const standardError = (): NodeJS.WriteStream => prepare(process.stderr);

/** Whether a stream takes ANSI colours: a terminal that is not dumb, and NO_COLOR (no-color.org) unset or empty. */
export function takesColour(stream: NodeJS.WriteStream): boolean {
  return Boolean(stream.isTTY) && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/** Writes `wasm-aot: error: ...` (or another label) to standard error. */
export function complain(message: string, label = 'error'): void {
  const red = takesColour(standardError());
  standardError().write(`wasm-aot: ${red ? `\x1b[31;1m${label}:\x1b[0m` : `${label}:`} ${message}\n`);
}

/** Bytes for a person: `812 B`, `12.3 KiB`, `4.0 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** Milliseconds for a person: `12 ms`, `3.41 s`, `2 min 5 s`. */
export function formatTime(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60_000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** Digits in groups of three: `1,234,567`. */
export function formatCount(n: number | bigint): string {
  return n.toString().replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** A progress display on standard error; silent where that is no terminal. */
export interface ProgressBar {
  readonly update: (progress: Progress) => void;
  /** Erases the bar: call it before anything else is printed. */
  readonly clear: () => void;
}

// The share of a whole build that the stages before this one take, roughly: codegen dwarfs the rest.
const START: Record<Progress['stage'], number> = { validate: 0, lower: 0.02, codegen: 0.12, link: 0.97 };
const END: Record<Progress['stage'], number> = { validate: 0.02, lower: 0.12, codegen: 0.97, link: 1 };

/** A bar like `codegen  [=========>          ]  47 %  3.2 s`, redrawn at most 20 times a second. */
export function openProgress(wanted: boolean): ProgressBar {
  const stream = standardError();
  if (!wanted || !stream.isTTY || process.env.TERM === 'dumb') return { update: () => {}, clear: () => {} };
  const began = Date.now();
  const colour = takesColour(stream);
  let latest: Progress = { stage: 'validate', done: 0, total: 1 };
  let drawn = false;
  let drawnAt = 0;
  const draw = (): void => {
    const share = START[latest.stage] + (END[latest.stage] - START[latest.stage]) * (latest.total ? Math.min(latest.done / latest.total, 1) : 0);
    const room = Math.max(10, Math.min(40, (stream.columns ?? 80) - 40));
    const filled = Math.round(room * share);
    const bar = '='.repeat(Math.max(filled - 1, 0)) + (filled ? '>' : '') + ' '.repeat(room - filled);
    stream.write(`\r\x1b[K${latest.stage.padEnd(9)}[${colour ? `\x1b[32m${bar}\x1b[0m` : bar}] ${String(Math.round(share * 100)).padStart(3)} %  ${formatTime(Date.now() - began)}`);
    drawn = true;
    drawnAt = Date.now();
  };
  const timer = setInterval(draw, 250);
  timer.unref();
  return {
    update: (progress) => { latest = progress; if (Date.now() - drawnAt >= 50) draw(); },
    clear: () => { clearInterval(timer); if (drawn) stream.write('\r\x1b[K'); drawn = false; },
  };
}
