/**
 * The stacks of errors: wasm frames in V8's format (https://webassembly.github.io/spec/web-api/#conventions), among the frames of JavaScript where they belong. What is costly - reading symbols,
 * formatting - is done when somebody looks at `stack`.
 */
import { native } from './native.js';
import { findLast, symbolsOf } from './symbols.js';
import type { AnyFunction } from './values.js';

/** A frame of wasm. */
export interface WasmFrame {
  /** The function's index in the module. */
  readonly functionIndex: number;
  /** Its name, by the name section or an export. */
  readonly functionName: string | undefined;
  /** Byte offset in the wasm file: of the operator in artifacts built with -g, else of the function's body. */
  readonly offset: number;
  /** The wasm file: the first 8 hexadecimal digits of its SHA-256. */
  readonly script: string;
}

/** The frames of an activation: what the addon says of each. */
type Group = { artifact: string; address: number }[];

/** What is known of an error's stack. */
interface Trace {
  /** Has the frames of JavaScript in its `stack`, formatted on first use. */
  readonly holder: { stack?: unknown };
  readonly groups: readonly Group[];
  /** Error.stackTraceLimit when it was made. */
  readonly limit: number;
  /** How many frames of JavaScript are above each group that has found its place; in order. */
  readonly places: number[];
}

/** Where an error has its trace: not in a WeakMap, whose entries would burden the garbage collector of a program with many errors. */
const TRACE = Symbol('trace');

const traceOf = (value: unknown): Trace | undefined => (typeof value === 'object' && value !== null ? (value as { [TRACE]?: Trace })[TRACE] : undefined);

function readGroups(): Group[] {
  const raw = native().backtrace();
  const groups: Group[] = [];
  for (let i = 0; i < raw.length; i += 3) {
    const activation = raw[i + 2] as number;
    while (groups.length <= activation) groups.push([]);
    groups[activation].push({ artifact: raw[i] as string, address: raw[i + 1] as number });
  }
  return groups;
}

/** The frames that one address stands for: with line tables, inlined code is attributed to the function that it comes from. */
function describe({ artifact, address }: Group[number]): WasmFrame[] {
  const [hash, path] = [artifact.slice(0, 64), artifact.slice(65)];
  const symbols = symbolsOf(hash, path);
  const range = symbols && findLast(symbols.ranges, (r) => r.start, address);
  if (!symbols || !range || address >= range.end) return []; // an adapter, or the file is gone
  const offset = symbols.lineOf(address);
  const frame = (r: typeof range, at: number): WasmFrame => ({ functionIndex: r.index, functionName: r.name, offset: at, script: symbols.script });
  const source = offset === undefined ? range : findLast(symbols.byOffset, (r) => r.offset, offset);
  if (offset === undefined || !source) return [frame(range, range.offset)];
  return source === range ? [frame(range, offset)] : [frame(source, offset), frame(range, range.offset)];
}

function format({ functionIndex, functionName, offset, script }: WasmFrame): string {
  const place = `wasm://wasm/${script}:wasm-function[${functionIndex}]:0x${offset.toString(16)}`;
  return functionName === undefined ? `    at ${place}` : `    at ${functionName} (${place})`;
}

/** The lines of a stack that are frames. */
function frameLines(stack: string): string[] {
  const lines = stack.split('\n');
  const first = lines.findIndex((line) => /^\s+at /.test(line));
  return first < 0 ? [] : lines.slice(first);
}

function render(error: Error, { holder, groups, limit, places }: Trace): unknown {
  const { stack } = holder;
  if (typeof stack !== 'string') return stack; // a program's own Error.prepareStackTrace
  const js = frameLines(stack).slice(0, limit);
  const lines: string[] = [];
  places.forEach((place, i) => {
    lines.push(...js.slice(i === 0 ? 0 : places[i - 1], place), ...groups[i].flatMap(describe).slice(0, limit).map(format));
  });
  lines.push(...js.slice(places.at(-1) ?? 0));
  return [`${error.name}: ${error.message}`, ...lines].join('\n');
}

/** The property `stack` of an error with a trace. */
const STACK: PropertyDescriptor & ThisType<Error & { [TRACE]: Trace }> = {
  configurable: true,
  get() { return render(this, this[TRACE]); },
  set(value: unknown) { Object.defineProperty(this, 'stack', { value, writable: true, configurable: true }); },
};

/** Captures the frames of JavaScript above `top`; all of them if `all`. */
function capture(top: AnyFunction, all: boolean): { stack?: unknown } {
  const limit = Error.stackTraceLimit;
  const holder = {};
  if (all) Error.stackTraceLimit = Number.POSITIVE_INFINITY;
  Error.captureStackTrace(holder, top);
  Error.stackTraceLimit = limit;
  return holder;
}

/** Gives an error for a call that has just failed its stack. `top`: the function below which it begins. */
export function attachFrames(error: Error, top: AnyFunction): void {
  const groups = readGroups();
  const limit = Number(Error.stackTraceLimit) || 0;
  const trace: Trace = { holder: capture(top, groups.length > 1), groups, limit, places: groups.length > 0 ? [0] : [] };
  Object.defineProperty(error, TRACE, { value: trace });
  Object.defineProperty(error, 'stack', STACK);
}

/** Something thrown has passed through an activation: if it is an error of ours, the frames of that activation belong above those of its caller. */
export function passOuterFrames(value: unknown, top: AnyFunction): void {
  const trace = traceOf(value);
  if (!trace || trace.places.length === trace.groups.length || typeof trace.holder.stack !== 'string') return;
  const outside = capture(top, true).stack;
  if (typeof outside !== 'string') return;
  const place = frameLines(trace.holder.stack).length - frameLines(outside).length;
  // Not if it was kept, and thrown again somewhere else.
  if (place >= (trace.places.at(-1) as number)) trace.places.push(place);
}

/** The wasm frames of a Trap, OutOfFuel or Interrupted, innermost first, those of outer activations included; of anything else, none. */
export function wasmFrames(error: unknown): WasmFrame[] {
  const trace = traceOf(error);
  return trace ? trace.groups.flat().flatMap(describe) : [];
}
