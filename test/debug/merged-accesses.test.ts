/** Stacks of traps in ways that are alike: LLVM would make one access of several, whose place is then that of none of them. V8's frames, at every level. */
import { writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCompiler } from '../../compiler/index.js';
import { load, Trap } from '../../loader/index.js';
import { assemble } from '../loader/wat.js';
import { scratchFile } from './clang.js';

const compiler = await openCompiler({ workers: 2 });
test.after(() => compiler.close());

const ADDRESS = '(local.get 1)';
const NEXT = '(i32.add (local.get 1) (i32.const 8))';
const DIVISOR = '(i32.sub (local.get 1) (i32.const 70000))';

/** Two ways, by the first parameter; the second is out of bounds. */
const WAYS: Readonly<Record<string, readonly [string, string]>> = {
  'store of one value': [`(i32.store ${ADDRESS} (i32.const 1))`, `(i32.store ${ADDRESS} (i32.const 1))`],
  'store of two values': [`(i32.store ${ADDRESS} (i32.const 1))`, `(i32.store ${ADDRESS} (i32.const 2))`],
  'store to two addresses': [`(i32.store ${ADDRESS} (i32.const 1))`, `(i32.store ${NEXT} (i32.const 1))`],
  'two stores': [
    `(local.set 2 (i32.mul ${ADDRESS} (i32.const 5))) (i32.store (i32.const 0) (local.get 2)) (i32.store offset=4 ${ADDRESS} (local.get 2)) (i32.store offset=12 ${ADDRESS} (local.get 2))`,
    `(local.set 2 (i32.xor ${ADDRESS} (i32.const 5))) (i32.store (i32.const 8) (local.get 2)) (i32.store offset=4 ${ADDRESS} (local.get 2)) (i32.store offset=12 ${ADDRESS} (local.get 2))`,
  ],
  'vector store': [`(v128.store ${ADDRESS} (v128.const i64x2 1 2))`, `(v128.store ${ADDRESS} (v128.const i64x2 3 4))`],
  load: [`(local.set 2 (i32.load ${ADDRESS}))`, `(local.set 2 (i32.load ${ADDRESS}))`],
  'load of two addresses': [`(local.set 2 (i32.load ${ADDRESS}))`, `(local.set 2 (i32.load ${NEXT}))`],
  'load of a byte': [`(local.set 2 (i32.load8_u ${ADDRESS}))`, `(local.set 2 (i32.load8_u ${NEXT}))`],
  'load and a sum': [`(local.set 2 (i32.add (i32.const 5) (i32.load16_s ${ADDRESS})))`, `(local.set 2 (i32.add (i32.const 5) (i32.load16_s ${NEXT})))`],
  'load and other operators': [`(local.set 2 (i32.add (i32.const 5) (i32.load ${ADDRESS})))`, `(local.set 2 (i32.mul (i32.const 7) (i32.load ${ADDRESS})))`],
  'load of a number': [`(local.set 3 (f64.add (f64.const 1) (f64.load ${ADDRESS})))`, `(local.set 3 (f64.mul (f64.const 3) (f64.load ${ADDRESS})))`],
  'load that is dropped': [`(drop (i32.load ${ADDRESS}))`, `(drop (i32.load ${ADDRESS}))`],
  copy: [`(i64.store ${ADDRESS} (i64.load (i32.const 8)))`, `(i64.store ${ADDRESS} (i64.load (i32.const 16)))`],
  'load and a global': [`(local.set 2 (i32.load ${ADDRESS})) (global.set 0 (i32.const 4))`, `(local.set 2 (i32.load ${ADDRESS})) (global.set 0 (i32.const 5))`],
  'load and return': [`(return (i32.load ${ADDRESS}))`, `(i32.store (i32.const 100) (i32.const 4)) (return (i32.load ${ADDRESS}))`],
  'get, inlined': [`(local.set 2 (call $get ${ADDRESS}))`, `(local.set 2 (call $get ${ADDRESS}))`],
  'get of two addresses, inlined': [`(local.set 2 (call $get ${ADDRESS}))`, `(local.set 2 (call $get ${NEXT}))`],
  'put, inlined': [`(call $put ${ADDRESS} (i32.const 1))`, `(call $put ${ADDRESS} (i32.const 2))`],
  'get by two functions, inlined': [`(local.set 2 (call $get ${ADDRESS}))`, `(local.set 2 (call $get2 ${ADDRESS}))`],
  division: [`(local.set 2 (i32.div_u (i32.const 5) ${DIVISOR}))`, `(local.set 2 (i32.div_u (i32.const 5) ${DIVISOR}))`],
  'division, inlined': [`(local.set 2 (call $div ${DIVISOR}))`, `(local.set 2 (call $div ${DIVISOR}))`],
  truncation: ['(local.set 2 (i32.trunc_f64_s (f64.const nan)))', '(local.set 2 (i32.trunc_f64_s (f64.const nan)))'],
  table: [`(local.set 2 (ref.is_null (table.get ${ADDRESS})))`, `(local.set 2 (ref.is_null (table.get ${ADDRESS})))`],
  call_indirect: [`(local.set 2 (call_indirect (result i32) ${ADDRESS}))`, `(local.set 2 (call_indirect (result i32) ${ADDRESS}))`],
  bulk: [`(memory.fill ${ADDRESS} (i32.const 1) (i32.const 4))`, `(memory.fill ${ADDRESS} (i32.const 2) (i32.const 4))`],
};

