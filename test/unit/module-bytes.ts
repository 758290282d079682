/** Builds wasm binaries for tests, byte by byte, so that ill-formed ones are as easy as well-formed ones. */
import { CompileError, type Diagnostic } from '../../compiler/diagnostics.js';
import { parseModule, type ParseOptions } from '../../compiler/wasm/parse.js';
import { validateModule } from '../../compiler/wasm/validate.js';

/** Codes of the value types. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const FUNCREF = 0x70;
export const EXTERNREF = 0x6f;
export const END = 0x0b;

/** Unsigned LEB128, as short as can be. */
export function leb(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 0x80);
  }
}

/** A vector: the count, then the items. */
export const vec = (items: readonly (readonly number[])[]): number[] => [...leb(items.length), ...items.flat()];
/** A name, in UTF-8. */
export const name = (text: string): number[] => {
  const bytes = [...new TextEncoder().encode(text)];
  return [...leb(bytes.length), ...bytes];
};
/** A section with its size. */
export const section = (id: number, contents: readonly number[]): number[] => [id, ...leb(contents.length), ...contents];
/** A function type. */
export const funcType = (params: readonly number[], results: readonly number[]): number[] => [0x60, ...leb(params.length), ...params, ...leb(results.length), ...results];
/** A body: its size, runs of locals, and operators (the final `end` included). */
export const body = (code: readonly number[], locals: readonly (readonly [count: number, type: number])[] = []): number[] => {
  const contents = [...vec(locals.map(([count, type]) => [...leb(count), type])), ...code];
  return [...leb(contents.length), ...contents];
};

/** A whole module from its sections. */
export const module = (...sections: readonly (readonly number[])[]): Uint8Array => Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...sections.flat()]);

/** A module with one function of the given type, a memory of one page, and whatever sections are given besides (before the code section). */
export function oneFunction(params: readonly number[], results: readonly number[], code: readonly number[], locals: readonly (readonly [number, number])[] = []): Uint8Array {
  return module(section(1, vec([funcType(params, results)])), section(3, vec([[0]])), section(5, vec([[0, 1]])), section(10, vec([body(code, locals)])));
}

/** What parsing and validating says of some bytes: nothing, or its errors. Anything thrown but a CompileError gets out. */
export function judge(bytes: Uint8Array, options: Partial<ParseOptions> = {}): readonly Diagnostic[] {
  const { features, name: file = 'test.wasm' } = options;
  try {
    validateModule(parseModule(bytes, { name: file, features }), { name: file, features });
    return [];
  } catch (error) {
    if (error instanceof CompileError) return error.errors;
    throw error;
  }
}

/** A generator of numbers from 0 to n - 1 (a linear congruence): a failure can be run again from its seed. */
export function random(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}
