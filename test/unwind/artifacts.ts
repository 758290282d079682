/** Artifacts of the compiler's own for the single-stepping program: tail calls whose callees pop their arguments, vectorised loops, every builtin, frames of many sizes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, type Compiler, openCompiler } from '../../compiler/index.js';
import { StatusCode } from '../../runtime-c/abi.js';
import { assemble } from '../loader/wat.js';

const NINE = Array.from({ length: 9 }, (_, i) => `(param $p${i} i64)`).join(' ');
const consts = (first: number, count: number) => Array.from({ length: count }, (_, i) => `(i64.const ${first + i})`).join(' ');
const pass = (from: number) => Array.from({ length: 9 }, (_, i) => `(local.get $p${(i + from) % 9})`).join(' ');
const LESS = '(i32.sub (local.get $n) (i32.const 1))';

const SIXTEEN = Array.from({ length: 16 }, (_, i) => `(param $q${i} f64)`).join(' ');

/**
 * Functions with arguments on the stack take each other's place, directly, through a table and out to the host: those with as many, with more (the return address moves down) and with fewer (up), with
 * calls, traps and vectors on their way.
 */
const TAIL_CALLS = `(module (import "" "zero" (func $zero (param i32) (result i64))) (import "" "throw" (func $throw (param i32) (result i64)))
  (type $one (func (param i32) (result i64))) (table $t 4 funcref) (elem (table $t) (i32.const 0) func $few $indirect)
  (func $even (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then (return (local.get $p0)))) (return_call $odd ${LESS} ${pass(1)}))
  (func $odd (param $n i32) ${NINE} (result i64) (return_call $even ${LESS} ${pass(3)}))
  (func $few (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.const 7)))) (return_call $few ${LESS}))
  (func $indirect (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.const 5)))) (return_call_indirect $t (type $one) ${LESS} (i32.const 1)))
  (func $trap (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then unreachable)) (return_call $trap ${LESS} ${pass(2)}))
  (func $more (param $n i32) (result i64) (if (i32.le_s (local.get $n) (i32.const 1)) (then (return (i64.add (i64.const 1) (call $zero (i32.const 3)))))) (return_call $nine ${LESS} ${consts(20, 9)}))
  (func $nine (param $n i32) ${NINE} (result i64) (if (i32.eq (local.get $n) (i32.const 5)) (then (return_call $more ${LESS})))
    (return_call $sixteen ${LESS} ${Array.from({ length: 16 }, (_, i) => `(f64.convert_i64_s (local.get $p${i % 9}))`).join(' ')}))
  (func $sixteen (param $n i32) ${SIXTEEN} (result i64) (if (i32.or (i32.and (local.get $n) (i32.const 1)) (i32.le_s (local.get $n) (i32.const 5))) (then (return_call $more ${LESS})))
    (return_call $nine (i32.sub (local.get $n) (i32.const 1)) ${Array.from({ length: 9 }, (_, i) => `(i64.add (call $zero (i32.const ${i})) (i64.trunc_sat_f64_s (local.get $q${i + 3})))`).join(' ')}))
  (func $vector (param $n i32) (param $v v128) (result i64) (if (i32.eqz (local.get $n)) (then (return (i64x2.extract_lane 1 (local.get $v)))))
    (return_call $vectors ${LESS} ${Array.from({ length: 11 }, (_, i) => `(i32x4.add (local.get $v) (v128.const i32x4 ${i} 2 3 4))`).join(' ')}))
  (func $vectors (param $n i32) ${'(param v128) '.repeat(11)} (result i64) (return_call $vector ${LESS} (i32x4.add (local.get 10) (local.get 11))))
  (func $sinks (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then unreachable)) (return_call $sinks_more ${LESS} ${consts(20, 9)}))
  (func $sinks_more (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then unreachable)) (return_call $sinks (i32.sub (local.get $n) (i32.wrap_i64 (i64.div_u (local.get $p8) (local.get $p8))))))
  (func (export "resizes") (result i64) (i64.add (call $more (i32.const 11)) (call $nine (i32.const 9) ${consts(1, 9)})))
  (func (export "resizes_vectors") (result i64) (i64.add (i64.const 1) (call $vector (i32.const 6) (v128.const i64x2 5 6))))
  (func (export "resizes_and_traps") (result i64) (i64.add (call $sinks (i32.const 5)) (call $sinks_more (i32.const 3) ${consts(1, 9)})))
  (func (export "resizes_in_tail_position") (result i64) (return_call $nine (i32.const 8) ${consts(1, 9)}))
  (func (export "rotate") (result i64) (call $even (i32.const 6) ${consts(10, 9)}))
  (func (export "twice") (result i64) (i64.add (call $few (i32.const 6)) (call $even (i32.const 4) ${consts(4, 9)})))
  (func (export "through_table") (result i64) (call $indirect (i32.const 5)))
  (func (export "to_host") (result i64) (return_call $zero (i32.const 1)))
  (func (export "host_throws") (result i64) (return_call $throw (i32.const 1)))
  (func (export "bad_index") (result i64) (return_call_indirect $t (type $one) (i32.const 1) (i32.const 9)))
  (func (export "traps") (result i64) (call $trap (i32.const 4) ${consts(1, 9)})))`;

