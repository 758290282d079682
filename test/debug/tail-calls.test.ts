/** Stacks of traps behind tail calls: a function that has made one has no frame, whatever LLVM inlined; all others have theirs. V8's frames, at every level, with -g and without. */
import { writeFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCompiler } from '../../compiler/index.js';
import { load, Store, Trap } from '../../loader/index.js';
import { assemble } from '../loader/wat.js';
import { scratchFile } from './clang.js';

const compiler = await openCompiler({ workers: 2 });
test.after(() => compiler.close());

/** Too large to be inlined. */
const FILLING = '(i32.store8 (local.get $i) (i32.div_u (i32.load8_u (i32.const 5)) (i32.add (local.get 0) (i32.const 3))))'.repeat(40);

/** `h` divides by its parameter, `big` does so too; functions that call are above those that they call. */
const TEXT = `(module
  (type $t (func (param i32) (result i32)))
  (type $wide (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "host" "call" (func $host (type $t)))
  (memory 1)
  (table 4 4 funcref) (elem (i32.const 0) $h $big $ninth $host)
  (func $h (export "h") (type $t) (i32.div_u (i32.const 7) (local.get 0)))
  (func $big (type $t) (local $i i32) ${FILLING} (i32.div_u (i32.const 7) (local.get 0)))
  (func $ninth (type $wide) (i32.div_u (local.get 7) (local.get 0)))

  (func $g (type $t) (return_call $h (local.get 0)))
  (func (export "inlined") (type $t) (i32.add (i32.const 1) (call $g (local.get 0))))
  (func $g-big (type $t) (return_call $big (local.get 0)))
  (func $out (export "out of line") (type $t) (i32.add (i32.const 1) (call $g-big (local.get 0))))
  (func $g2 (type $t) (return_call $g-big (local.get 0)))
  (func $g3 (type $t) (return_call $g2 (local.get 0)))
  (func (export "three") (type $t) (i32.add (i32.const 1) (call $g3 (local.get 0))))
  (func (export "first") (type $t) (return_call $h (local.get 0)))
  (func (export "first of four") (type $t) (return_call $g3 (local.get 0)))
  (func (export "first, then a call") (type $t) (return_call $out (local.get 0)))

  (func $at (param i32 i32) (result i32) (return_call_indirect (type $t) (local.get 0) (local.get 1)))
  (func (export "indirect") (param i32 i32) (result i32) (i32.add (i32.const 1) (call $at (local.get 0) (local.get 1))))
  (func $constant (type $t) (return_call_indirect (type $t) (local.get 0) (i32.const 1)))
  (func (export "constant index") (type $t) (i32.add (i32.const 1) (call $constant (local.get 0))))
  (func $arguments (type $t) (return_call_indirect (type $wide) (local.get 0) ${'(i32.const 1)'.repeat(6)} (i32.const 5) (i32.const 2)))
  (func (export "arguments on the stack") (type $t) (i32.add (i32.const 1) (call $arguments (local.get 0))))

  (func $both (export "tail call or last call") (param i32 i32) (result i32) (if (local.get 1) (then (return_call $out (local.get 0)))) (call $g-big (local.get 0)))
  (func (export "call of both") (param i32 i32) (result i32) (i32.add (i32.const 1) (call $both (local.get 0) (local.get 1))))
  (func $rec (export "recursion") (param i32 i32) (result i32)
    (if (i32.eqz (local.get 1)) (then (return (call $h (local.get 0)))))
    (if (i32.and (local.get 1) (i32.const 1)) (then (return_call $rec (local.get 0) (i32.sub (local.get 1) (i32.const 1)))))
    (call $back (local.get 0) (i32.sub (local.get 1) (i32.const 1))))
  (func $back (param i32 i32) (result i32) (return_call $rec (local.get 0) (local.get 1)))
  (func $even (param i32 i32) (result i32) (if (i32.eqz (local.get 1)) (then (return (call $h (local.get 0))))) (return_call $odd (local.get 0) (i32.sub (local.get 1) (i32.const 1))))
  (func $odd (param i32 i32) (result i32) (if (i32.eqz (local.get 1)) (then (return (call $h (local.get 0))))) (return_call $even (local.get 0) (i32.sub (local.get 1) (i32.const 1))))
  (func (export "mutual") (param i32 i32) (result i32) (i32.add (i32.const 1) (call $even (local.get 0) (local.get 1))))
  (func (export "mutual, three") (type $t) (i32.add (i32.const 1) (call $even (local.get 0) (i32.const 3))))

  (func $to-host (type $t) (return_call $host (local.get 0)))
  (func (export "host") (type $t) (i32.add (i32.const 1) (call $to-host (local.get 0))))
  (func (export "host, first") (type $t) (return_call $host (local.get 0)))
  (func (export "host, first of two") (type $t) (return_call $to-host (local.get 0)))

  (func $endless (export "endless") (param i32 i32) (result i32)
    (if (local.get 1) (then (return_call $endless (i32.const 0) (i32.const 0))))
    (call $again (local.get 0)))
  (func $again (type $t) (return_call $endless (local.get 0) (i32.const 0))))`;

