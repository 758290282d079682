/** The kernels of the benchmark: their names (files of `kernels/`) and how long each runs. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where the sources are: beside this file's source, not its output. */
export const SOURCE_DIR = fileURLToPath(new URL('../../../test/bench/', import.meta.url));
export const KERNEL_DIR = `${SOURCE_DIR}kernels/`;

/** A kernel; `n` is the argument of `run` with which native code takes about 30 ms on the machine that this was written on. */
export interface Kernel { readonly name: string; readonly source: string; readonly n: number }

const SIZES: Readonly<Record<string, number>> = {
  atax: 180, bignum: 300, blake2b: 160, blur: 2200, coremix: 68, crc32: 180, fannkuch: 26, fib: 350, 'floyd-warshall': 56, gemm: 400, hashtable: 80, interp: 75,
  'jacobi-1d': 420, 'jacobi-2d': 550, life: 260, lisp: 650, lu: 145, lz: 93, mandelbrot: 44, nbody: 450, quicksort: 37, regex: 42, 'seidel-2d': 55, sha256: 430,
  sieve: 200, 'spectral-norm': 500, strings: 30, transpose: 125, vectors: 2500,
};

/** All kernels, by name. @throws {Error} when a source has no size here, or the other way round. */
export function allKernels(): Kernel[] {
  const files = readdirSync(KERNEL_DIR).filter((file) => file.endsWith('.c')).map((file) => file.slice(0, -2)).sort();
  const sized = Object.keys(SIZES).sort();
  if (files.join() !== sized.join()) throw new Error(`the kernels' sources (${files.join(' ')}) and sizes (${sized.join(' ')}) differ`);
  return files.map((name) => ({ name, source: `${KERNEL_DIR}${name}.c`, n: SIZES[name] }));
}
