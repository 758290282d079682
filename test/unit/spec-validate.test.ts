/**
 * Parsing and validation against the official tests (their modules only; the runner in test/spec executes them) and against V8, on mutants of those
 * modules and on generated bodies. SPEC_DIR names the folder of the tests; by default `../shared/spec` beside the repository.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatDiagnostic } from '../../compiler/diagnostics.js';
import { resolveFeatures, VERSION_2 } from '../../compiler/wasm/features.js';
import type { Immediates, Opcode } from '../../compiler/wasm/module.js';
import { OPCODES } from '../../compiler/wasm/opcodes.js';
import { body, END, EXTERNREF, F32, F64, FUNCREF, funcType, I32, I64, judge, leb, module, name, random, section, vec } from './module-bytes.js';

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));
const SPEC = join(process.env.SPEC_DIR ?? join(REPOSITORY, '../shared/spec'));
const CORE = join(SPEC, 'wasm-2.0/core');
const FOLDERS = [CORE, join(SPEC, 'wasm-2.0/simd')];
/** Those of the tests' version; V8 has more or fewer, by its own version. */
const VERSION_2_FEATURES = resolveFeatures(VERSION_2);
const MUTANTS = 30_000;
const GENERATED = 25_000;

const specTest = existsSync(CORE) ? test : test.skip;
if (!existsSync(CORE)) console.log(`no official tests in ${CORE} (set SPEC_DIR): skipping what needs them`);

interface Command { readonly type: string; readonly line: number; readonly filename?: string; readonly module_type?: string; readonly text?: string }

function commandsOf(folder: string, file: string): readonly Command[] {
  return JSON.parse(readFileSync(join(folder, file), 'utf8')).commands;
}

/** What a command wants to hear of its module; unlinkable and uninstantiable ones are valid. */
function expectedKind(type: string): string {
  return type === 'assert_invalid' ? 'invalid' : type === 'assert_malformed' ? 'malformed' : 'valid';
}

specTest('the official tests: every module gets its verdict, nearly always in their words', () => {
  let modules = 0;
  const otherWords: string[] = [];
  const wrong: string[] = [];
  for (const [folder, file] of FOLDERS.flatMap((dir) => readdirSync(dir).filter((entry) => entry.endsWith('.json')).map((entry) => [dir, entry]))) {
    for (const { type, line, filename, module_type: moduleType, text } of commandsOf(folder, file)) {
      if (filename === undefined || moduleType === 'text') continue;
      modules++;
      const errors = judge(readFileSync(join(folder, filename)), { features: VERSION_2_FEATURES });
      const kind = errors[0]?.kind ?? 'valid';
      if (kind !== expectedKind(type)) wrong.push(`${file}:${line}: ${filename}: expected ${expectedKind(type)}, found ${errors.map(formatDiagnostic).join('; ') || kind}`);
      else if (errors.length > 0 && !errors[0].message.startsWith(text as string)) otherWords.push(`${file}:${line}: ${text} / ${errors[0].message}`);
    }
  }
  assert.equal(wrong, []);
  assert.ok(modules > 4300, `${modules} modules`);
  // Where two rules are broken at once, or the reference reads past a section's end, the words may differ.
  assert.ok(otherWords.length <= 15, otherWords.join('\n'));
});

