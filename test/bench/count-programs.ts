/**
 * Counts the instructions of programs: Node runs under valgrind's callgrind, with a program in it, and of what it counts only the artifact's own code is added up. That does not vary, whatever V8 does around it.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildFor, type EngineName, type Files } from './engines.js';
import { openProgramDriver } from './workloads.js';

/** The engines whose instructions can be told from V8's: those with artifacts. */
const ENGINES: readonly EngineName[] = ['metered', 'unmetered'];
/** What is compared. */
export const PROGRAM_RATIOS = [['metered', 'unmetered']] as const;

/**
 * Adds up what a profile of callgrind says of the functions of one object. Names are given once, with a number, and then by the number alone; what a call cost in the callee stands in the line after `calls=`.
 * @param lines the profile. @param object the object's path.
 */
export async function addUpObject(lines: AsyncIterable<string>, object: string): Promise<number> {
  const paths = new Map<string, string>();
  let [inside, isCall, sum] = [false, false, 0];
  for await (const line of lines) {
    const named = /^(c?ob)=\((\d+)\)(?: (.*))?$/.exec(line);
    if (named) {
      const [, kind, number, path] = named;
      if (path !== undefined) paths.set(number, path);
      if (kind === 'ob') inside = paths.get(number) === object;
    } else if (line.startsWith('calls=')) {
      isCall = true;
    } else if (/^[+\-*\d]/.test(line)) {
      if (inside && !isCall) sum += Number(line.slice(line.lastIndexOf(' ') + 1));
      isCall = false;
    }
  }
  return sum;
}

/** What a program executes from its start to the end of `run(n)`. Ticks are rare, so that valgrind is not interrupted all the time. */
async function count(name: string, path: string, n: number): Promise<{ checksum: number; instructions: number }> {
  const profile = `${path}.callgrind`;
  const driver = openProgramDriver('ours', ['valgrind', '--tool=callgrind', '--quiet', `--callgrind-out-file=${profile}`], { ...process.env, WASM_AOT_TICK_US: '1000000' });
  await driver.load(0, name, path);
  const { checksum } = await driver.run(0, n, 1);
  await driver.end();
  return { checksum, instructions: await addUpObject(createInterface({ input: createReadStream(profile, 'latin1') }), path) };
}

/** Counts one program, at a sixteenth of its size. @throws {Error} when results differ. */
export async function countProgram(files: Omit<Files, 'wasm'>): Promise<Record<string, number>> {
  const { workload, dir } = files;
  const wasm = join(dir, `${workload.name}.wasm`);
  await workload.writeWasm(wasm);
  const n = Math.max(1, Math.round(workload.n / 16));
  const counted = await Promise.all(ENGINES.map(async (name) => ({ name, ...await count(workload.name, await buildFor(name, { ...files, wasm }), n) })));
  for (const { name, checksum } of counted) if (checksum !== counted[0].checksum) throw new Error(`${workload.name}: run(${n}) is ${counted[0].checksum} in ${counted[0].name}, but ${checksum} in ${name}`);
  return Object.fromEntries(counted.map(({ name, instructions }) => [name, instructions]));
}
