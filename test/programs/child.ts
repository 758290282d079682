/**
 * Runs one package's program in a process of its own: `child.js NAME record FOLDER` under V8, writing each module that it compiles to FOLDER/HASH.wasm;
 * `child.js NAME run FOLDER` on the artifacts FOLDER/HASH.so. Sends `{ output, modules, instances, fuel, milliseconds }` to its parent.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freezeWorld } from './freeze.js';
import { PACKAGES } from './packages.js';
import { recordWebAssembly, substituteWebAssembly } from './substitute.js';

/** What the child sends. */
export interface ProgramResult { readonly output: string; readonly modules: number; readonly instances: number; readonly fuel: bigint; readonly milliseconds: number }

const [name, mode, folder] = process.argv.slice(2);
// Node compiles the parser of its own fetch when that is first looked at, as some glue does: it must not count as the package's.
void globalThis.Response;
const tally = mode === 'record'
  ? recordWebAssembly((hash, bytes) => {
    writeFileSync(join(folder, `${hash}.wasm`), bytes);
    return bytes;
  })
  : substituteWebAssembly((hash) => join(folder, `${hash}.so`));
const now = performance.now.bind(performance);
const began = now();
freezeWorld();
const output = await PACKAGES[name].run();
const result: ProgramResult = { output, modules: tally.modules, instances: tally.instances, fuel: tally.fuel(), milliseconds: now() - began };
// The parent takes the end of the channel for the end of the messages.
process.send?.(result, () => process.exit(0));
