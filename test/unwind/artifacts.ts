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

/**
 * Functions with arguments on the stack take each other's place, directly, through a table and out to the host. Not stepped: a tail call to a function with more arguments on the stack
 * than its caller. LLVM moves the return address and says so nowhere, so that for the last instructions before the jump no unwinder finds it.
 */
const TAIL_CALLS = `(module (import "" "zero" (func $zero (param i32) (result i64))) (import "" "throw" (func $throw (param i32) (result i64)))
  (type $one (func (param i32) (result i64))) (table $t 4 funcref) (elem (table $t) (i32.const 0) func $few $indirect)
  (func $even (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then (return (local.get $p0)))) (return_call $odd ${LESS} ${pass(1)}))
  (func $odd (param $n i32) ${NINE} (result i64) (return_call $even ${LESS} ${pass(3)}))
  (func $few (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.const 7)))) (return_call $few ${LESS}))
  (func $indirect (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.const 5)))) (return_call_indirect $t (type $one) ${LESS} (i32.const 1)))
  (func $trap (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then unreachable)) (return_call $trap ${LESS} ${pass(2)}))
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
  (func (export "divides") (result i32) (local $z i32) (i32.div_s (i32.const 1) (local.get $z))))`;

/** What a module's exports end with. */
const OK = { status: StatusCode.ok };
const MODULES: readonly { name: string; text: string; features: object; calls: Readonly<Record<string, { status: number }>> }[] = [
  {
    name: 'tail', text: TAIL_CALLS, features: { tail_call: true },
    calls: {
      rotate: OK, twice: OK, through_table: OK, to_host: OK, host_throws: { status: StatusCode.host_error }, bad_index: { status: StatusCode.undefined_element }, traps: { status: StatusCode.unreachable },
    },
  },
  {
    name: 'varied', text: VARIED, features: {},
    calls: {
      vectors: OK, sums: OK, out_of_bounds: { status: StatusCode.out_of_bounds_memory_access }, recursion: OK, stack_arguments: OK, several: OK, bulk: OK, divides: { status: StatusCode.integer_divide_by_zero },
    },
  },
];

/** An artifact, and the arguments for `unwind_artifact_test` that say what to call. */
export interface Steppable { readonly name: string; readonly path: string; readonly calls: readonly string[] }

/** Compiles the modules, at each of the levels, into the directory. */
export async function buildSteppables(directory: string, levels: readonly (0 | 2 | 3)[]): Promise<Steppable[]> {
  const compiler: Compiler = await openCompiler({ workers: 1 });
  try {
    const built: Steppable[] = [];
    for (const { name, text, features, calls } of MODULES) {
      for (const optLevel of levels) {
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
