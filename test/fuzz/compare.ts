/** Compares V8 and wasm-aot on one module, at several levels and under several limits of fuel: everything that the host can see, and the fuel at each such point. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildOptions } from '../../compiler/options.js';
import type { WasmModule } from '../../compiler/wasm/module.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { native } from '../../loader/native.js';
import { addExports, exposeStart, injectMetering } from '../fuel/inject.js';
import { findBoundaries } from './boundaries.js';
import { type Machine, OurMachine, type Setting, STATE, V8Machine } from './machine.js';
import { Random } from './random.js';
import { type Call, callsOf, differenceOfEvents, type Event, OUT_OF_FUEL, type Session, sessionOfAll, showCall, underLimit } from './session.js';

/** A level: options of `build` and their name. */
export interface Level { readonly name: string; readonly options: BuildOptions }
const level = (name: string, options: BuildOptions): Level => ({ name, options });

/** The default, at which every module runs. */
export const DEFAULT_LEVEL = level('-O2', {});
/** The others, of which each module runs at some. */
export const LEVELS: readonly Level[] = [
  level('-O0', { optLevel: 0 }), level('-O1', { optLevel: 1 }), level('-O3', { optLevel: 3 }), level('-O3 v2 sync canonical', { optLevel: 3, cpu: 'v2', fuel: 'sync', nan: 'canonical' }),
  level('-O2 v2', { cpu: 'v2' }), level('-O2 sync', { fuel: 'sync' }), level('-O1 sync', { optLevel: 1, fuel: 'sync' }), level('-O0 v2 canonical', { optLevel: 0, cpu: 'v2', nan: 'canonical' }),
];

/** Levels for modules whose NaNs are not kept out: they have bits of their own, the same at all levels, only where they are made canonical. */
export const CANONICAL_LEVELS: readonly Level[] = [
  level('-O2 canonical', { nan: 'canonical' }), level('-O2 v2 canonical', { cpu: 'v2', nan: 'canonical' }), level('-O3 sync canonical', { optLevel: 3, fuel: 'sync', nan: 'canonical' }),
];
/** The oracle for what V8 does not know, or where the spec lets it differ from us. */
const ORACLE_LEVEL = level('-O0 v2 canonical', { optLevel: 0, cpu: 'v2', nan: 'canonical' });
export const ALL_LEVELS: readonly Level[] = [DEFAULT_LEVEL, ...LEVELS, ...CANONICAL_LEVELS];

/** What is compared, all of which follows from the seed unless it is given. */
export interface Plan {
  readonly seed: number;
  /** `each`: every function is called by itself, from the same state; `row`: one after another. */
  readonly style: 'each' | 'row';
  readonly levels: readonly Level[];
  /** Whether the oracle is V8, where it knows the module, or our own -O0. */
  readonly oracle: 'v8' | 'ours';
  readonly sessions?: readonly Session[];
  /** Fuel at most, of a session. Endless code is ended by it. */
  readonly fuel: bigint;
  /** The only limit under which to run; default: `fuel`, and one that depends on what is consumed. */
  readonly limit?: bigint;
}

/** A difference and where it shows. */
export interface Difference { readonly level: Level; readonly session: Session; readonly limit: bigint; readonly text: string }
export interface Comparison { readonly difference?: Difference; /** Sessions run by wasm-aot and compared. */ readonly runs: number }

/** The plan that the seed makes for a module. `others`: how many levels beside the default. */
export function planOf(seed: number, style: Plan['style'], others = 2): Plan {
  const random = new Random(seed ^ 0x5bd1e995);
  const first = random.below(LEVELS.length);
  const levels = [DEFAULT_LEVEL, ...Array.from({ length: others }, (_, i) => LEVELS[(first + i * 3) % LEVELS.length])];
  return { seed, style, levels, oracle: 'v8', fuel: random.pick([20_000n, 100_000n, 100_000n, 300_000n, random.oneIn(4) ? 3_000_000n : 100_000n]) };
}

/** The plan for a module with relaxed vector operators, where we are deterministic and V8 is not. */
export const planOfRelaxed = (seed: number): Plan => ({ ...planOf(seed, 'row'), levels: CANONICAL_LEVELS, oracle: 'ours' });

/** The name under which a start function is called. */
const START = '$start';

/** The module with its state exported; vectors have no JavaScript values. */
function exposeState(given: Uint8Array): { bytes: Uint8Array; module: WasmModule } {
  const before = parseModule(given, { name: 'fuzz' });
  const bytes = before.start === undefined ? given : exposeStart(given, before.start, START);
  const named = (prefix: string, kind: 'global' | 'memory' | 'table', count: number) => Array.from({ length: count }, (_, index) => ({ name: `${prefix}${index}`, kind, index }));
  const exposed = addExports(bytes, [
    ...named(STATE.global, 'global', before.globals.length).filter(({ index }) => before.globals[index].type !== 'v128'), ...named(STATE.memory, 'memory', before.memories.length), ...named(STATE.table, 'table', before.tables.length),
  ]);
  return { bytes: exposed, module: parseModule(exposed, { name: 'fuzz' }) };
}

