/**
 * Calls at which something just changes. A loop that leaves its memory in the last byte of its last access is rare among random arguments, and just what tells whether the compiler's range checks
 * are right; so it is searched for: between an argument with which a call ends in one way, and one with which it ends in another, lies the place where that changes.
 */
import type { WasmModule } from '../../compiler/wasm/module.js';
import type { Random } from './random.js';
import type { Call } from './session.js';

/** How a call ends on the oracle: which trap, out-of-fuel, or a result. */
export type Ending = (call: Call) => string;

/** Searches for each function; both would be worth more, and take more time. */
const SEARCHES = 3;

/** Values of the parameter to search towards, by its position: ends of the memory and of the 32 bits, no and many iterations, steps that take it out. */
const towards = (position: number, end: number, from: number, random: Random): number => {
  if (position === 0) return random.pick([end + 64, end + 64, 0, from | 0]);
  return position === 1 ? random.pick([100_000, 20_000, 0]) : random.pick([4096, -4096, 65536]);
};

/** The two neighbouring values between `lo` and `hi` where a call's ending changes. */
function bisect(call: Call, position: number, lo: number, hi: number, ending: Ending): readonly [number, number] | undefined {
  const at = (value: number): Call => ({ name: call.name, args: call.args.map((arg, i) => (i === position ? value : arg)) });
  const first = ending(at(lo));
  if (first === ending(at(hi))) return undefined;
  let [same, other] = [lo, hi];
  while (Math.abs(other - same) > 1) {
    const middle = Math.floor((same + other) / 2);
    if (ending(at(middle)) === first) same = middle;
    else other = middle;
  }
  return [same, other];
}

/** Calls on both sides of such places, given some calls of the same function. */
export function findBoundaries(module: WasmModule, calls: readonly Call[], ending: Ending, random: Random): Call[] {
  const end = (module.memories[0]?.limits.min ?? 1) * 65536;
  const found: Call[] = [];
  for (let search = 0; search < SEARCHES; search++) {
    const call = random.pick(calls);
    const numbers = call.args.flatMap((arg, i) => (typeof arg === 'number' ? [i] : []));
    if (numbers.length === 0) return found;
    const position = search === 0 ? numbers[0] : random.pick(numbers);
    const from = call.args[position] as number;
    const edge = bisect(call, position, from, towards(Math.min(position, 2), end, from, random), ending);
    if (!edge) continue;
    for (const value of new Set([...edge, edge[1] + Math.sign(edge[1] - edge[0]) * (1 + random.below(8))])) {
      found.push({ name: call.name, args: call.args.map((arg, i) => (i === position ? value | 0 : arg)) });
    }
  }
  return found;
}
