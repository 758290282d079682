/**
 * Validation of typed function references: against V8, on the official modules, on mutants of them and on generated bodies, in whichever encoding this V8 reads; and rules that
 * V8's draft does not have.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Diagnostic } from '../../compiler/diagnostics.js';
import { resolveFeatures, VERSION_2 } from '../../compiler/wasm/features.js';
import type { ValType } from '../../compiler/wasm/module.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { isDefaultable, isNullable, refParts, refType, TypeRelation, withoutNull } from '../../compiler/wasm/types.js';
import { forV8, v8HasTypedReferences } from '../features/v8-encoding.js';
import { body, END, I32, I64, judge, leb, module, name, random, section, vec } from './module-bytes.js';

const SPEC = process.env.SPEC_DIR ?? join(fileURLToPath(new URL('../../../', import.meta.url)), '../shared/spec');
const CORE = join(SPEC, 'wasm-3.0/core');
const specTest = existsSync(CORE) && v8HasTypedReferences ? test : test.skip;
const v8Test = v8HasTypedReferences ? test : test.skip;
const MUTANTS = 15_000;
const GENERATED = 20_000;

/** The V8 of Node 20 does not know the garbage collection of 3.0, whose types mutants come upon. */
const WITHOUT_GC = resolveFeatures({ disable: ['gc'] });
const REF_NULL = 0x63;
const REF = 0x64;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/**
 * What V8's draft accepts and 3.0 does not: it does not compare the results of return_call_ref, lets br_on_non_null go to any label in unreachable code, and does not widen the
 * values that a conditional branch leaves on the stack to the types of its label. Nothing that it refuses is accepted here.
 */
function isLenient(errors: readonly Diagnostic[], bytes: Uint8Array): boolean {
  const [{ message: found, kind }] = errors;
  if (kind !== 'invalid' || !found.startsWith('type mismatch')) return false;
  return /br_on_non_null to a label|the callee returns/.test(found) || [0x0d, 0xd5, 0xd6].some((code) => bytes.includes(code));
}

/** Whether V8 says the same of a module that neither of the two finds too new. */
function agrees(bytes: Uint8Array, tally: Map<string, number>): boolean {
  const errors = judge(bytes, { features: WITHOUT_GC });
  const theirs = v8Opinion(bytes);
  const kind: string = errors.some((error) => error.kind === 'unsupported') ? 'unsupported' : (errors[0]?.kind ?? 'valid');
  const same = kind === 'unsupported' || theirs === undefined || theirs === (kind === 'valid');
  const lenient = !same && theirs === true && isLenient(errors, bytes);
  for (const key of [kind, ...(lenient ? ['lenient'] : [])]) tally.set(key, (tally.get(key) ?? 0) + 1);
  return same || lenient;
}

/** V8's opinion; undefined where the module cannot be rewritten for it, since it is malformed. */
function v8Opinion(bytes: Uint8Array): boolean | undefined {
  try {
    return WebAssembly.validate(forV8(bytes) as BufferSource);
  } catch {
    return undefined;
  }
}

test('the parts of reference types', () => {
  assert.equal(refParts('(ref null 12)'), { nullable: true, heap: 12 });
  assert.equal(refParts('(ref noextern)'), { nullable: false, heap: 'noextern' });
  assert.equal(refParts('nullfuncref'), { nullable: true, heap: 'nofunc' });
  assert.is(refParts('i32'), undefined);
  assert.equal([refType(true, 'func'), refType(false, 'func'), refType(true, 3), withoutNull('externref')], ['funcref', '(ref func)', '(ref null 3)', '(ref extern)']);
  assert.equal([isDefaultable('f32'), isDefaultable('funcref'), isDefaultable('(ref 0)'), isNullable('f32'), isNullable('(ref null 0)')], [true, true, false, false, true]);
});

