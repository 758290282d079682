/**
 * Times kernels in this Node process: in wasm-aot (kind `ours`, an artifact) and in V8 (kinds `v8` and `v8-injected`, wasm). The protocol is that of
 * native-driver.c; where fuel is counted, the answer to `run` has a third word: what one call consumed. It must be started with V8_FLAGS, which leave V8 nothing but
 * TurboFan's code.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { load } from '../../loader/index.js';
import { FUEL_GLOBAL } from './inject.js';

/** No baseline tier, and everything compiled before the first call. */
export const V8_FLAGS = ['--no-liftoff', '--no-wasm-tier-up', '--no-wasm-lazy-compilation'];

/** A kernel in an engine. `fuel` is a counter of which the difference, up or down, is the fuel consumed. */
interface Loaded { run: (n: number) => number; fuel?: () => bigint }

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

/** CPU time of the process in microseconds, all threads: the checker's time is part of what metering costs. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

function time({ run, fuel }: Loaded, n: number, calls: number): string {
  let best = Number.POSITIVE_INFINITY;
  let sum = 0;
  const before = fuel?.() ?? 0n;
  for (let i = 0; i < calls; i++) {
    const start = cpuTime();
    sum = run(n);
    best = Math.min(best, cpuTime() - start);
  }
  const spent = (fuel?.() ?? 0n) - before;
  const consumed = fuel ? ` ${(spent < 0n ? -spent : spent) / BigInt(calls)}` : '';
  return `${sum} ${Math.round(best * 1000)}${consumed}`;
}

const loaded = new Map<string, Loaded>();

function answer(line: string): string {
  const [verb, id, first, ...rest] = line.split(' ');
  if (verb === 'load') {
    loaded.set(id, open(first, rest.join(' ')));
    return 'ok';
  }
  const kernel = loaded.get(id);
  if (verb !== 'run' || !kernel) return `error bad command: ${line}`;
  return time(kernel, Number(first), Number(rest[0]));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      console.log(answer(line));
    } catch (error) {
      console.log(`error ${String(error).replaceAll('\n', ' ')}`);
    }
  }
}
