/** What is done with a module: sessions, each a row of calls on one instance under one limit of fuel; and what can be seen of a session, as events. */
import type { ValType, WasmModule } from '../../compiler/wasm/module.js';
import { functionType } from '../../compiler/wasm/types.js';
import { Random } from './random.js';

/** A call of an exported function. */
export interface Call { readonly name: string; readonly args: readonly unknown[] }

/** Calls one after another on one instance. */
export type Session = readonly Call[];

/** What outsiders can see of an instance. */
export interface State {
  /** Globals and tables, as text. */
  readonly values: string;
  readonly memories: readonly Buffer[];
}

/** Something that the host can see: that a function of its own is called, or that a call (or the instantiation) ended. */
export interface Event {
  readonly text: string;
  /** Fuel consumed since the session began. */
  readonly consumed: bigint;
  readonly state?: State;
}

/** The outcomes behind which nothing can be compared: where the stack ends is the engine's choice, and after out-of-fuel there is no state. */
export const STACK = 'stack overflow';
export const OUT_OF_FUEL = 'out of fuel';

/** One object serves as every externref, so that it compares equal. */
export const SOME_OBJECT = { some: 'object' };

const ADDRESSES = [0, 8, 64, 100, 1000, 4096, 20_000, 40_000];
/** Distances of addresses from the end of memory. */
const FROM_END = [64, 128, 1024, 2048, 8192];
const COUNTS = [1, 2, 3, 7, 8, 9, 16, 33, 100, 100, 255, 1000, 1000, 5000, 16384];
const STEPS = [1, 1, 2, 4, 4, 8, 8, 16, 100, -1, -4, -8, -16];
/** Values of an i32 at which something may turn: of an address, a count or a step, in turn. */
const EXTREMES = [[0, 65536, 131072, -1, -8, -200, -65536, 0x7fffffff], [0, -1, 65536, -0x80000000, 0x7fffffff], [0, 4096, 65536, 0x10001, 0x40000000, -0x80000000]];

/** A value for a parameter: the first three i32 are likely an address, a count and a step, as in the loops that we generate. `end`: bytes of memory. */
export function argumentOf(type: ValType, position: number, random: Random, end = 65536): unknown {
  switch (type) {
    case 'i32':
      if (random.oneIn(40)) return random.next() | 0;
      if (random.oneIn(8)) return random.pick(EXTREMES[Math.min(position, 2)]);
      if (position === 0) return ((random.oneIn(3) ? end - random.pick(FROM_END) : random.pick(ADDRESSES)) + (random.below(2) ? random.below(64) : 0)) | 0;
      return (random.pick(position === 1 ? COUNTS : STEPS) + (random.oneIn(3) ? random.below(3) : 0)) | 0;
    case 'i64': return random.below(2) ? BigInt(random.pick(COUNTS)) : BigInt.asIntN(64, (BigInt(random.next()) << 32n) | BigInt(random.next()));
    case 'f32': return Math.fround(random.pick([0, -0, 1.5, -1, 1e10, Infinity, random.next() / 7]));
    case 'f64': return random.pick([0, -0, 0.1, -1, 1e300, -Infinity, random.next() / 7]);
    case 'externref': return random.below(2) ? SOME_OBJECT : null;
    case 'i31ref': case 'eqref': case 'anyref': return random.pick([null, 1, -(2 ** 30), 2 ** 30 - 1]);
    default: return null;
  }
}

/** Whether a function can be called from JavaScript. */
const callable = (module: WasmModule, index: number): boolean => {
  const { params, results } = functionType(module, module.funcs[index]);
  return ![...params, ...results].includes('v128');
};

/** The functions that can be called, and for each the arguments of a number of calls. */
export function callsOf(module: WasmModule, seed: number, count: number): Call[][] {
  const end = (module.memories[0]?.limits.min ?? 1) * 65536;
  return module.exports.filter((e) => e.kind === 'func' && callable(module, e.index)).map(({ name, index }) => {
    const random = new Random(seed ^ (index * 0x9e3779b1));
    const { params } = functionType(module, module.funcs[index]);
    return Array.from({ length: count }, () => ({ name, args: params.map((type, i) => argumentOf(type, i, random, end)) }));
  });
}

/** One session that calls each exported function once, in the order of the exports; of the state that a call leaves, the next is a function. */
export const sessionOfAll = (module: WasmModule, seed: number): Session => callsOf(module, seed, 1).flat();

/** A value as text that is equal for equal values: -0 is told from 0, functions are alike. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'function') return 'function';
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'object') return 'object';
  return Object.is(value, -0) ? '-0' : `${String(value)}${typeof value === 'bigint' ? 'n' : ''}`;
}

export const showCall = ({ name, args }: Call): string => `${name}(${args.map(show).join(', ')})`;

/** The first difference of two states in words; undefined when they are the same. */
export function differenceOfStates(expected: State, found: State): string | undefined {
  if (expected.values !== found.values) return `state ${found.values} instead of ${expected.values}`;
  for (const [i, memory] of expected.memories.entries()) {
    const other = found.memories[i];
    if (memory.equals(other)) continue;
    if (memory.length !== other.length) return `memory ${i} has ${other.length} bytes instead of ${memory.length}`;
    const at = memory.findIndex((byte, j) => byte !== other[j]);
    const piece = (from: Buffer) => from.subarray(at, at + 16).toString('hex');
    return `memory ${i} at ${at}: ${piece(other)} instead of ${piece(memory)}`;
  }
  return undefined;
}

/**
 * What should be seen under a limit, given what is seen without one: everything until more than the limit is consumed, and then out-of-fuel (fuel law, clause 4).
 */
export function underLimit(events: readonly Event[], limit: bigint): Event[] {
  const beyond = events.findIndex((event) => event.consumed > limit);
  return beyond < 0 ? [...events] : [...events.slice(0, beyond), { text: OUT_OF_FUEL, consumed: limit }];
}

/** The first difference of two rows of events, in words; undefined when there is none up to a stack overflow in either. */
export function differenceOfEvents(expected: readonly Event[], found: readonly Event[]): string | undefined {
  for (let i = 0; i < Math.max(expected.length, found.length); i++) {
    const [a, b] = [expected[i], found[i]];
    if (a?.text.endsWith(STACK) || b?.text.endsWith(STACK)) return undefined;
    if (a?.text !== b?.text) return `event ${i}: ${b?.text ?? 'nothing'} instead of ${a?.text ?? 'nothing'}`;
    if (a.consumed !== b.consumed) return `event ${i} (${a.text}): consumed ${b.consumed} instead of ${a.consumed}`;
    const state = a.state && b.state && differenceOfStates(a.state, b.state);
    if (state) return `event ${i} (${a.text}): ${state}`;
  }
  return undefined;
}