test('matching: a preorder with nulls on top of what has none, bottoms below all of their kind, equal types by structure', () => {
  const types = module(section(1, vec([[0x60, 0, 0], [0x60, 1, REF, 0, 0], [0x60, 1, REF, 2, 0], [0x60, 1, REF, 3, 0], [0x4e, 2, 0x60, 1, REF, 5, 0, 0x60, 1, REF, 4, 0], [0x60, 0, 0], [0x60, 1, REF, 6, 0]])));
  const relation = new TypeRelation(parseModule(types, { name: 'types' }));
  const matches = (found: ValType, wanted: ValType) => relation.matches(found, wanted);
  const below: readonly [ValType, ValType][] = [
    ['(ref 0)', '(ref null 0)'], ['(ref 0)', 'funcref'], ['(ref 0)', '(ref func)'], ['nullfuncref', '(ref null 0)'], ['(ref nofunc)', '(ref 0)'], ['nullexternref', 'externref'], ['(ref null 1)', 'funcref'],
  ];
  for (const [found, wanted] of below) assert.equal([matches(found, wanted), matches(wanted, found)], [true, false], `${found} ${wanted}`);
  // Type 6 is type 0 again, 7 type 1; 2 and 3 refer to themselves and are equal; the group of 4 and 5 is another matter.
  for (const [a, b] of [['(ref 0)', '(ref 6)'], ['(ref null 1)', '(ref null 7)'], ['(ref 2)', '(ref 3)']] as const) assert.ok(relation.same(a, b), `${a} ${b}`);
  for (const [a, b] of [['(ref 0)', '(ref 1)'], ['(ref 2)', '(ref 4)'], ['(ref 4)', '(ref 5)'], ['funcref', 'externref'], ['(ref null 0)', '(ref 0)'], ['nullfuncref', '(ref func)'], ['i32', '(ref 0)']] as const) {
    assert.not.ok(matches(a, b), `${a} ${b}`);
  }
});

const oneBody = (code: readonly number[], locals: readonly (readonly number[])[] = [], results: readonly number[] = []): Uint8Array => {
  const contents = [...vec(locals), ...code, END];
  return module(section(1, vec([[0x60, 0, 0], [0x60, 0, ...vec(results.length ? [results] : [])]])), section(3, vec([[1], [0]])), section(9, vec([[3, 0, 1, 1]])), section(10, [2, ...leb(contents.length), ...contents, ...body([END])]));
};
const message = (bytes: Uint8Array): string | undefined => judge(bytes)[0]?.message;

test('a local without a default value is set before it is read, on every way there', () => {
  const locals = [[1, REF, 0]];
  const set = [0xd2, 1, 0x21, 0];
  const get = [0x20, 0, 0x1a];
  assert.match(message(oneBody(get, locals)) as string, /^uninitialized local 0 of type \(ref 0\)/);
  assert.is(message(oneBody([...set, ...get], locals)), undefined);
  assert.match(message(oneBody([0x02, 0x40, ...set, END, ...get], locals)) as string, /^uninitialized local/);
  assert.is(message(oneBody([...set, 0x02, 0x40, ...get, END], locals)), undefined);
  assert.match(message(oneBody([0x41, 0, 0x04, 0x40, ...set, 0x05, ...get, END], locals)) as string, /^uninitialized local/);
  assert.is(message(oneBody([0xd2, 1, 0x22, 0, 0x1a, ...get], locals)), undefined);
});

test('what is asked of types, tables and features', () => {
  assert.match(message(oneBody([], [[1, REF, 9]])) as string, /^unknown type 9/);
  assert.match(message(oneBody([0xd0, 7, 0x1a])) as string, /^unknown type 7/);
  assert.match(message(oneBody([0x02, REF_NULL, 7, 0x00, END, 0x1a])) as string, /^unknown type 7/);
  assert.match(message(module(section(1, vec([[0x60, 1, REF, 1, 0], [0x60, 0, 0]])))) as string, /^unknown type 1/);
  assert.match(message(module(section(1, vec([[0x60, 0, 0]])), section(4, vec([[REF, 0, 0, 1]])))) as string, /needs an initialiser/);
  assert.is(message(module(section(1, vec([[0x60, 0, 0]])), section(4, vec([[REF_NULL, 0, 0, 1]])))), undefined);
  assert.match(message(oneBody([0xd4])) as string, /^type mismatch/);
  assert.match(message(oneBody([0x00, 0xd4, 0x45, 0x1a])) as string, /^type mismatch: expected i32, found unknown reference/);
  assert.match(message(oneBody([0xd2, 1, 0xd6, 0])) as string, /^type mismatch: br_on_non_null to a label that takes nothing/);
  const withoutTails = resolveFeatures({ disable: ['tail-call'] });
  assert.match(judge(oneBody([0xd2, 1, 0x15, 0]), { features: withoutTails })[0].message, /tail calls are switched off/);
  assert.is(judge(oneBody([0xd2, 1, 0x14, 0]), { features: withoutTails }).length, 0);
  assert.match(judge(oneBody([0xd2, 1, 0x14, 0]), { features: resolveFeatures(VERSION_2) })[0].message, /typed function references are switched off/);
  // In 2.0 the type of ref.func is funcref, and messages say so.
  assert.match(judge(oneBody([0xd2, 1, 0x45, 0x1a]), { features: resolveFeatures(VERSION_2) })[0].message, /found funcref/);
});

