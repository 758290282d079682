/** Random programs of counted loops: a module of many functions of `loops.ts`, with what they refer to. */
import type { ValType } from '../../compiler/wasm/module.js';
import { END, funcType, leb, module, name, section, vec } from '../unit/module-bytes.js';
import { FunctionWriter, sleb, TYPE_CODE } from './assembler.js';
import { CALLEE_PARAMS, LOOP_PARAMS, LoopWriter } from './loops.js';
import type { Random } from './random.js';
import type { Program } from './values.js';

/** Types: 0 for loops, 1 for what they call, the host's functions among them. */
const [LOOP_TYPE, CALLEE_TYPE] = [0, 1];
const HOSTS = 2;
const SLOTS = 8;
const FUNCREF = 0x70;

const codes = (types: readonly ValType[]) => types.map((type) => TYPE_CODE[type]);
/** Types and initial values, one an extended constant expression. */
const GLOBALS: readonly (readonly [type: 'i32' | 'i64' | 'f64', init: readonly number[]])[] = [
  ['i32', [0x41, ...sleb(2n), 0x41, ...sleb(3n), 0x6a]], ['i32', [0x41, ...sleb(-70000n)]], ['i64', [0x42, ...sleb(0x123456789n)]], ['i64', [0x42, 0]], ['f64', [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]],
];

/**
 * A module with exported functions `loop0`, `loop1`, ... .
 * @param count how many loops; many compile faster in one module than in several.
 * @param memories how many memories; the accesses of more than one are mixed.
 */
export function generateProgram(random: Random, count: number, memories = 1): Uint8Array {
  const pages = 1 + random.below(2);
  const indices = (type: string) => GLOBALS.flatMap(([other], i) => (other === type ? [i] : []));
  const program: Program = {
    pages, globals: { i32: indices('i32'), i64: indices('i64'), f64: indices('f64') }, hosts: Array.from({ length: HOSTS }, (_, i) => i), callees: [], slots: SLOTS, elements: 1, calleeType: CALLEE_TYPE,
  };
  const memory = memories === 1 ? undefined : () => random.below(memories);
  const bodies: number[][] = [];
  const types: number[] = [];
  const add = (type: number, writer: FunctionWriter) => {
    types.push(type);
    bodies.push(writer.finish());
    return HOSTS + bodies.length - 1;
  };
  for (let i = 1 + random.below(3); i > 0; i--) {
    const writer = new FunctionWriter(CALLEE_PARAMS, ['i32'], memory);
    new LoopWriter(writer, random, program).writeCallee();
    program.callees.push(add(CALLEE_TYPE, writer));
  }
  const loops: number[] = [];
  for (let i = 0; i < count; i++) {
    const writer = new FunctionWriter(LOOP_PARAMS, ['i64'], memory);
    new LoopWriter(writer, random, program).write(random.pick([0, 0, 1, 1, 2, 3]));
    loops.push(add(LOOP_TYPE, writer));
  }
  const exports = loops.map((index, i) => [...name(`loop${i}`), 0, ...leb(index)]);
  // A function that loops call indirectly with the wrong type, one slot that is empty, the rest the callees and a host's.
  const elements = Array.from({ length: SLOTS - 1 }, (_, i) => (i === 5 ? loops[0] : i === 4 ? 0 : program.callees[i % program.callees.length]));
  return module(
    section(1, vec([funcType(codes(LOOP_PARAMS), codes(['i64'])), funcType(codes(CALLEE_PARAMS), codes(['i32']))])),
    section(2, vec([0, 1].map((i) => [...name('host'), ...name(`h${i}`), 0, CALLEE_TYPE]))),
    section(3, vec(types.map((type) => [type]))),
    section(4, vec([[FUNCREF, 0, SLOTS]])),
    // Some memories can grow.
    section(5, vec(Array.from({ length: memories }, () => (random.oneIn(3) ? [1, pages, pages] : [1, pages, pages + 2])))),
    section(6, vec(GLOBALS.map(([type, init]) => [TYPE_CODE[type], 1, ...init, END]))),
    section(7, vec(exports)),
    section(9, vec([[0, 0x41, 0, END, ...vec(elements.map((index) => leb(index)))], [1, 0, ...vec(elements.map((index) => leb(index)))]])),
    section(12, [1]),
    section(10, vec(bodies)),
    section(11, vec([[1, 64, ...random.bytes(64)]])),
  );
}
