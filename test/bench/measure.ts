/** Runs the workloads in all engines, round by round, and checks that they agree. */
import type { Compiler } from '../../compiler/index.js';
import { type Engine, type EngineName, loadId, prepareWorkload } from './engines.js';
import type { Workload } from './workloads.js';

/** Times in nanoseconds, by workload and engine: one a round. */
export type Times = ReadonlyMap<string, ReadonlyMap<EngineName, readonly number[]>>;
/** What was measured; `consumed` is the fuel of one call of each workload in our metered engine. */
export interface Measurement { readonly times: Times; readonly consumed: ReadonlyMap<string, bigint> }
export interface MeasureOptions {
  readonly rounds: number;
  /** Calls in a row in each engine and round, of which the fastest counts. */
  readonly calls: number;
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

/** Builds and loads every workload for every engine. @throws {Error} as compareEngines does. */
export async function prepareAll(workloads: readonly Workload[], engines: readonly Engine[], compiler: Compiler, options: MeasureOptions): Promise<void> {
  for (const [id, workload] of workloads.entries()) {
    options.onProgress(`building ${workload.name} (${id + 1} of ${workloads.length})`);
    await prepareWorkload({ workload, dir: options.dir, compiler, handicap: options.handicap.includes(workload.name) }, id, engines);
    await compareEngines(workload, id, engines);
  }
}

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
        if (result.checksum !== checksum) throw new Error(`${workload.name}: run(${n}) is ${result.checksum} in ${engine.name}, but ${checksum} elsewhere`);
        if (engine.name === 'metered') consumed.set(workload.name, result.consumed as bigint);
        times.get(workload.name)?.get(engine.name)?.push(result.nanoseconds);
      }
    }
  }
  return { times, consumed };
}
