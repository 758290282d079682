/** Runs the workloads in all engines, round by round, and checks that they agree. */
import type { Compiler } from '../../compiler/index.js';
import { closeEngines, type Engine, type EngineName, loadId, prepareWorkload } from './engines.js';
import { median } from './statistics.js';
import type { Workload } from './workloads.js';

/** Times in nanoseconds, by workload and engine: one a round, or a sitting. */
export type Times = ReadonlyMap<string, ReadonlyMap<EngineName, readonly number[]>>;
/** What was measured; `consumed` is the fuel of one call of each workload in our metered engine. */
export interface Measurement { readonly times: Times; readonly consumed: ReadonlyMap<string, bigint> }
export interface MeasureOptions {
  readonly rounds: number;
  /** Calls in a row in each engine and round, of which the fastest counts. (Of kernels.) */
  readonly calls: number;
  /** Calls in each process of a sitting: those before anything is timed, and those timed, of which the median counts. (Of programs.) */
  readonly warmUp: number;
  readonly pieces: number;
  /** What the sizes of the workloads are multiplied by. */
  readonly scale: number;
  /** Directory for the workloads' files. */
  readonly dir: string;
  /** Names of workloads of which the metered code is to be slow: compiled at -O0. */
  readonly handicap: readonly string[];
  readonly onProgress: (message: string) => void;
}

const sized = (workload: Workload, factor: number) => Math.max(1, Math.round(workload.n * factor));
/** The engines whose count of fuel must be the same; wasmtime's own prices bulk operators differently from version to version. */
const COUNTING: readonly EngineName[] = ['metered', 'sync', 'metered-O0', 'v8-injected'];

/** The rotation of a list that begins at its element `by`. */
const rotate = <T>(list: readonly T[], by: number): T[] => [...list.slice(by % list.length), ...list.slice(0, by % list.length)];

/**
 * Runs a workload once in every engine, at a sixteenth of its size.
 * @throws {Error} when two engines differ in the result, or in the fuel consumed.
 */
async function compareEngines(workload: Workload, id: number, engines: readonly Engine[]): Promise<void> {
  const n = sized(workload, 1 / 16);
  const runs = await Promise.all(engines.map(async (engine, i) => ({ name: engine.name, ...await engine.driver.run(loadId(id, i), n, 1) })));
  const [first] = runs;
  for (const run of runs) {
    if (run.checksum !== first.checksum) throw new Error(`${workload.name}: run(${n}) is ${first.checksum} in ${first.name}, but ${run.checksum} in ${run.name}`);
    if (!COUNTING.includes(run.name)) continue;
    if (run.consumed !== first.consumed) throw new Error(`${workload.name}: run(${n}) consumed ${first.consumed} in ${first.name}, but ${run.consumed} in ${run.name}`);
  }
}

/** Paths of the files that engines load, by workload and engine. */
export type Prepared = ReadonlyMap<string, ReadonlyMap<EngineName, string>>;

/** Builds and loads every workload for every engine. @throws {Error} as compareEngines does. */
export async function prepareAll(workloads: readonly Workload[], engines: readonly Engine[], compiler: Compiler, options: MeasureOptions): Promise<Prepared> {
  const prepared = new Map<string, ReadonlyMap<EngineName, string>>();
  for (const [id, workload] of workloads.entries()) {
    options.onProgress(`building ${workload.name} (${id + 1} of ${workloads.length})`);
    prepared.set(workload.name, await prepareWorkload({ workload, dir: options.dir, compiler, handicap: options.handicap.includes(workload.name) }, id, engines));
    await compareEngines(workload, id, engines);
  }
  return prepared;
}

const differs = ({ name }: Workload, n: number, checksum: number, engine: EngineName, other: number) => `${name}: run(${n}) is ${checksum} in ${engine}, but ${other} elsewhere`;

/**
 * Times what `prepareAll` loaded. Within a round, the engines follow each other on a workload directly, in an order that rotates: what disturbs the machine
 * for longer than a moment then disturbs all.
 * @throws {Error} when engines' results differ.
 */