const loop = (body: string, count: number) => `(local $i i32) (loop $l ${body} (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))`;
const at = '(i32.shl (local.get $i) (i32.const 2))';
const VARIED = `(module (import "" "zero" (func $zero (param i32) (result i64))) (memory 1 3) (data $d "0123456789abcdef") (table $t 4 9 funcref) (elem $e func $add $add)
  (func $add (param f32 f32) (result f32) (f32.add (local.get 0) (local.get 1)))
  (func (export "vectors") ${loop(`(f32.store ${at} (f32.mul (f32.load ${at}) (f32.const 1.5)))`, 100)})
  (func (export "sums") (result i32) (local $s i32) ${loop(`(local.set $s (i32.add (local.get $s) (i32.load8_u (local.get $i))))`, 100)} (local.get $s))
  (func (export "out_of_bounds") (local $i i32) (local.set $i (i32.const 16380)) (loop $l (i32.store ${at} (local.get $i)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $l)))
  (func $recurse (param $n i32) (result i32) (if (result i32) (local.get $n) (then (i32.add (call $recurse ${LESS}) (i32.wrap_i64 (call $zero (local.get $n))))) (else (i32.const 0))))
  (func (export "recursion") (result i32) (call $recurse (i32.const 5)))
  (func $big (param ${'f64 '.repeat(12)}) (result f64) (drop (call $zero (i32.const 1))) (local.get 0) ${Array.from({ length: 11 }, (_, i) => `(local.get ${i + 1}) f64.add`).join(' ')})
  (func (export "stack_arguments") (result f64) (call $big ${Array.from({ length: 12 }, (_, i) => `(f64.const ${i}.5)`).join(' ')}))
  (func (export "several") (result i32 i64 f64) (i32.const 1) (call $zero (i32.const 2)) (f64.const 3))
  (func (export "bulk") (memory.fill (i32.const 100) (i32.const 7) (i32.const 50)) (memory.copy (i32.const 200) (i32.const 100) (i32.const 50)) (memory.init $d (i32.const 0) (i32.const 1) (i32.const 5)) (data.drop $d)
    (drop (memory.grow (i32.const 1))) (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 2)) (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const 2)) (drop (table.grow $t (ref.null func) (i32.const 2)))
    (table.fill $t (i32.const 4) (ref.func $add) (i32.const 2)) (elem.drop $e) (table.set $t (i32.const 0) (table.get $t (i32.const 1))))
  (func (export "after_calls") (result i64) (local $s i64) ${loop(`(if (i32.and (local.get $i) (i32.const 1)) (then (local.set $s (i64.add (local.get $s) (call $zero (local.get $i)))) (i64.store ${at} (local.get $s))))
    (if (i32.gt_u (i32.load ${at}) (i32.const 5)) (then (local.set $s (i64.rotl (local.get $s) (i64.const 3)))) (else (i32.store ${at} (i32.wrap_i64 (local.get $s)))))`, 6)} (local.get $s))
  (func (export "divides") (result i32) (local $z i32) (i32.div_s (i32.const 1) (local.get $z))))`;

/**
 * Frames so large that a loop probes them, in functions whose tail calls need more room for arguments than they have themselves, and fewer: of locals, where nothing is optimised, and of values that
 * live across a call, where locals are gone. Fewer would do without a loop: see emitStackProbeInline in LLVM's X86FrameLowering.
 */
