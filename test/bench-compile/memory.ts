/**
 * `npm run bench:memory`: what memory partitions take while they are compiled, against what compiler/emit/footprint.ts expects; `-- --level N`, `-- -g`, `-- --quick` (the first of each module only). Fails if one takes more than expected.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeShape, type Shape } from '../compile/shapes.js';
import type { Measured } from './memory-child.js';

const CHILD = fileURLToPath(new URL('memory-child.js', import.meta.url));
const PACKAGES = [
  'argon2-browser/dist/argon2-simd.wasm', 'source-map/lib/mappings.wasm', '@bokuweb/zstd-wasm/dist/common/zstd.wasm', 'wasmoon/dist/glue.wasm', 'vscode-oniguruma/release/onig.wasm',
  '@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm', 'sql.js/dist/sql-wasm.wasm',
];
const SHAPES: readonly (readonly [Shape, number])[] = [
  ['ifs', 2_400], ['ifs', 10_000], ['guarded', 2_400], ['loads', 15_000], ['nested', 2_400], ['switch', 10_000], ['loops', 148], ['divisions', 1_200], ['merges', 100], ['merges', 400], ['merges', 1_000],
];

const args = process.argv.slice(2);
const level = args.includes('--level') ? args[args.indexOf('--level') + 1] : '2';
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-memory-'));

function measure(file: string, partition: number): Measured {
  return JSON.parse(execFileSync(process.execPath, [CHILD, file, String(partition), level, String(args.includes('-g'))], { encoding: 'utf8' })) as Measured;
}

/** Measures a module's partitions. Returns what share of the expected the worst took. */
function measureModule(name: string, file: string): number {
  const first = measure(file, 0);
  const all = [first, ...(args.includes('--quick') ? [] : Array.from({ length: first.partitions - 1 }, (_, i) => measure(file, i + 1)))];
  const by = (of: (m: Measured) => number): Measured => all.reduce((a, b) => (of(b) > of(a) ? b : a));
  const [largest, worst] = [by(({ taken }) => taken), by(({ taken, expected }) => taken / expected)];
  const share = worst.taken / worst.expected;
  console.log(`${name}: ${all.length} of ${first.partitions} partitions; the largest took ${mebibytes(largest.taken)} of ${mebibytes(largest.expected)} expected (${(largest.code / 1024).toFixed(0)} KiB of code), `
    + `the most of the expected was ${(100 * share).toFixed(0)} %; the process ${mebibytes(first.process)}`);
  return share;
}

try {
  const shares = [
    ...PACKAGES.map((path) => {
      const file = join(scratch, 'package.wasm');
      cpSync(fileURLToPath(new URL(`../../../node_modules/${path}`, import.meta.url)), file);
      return measureModule(path, file);
    }),
    ...SHAPES.map(([shape, count]) => {
      const file = join(scratch, 'shape.wasm');
      writeFileSync(file, makeShape(shape, count));
      return measureModule(`${shape} x ${count}`, file);
    }),
  ];
  const beyond = shares.filter((share) => share > 1).length;
  console.log(`${beyond} of ${shares.length} modules beyond what is expected`);
  process.exitCode = beyond === 0 ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
