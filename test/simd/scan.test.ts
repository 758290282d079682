/**
 * No spill may take the fuel register. A vector wider than the stack's alignment would have LLVM realign the frame, through the very register that holds the fuel:
 * `no-realign-stack` prevents it. Here code with far more live vectors than registers is built at every CPU level and optimisation level; `build` itself
 * scans each object and refuses it when anything but a charge touches the register.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import type { CpuLevel, OptLevel } from '../../compiler/options.js';
import { body, END, funcType, I32, leb, module, name, section, vec } from '../unit/module-bytes.js';

const V128 = 0x7b;
const simd = (sub: number, ...immediates: number[]) => [0xfd, ...leb(sub), ...immediates];
const [LOAD, STORE] = [0x00, 0x0b];
const [ADD_I32X4, MUL_I16X8, ADD_F64X2, MUL_F32X4] = [0xae, 0x95, 0xf0, 0xe6];
const get = (local: number) => [0x20, ...leb(local)];
const set = (local: number) => [0x21, ...leb(local)];

/** A module that exports one function (i32) -> (): what nobody can call would not be compiled. */
const moduleOf = (code: readonly number[], locals: readonly (readonly [number, number])[]): Uint8Array => module(
  section(1, vec([funcType([I32], [])])), section(3, vec([[0]])), section(5, vec([[0, 1]])), section(7, vec([[...name('f'), 0, 0]])), section(10, vec([body(code, locals)])));

/** `live` vectors in locals, all loaded, combined in a loop with a call in it, all stored. */
function spilling(live: number): Uint8Array {
  const vectors = Array.from({ length: live }, (_, i) => i + 1);
  const ops = [ADD_I32X4, MUL_I16X8, ADD_F64X2, MUL_F32X4];
  return moduleOf([
    ...vectors.flatMap((v) => [...get(0), ...simd(LOAD, 0, ...leb(16 * v)), ...set(v)]),
    0x03, 0x40,
    ...vectors.flatMap((v) => [...get(v), ...get((v % live) + 1), ...simd(ops[v % ops.length]), ...set(v)]),
    ...get(0), 0x04, 0x40, 0x41, 0, 0x10, 0, END, // a recursive call: everything is live across it, and every vector register is the callee's
    ...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0,
    END,
    ...vectors.flatMap((v) => [...get(0), ...get(v), ...simd(STORE, 0, ...leb(16 * v))]),
    END,
  ], [[live, V128]]);
}

/**
 * A loop that LLVM vectorises into registers of 32 or 64 bytes, with so many invariants that some have to be spilt: a[i] = ((a[i] ^ k0) + k0) ^ k1 ... for
 * `invariants` numbers from memory.
 */
function vectorised(invariants: number): Uint8Array {
  const numbers = Array.from({ length: invariants }, (_, i) => i + 2);
  const value = [...get(1), 0x28, 2, 0, ...numbers.flatMap((k) => [...get(k), 0x73, ...get(k), 0x6a])];
  return moduleOf([
    ...numbers.flatMap((k) => [...get(0), 0x28, 2, ...leb(4 * k), ...set(k)]),
    0x03, 0x40, ...get(1), ...value, 0x36, 2, 0, ...get(1), 0x41, 4, 0x6a, ...set(1), ...get(0), 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, END, END,
  ], [[1 + invariants, I32]]);
}

const MODULES: readonly [string, Uint8Array][] = [['40 live vectors', spilling(40)], ['90 live vectors', spilling(90)], ['a vectorised loop', vectorised(40)]];

async function buildAll(compiler: Compiler, cpu: CpuLevel): Promise<void> {
  const jobs = ([0, 1, 2, 3] as OptLevel[]).flatMap((optLevel) => MODULES.map(async ([what, bytes]) => {
    const { artifact } = await compiler.build(bytes, { cpu, optLevel, name: `${what}, ${cpu}, -O${optLevel}` });
    assert.ok(artifact.length > 0);
    // That there is something to see: spilt vectors; in the loop, where it is vectorised and the CPU has them, wide ones.
    const wide = what === 'a vectorised loop';
    if (wide && (optLevel < 2 || cpu === 'v2')) return;
    const text = Buffer.from((await compiler.build(bytes, { cpu, optLevel, emit: 'asm' })).artifact).toString();
    assert.match(text, wide ? /%[yz]mm\d+, -?\d*\(%rsp\)/ : /%[xyz]mm\d+, -?\d*\(%rsp\)/, `${what}, ${cpu}, -O${optLevel}: no spill`);
  }));
  await Promise.all(jobs);
}

for (const cpu of ['v2', 'v3', 'v4', 'native'] as const) {
  test(`code full of vectors leaves the fuel register alone at ${cpu}, -O0 to -O3`, async () => {
    const compiler = await openCompiler({ workers: 2 });
    try {
      await buildAll(compiler, cpu);
    } finally {
      await compiler.close();
    }
  });
}

test.run();
