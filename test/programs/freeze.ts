/** Stops the clock and the dice of this process, so that a program's every run is the same, down to the operator: hash seeds, timestamps and the like come from there. */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';

/** The time that it is from now on: milliseconds since 1970. */
const NOW = 1_700_000_000_000;
const SEVEN = 7;

const fill = <T extends ArrayBufferView>(array: T): T => {
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).fill(SEVEN);
  return array;
};

/** Replaces the sources of time and randomness that glue code uses. There is no way back. */
export function freezeWorld(): void {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...args: [] | [number]) {
      if (args.length) super(...args);
      else super(NOW);
    }
    static override now = (): number => NOW;
  } as DateConstructor;
  performance.now = () => 0;
  Math.random = () => 0.5;
  globalThis.crypto.getRandomValues = (fill as typeof globalThis.crypto.getRandomValues);
  crypto.randomFillSync = fill as typeof crypto.randomFillSync;
  crypto.randomBytes = ((size: number) => Buffer.alloc(size, SEVEN)) as typeof crypto.randomBytes;
  syncBuiltinESMExports();
}
