/** What the drivers in Node have in common: the protocol of native-driver.c, and timing. Where fuel is counted, the answer to `run` has a third word: what one call consumed. */
import { createInterface } from 'node:readline';

/** No baseline tier, and everything compiled before the first call: V8 has nothing but TurboFan's code. Drivers must be started with these flags. */
export const V8_FLAGS = ['--no-liftoff', '--no-wasm-tier-up', '--no-wasm-lazy-compilation'];

/** What was loaded. `fuel` is a counter of which the difference, up or down, is the fuel consumed. */
export interface Loaded { readonly run: (n: number) => number | Promise<number>; readonly fuel?: () => bigint }

/** CPU time of the process in microseconds, all threads: the checker's time is part of what metering costs. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function time({ run, fuel }: Loaded, n: number, calls: number): Promise<string> {
  let best = Number.POSITIVE_INFINITY;
  let sum = 0;
  const before = fuel?.() ?? 0n;
  for (let i = 0; i < calls; i++) {
    globalThis.gc?.(); // What the call before left behind is not this one's to pay.
    const start = cpuTime();
    sum = await run(n);
    best = Math.min(best, cpuTime() - start);
  }
  const spent = (fuel?.() ?? 0n) - before;
  const consumed = fuel ? ` ${(spent < 0n ? -spent : spent) / BigInt(calls)}` : '';
  return `${sum} ${Math.round(best * 1000)}${consumed}`;
}

/** Answers commands from standard input until it ends. @param open opens a file of a kind. */
export async function serve(open: (kind: string, path: string) => Loaded | Promise<Loaded>): Promise<void> {
  const loaded = new Map<string, Loaded>();
  const answer = async (line: string): Promise<string> => {
    const [verb, id, first, ...rest] = line.split(' ');
    if (verb === 'load') {
      loaded.set(id, await open(first, rest.join(' ')));
      return 'ok';
    }
    const found = loaded.get(id);
    return verb === 'run' && found ? await time(found, Number(first), Number(rest[0])) : `error bad command: ${line}`;
  };
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      console.log(await answer(line));
    } catch (error) {
      console.log(`error ${String(error).replaceAll('\n', ' ')}`);
    }
  }
}
