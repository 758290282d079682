/** Stopping wasm from outside, without fuel: timeouts, AbortSignals, and handles that other threads can use. */
import { Interrupted, type InterruptReason } from './errors.js';
import { InterruptBit, native } from './native.js';

/** Limits of a call. */
export interface CallLimits {
  /** Milliseconds from now on, 0 or more. They pass whatever the thread does; wasm ends within about two periods of the checker (1 ms each) after the time is up. */
  readonly timeoutMs?: number | undefined;
  /** Ends wasm when it aborts. That takes JavaScript on this thread: a host function, say. Other threads use `interrupt(handle)`. */
  readonly signal?: AbortSignal | undefined;
}

/** Longer timeouts are as good as none: 30 years. */
const MOST_MS = 1e12;

/** The signals of the `within` calls in progress. */
const signalsOf = new WeakMap<object, AbortSignal[]>();

function checkTimeout(timeoutMs: unknown): void {
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs !== 'number') throw new TypeError(`timeoutMs must be a number, not ${timeoutMs === null ? 'null' : `of type ${typeof timeoutMs}`}`);
  if (!(timeoutMs >= 0)) throw new RangeError(`timeoutMs must be 0 or more, not ${timeoutMs}`);
}

/** Sets the deadline unless there is an earlier one; returns how to undo that. */
function limitTime(store: object, timeoutMs: number): () => void {
  const before = native().storeDeadline(store);
  const deadline = process.hrtime.bigint() + BigInt(Math.ceil(Math.min(timeoutMs, MOST_MS) * 1e6));
  if (before !== 0n && before <= deadline) return () => {};
  native().storeDeadline(store, deadline);
  return () => { native().storeDeadline(store, before); };
}

/** Interrupts the store when the signal aborts, or has; returns how to undo that. */
function listen(store: object, signal: AbortSignal): () => void {
  const signals = signalsOf.get(store) ?? [];
  const abort = () => native().storeInterrupt(store, InterruptBit.signal, true);
  signalsOf.set(store, signals);
  signals.push(signal);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  return () => {
    signal.removeEventListener('abort', abort);
    signals.pop();
    if (!signals.some((outer) => outer.aborted)) native().storeInterrupt(store, InterruptBit.signal, false);
  };
}

/** `Store.within`. */
export function within<T>(store: object, limits: CallLimits, body: () => T): T {
  if (typeof limits !== 'object' || limits === null) throw new TypeError('the limits must be an object');
  for (const name of Object.keys(limits)) if (name !== 'timeoutMs' && name !== 'signal') throw new TypeError(`unknown limit ${JSON.stringify(name)}; known: timeoutMs, signal`);
  const { timeoutMs, signal } = limits;
  checkTimeout(timeoutMs);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new TypeError('signal must be an AbortSignal');
  const stopListening = signal && listen(store, signal);
  const restoreTime = timeoutMs === undefined ? undefined : limitTime(store, timeoutMs);
  try {
    const result = body();
    if (result instanceof Promise) {
      result.catch(() => {}); // its outcome is nobody's any more
      throw new TypeError('the body of within returned a promise: the limits hold only while it runs, so it must be synchronous');
    }
    return result;
  } finally {
    restoreTime?.();
    stopListening?.();
  }
}

/** The error for an activation that ended interrupted. */
export function interrupted(store: object | undefined): Interrupted {
  const bits = store ? native().storeInterrupts(store) : 0;
  const reason = (Object.keys(InterruptBit) as InterruptReason[]).reverse().find((name) => bits & InterruptBit[name]) ?? 'request';
  const aborted = reason === 'signal' && store ? signalsOf.get(store)?.find((signal) => signal.aborted) : undefined;
  return new Interrupted(reason, aborted ? { cause: aborted.reason } : undefined);
}

/**
 * Interrupts the store that the handle names, as its `interrupt()` does; from any thread.
 * @param handle `store.interruptHandle`, posted from the thread of the store.
 * @returns Whether the store still lives.
 * @throws {TypeError} when the handle is no bigint.
 */
export function interrupt(handle: bigint): boolean {
  if (typeof handle !== 'bigint') throw new TypeError('interrupt needs the interruptHandle of a Store, a bigint');
  return native().interruptById(handle, InterruptBit.request);
}
