/** The signals that the runtime uses: which one the checker sends, and what happens when somebody else wants it. */
import { native } from './native.js';

/** How the runtime works in this process. */
export interface RuntimeOptions {
  /** The checker's period in microseconds, 50 to 1,000,000: how late exhausted or interrupted code is noticed (exhausted code can be up to ten periods, of 10 ms at the most, where it was slower before). Default: `WASM_AOT_TICK_US` in the environment, or 1000. */
  readonly tickUs?: number;
  /** The number of the real-time signal that the checker sends to threads in wasm. Default: `WASM_AOT_TICK_SIGNAL` in the environment, or 42, which is SIGRTMIN+8. */
  readonly tickSignal?: number;
}

const INTEGERS = ['tickUs', 'tickSignal'] as const;

/**
 * Sets how the runtime works in this process; before the first artifact is loaded.
 * @throws {TypeError} for unknown options and values out of range, and when the runtime works with other values already.
 * @throws {Error} naming the signal when something in the process handles it already.
 */
export function configure(options: RuntimeOptions): void {
  if (typeof options !== 'object' || options === null) throw new TypeError('the options of configure must be an object');
  for (const name of Object.keys(options)) if (!(INTEGERS as readonly string[]).includes(name)) throw new TypeError(`unknown option ${JSON.stringify(name)} of configure; known: ${INTEGERS.join(', ')}`);
  for (const name of INTEGERS) {
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value > 0 && value < 2 ** 31)) throw new TypeError(`${name} must be a positive integer, not ${String(value)}`);
  }
  native().configure(options.tickUs ?? 0, options.tickSignal ?? 0);
}

/** Warns when something has installed a handler for the tick signal since the last time. Both work, but each end of the other's program may take ours away again. */
export function reportSignalClash(): void {
  const signal = native().handlersCheck();
  if (signal === 0) return;
  process.emitWarning(`something in this process has installed a handler for signal ${signal}, which wasm-aot uses: choose another one by configure({ tickSignal }) or the environment variable WASM_AOT_TICK_SIGNAL`, {
    code: 'WASM_AOT_SIGNAL',
  });
}
