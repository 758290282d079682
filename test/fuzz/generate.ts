/** Random modules, from binaryen's `wasm-opt -ttf` (npm), which turns random bytes into a valid module that ends. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** The features that we compile, as binaryen names them. */
const FEATURES = ['--mvp-features', '--enable-bulk-memory', '--enable-sign-ext', '--enable-nontrapping-float-to-int', '--enable-multivalue', '--enable-reference-types', '--enable-mutable-globals'];

/** A small generator of pseudo-random numbers (xorshift32): the same seed gives the same run. */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (seed | 0) || 0x9e3779b9;
  }
  /** A 32-bit unsigned integer. */
  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }
  below(n: number): number {
    return this.next() % n;
  }
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.next() & 0xff));
  }
}

/** The path of wasm-opt in the binaryen package, or undefined when that is not installed. */
export function findWasmOpt(): string | undefined {
  try {
    const path = join(createRequire(import.meta.url).resolve('binaryen/package.json'), '..', 'bin', 'wasm-opt');
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A random module; some are optimised, which gives denser code of other shapes. NaNs are kept out (`--denan`), since their bits are the engine's choice.
 * @param folder where to put intermediate files.
 */
export function generateModule(wasmOpt: string, random: Random, folder: string): Uint8Array | undefined {
  const input = join(folder, 'seed.bin');
  const output = join(folder, 'generated.wasm');
  writeFileSync(input, random.bytes(500 + random.below(12_000)));
  const passes = ['--denan', ...(random.below(2) ? [['-O1', '-O3', '--flatten'][random.below(3)]] : [])];
  const { status } = spawnSync(process.execPath, [wasmOpt, '-ttf', input, '-o', output, ...FEATURES, ...passes], { stdio: 'ignore', timeout: 60_000 });
  return status === 0 ? readFileSync(output) : undefined;
}
