/**
 * Every vector operator against V8, bit for bit, on random and special operands: over 10^5 cases a run, each at several levels. Results of arithmetic that are NaNs
 * are compared as the spec has it: both NaN, ours quiet. The seed is in SIMD_SEED (default: a fixed one), and in every failure.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import type { Opcode } from '../../compiler/wasm/module.js';
import { OPCODES } from '../../compiler/wasm/opcodes.js';
import { load } from '../../loader/index.js';
import { scratch } from '../loader/wat.js';
import { random } from '../unit/module-bytes.js';
import { type ConstantOperand, fill, immediatesOf, moduleOf, RESULTS, ROOM, SOURCES, type Trial } from './operators.js';

const SEED = Number(process.env.SIMD_SEED ?? 5);
const rnd = random(SEED);
/** Slots of a trial with operands in memory, and of one with a constant. */
const SLOTS = 512;
const CONSTANT_SLOTS = 32;
/** Trials in a module: few modules compile faster than many, and one of hundreds of functions is compiled in parallel. */
const BATCH = 400;
const LEVELS: readonly BuildOptions[] = [{ optLevel: 0 }, {}, { cpu: 'v2', nan: 'canonical' }];

const VECTOR_OPS = OPCODES.filter((op) => op.feature === 'simd' && op.lower !== 'const');
/** Operators whose NaN results may have any sign and payload. */
const ARITHMETIC = /^(f32x4|f64x2)\.(add|sub|mul|div|sqrt|min|max|ceil|floor|trunc|nearest|promote_low_f32x4|demote_f64x2_zero)$/;

/** A constant operand: for arithmetic, one lane in all of them, mostly a number with which an operator could fold away; else anything. */
function constantBytes(op: Opcode): number[] {
  const view = new DataView(new ArrayBuffer(16));
  fill(rnd, view, 0);
  const shape = ARITHMETIC.exec(op.name)?.[1];
  const neutral = [1, -1, 0, -0][rnd(4)];
  for (let i = 0; shape === 'f32x4' && i < 4; i++) view.setFloat32(4 * i, neutral, true);
  for (let i = 0; shape === 'f64x2' && i < 2; i++) view.setFloat64(8 * i, neutral, true);
  return [...new Uint8Array(view.buffer)];
}

function trialsOf(op: Opcode): Trial[] {
  const all = immediatesOf(op, rnd);
  const trials: Trial[] = all.map((immediates, i) => ({ op, export: `${op.name} ${i}`, immediates }));
  const params = op.signature?.params ?? [];
  // The address of an access is no operand of the arithmetic.
  const positions = params.flatMap((_, i) => (i === 0 && op.traps ? [] : [i]));
  const constant = (at: number, how: (typeof HOWS)[number]): ConstantOperand => ({ at, bytes: constantBytes(op), how });
  const add = (constants: readonly ConstantOperand[]) => {
    trials.push({ op, export: `${op.name} constant ${constants.map(({ at, how }) => `${at} ${how}`).join(', ')} ${trials.length}`, immediates: all[rnd(all.length)], constants });
  };
  // Constants are where LLVM folds: most of all in arithmetic, and in shifts, where it knows no counts beyond the width.
  for (const at of positions) {
    const repeats = ARITHMETIC.test(op.name) ? 3 : params[at] === 'i32' ? 4 : 1;
    const each = ARITHMETIC.test(op.name) ? HOWS : [HOWS[rnd(HOWS.length)]];
    for (let i = 0; i < repeats; i++) for (const how of each) add([constant(at, how)]);
  }
  // All of them: the operator is gone, and what is left is LLVM's idea of it.
  if (positions.length > 0) for (let i = 0; i < 2; i++) add(positions.map((at) => constant(at, HOWS[rnd(HOWS.length)])));
  return trials;
}

const HOWS = ['direct', 'local', 'splat'] as const;

interface Exports { readonly memory: WebAssembly.Memory; readonly [name: string]: unknown }
type Run = (count: number) => void;