specTest('the official modules: V8 agrees', () => {
  const files = ['br_on_non_null', 'br_on_null', 'call_ref', 'return_call_ref', 'ref_as_non_null', 'local_init', 'type-equivalence', 'type-canon', 'ref', 'ref_is_null', 'ref_func', 'return_call', 'return_call_indirect', 'select', 'br_table', 'unreached-valid', 'func', 'table'];
  const tally = new Map<string, number>();
  for (const file of readdirSync(CORE).filter((entry) => entry.endsWith('.wasm') && files.includes(entry.split('.')[0]))) {
    assert.ok(agrees(readFileSync(join(CORE, file)), tally), file);
  }
  assert.ok((tally.get('valid') as number) > 60 && (tally.get('invalid') as number) > 150 && (tally.get('lenient') ?? 0) < 12, JSON.stringify([...tally]));
});

v8Test('generated bodies: V8 agrees', () => {
  const rnd = random(7);
  const tally = new Map<string, number>();
  for (let i = 0; i < GENERATED; i++) {
    const bytes = generateModule(rnd);
    assert.ok(agrees(bytes, tally), `body ${i}: ${message(bytes)}: ${hex(bytes)}`);
  }
  for (const kind of ['valid', 'invalid']) assert.ok((tally.get(kind) ?? 0) > 700, `${kind}: ${tally.get(kind)}`);
  assert.ok((tally.get('lenient') ?? 0) < GENERATED / 50, `lenient: ${tally.get('lenient')}`);
});

type Random = (n: number) => number;
const pick = <T>(rnd: Random, items: readonly T[]): T => items[rnd(items.length)];

/** Types that locals, globals, tables, parameters have; 0 .. 3 are type indices. */
const REFS: readonly (readonly number[])[] = [[0x70], [0x6f], [0x73], [REF_NULL, 0], [REF, 0], [REF_NULL, 1], [REF, 1], [REF_NULL, 2], [REF, 3], [REF, 0x70], [REF, 0x6f], [REF_NULL, 0x73], [REF, 0x73]];
const anyType = (rnd: Random): readonly number[] => (rnd(4) === 0 ? [pick(rnd, [I32, I64])] : pick(rnd, REFS));

/** Types of functions: two that are equal, one that refers to another, one that refers to itself. */
const TYPES: readonly (readonly number[])[] = [[0x60, 1, I32, 1, I32], [0x60, 1, REF_NULL, 0, 1, REF, 0], [0x60, 1, I32, 1, I32], [0x60, 2, REF, 3, I32, 1, 0x70]];

function generateModule(rnd: Random): Uint8Array {
  const params = Array.from({ length: rnd(3) }, () => anyType(rnd));
  const results = Array.from({ length: rnd(3) }, () => anyType(rnd));
  const locals = Array.from({ length: rnd(4) }, () => [1, ...anyType(rnd)]);
  const code = generateBody(rnd);
  const contents = [...vec(locals), ...code];
  return module(
    section(1, vec([...TYPES, [0x60, ...vec(params), ...vec(results)], [0x60, 0, 0]])),
    section(2, vec([[...name('m'), ...name('g'), 3, REF, 0, 0]])),
    section(3, vec([[4], [0], [1], [3]])),
    section(4, vec([[0x70, 0, 5], [REF_NULL, 0, 0, 5], [0x40, 0, REF, 2, 0, 5, 0xd2, 1, END]])),
    section(6, vec([[...anyTypeOfNull(rnd), END], [REF, 0, 1, 0xd2, 1, END]])),
    section(9, vec([[3, 0, 3, 0, 1, 3], [5, REF, 0, 1, 0xd2, 1, END], [5, 0x70, 1, 0xd0, 0x70, END]])),
    section(10, [4, ...leb(contents.length), ...contents, ...body([0x20, 0, END]), ...body([0x00, END]), ...body([0x00, END])]),
  );
}

