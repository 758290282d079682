/**
 * The stacks of errors: wasm frames in V8's format (https://webassembly.github.io/spec/web-api/#conventions), among the frames of JavaScript where they belong. What is costly - reading symbols,
 * formatting - is done when somebody looks at `stack`.
 */
import { native } from './native.js';
import type { Symbols } from './symbols.js';
import type { AnyFunction } from './values.js';

/** A place in the sources that the module was made of. */
export interface SourceFrame {
  /** The function's name in the sources, where they are known by more than lines. */
  readonly functionName: string | undefined;
  /** As the module's producer wrote it; with `--path-map`, what that makes of it. Undefined in a function whose lines are not known. */
  readonly file: string | undefined;
  /** From 1; undefined where the producer does not say. */
  readonly line: number | undefined;
  readonly column: number | undefined;
}

/** A frame of wasm. */
export interface WasmFrame {
  /** The function's index in the module. */
  readonly functionIndex: number;
  /** Its name, by the name section or an export. */
  readonly functionName: string | undefined;
  /** Byte offset in the wasm file: of the operator; of the function's body where LLVM merged code of several operators, which never is a trap's or a call's. */
  readonly offset: number;
  /** The wasm file: the first 8 hexadecimal digits of its SHA-256. */
  readonly script: string;
  /** Whether wasm-aot inlined the function into that of the next frame. */
  readonly inlined: boolean;
  /**
   * Where the operator comes from, in artifacts built with -g of modules that have DWARF or a source map: the innermost function first; all but the last were inlined by the module's producer, each
   * into the next. Empty when it is not known.
   */
  readonly sources: readonly SourceFrame[];
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

let findSymbols: (hash: string, path: string) => Symbols | undefined = () => undefined;

/** Says where symbols come from. symbols.ts does so while it is being imported; without it (`wasm-aot run`, which reports failures without their stacks) there are no frames of wasm. */
export function provideSymbols(find: typeof findSymbols): void {
  findSymbols = find;
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

/** The places in the sources that an operator comes from. */
function describeSources({ sources }: Symbols, offset: number): SourceFrame[] {
  if (!sources) return [];
  const frames = sources.find(offset).map(({ name, file, line, column }) => ({
    functionName: sources.string(name), file: sources.string(file), line: line || undefined, column: (line && column) || undefined,
  }));
  return frames.length === 1 && frames[0].file === undefined ? [] : frames;
}

/** The frames that one address stands for: several where LLVM inlined wasm functions; none for an adapter, or when the file is gone. */
function describe({ artifact, address }: Group[number]): WasmFrame[] {
  const symbols = findSymbols(artifact.slice(0, 64), artifact.slice(65));
  if (!symbols) return [];
  const places = symbols.frames.find(address);
  return places.map(({ name, line }, i) => {
    const functionIndex = name - 1;
    const info = symbols.functionAt(functionIndex);
    return {
      functionIndex, functionName: info?.name, offset: line || (info?.offset ?? 0), script: symbols.script, inlined: i < places.length - 1,
      sources: line ? describeSources(symbols, line) : [],
    };
  });
}

const formatFrame = (name: string | undefined, place: string): string => (name === undefined ? `    at ${place}` : `    at ${name} (${place})`);

/** The lines of a frame: V8's for the wasm function, above it one for each place in the sources, as frames of JavaScript have them. */
function format({ functionIndex, functionName, offset, script, sources }: WasmFrame): string[] {
  return [
    ...sources.map((source) => formatFrame(source.functionName ?? functionName, [source.file ?? '<anonymous>', source.line, source.column].filter((part) => part !== undefined).join(':'))),
    formatFrame(functionName, `wasm://wasm/${script}:wasm-function[${functionIndex}]:0x${offset.toString(16)}`),
  ];
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
    lines.push(...js.slice(i === 0 ? 0 : places[i - 1], place), ...groups[i].flatMap(describe).slice(0, limit).flatMap(format));
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

/** What `body` gives, with another Error.stackTraceLimit; with the same where a program has made it constant (`--frozen-intrinsics`). */
function withLimit<T>(limit: number, body: () => T): T {
  const before = Error.stackTraceLimit;
  const changed = Reflect.set(Error, 'stackTraceLimit', limit);
  try {
    return body();
  } finally {
    if (changed) Error.stackTraceLimit = before;
  }
}

/** Captures the frames of JavaScript above `top`; all of them if `all`. */
function capture(top: AnyFunction, all: boolean): { stack?: unknown } {
  const holder = {};
  if (all) withLimit(Number.POSITIVE_INFINITY, () => Error.captureStackTrace(holder, top));
  else Error.captureStackTrace(holder, top);
  return holder;
}

/** An error of which V8 captures no frames, as attachFrames is going to: capturing them twice, and formatting those that get lost, would be a third of what a trap costs. */
export const withoutFrames = (make: () => Error): Error => withLimit(0, make);

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