/** Whether a result is what the spec allows, given V8's. `canonical`: NaNs of arithmetic must be the canonical one. */
function agrees(op: Opcode, ours: DataView, theirs: DataView, at: number, canonical: boolean): boolean {
  const arithmetic = ARITHMETIC.exec(op.name);
  const step = arithmetic?.[1] === 'f64x2' ? 8 : 4;
  for (let lane = at; lane < at + 16; lane += step) {
    const bits = (view: DataView) => (step === 8 ? view.getBigUint64(lane, true) : BigInt(view.getUint32(lane, true)));
    if (bits(ours) === bits(theirs)) continue;
    if (!arithmetic) return false;
    const [magnitude, quiet] = step === 8 ? [0x7fffffffffffffffn, 0x7ff8000000000000n] : [0x7fffffffn, 0x7fc00000n];
    const bothNaN = (bits(theirs) & magnitude) >= quiet && (bits(ours) & magnitude) >= quiet;
    if (!bothNaN || (canonical && bits(ours) !== quiet)) return false;
  }
  return true;
}

const hex = (view: DataView, at: number): string => Array.from({ length: 16 }, (_, i) => view.getUint8(at + 15 - i).toString(16).padStart(2, '0')).join('');

/** Runs one trial on both; returns the number of cases. */
function compare(trial: Trial, ours: Exports, theirs: Exports, level: BuildOptions): number {
  const count = trial.constants ? CONSTANT_SLOTS : SLOTS;
  const [a, b] = [ours, theirs].map((exports) => new DataView(exports.memory.buffer));
  for (const base of SOURCES) for (let i = 0; i < count; i++) fill(rnd, a, base + 16 * i);
  // One access with an offset reads past the last slot.
  new Uint8Array(a.buffer).fill(0xee, RESULTS, RESULTS + 16 * ROOM);
  new Uint8Array(b.buffer).set(new Uint8Array(a.buffer, 0, RESULTS + 16 * ROOM));
  (ours[trial.export] as Run)(count);
  (theirs[trial.export] as Run)(count);
  for (let i = 0; i < count; i++) {
    if (agrees(trial.op, a, b, RESULTS + 16 * i, level.nan === 'canonical')) continue;
    const operands = SOURCES.map((base) => hex(a, base + 16 * i)).join(', ');
    assert.unreachable(`seed ${SEED}, ${JSON.stringify(level)}: ${trial.export} (immediates ${trial.immediates.join(' ')}; constants ${JSON.stringify(trial.constants)}; operands ${operands}): `
      + `${hex(a, RESULTS + 16 * i)}, but V8 gives ${hex(b, RESULTS + 16 * i)}`);
  }
  return count;
}

test('every vector operator agrees with V8, with operands from memory and with constants', async () => {
  const trials = VECTOR_OPS.flatMap(trialsOf);
  const compiler = await openCompiler({ workers: 2 });
  let cases = 0;
  try {
    for (let from = 0; from < trials.length; from += BATCH) {
      const batch = trials.slice(from, from + BATCH);
      const bytes = moduleOf(batch);
      const theirs = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource)).exports as unknown as Exports;
      const artifacts = await Promise.all(LEVELS.map(async (level) => (await compiler.build(bytes, level)).artifact));
      artifacts.forEach((artifact, l) => {
        const path = join(scratch(), `simd-${from}-${l}.so`);
        writeFileSync(path, artifact);
        const ours = load(path).instantiate({}).exports as unknown as Exports;
        for (const trial of batch) {
          const count = compare(trial, ours, theirs, LEVELS[l]);
          if (l === 0) cases += count;
        }
      });
    }
  } finally {
    await compiler.close();
  }
  assert.is(new Set(trials.map((trial) => trial.op.name)).size, 235, 'all operators but v128.const');
  assert.ok(cases > 100_000, `${cases} cases`);
});

test.run();
