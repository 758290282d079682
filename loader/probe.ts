/**
 * Questions about V8's own Memory and Global objects that the JS API has no answer to (their type, a float's exact bits), put to V8 itself: it links a
 * module of a few bytes that imports the object, and refuses if the type does not match.
 */
import { ValType } from '../runtime-c/abi.js';
import type { ValueType } from './values.js';

/** V8's own, taken when the loader is: programs may replace the global WebAssembly, and do so to put this loader in its place. */
const { Module, Instance, LinkError } = WebAssembly;

const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

function leb(n: number): number[] {
  const bytes: number[] = [];
  for (; n > 0x7f; n = Math.floor(n / 128)) bytes.push((n % 128) | 0x80);
  return [...bytes, n];
}

const section = (id: number, body: number[]): number[] => [id, ...leb(body.length), ...body];
/** An import section with one import, whose module and field names are empty. */
const importSection = (desc: number[]): number[] => section(2, [1, 0, 0, ...desc]);

const modules = new Map<string, WebAssembly.Module>();

/** Links the object to a module with these sections; undefined when V8 refuses. Modules are kept, since the same few are asked for again and again. */
function link(object: WebAssembly.ImportValue, sections: number[]): WebAssembly.Instance | undefined {
  const key = String.fromCharCode(...sections);
  let module = modules.get(key);
  if (!module) {
    module = new Module(new Uint8Array([...HEADER, ...sections]));
    modules.set(key, module);
  }
  try {
    return new Instance(module, { '': { '': object } });
  } catch (error) {
    if (error instanceof LinkError) return undefined;
    throw error;
  }
}

/** Whether a memory can be imported with these limits, in pages. */
export function memoryMatches(memory: WebAssembly.Memory, min: number, max: number): boolean {
  return link(memory, importSection([2, 1, ...leb(min), ...leb(max)])) !== undefined;
}

/**
 * The value of V8's immutable global of type `type`: the bits (unsigned) of a number, or the reference itself. Undefined when it is no global of
 * that type, or a mutable one.
 */
export function readGlobal(global: WebAssembly.Global, type: ValueType): { value: unknown } | undefined {
  if (!Object.hasOwn(ValType, type) || type === 'v128') return undefined;
  const code = ValType[type as keyof typeof ValType];
  const isNumber = type !== 'funcref' && type !== 'externref';
  const result = type === 'i32' || type === 'f32' ? ValType.i32 : type === 'i64' || type === 'f64' ? ValType.i64 : code;
  const reinterpret = type === 'f32' ? [0xbc] : type === 'f64' ? [0xbd] : [];
  const body = [0, 0x23, 0, ...reinterpret, 0x0b];
  const instance = link(global, [
    ...section(1, [1, 0x60, 0, 1, result]),
    ...importSection([3, code, 0]),
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x76, 0, 0]),
    ...section(10, [1, body.length, ...body]),
  ]);
  if (!instance) return undefined;
  const value = (instance.exports.v as () => unknown)();
  if (!isNumber) return { value };
  return { value: BigInt.asUintN(result === ValType.i32 ? 32 : 64, BigInt(value as number | bigint)) };
}
