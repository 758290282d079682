/** Times kernels in this Node process: in wasm-aot (kind `ours`, an artifact) and in V8 (kinds `v8` and `v8-injected`, wasm). */
import { readFileSync } from 'node:fs';
import { load } from '../../loader/index.js';
import { FUEL_GLOBAL } from './inject.js';
import { type Loaded, serve } from './serve.js';

function open(kind: string, path: string): Loaded {
  if (kind === 'ours') {
    const module = load(path);
    const instance = module.instantiate();
    return { run: instance.exports.run, fuel: module.manifest.options.fuel === 'none' ? undefined : () => instance.fuel.consumed };
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path)));
  const run = exports.run as (n: number) => number;
  return { run, fuel: kind === 'v8-injected' ? () => (exports[FUEL_GLOBAL] as WebAssembly.Global).value as bigint : undefined };
}

await serve(open);