/** A mutable global of a nullable type, and null as its value. */
function anyTypeOfNull(rnd: Random): readonly number[] {
  const heap = pick(rnd, [0x70, 0x6f, 0x73, 0, 1, 2, 3]);
  return [REF_NULL, heap, 1, 0xd0, heap];
}

/** Operators in which the feature shows, with immediates that are in range more often than not. Indirect calls are through table 0: V8 wants the table's type to be the callee's. */
const OPERATORS: readonly ((rnd: Random) => readonly number[])[] = [
  () => [0x14, 0], (rnd) => [0x14, rnd(6)], (rnd) => [0x15, rnd(6)], () => [0xd4], (rnd) => [0xd5, rnd(3)], (rnd) => [0xd6, rnd(3)], (rnd) => [0xd2, rnd(5)],
  (rnd) => [0xd0, pick(rnd, [0x70, 0x6f, 0x73, 0x72, 0, 1, 2, 3, 9])], () => [0xd1], () => [0x1a], (rnd) => [0x20, rnd(5)], (rnd) => [0x20, rnd(3)], (rnd) => [0x21, rnd(5)], (rnd) => [0x22, rnd(5)],
  (rnd) => [0x23, rnd(4)], (rnd) => [0x24, 1 + rnd(2)], (rnd) => [0x25, rnd(3)], (rnd) => [0x26, rnd(3)], (rnd) => [0x41, rnd(64)], (rnd) => [0x41, rnd(64)], (rnd) => [0x0c, rnd(3)], (rnd) => [0x0d, rnd(3)],
  (rnd) => [0x0e, 1, rnd(3), rnd(3)], (rnd) => [0x1c, 1, ...anyType(rnd)], () => [0x00], () => [0x0f], (rnd) => [0x10, rnd(4)], (rnd) => [0x12, rnd(4)], (rnd) => [0x11, rnd(5), 0], (rnd) => [0x13, rnd(5), 0],
  (rnd) => [0xfc, 12, rnd(3), rnd(3)], (rnd) => [0xfc, 14, rnd(3), rnd(3)], (rnd) => [0xfc, 15, rnd(3)], (rnd) => [0xfc, 17, rnd(3)],
];

function generateBody(rnd: Random): number[] {
  const code: number[] = [];
  let depth = 1;
  for (let left = 1 + rnd(8); left > 0; left--) {
    if (rnd(6) === 0) {
      code.push(pick(rnd, [0x02, 0x03]), ...(rnd(4) === 0 ? [0x40] : rnd(4) === 0 ? [5] : anyType(rnd)));
      depth++;
    } else if (depth > 1 && rnd(5) === 0) {
      code.push(END);
      depth--;
    } else {
      if (rnd(8) === 0) code.push(0x00);
      code.push(...pick(rnd, OPERATORS)(rnd));
    }
  }
  for (; depth > 0; depth--) code.push(...(rnd(2) === 0 ? [0x00] : []), END);
  return code;
}

specTest('mutants of the official modules: V8 agrees, and nothing but a CompileError is thrown', () => {
  const rnd = random(2026);
  const names = /^(br_on_non_null|br_on_null|call_ref|return_call_ref|ref_as_non_null|local_init|type-equivalence|ref)\./;
  const modules = readdirSync(CORE).filter((entry) => entry.endsWith('.wasm') && names.test(entry)).map((entry) => readFileSync(join(CORE, entry))).filter((bytes) => bytes.length > 12 && bytes.length < 600);
  const tally = new Map<string, number>();
  for (let i = 0; i < MUTANTS; i++) {
    const mutant = Uint8Array.from(modules[rnd(modules.length)]);
    for (let changes = 1 + rnd(2); changes > 0; changes--) mutant[8 + rnd(mutant.length - 8)] = rnd(3) === 0 ? rnd(256) : pick(rnd, [0, 1, 2, 3, 0x0b, REF, REF_NULL, 0x70, 0x6f, 0x73, 0xd4, 0xd5, 0xd6, 0x14, 0x15, 0x1a]);
    assert.ok(agrees(mutant, tally), `mutant ${i}: ${message(mutant)}: ${hex(mutant)}`);
  }
  assert.ok((tally.get('lenient') ?? 0) < MUTANTS / 20, `lenient: ${tally.get('lenient')}`);
  for (const kind of ['valid', 'invalid', 'malformed']) assert.ok((tally.get(kind) ?? 0) > 200, `${kind}: ${tally.get(kind)}`);
});

test.run();
