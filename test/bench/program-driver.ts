/**
 * Times programs (programs.ts) in one engine: `program-driver.js ENGINE`, the kind of a load being the program's name. ENGINE is `ours` (loads an artifact), `v8`, `v8-injected` (wasm), or `record`, which runs nothing
 * but writes the program's module to the path. One engine a process, because the packages' glue keeps its one instance, and finds the engine in the one global `WebAssembly`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { freezeWorld } from '../programs/freeze.js';
import { recordWebAssembly, substituteWebAssembly } from '../programs/substitute.js';
import { FUEL_GLOBAL } from './inject.js';
import { PROGRAMS } from './programs.js';
import { type Loaded, serve } from './serve.js';

const engine = process.argv[2];
/** The file of the program that is being opened. */
let current: string | undefined;
let modules = 0;

function currentPath(): string {
  if (current === undefined || ++modules > 1) throw new Error('a program of the benchmark has one module, which it compiles when it is opened');
  return current;
}

// Node compiles the parser of its own fetch when that is first looked at, as some glue does: it must not count as the program's.
void globalThis.Response;
/** What V8 runs in place of a program's module. */
function chooseModule(_hash: string, bytes: Uint8Array): Uint8Array {
  if (engine !== 'record') return readFileSync(currentPath());
  writeFileSync(currentPath(), bytes);
  return bytes;
}
const readFuel = ({ exports }: WebAssembly.Instance) => (engine === 'v8-injected' ? (exports[FUEL_GLOBAL] as WebAssembly.Global).value as bigint : 0n);
const tally = engine === 'ours' ? substituteWebAssembly(currentPath) : recordWebAssembly(chooseModule, readFuel);
freezeWorld();

await serve(async (name, path): Promise<Loaded> => {
  const program = PROGRAMS.find((candidate) => candidate.name === name);
  if (!program) throw new Error(`no program ${name}`);
  [current, modules] = [path, 0];
  const run = await program.open();
  await run(1); // Some glue compiles its module only when it is first called.
  current = undefined;
  return { run, fuel: engine === 'v8' ? undefined : tally.fuel };
});