export async function measureAll(workloads: readonly Workload[], engines: readonly Engine[], options: MeasureOptions): Promise<Measurement> {
  const timed = engines.map((engine, index) => ({ engine, index })).filter(({ engine }) => engine.timed);
  const times = new Map(workloads.map(({ name }) => [name, new Map(timed.map(({ engine }) => [engine.name, [] as number[]]))]));
  const consumed = new Map<string, bigint>();
  for (let round = 0; round < options.rounds; round++) {
    for (const [id, workload] of workloads.entries()) {
      options.onProgress(`round ${round + 1} of ${options.rounds}: ${workload.name}`);
      const n = sized(workload, options.scale);
      let checksum: number | undefined;
      for (const { engine, index } of rotate(timed, round)) {
        const result = await engine.driver.run(loadId(id, index), n, options.calls);
        checksum ??= result.checksum;
        if (result.checksum !== checksum) throw new Error(differs(workload, n, result.checksum, engine.name, checksum));
        if (engine.name === 'metered') consumed.set(workload.name, result.consumed as bigint);
        times.get(workload.name)?.get(engine.name)?.push(result.nanoseconds);
      }
    }
  }
  return { times, consumed };
}

/** How often programs are measured in new processes, for a number of rounds: half as often, for they take longer, but often enough for an interval. */
export const countSittings = (rounds: number): number => Math.max(3, Math.ceil(rounds / 2));

/** What one sitting of a program found: the time of each engine, and the fuel of a call. */
interface Sitting { readonly times: ReadonlyMap<EngineName, number>; readonly consumed: bigint }

/** Loads a program into engines that have just been started, warms it up, and times pieces of work, in an order that rotates. An engine's time is the median of its pieces. */
async function sit(workload: Workload, engines: readonly Engine[], paths: ReadonlyMap<EngineName, string>, sitting: number, options: MeasureOptions): Promise<Sitting> {
  const n = sized(workload, options.scale);
  for (const { name, driver, kind } of rotate(engines, sitting)) {
    await driver.load(0, kind(workload), paths.get(name) as string);
    await driver.run(0, n, options.warmUp);
  }
  const pieces = new Map<EngineName, number[]>(engines.map(({ name }) => [name, []]));
  let consumed = 0n;
  let checksum: number | undefined;
  for (let piece = 0; piece < options.pieces; piece++) {
    for (const { name, driver } of rotate(engines, sitting + piece)) {
      const result = await driver.run(0, n, 1);
      checksum ??= result.checksum;
      if (result.checksum !== checksum) throw new Error(differs(workload, n, result.checksum, name, checksum));
      if (name === 'metered') consumed = result.consumed as bigint;
      pieces.get(name)?.push(result.nanoseconds);
    }
  }
  return { times: new Map([...pieces].map(([name, list]) => [name, median(list)])), consumed };
}

/**
 * Times programs that `prepareAll` has made files of. Each sitting starts processes anew, since times differ more from one process to the next than within one, and goes through the programs one by one.
 * @throws {Error} when engines' results differ.
 */
export async function measureSittings(workloads: readonly Workload[], openEngines: () => Engine[], prepared: Prepared, options: MeasureOptions): Promise<Measurement> {
  const times = new Map<string, Map<EngineName, number[]>>(workloads.map(({ name }) => [name, new Map()]));
  const consumed = new Map<string, bigint>();
  const sittings = countSittings(options.rounds);
  for (let sitting = 0; sitting < sittings; sitting++) {
    for (const workload of workloads) {
      options.onProgress(`round ${sitting + 1} of ${sittings}: ${workload.name}`);
      const engines = openEngines();
      try {
        const result = await sit(workload, engines, prepared.get(workload.name) as ReadonlyMap<EngineName, string>, sitting, options);
        const byEngine = times.get(workload.name) as Map<EngineName, number[]>;
        for (const [engine, time] of result.times) byEngine.set(engine, [...byEngine.get(engine) ?? [], time]);
        consumed.set(workload.name, result.consumed);
      } finally {
        closeEngines(engines);
      }
    }
  }
  return { times, consumed };
}