/** Each traps. */
const CALLS: readonly (readonly [string, ...number[]])[] = [
  ...['h', 'inlined', 'out of line', 'three', 'first', 'first of four', 'first, then a call', 'constant index', 'arguments on the stack', 'mutual, three', 'host', 'host, first', 'host, first of two'].map((name) => [name, 0] as const),
  ...[0, 1, 2, 3, 9].map((index) => ['indirect', 0, index] as const),
  ...['tail call or last call', 'call of both', 'recursion', 'mutual'].flatMap((name) => [0, 1, 4, 5].map((n) => [name, 0, n] as const)),
];

type Exports = Record<string, (...args: number[]) => unknown>;

function framesOf(exports: Exports, [name, ...args]: readonly [string, ...number[]], kind: abstract new (...args: never[]) => Error): string {
  try {
    exports[name](...args);
  } catch (error) {
    assert.instance(error, kind, `${name}: ${(error as Error).stack}`);
    return [...((error as Error).stack ?? '').matchAll(/wasm-function\[(\d+)\]:(0x[0-9a-f]+)\)?$/gm)].map(([, index, offset]) => `${index} ${offset}`).join(', ');
  }
  throw new Error(`${name}(${args.join(', ')}) does not trap`);
}

/** The host's function calls back, which traps. */
const importsFor = (exports: () => Exports) => ({ host: { call: (n: number) => exports().h(n) } });

const bytes = await assemble(TEXT, { tail_call: true });
const v8: Exports = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), importsFor(() => v8)).exports as Exports;
const consumed = new Map<string, bigint>();

for (const optLevel of [0, 1, 2, 3] as const) {
  for (const debug of [false, true]) {
    test(`-O${optLevel}${debug ? ' -g' : ''}: V8's frames, the same fuel as at other levels, and a stack that ends`, async () => {
      const path = scratchFile('tail-calls.so');
      writeFileSync(path, (await compiler.build(bytes, { optLevel, debug })).artifact);
      const store = new Store({ fuel: 10n ** 12n });
      const ours = load(path).instantiate(importsFor(() => ours) as WebAssembly.Imports, { store }).exports as Exports;
      for (const call of CALLS) {
        const before = store.fuel.consumed;
        assert.is(framesOf(ours, call, Trap), framesOf(v8, call, WebAssembly.RuntimeError), call.join(' '));
        const fuel = store.fuel.consumed - before;
        assert.is(fuel, consumed.get(call.join(' ')) ?? fuel, call.join(' '));
        consumed.set(call.join(' '), fuel);
      }
      try {
        ours.endless(0, 1);
        assert.unreachable();
      } catch (error) {
        assert.match(String(error), /stack/);
      }
    });
  }
}

test.run();
