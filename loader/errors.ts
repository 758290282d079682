/** The errors of the loader. Those that the WebAssembly JS API has a class for extend it, so `instanceof WebAssembly.RuntimeError` and the like hold. */
import type { StatusName } from '../runtime-c/abi.js';

/** Codes of traps: the names of `STATUS` in abi.ts that end an activation by a fault of the code itself. */
export type TrapCode = Exclude<StatusName, 'ok' | 'out_of_fuel' | 'interrupted' | 'host_error'>;

/** Compiled code trapped. The instance stays usable, with whatever it wrote before. */
export class Trap extends WebAssembly.RuntimeError {
  /** Which trap, e.g. `integer_divide_by_zero`; `message` has the words of the specification's tests, e.g. "integer divide by zero". */
  readonly code: TrapCode;
  constructor(code: TrapCode, message: string) {
    super(message);
    this.name = 'Trap';
    this.code = code;
  }
}

/**
 * The store's fuel is used up. Until it gets more (`instance.fuel.add`, which counts from the limit) or a new budget (`instance.fuel.set`), every call of the store ends so, calls in
 * progress included: a host function that catches this of an inner call does not save the outer one.
 */
export class OutOfFuel extends WebAssembly.RuntimeError {
  /** Fuel consumed since the limit was set: the limit itself, however late the exhaustion was noticed. */
  readonly consumed: bigint;
  /** The limit that was reached. */
  readonly limit: bigint;
  /** How far past the limit the code had run when that was seen; `instance.fuel.overshoot` says how far that can be. Not part of `consumed`. */
  readonly overshoot: bigint;
  constructor(consumed: bigint, limit: bigint, overshoot = 0n) {
    super(`out of fuel: ${consumed} of ${limit} consumed`);
    this.name = 'OutOfFuel';
    this.consumed = consumed;
    this.limit = limit;
    this.overshoot = overshoot;
  }
}

/** Why wasm was interrupted: `request`, by `store.interrupt()` or an interrupt handle; `timeout`; `signal`, an AbortSignal; `ending`, the thread is being ended. */
export type InterruptReason = 'request' | 'timeout' | 'signal' | 'ending';

const INTERRUPT_WORDS: Readonly<Record<InterruptReason, string>> = {
  request: 'interrupted', timeout: 'interrupted: the time is up', signal: 'interrupted: aborted', ending: 'interrupted: the thread is being ended',
};

/** The code was stopped from outside. Its instance stays usable once the reason is gone: after `store.clearInterrupt()`, or outside the `within` whose limit it was. */
export class Interrupted extends WebAssembly.RuntimeError {
  readonly reason: InterruptReason;
  /** @param options `cause`: the reason of the AbortSignal. */
  constructor(reason: InterruptReason, options?: ErrorOptions) {
    super(INTERRUPT_WORDS[reason]);
    this.name = 'Interrupted';
    this.reason = reason;
    if (options && 'cause' in options) Object.defineProperty(this, 'cause', { value: options.cause, writable: true, configurable: true });
  }
}

/** An import is missing or has the wrong type; the message names it, what was expected and what was found. */
export class LinkError extends WebAssembly.LinkError {
  constructor(message: string) {
    super(message);
    this.name = 'LinkError';
  }
}

/**
 * Why a file was refused: `io` it cannot be read; `format` it is no artifact, or is truncated or damaged; `hash` its contents do not match its
 * hash; `abi` made for another version of wasm-aot; `target` made for another architecture or system; `cpu` needs CPU features that this machine lacks.
 */
export type ArtifactErrorKind = 'io' | 'format' | 'hash' | 'abi' | 'target' | 'cpu';

/** A file is not an artifact that can be loaded here. None of its code has been mapped. */
export class ArtifactError extends Error {
  readonly kind: ArtifactErrorKind;
  constructor(kind: ArtifactErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ArtifactError';
    this.kind = kind;
  }
}

/** Kinds of `waot_error` (enum waot_error_kind in wasm_aot.h, in order). */
const NATIVE_KINDS = ['none', 'io', 'format', 'hash', 'abi', 'target', 'cpu', 'link', 'trap', 'memory', 'signal', 'argument'] as const;

/** The error for a `waot_error` of this kind (a number of enum waot_error_kind). */
export function nativeError(kind: number, message: string): Error {
  const name = NATIVE_KINDS[kind];
  switch (name) {
    case 'io': case 'format': case 'hash': case 'abi': case 'target': case 'cpu': return new ArtifactError(name, message);
    case 'link': return new LinkError(message);
    case 'memory': return new RangeError(message);
    case 'argument': return new TypeError(message);
    default: return new Error(`wasm-aot runtime: ${message}`);
  }
}
