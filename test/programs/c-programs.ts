/** Our own C programs (c/*.c) and what they are given: built by Debian's clang and wasi-libc, they are WASI commands. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCES = fileURLToPath(new URL('../../../test/programs/c/', import.meta.url));

/** One run of a program. */
export interface CProgramCase {
  readonly args?: readonly string[];
  readonly stdin?: string;
  /** The guest's environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Text with some structure: lines of words from a small vocabulary, the same each time. */
function makeText(lines: number): string {
  const words = 'the of metering fuel register a trampoline checker and ticks every Millisecond signal is bounded by work; compiled code contains no check 42 3.14'.split(' ');
  let state = 12345;
  const next = (n: number): number => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 16) % n; };
  return Array.from({ length: lines }, () => Array.from({ length: 4 + next(10) }, () => words[next(words.length)]).join(' ')).join('\n');
}

/** A JSON document of every kind of value, nested. */
function makeJson(depth: number): unknown {
  if (depth === 0) return ['leaf', null, true, false, -0.5, 1e100, 'é😀"\\\n\u0001', {}, []];
  return { z: makeJson(depth - 1), a: [makeJson(depth - 1), depth / 3, 2 ** 53], m: `level ${depth}` };
}

const LISP = `
  ; numbers, lists, closures, recursion
  (define fib (lambda (n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))) (fib 21)
  (define map (lambda (f xs) (if (null xs) '() (cons (f (car xs)) (map f (cdr xs))))))
  (define range (lambda (a b) (if (< a b) (cons a (range (+ a 1) b)) '())))
  (define fold (lambda (f x xs) (if (null xs) x (fold f (f x (car xs)) (cdr xs)))))
  (map (lambda (x) (* x x)) (range -5 6)) (fold + 0 (range 0 1000))
  (define adder (lambda (n) (lambda (x) (+ x n)))) ((adder 40) 2)
  (define ack (lambda (m n) (if (= m 0) (+ n 1) (if (= n 0) (ack (- m 1) 1) (ack (- m 1) (ack m (- n 1))))))) (ack 2 9)
  (let ((x 7) (y -2)) (cons (/ x y) (cons (mod x y) '(done . t))))`;
const HELLO = '++++++++[>++++[>++>+++>+++>+<<<<-]>+>+>->>+[<]<-]>>.>---.+++++++..+++.>>.<-.<.+++.------.--------.>>+.>++.';
/** Squares up to 10,000: the classic. */
const SQUARES = '++++[>+++++<-]>[<+++++>-]+<+[>[>+>+<<-]++>>[<<+>>-]>>>[-]++>[-]+>>>+[[-]++++++>>>]<<<[[<++++++++<++>>-]+<.<[>----<-]<]<<[>>>>>[>>>[-]+++++++++<[>-<-]+++++++++>[-[<->-]+[<<<]]<[>+<-]>]<<-]<<-]';

/** The programs, with their runs. Every run must end the same way on every engine, with the same output. */
export const C_PROGRAMS: Readonly<Record<string, readonly CProgramCase[]>> = {
  json: [{ stdin: JSON.stringify(makeJson(6)) }, { stdin: '[1, 2,' }, { stdin: '"\\ud800"' }],
  lz: [{ args: ['40'], stdin: makeText(200) }, { stdin: '' }, { args: ['3'], stdin: 'a'.repeat(5000) }],
  lisp: [{ stdin: LISP }, { stdin: '(car (undefined))' }, { stdin: '(1 2)' }],
  digest: [0, 1, 55, 56, 63, 64, 65, 128, 70_000].map((n) => ({ stdin: 'x'.repeat(n) })),
  nbody: [{ args: ['200000'] }],
  words: [{ args: ['12'], stdin: makeText(5000) }, { stdin: '' }],
  grep: [
    { args: ['(fuel|check).*\\d+\\.?\\d*$'], stdin: makeText(400) }, { args: ['^[a-f]+ |[^ -~]'], stdin: makeText(300) }, { args: ['(a(bc?)+|x)+d$'], stdin: 'abbcbd\nxabd\nabdc\n' },
    { args: ['(unclosed'], stdin: '' }, { args: [], stdin: '' },
  ],
  files: [{ args: ['one', 'two words', ''], stdin: 'first\nsecond', env: { GREETING: 'grüß dich' } }, {}],
  numbers: [{}],
  brainfuck: [{ args: [HELLO] }, { args: [SQUARES] }, { args: [',[.,]'], stdin: 'echo' }, { args: ['['] }, { args: ['<'] }],
};

/**
 * Compiles one of the programs to wasm, at -O2 and without debugging sections.
 * @throws when clang-22, wasi-libc or libclang-rt-22-dev-wasm32 is missing, or the program does not compile.
 */
export function compileC(name: string, into: string): string {
  const path = join(into, `${name}.wasm`);
  const args = ['--target=wasm32-wasi', '--sysroot=/usr', '--no-wasm-opt', '-O2', '-Wall', '-Wextra', '-Werror', '-Wno-deprecated', '-Wl,--strip-debug', join(SOURCES, `${name}.c`), '-o', path];
  const { status, stderr, error } = spawnSync('clang-22', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}.c: clang-22 (with wasi-libc and libclang-rt-22-dev-wasm32) failed: ${error?.message ?? stderr}`);
  return path;
}