const LARGE = 2200;
const large = (body: string) => `(module (import "" "zero" (func $zero (param i32) (result i64))) (memory 1)
  (func $large (param $n i32) (result i64) (local ${'v128 '.repeat(LARGE + 1)}) (if (i32.eqz (local.get $n)) (then (return (call $zero (i32.const 1))))) ${body} (return_call $nine ${LESS} ${consts(20, 9)}))
  (func $nine (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then (return (local.get $p8)))) (return_call $large ${LESS}))
  (func $large_nine (param $n i32) ${NINE} (result i64) (local ${'v128 '.repeat(LARGE + 1)}) (if (i32.eqz (local.get $n)) (then unreachable)) ${body.replace(/local\.([gs]et) (\d+)/g, (_, access, i) => `local.${access} ${Number(i) + 9}`)}
    (return_call $sixteen ${LESS} ${Array.from({ length: 16 }, (_, i) => `(f64.const ${i})`).join(' ')}))
  (func $sixteen (param $n i32) ${SIXTEEN} (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.const 1)))) (unreachable))
  (func (export "large") (result i64) (i64.add (i64.const 1) (call $large (i32.const 1))))
  (func (export "large_with_arguments") (result i64) (i64.add (i64.const 1) (call $large_nine (i32.const 1) ${consts(1, 9)})))
  (func (export "small_to_large") (result i64) (i64.add (i64.const 1) (call $nine (i32.const 1) ${consts(1, 9)}))))`;
/** Statements for which the function is not taken for one that is too long to be optimised: nothing comes of the `if`s. */
const statements = (count: number, statement: (i: number) => string) => Array.from({ length: count }, (_, i) => `${statement(i)}${i % 500 === 0 ? ' (if (local.get $n) (then))' : ''}`).join(' ');
const LOADS = statements(LARGE, (i) => `(local.set ${i + 1} (v128.load offset=${16 * i} (i32.const 0)))`);
const SUM = statements(LARGE - 1, (i) => `(local.set 1 (v128.xor (i64x2.add (local.get 1) (local.get ${i + 2})) (local.get ${LARGE + 1})))`);

/**
 * Functions of which LLVM finds that they never return, with arguments on the stack, too long to be inlined: nothing is behind a call of one. Such calls are a function's last instruction and between
 * others; in both conventions, of which only that of tail calls has callees that pop.
 */
const CHURN = Array.from({ length: 40 }, (_, i) => `(local.set $p${i % 9} (i64.rotl (i64.mul (local.get $p${i % 9}) (local.get $p${(i + 1) % 9})) (i64.const 7)))`).join(' ');
const endless = (name: string, end: string) => `(func $${name} (param $n i32) ${NINE} (result i64) ${CHURN} (drop (call $zero (i32.wrap_i64 (local.get $p8)))) ${end})`;
const CHURN_DOUBLES = Array.from({ length: 40 }, (_, i) => `(local.set $q${i % 16} (f64.div (local.get $q${i % 16}) (local.get $q${(i + 15) % 16})))`).join(' ');
const passDoubles = (from: number) => Array.from({ length: 16 }, (_, i) => `(local.get $q${(i + from) % 16})`).join(' ');
const constDoubles = (first: number) => Array.from({ length: 16 }, (_, i) => `(f64.const ${first + i})`).join(' ');
const unknown = (value: number) => `(i32.add (i32.const ${value}) (i32.wrap_i64 (call $zero (i32.const 1))))`;
const noReturn = (call: 'call' | 'return_call') => `(module (import "" "zero" (func $zero (param i32) (result i64))) (import "" "throw" (func $throw (param i32) (result i64)))
  ${endless('traps', 'unreachable')}
  ${endless('throws', '(drop (call $throw (i32.const 1))) unreachable')}
  ${endless('leaves', `(${call} $traps ${LESS} ${pass(1)})`)}
  ${endless('ends', `(i64.add (i64.const 1) (call $traps ${LESS} ${pass(2)}))`)}
  ${endless('chooses', `(if (i32.eq (local.get $n) (i32.const 1)) (then (return (i64.add (i64.const 1) (call $throws ${LESS} ${pass(4)})))))
    (if (i32.eq (local.get $n) (i32.const 2)) (then (return (i64.add (i64.const 2) (call $ends ${LESS} ${pass(5)}))))) (i64.add (i64.const 3) (call $leaves ${LESS} ${pass(6)}))`)}
  ${['doubles', 'other_doubles'].map((name, i) => `(func $${name} (param $n i32) ${SIXTEEN} (result i64) ${CHURN_DOUBLES} (drop (call $zero (i32.trunc_sat_f64_s (local.get $q${i + 8})))) unreachable)`).join(' ')}
  (func $chooses_doubles (param $n i32) ${SIXTEEN} (result i64) (if (i32.eq (local.get $n) (i32.const 1)) (then (return (i64.add (i64.const 1) (call $doubles ${LESS} ${passDoubles(4)})))))
    (i64.add (i64.const 2) (call $other_doubles (i32.sub (local.get $n) (i32.const 2)) ${passDoubles(5)})))
  (func (export "doubles") (result i64) (i64.add (i64.const 1) (call $chooses_doubles ${unknown(1)} ${constDoubles(1)})))
  (func (export "other_doubles") (result i64) (i64.add (i64.const 1) (call $chooses_doubles ${unknown(2)} ${constDoubles(2)})))
  (func (export "third_doubles") (result i64) (if ${unknown(0)} (then (drop (call $other_doubles (i32.const 1) ${constDoubles(3)})))) (i64.add (i64.const 1) (call $doubles ${unknown(1)} ${constDoubles(1)})))
  (func (export "ends") (result i64) (i64.add (i64.const 1) (call $ends ${unknown(9)} ${consts(1, 9)})))
  (func (export "leaves") (result i64) (i64.add (i64.const 1) (call $leaves ${unknown(9)} ${consts(1, 9)})))
  ${['throws', 'ends', 'leaves'].map((name, i) => `(func (export "chooses_${name}") (result i64) (i64.add (i64.const 1) (call $chooses ${unknown(i + 1)} ${consts(i, 9)})))`).join(' ')}
  (func (export "returns") (result i64) (if ${unknown(0)} (then (drop (call $traps (i32.const 9) ${consts(1, 9)})))) (if ${unknown(0)} (then (drop (call $throws (i32.const 9) ${consts(2, 9)})))) (call $zero (i32.const 3))))`;

