/** Modules with one function `f (param i32) (result i32)` of a shape that is hard on compilers, of any size. */
import { body, END, funcType, I32, leb, module, name, section, vec } from '../unit/module-bytes.js';

/** Signed LEB128. */
function sleb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const last = (rest >> 6) === 0 || (rest >> 6) === -1;
    bytes.push((rest & 0x7f) | (last ? 0 : 0x80));
    if (last) return bytes;
  }
}

const GET_X = [0x20, 0];
const GET_SUM = [0x20, 1];
const SET_SUM = [0x21, 1];
const i32 = (value: number): number[] => [0x41, ...sleb(value)];
const repeat = (count: number, piece: (i: number) => readonly number[]): number[] => {
  const code: number[] = [];
  for (let i = 0; i < count; i++) code.push(...piece(i));
  return code;
};

/** Locals beyond the second. */
const MANY = 500;

/** The operators of each shape, which leave their result in the second local. */
const SHAPES = {
  /** A chain of tests of one value. */
  ifs: (count: number) => repeat(count, (i) => [...GET_X, ...i32(i), 0x46, 0x04, 0x40, ...GET_SUM, ...i32(i + 1), 0x6a, ...SET_SUM, END]),
  /** Tests with an access to memory in each. */
  guarded: (count: number) => repeat(count, (i) => [...GET_X, ...i32(i), 0x71, 0x04, 0x40, ...i32(0), ...GET_SUM, 0x28, 2, ...leb(4 * (i % 1000)), 0x36, 2, ...leb(4 * (i % 999)), END]),
  /** One block of accesses to memory. */
  loads: (count: number) => [...repeat(count, (i) => [...GET_SUM, ...i32(0), 0x28, 2, ...leb(4 * (i % 16000)), 0x6a, ...SET_SUM]), ...GET_X, ...SET_SUM],
  /** Tests within tests. */
  nested: (count: number) => [...repeat(count, (i) => [...GET_X, ...i32(i), 0x4a, 0x04, 0x40, ...GET_SUM, ...i32(1), 0x6a, ...SET_SUM]), ...repeat(count, () => [END])],
  /** A switch whose arms fall through. */
  switch: (count: number) => [
    ...repeat(count, () => [0x02, 0x40]), ...GET_X, 0x0e, ...leb(count - 1), ...repeat(count, (i) => leb(i)), ...repeat(count, (i) => [END, ...GET_SUM, ...i32(i), 0x6a, ...SET_SUM]),
  ],
  /** Loops one after another, each of which goes on counting where the one before has stopped: LLVM's scalar evolution recurses through all of them. */
  loops: (count: number) => repeat(count, (i) => [0x03, 0x40, ...GET_SUM, ...i32(1), 0x6a, 0x22, 1, ...GET_X, ...i32(i), 0x6a, 0x48, 0x0d, 0, END]),
  /** Tests within tests, the innermost of which sets MANY locals: at each `end` all of them can have two values. */
  merges: (count: number) => [
    ...repeat(count, (i) => [...GET_X, ...i32(i), 0x4a, 0x04, 0x40]), ...repeat(MANY, (i) => [...GET_X, ...i32(i), 0x6a, 0x21, ...leb(2 + i)]), ...repeat(count, () => [END]),
    ...repeat(MANY, (i) => [...GET_SUM, 0x20, ...leb(2 + i), 0x6a, ...SET_SUM]),
  ],
  /** Divisions, each with two tests of its own. */
  divisions: (count: number) => [...GET_X, ...SET_SUM, ...repeat(count, () => [...GET_SUM, ...i32(3), 0x6d, ...GET_X, 0x6a, ...SET_SUM])],
} as const;

export type Shape = keyof typeof SHAPES;
export const SHAPE_NAMES = Object.keys(SHAPES) as Shape[];

/** The module with a function of a shape. */
export function makeShape(shape: Shape, count: number): Uint8Array {
  const code = body([...SHAPES[shape](count), ...GET_SUM, END], [[1 + (shape === 'merges' ? MANY : 0), I32]]);
  return module(section(1, vec([funcType([I32], [I32])])), section(3, vec([[0]])), section(5, vec([[0, 2]])), section(7, vec([[...name('f'), 0, 0]])), section(10, vec([code])));
}