/** Whether V8 says the same. What we do not support is skipped: V8 has threads, tail calls, and exceptions on by default. */
function agrees(bytes: Uint8Array, tally: Map<string, number>): boolean {
  const errors = judge(bytes, { features: VERSION_2_FEATURES });
  const valid = WebAssembly.validate(bytes as BufferSource);
  const unsupported = errors.filter((error) => error.kind === 'unsupported');
  for (const error of unsupported) assert.match(error.message, / not supported$|implementation limit|switched off/);
  const kind: string = unsupported.length > 0 ? 'unsupported' : (errors[0]?.kind ?? 'valid');
  tally.set(kind, (tally.get(kind) ?? 0) + 1);
  return kind === 'unsupported' || (kind === 'valid') === valid;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

specTest('mutants of the official modules: V8 agrees, and nothing but a CompileError is thrown', () => {
  const rnd = random(2026);
  const modules = FOLDERS.flatMap((folder) => readdirSync(folder).filter((entry) => entry.endsWith('.wasm')).map((entry) => readFileSync(join(folder, entry)))).filter((bytes) => bytes.length > 12 && bytes.length < 3000);
  const tally = new Map<string, number>();
  for (const bytes of modules) assert.ok(agrees(bytes, tally), hex(bytes));
  for (let i = 0; i < MUTANTS; i++) {
    const mutant = Uint8Array.from(modules[rnd(modules.length)]);
    for (let changes = 1 + rnd(3); changes > 0; changes--) {
      const at = 8 + rnd(mutant.length - 8);
      mutant[at] = rnd(2) === 0 ? rnd(256) : mutant[at] ^ (1 << rnd(8));
    }
    assert.ok(agrees(mutant, tally), `mutant ${i}: ${hex(mutant)}`);
  }
  // A mutant that is valid, invalid, malformed, unsupported: were one of them missing, the test would not be testing.
  for (const kind of ['valid', 'invalid', 'malformed', 'unsupported']) assert.ok((tally.get(kind) ?? 0) > 100, `${kind}: ${tally.get(kind)}`);
});

test('generated bodies, mostly of control operators in unreachable code: V8 agrees', () => {
  const rnd = random(1);
  const tally = new Map<string, number>();
  for (let i = 0; i < GENERATED; i++) {
    const bytes = moduleWith(generateBody(rnd));
    assert.ok(agrees(bytes, tally), `body ${i}: ${hex(bytes)}`);
  }
  assert.not.ok(tally.has('unsupported'));
  for (const kind of ['valid', 'invalid', 'malformed']) assert.ok((tally.get(kind) ?? 0) > 500, `${kind}: ${tally.get(kind)}`);
});

/** A module with something of everything, whose function 1 has this body, an externref and an i64 as locals. */
function moduleWith(code: readonly number[]): Uint8Array {
  const locals: [number, number][] = [[1, EXTERNREF], [2, I64]];
  return module(
    section(1, vec([funcType([], []), funcType([I32], [I32]), funcType([], [I32, I64]), funcType([I32, I32], [F32]), funcType([EXTERNREF], [FUNCREF]), funcType([I32, I64], [I32, I64])])),
    section(2, vec([[...name('a'), ...name('b'), 0, 1], [...name('a'), ...name('c'), 3, I32, 0]])),
    section(3, vec([[0], [3], [5]])),
    section(4, vec([[FUNCREF, 0, 5], [EXTERNREF, 1, 1, 9]])),
    section(5, vec([[0, 1]])),
    section(6, vec([[I64, 1, 0x42, 0, END], [EXTERNREF, 1, 0xd0, EXTERNREF, END], [FUNCREF, 0, 0xd2, 1, END]])),
    section(7, vec([[...name('a'), 0, 2]])),
    section(9, vec([[1, 0, 1, 0], [5, EXTERNREF, 1, 0xd0, EXTERNREF, END]])),
    section(12, [1]),
    section(10, vec([body(code, locals), body([0, END]), body([0, END])])),
    section(11, vec([[1, 1, 9]])),
  );
}

type Random = (n: number) => number;

/** Immediates, in range more often than not. */
const IMMEDIATES: Partial<Record<Immediates, (rnd: Random) => number[]>> = {
  block: (rnd) => [[0x40, 0x40, I32, I64, F32, F64, FUNCREF, EXTERNREF, 0, 1, 2, 3, 4, 5, 6][rnd(15)]],
  label: (rnd) => [rnd(4)],
  br_table: (rnd) => {
    const labels = 1 + rnd(4);
    return [labels - 1, ...Array.from({ length: labels }, () => rnd(4))];
  },
  func: (rnd) => [rnd(5)],
  call_indirect: (rnd) => [rnd(7), [0, 0, 0, 1, 2][rnd(5)]],
  local: (rnd) => [rnd(4)],
  global: (rnd) => [rnd(5)],
  table: (rnd) => [rnd(3)],
  memarg: (rnd) => [rnd(5), rnd(100)],
  memory: () => [0],
  memory_init: (rnd) => [rnd(2), 0],
  data: (rnd) => [rnd(2)],
  memory_copy: () => [0, 0],
  table_init: (rnd) => [rnd(3), rnd(3)],
  elem: (rnd) => [rnd(3)],
  table_copy: (rnd) => [rnd(3), rnd(3)],
  i32: (rnd) => [rnd(64)],
  i64: (rnd) => [rnd(64)],
  f32: () => [1, 2, 3, 4],
  f64: () => [1, 2, 3, 4, 5, 6, 7, 8],
  ref_type: (rnd) => [rnd(2) === 0 ? FUNCREF : EXTERNREF],
  memarg_lane: (rnd) => [rnd(5), rnd(100), rnd(12)],
  lane: (rnd) => [rnd(12)],
  shuffle: (rnd) => Array.from({ length: 16 }, () => rnd(rnd(10) === 0 ? 40 : 32)),
  v128: (rnd) => Array.from({ length: 16 }, () => rnd(256)),
  select_types: (rnd) => [[1, I32], [1, I64], [1, EXTERNREF], [0], [2, I32, I32]][rnd(5)],
};
const VERSION_2_OPCODES: readonly Opcode[] = OPCODES.filter((op) => VERSION_2_FEATURES.has(op.feature));
const CONTEXTUAL: readonly Opcode[] = VERSION_2_OPCODES.filter((op) => op.signature === undefined);

/** A few random operators; `unreachable` is strewn in, so that some of it is valid. */
function generateBody(rnd: Random): number[] {
  const code: number[] = [];
  let depth = 1;
  for (let left = 1 + rnd(12); left > 0; left--) {
    const ops = rnd(3) === 0 ? VERSION_2_OPCODES : CONTEXTUAL;
    const op = ops[rnd(ops.length)];
    if (op.name === 'end' && depth === 1) continue;
    if (op.name === 'end') depth--;
    if (op.immediates === 'block') depth++;
    if (rnd(4) === 0) code.push(0x00);
    code.push(...(op.code > 0xff ? [op.code >> 8, ...leb(op.code & 0xff)] : [op.code]), ...(IMMEDIATES[op.immediates]?.(rnd) ?? []));
  }
  for (; depth > 0; depth--) code.push(...(rnd(3) === 0 ? [0x00] : []), END);
  return code;
}

test.run();