/** Limits to run under: all the fuel, and one near where something is seen. */
function limitsFor(events: readonly Event[], plan: Plan, random: Random): bigint[] {
  if (plan.limit !== undefined) return [plan.limit];
  const most = Number(plan.fuel);
  const seen = Number(random.pick(events).consumed);
  const last = Number(events[events.length - 1].consumed);
  const near = random.pick([seen, seen - 1, last, last - 1, random.below(Math.min(last, most) + 1)]);
  return [plan.fuel, BigInt(Math.max(0, Math.min(near, most)))];
}

type Compile = (bytes: Uint8Array, options: BuildOptions) => Promise<Uint8Array>;

/** Our engine at a level. */
async function start(setting: Setting, bytes: Uint8Array, { name, options }: Level, compile: Compile, folder: string): Promise<OurMachine> {
  const path = join(folder, `fuzz${name.replace(/\W/g, '')}.${process.pid}.so`);
  writeFileSync(path, await compile(bytes, { ...options, name: 'fuzz.wasm' }));
  const ours = new OurMachine(setting, path);
  rmSync(path);
  return ours;
}

/** A struct type: V8 knows those from Node 22 on, with all else of 3.0 that is fuzzed. */
const STRUCT = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 3, 1, 0x5f, 0);
const v8IsNew = WebAssembly.validate(STRUCT);

/** V8 with a counter of fuel; where that is planned, or for modules that an old V8 does not know, wasm-aot at -O0. */
async function makeOracle(setting: Setting, bytes: Uint8Array, plan: Plan, ours: (level: Level) => Promise<OurMachine>): Promise<Machine> {
  if (plan.oracle === 'ours') return ours(ORACLE_LEVEL);
  try {
    return new V8Machine(setting, new WebAssembly.Module(injectMetering(bytes, undefined, Number(plan.fuel)) as BufferSource));
  } catch (error) {
    if (error instanceof WebAssembly.CompileError && !v8IsNew) return ours(LEVELS[0]);
    throw error;
  }
}

/**
 * Runs a module on both engines, and stops at the first difference.
 * @param compile makes an artifact of a module. @param folder for artifacts.
 * @throws what `compile` throws.
 */
export async function compareModule(given: Uint8Array, plan: Plan, compile: Compile, folder: string): Promise<Comparison> {
  const { bytes, module } = exposeState(given);
  // What a collection must not be seen to do: with every other seed, before each allocation.
  native().heapStress(plan.seed % 2 === 1 && module.types.some(({ kind }) => kind !== 'func'));
  const setting: Setting = { module, seed: plan.seed, reset: plan.style === 'each' };
  const oracle = await makeOracle(setting, bytes, plan, (level) => start(setting, bytes, level, compile, folder));
  const sessions = plan.sessions ?? (plan.style === 'each' ? sessionsOfOne(module, plan, oracle) : [startFirst(sessionOfAll(module, plan.seed))]);
  const expected = sessions.map((session) => oracle.run(session, plan.fuel));
  let runs = 0;
  for (const level of plan.levels) {
    const ours = await start(setting, bytes, level, compile, folder);
    const random = new Random(plan.seed);
    for (const [i, session] of sessions.entries()) {
      for (const limit of limitsFor(expected[i], plan, random)) {
        const text = differenceOfEvents(underLimit(expected[i], limit), ours.run(session, limit));
        runs++;
        if (text !== undefined) return { difference: { level, session, limit, text }, runs };
      }
    }
  }
  return { runs };
}

/** Calls of each function by itself: some at random, and some where the ending just changes. */
function sessionsOfOne(module: WasmModule, plan: Plan, oracle: Machine): Session[] {
  const random = new Random(plan.seed);
  const ending = (call: Call): string => {
    const last = oracle.run([call], plan.fuel, false).at(-1) as Event;
    if (last.consumed > plan.fuel || last.text === OUT_OF_FUEL) return 'fuel';
    return /: trap/.test(last.text) ? 'trap' : 'result';
  };
  return callsOf(module, plan.seed, 3).flatMap((calls) => [...calls, ...findBoundaries(module, calls, ending, random)]).map((call) => [call]);
}

/** The call of what was the start function comes first. */
const startFirst = (session: Session): Session => [...session.filter((call) => call.name === START), ...session.filter((call) => call.name !== START)];

export const showDifference = ({ level, session, limit, text }: Difference): string => `${level.name}, limit ${limit}, ${session.map(showCall).slice(-3).join('; ')}:\n  ${text}`;