const SWITCH = [0, 1, 2, 3].reduce((inner, i) => `(block ${inner}) (i32.store8 ${ADDRESS} (i32.const ${i})) (return (i32.const ${i}))`, '(block (br_table 0 1 2 3 (local.get 0)))');

const TEXT = `(module (memory 1) (global (mut i32) (i32.const 0)) (table 1 1 funcref)
  (func $get (param i32) (result i32) (i32.load (local.get 0)))
  (func $get2 (param i32) (result i32) (i32.load (local.get 0)))
  (func $put (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func $div (param i32) (result i32) (i32.div_u (i32.const 5) (local.get 0)))
  ${Object.entries(WAYS).map(([name, [one, other]]) => `(func (export "${name}") (param i32 i32) (result i32) (local i32 f64)
    (if (local.get 0) (then ${one}) (else ${other})) (i32.add (local.get 2) (i32.trunc_sat_f64_s (local.get 3))))`).join('\n')}
  (func (export "switch") (param i32 i32) (result i32) ${SWITCH}))`;

type Exports = Record<string, (way: number, address: number) => unknown>;

function framesOf(exports: Exports, name: string, way: number, kind: abstract new (...args: never[]) => Error): string {
  try {
    exports[name](way, 70_000);
  } catch (error) {
    assert.instance(error, kind, `${name}: ${(error as Error).stack}`);
    return [...((error as Error).stack ?? '').matchAll(/wasm-function\[(\d+)\]:(0x[0-9a-f]+)\)?$/gm)].map(([, index, offset]) => `${index} ${offset}`).join(', ');
  }
  throw new Error(`${name} does not trap`);
}

const bytes = await assemble(TEXT);
const v8 = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource)).exports as Exports;

for (const options of [{ optLevel: 0 }, { optLevel: 1 }, { optLevel: 2 }, { optLevel: 3 }, { optLevel: 2, debug: true }, { optLevel: 2, fuel: 'none' }] as const) {
  test(`${JSON.stringify(options)}: V8's frames`, async () => {
    const path = scratchFile('merged.so');
    writeFileSync(path, (await compiler.build(bytes, options)).artifact);
    const ours = load(path).instantiate().exports as Exports;
    const calls = [...Object.keys(WAYS).flatMap((name) => [[name, 0], [name, 1]] as const), ...[0, 1, 2, 3].map((way) => ['switch', way] as const)];
    const wrong = calls.filter(([name, way]) => framesOf(ours, name, way, Trap) !== framesOf(v8, name, way, WebAssembly.RuntimeError));
    assert.equal(wrong, []);
  });
}

test.run();
