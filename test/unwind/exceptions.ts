/** Artifacts whose exports call a host function that throws, out of frames of every kind, and what runs them: `exception_artifact_test`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, openCompiler } from '../../compiler/index.js';
import { assemble } from '../loader/wat.js';

const NINE = Array.from({ length: 9 }, (_, i) => `(param $p${i} i64)`).join(' ');
const consts = Array.from({ length: 9 }, (_, i) => `(i64.const ${i + 3})`).join(' ');
const rotated = Array.from({ length: 9 }, (_, i) => `(local.get $p${(i + 1) % 9})`).join(' ');
const LESS = '(i32.sub (local.get $n) (i32.const 1))';
const at = '(i32.shl (local.get $i) (i32.const 2))';
const loop = (body: string, count: number) => `(loop $l ${body} (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))`;
const IMPORT = '(import "" "throw" (func $throw (param i32) (result i64)))';

/** Functions in C's convention: many arguments, values in registers and in vectors across the call, loops that the compiler vectorises around it, bulk operators, tables. */
const PLAIN = `(module ${IMPORT} (memory 1) (data $d "0123456789abcdef") (type $one (func (param i32) (result i64))) (table $t 4 9 funcref) (elem (table $t) (i32.const 1) func $throw $deep)
  (func (export "direct") (result i64) (call $throw (i32.const 1)))
  (func $deep (param $n i32) (result i64) (if (result i64) (local.get $n) (then (i64.add (i64.const 1) (call $deep ${LESS}))) (else (call $throw (i32.const 0)))))
  (func (export "recursion") (result i64) (call $deep (i32.const 40)))
  (func $many (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then (return (call $throw (i32.const 2))))) (i64.add (local.get $p8) (call $many ${LESS} ${rotated})))
  (func (export "stack_arguments") (result i64) (call $many (i32.const 7) ${consts}))
  (func (export "vector_loop") (result i64) (local $i i32) (local $s i64) ${loop(`(f32.store ${at} (f32.mul (f32.load ${at}) (f32.const 1.5)))`, 100)} (local.set $i (i32.const 0))
    ${loop('(local.set $s (i64.add (local.get $s) (call $throw (local.get $i))))', 5)} (i64.add (local.get $s) (i64.load32_u (i32.const 16))))
  (func (export "vectors") (result i64) (local $i i32) (local $v v128) (local.set $v (v128.load (i32.const 32)))
    ${loop('(local.set $v (i32x4.add (local.get $v) (i32x4.splat (i32.wrap_i64 (call $throw (local.get $i))))))', 5)} (i64x2.extract_lane 1 (local.get $v)))
  (func (export "doubles") (result i64) (local $i i32) (local $x f64) (local $y f64) (local.set $x (f64.load (i32.const 8))) (local.set $y (f64.load (i32.const 16)))
    ${loop('(local.set $x (f64.add (local.get $x) (f64.mul (local.get $y) (f64.convert_i64_s (call $throw (local.get $i))))))', 5)} (i64.trunc_sat_f64_s (local.get $x)))
  (func (export "bulk") (result i64) (local $s i64) (memory.fill (i32.const 100) (i32.const 7) (i32.const 50)) (memory.init $d (i32.const 0) (i32.const 1) (i32.const 5)) (drop (memory.grow (i32.const 1)))
    (local.set $s (call $throw (i32.const 4))) (memory.copy (i32.const 200) (i32.const 100) (i32.const 50)) (table.fill $t (i32.const 3) (ref.func $deep) (i32.const 1)) (i64.add (local.get $s) (i64.load (i32.const 200))))
  (func (export "indirect") (result i64) (call_indirect $t (type $one) (i32.const 3) (i32.const 2)))
  (func (export "host_through_table") (result i64) (i64.add (i64.const 1) (call_indirect $t (type $one) (i32.const 3) (i32.const 1)))))`;

/** In the convention of tail calls, where the callee pops its arguments. Where the host function is called in tail position it has the frame of its caller's caller above it. */
const TAIL = `(module ${IMPORT} (type $one (func (param i32) (result i64))) (table $t 3 funcref) (elem (table $t) (i32.const 0) func $throw $few)
  (func $even (param $n i32) ${NINE} (result i64) (if (i32.eqz (local.get $n)) (then (return (i64.add (local.get $p0) (call $throw (i32.const 1)))))) (return_call $odd ${LESS} ${rotated}))
  (func $odd (param $n i32) ${NINE} (result i64) (return_call $even ${LESS} ${rotated}))
  (func $few (param $n i32) (result i64) (if (i32.eqz (local.get $n)) (then (return_call $throw (i32.const 7)))) (return_call $few ${LESS}))
  (func $grows (param $n i32) (result i64) (return_call $even ${LESS} ${consts}))
  (func (export "to_host") (result i64) (return_call $throw (i32.const 1)))
  (func (export "from_stack_arguments") (result i64) (call $even (i32.const 6) ${consts}))
  (func (export "twice") (result i64) (i64.add (call $few (i32.const 3)) (call $even (i32.const 4) ${consts})))
  (func (export "more_arguments_than_the_caller") (result i64) (i64.add (i64.const 1) (call $grows (i32.const 5))))
  (func (export "through_table") (result i64) (i64.add (i64.const 1) (call_indirect $t (type $one) (i32.const 2) (i32.const 1))))
  (func (export "tail_through_table") (result i64) (return_call_indirect $t (type $one) (i32.const 1) (i32.const 0))))`;

const MODULES = { plain: { text: PLAIN, features: {} }, tail: { text: TAIL, features: { tail_call: true } } } as const;

/** An artifact, and its exports that call the host function. */
export interface Throwing { readonly name: string; readonly path: string; readonly exports: readonly string[] }

/** Compiles the modules into the directory, once for each of the options. */
export async function buildThrowing(directory: string, variants: readonly BuildOptions[]): Promise<Throwing[]> {
  const compiler = await openCompiler({ workers: 1 });
  try {
    const built: Throwing[] = [];
    for (const [module, { text, features }] of Object.entries(MODULES)) {
      for (const options of variants) {
        const name = [`throwing ${module}`, ...Object.values(options)].join(' ');
        const path = join(directory, `${name.replaceAll(' ', '-')}.so`);
        writeFileSync(path, (await compiler.build(await assemble(text, features), options)).artifact);
        built.push({ name, path, exports: [...text.matchAll(/\(export "(\w+)"\)/g)].map(([, exported]) => exported) });
      }
    }
    return built;
  } finally {
    await compiler.close();
  }
}