/** What a module's exports end with. */
const OK = { status: StatusCode.ok };
const TRAPS = { status: StatusCode.unreachable };
const NO_RETURN_CALLS = { ends: TRAPS, leaves: TRAPS, chooses_throws: { status: StatusCode.host_error }, chooses_ends: TRAPS, chooses_leaves: TRAPS, doubles: TRAPS, other_doubles: TRAPS, third_doubles: TRAPS, returns: OK };
const LARGE_CALLS = { large: OK, large_with_arguments: OK, small_to_large: OK };
const MODULES: readonly { name: string; text: string; features: object; calls: Readonly<Record<string, { status: number }>>; /** Default: all. */ levels?: readonly number[] }[] = [
  {
    name: 'tail', text: TAIL_CALLS, features: { tail_call: true },
    calls: {
      resizes: OK, resizes_vectors: OK, resizes_and_traps: { status: StatusCode.unreachable }, resizes_in_tail_position: OK, rotate: OK, twice: OK, through_table: OK, to_host: OK, host_throws: { status: StatusCode.host_error }, bad_index: { status: StatusCode.undefined_element }, traps: { status: StatusCode.unreachable },
    },
  },
  {
    name: 'varied', text: VARIED, features: {},
    calls: {
      vectors: OK, sums: OK, out_of_bounds: { status: StatusCode.out_of_bounds_memory_access }, recursion: OK, stack_arguments: OK, several: OK, bulk: OK, after_calls: OK, divides: { status: StatusCode.integer_divide_by_zero },
    },
  },
  { name: 'no-return-tail', text: noReturn('return_call'), features: { tail_call: true }, calls: NO_RETURN_CALLS },
  { name: 'no-return', text: noReturn('call'), features: {}, calls: NO_RETURN_CALLS },
  { name: 'large', text: large(''), features: { tail_call: true }, calls: LARGE_CALLS, levels: [0] },
  { name: 'large-values', text: large(`${LOADS} (local.set ${LARGE + 1} (i64x2.splat (call $zero (i32.const 2)))) ${SUM} (v128.store (i32.const 0) (local.get 1))`), features: { tail_call: true }, calls: LARGE_CALLS, levels: [2] },
];

/** An artifact, and the arguments for `unwind_artifact_test` that say what to call. */
export interface Steppable { readonly name: string; readonly path: string; readonly calls: readonly string[] }

/** Compiles the modules, at each of the levels, into the directory. */
export async function buildSteppables(directory: string, levels: readonly (0 | 2 | 3)[]): Promise<Steppable[]> {
  const compiler: Compiler = await openCompiler({ workers: 1 });
  try {
    const built: Steppable[] = [];
    for (const { name, text, features, calls, levels: own } of MODULES) {
      for (const optLevel of levels.filter((level) => own?.includes(level) ?? true)) {
        const options: BuildOptions = { optLevel };
        const path = join(directory, `${name}-O${optLevel}.so`);
        writeFileSync(path, (await compiler.build(await assemble(text, features), options)).artifact);
        built.push({ name: `${name} at -O${optLevel}`, path, calls: Object.entries(calls).map(([call, { status }]) => `${call}=${status}`) });
      }
    }
    return built;
  } finally {
    await compiler.close();
  }
}
