/**
 * The oracle of the fuel law: rewrites a module so that any engine counts its fuel in the plainest way, one addition to a global before every operator. Nothing
 * of the compiler's metering is used, only the reader (for the operators' boundaries) and a price list.
 */
import type { Operator } from '../../compiler/wasm/module.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { readOperator } from '../../compiler/wasm/read-operator.js';
import { Reader } from '../../compiler/wasm/reader.js';

/** Name of the exported i64 global that counts. */
export const COUNTER = '$consumed';

/** Unsigned LEB128 (spec 5.2.2). */
function leb(value: number): number[] {
  const out: number[] = [];
  do {
    out.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value = Math.floor(value / 128);
  } while (value > 0);
  return out;
}

/** Signed LEB128 of a small non-negative number. */
function sleb(value: number): number[] {
  const out = leb(value);
  if (out[out.length - 1] & 0x40) {
    out[out.length - 1] |= 0x80;
    out.push(0);
  }
  return out;
}

/** The prices of the profile wasmtime-1, written down once more from its definition. */
export const wasmtimePrice = (name: string): number => (['nop', 'drop', 'block', 'loop', 'unreachable', 'return', 'else', 'end'].includes(name) ? 0 : 1);

const section = (id: number, body: readonly number[]) => [id, ...leb(body.length), ...body];

interface Section { readonly id: number; readonly start: number; readonly end: number }

function readSections(bytes: Uint8Array): Section[] {
  const reader = new Reader(bytes, 8);
  const sections: Section[] = [];
  while (reader.pos < bytes.length) {
    const id = reader.u8();
    const size = reader.u32();
    sections.push({ id, start: reader.pos, end: reader.pos + size });
    reader.pos += size;
  }
  return sections;
}

/** A vector section with more entries. */
function appended(bytes: Uint8Array, found: Section | undefined, id: number, entries: readonly (readonly number[])[]): number[] {
  if (!found) return section(id, [...leb(entries.length), ...entries.flat()]);
  const reader = new Reader(bytes, found.start, found.end);
  const count = reader.u32();
  return section(id, [...leb(count + entries.length), ...bytes.subarray(reader.pos, found.end), ...entries.flat()]);
}

/** The order of sections (spec 5.5.2): by id, but that the data count (12) comes before code (10). */
const rank = (id: number) => (id === 12 ? 9.5 : id);

/** The module with some sections replaced or added; custom sections are left out. */
function withSections(bytes: Uint8Array, sections: readonly Section[], replaced: ReadonlyMap<number, readonly number[]>): Uint8Array {
  const plain = sections.filter((s) => s.id !== 0);
  const ids = [...new Set([...plain.map((s) => s.id), ...replaced.keys()])].sort((a, b) => rank(a) - rank(b));
  const out: number[] = [...bytes.subarray(0, 8)];
  for (const id of ids) {
    const old = plain.find((s) => s.id === id);
    const part = replaced.get(id) ?? section(id, [...bytes.subarray((old as Section).start, (old as Section).end)]);
    for (const byte of part) out.push(byte);
  }
  return Uint8Array.from(out);
}

/** Kinds of exports, by their code in the binary format. */
const KIND = { func: 0, table: 1, memory: 2, global: 3 } as const;
const exportEntry = (name: string, kind: keyof typeof KIND, index: number) => {
  const bytes = [...Buffer.from(name)];
  return [...leb(bytes.length), ...bytes, KIND[kind], ...leb(index)];
};

/** The module without its start section: that function is exported instead, so that it can be called, and its fuel counted, like others. */
export function exposeStart(bytes: Uint8Array, start: number, name: string): Uint8Array {
  const sections = readSections(bytes);
  const entries = [exportEntry(name, 'func', start)];
  return withSections(bytes, sections.filter((s) => s.id !== 8), new Map([[7, appended(bytes, sections.find((s) => s.id === 7), 7, entries)]]));
}

/** The module with other bodies, one for each that it has: locals and operators, without the size in front. */
export function replaceBodies(bytes: Uint8Array, bodies: readonly Uint8Array[]): Uint8Array {
  const contents = [...leb(bodies.length), ...bodies.flatMap((body) => [...leb(body.length), ...body])];
  return withSections(bytes, readSections(bytes), new Map([[10, section(10, contents)]]));
}

/** The module with more exports, to look at its state from outside. */
export function addExports(bytes: Uint8Array, exports: readonly { name: string; kind: keyof typeof KIND; index: number }[]): Uint8Array {
  const sections = readSections(bytes);
  const entries = exports.map(({ name, kind, index }) => exportEntry(name, kind, index));
  return withSections(bytes, sections, new Map([[7, appended(bytes, sections.find((s) => s.id === 7), 7, entries)]]));
}

/**
 * The module with a counter: charges the price before each operator, and 1 at each function's entry.
 * @param price fuel of one execution of an operator, below 2^31.
 * @param limit when given, below 2^31: the code ends by `unreachable` soon after the counter has passed it, at the next loop's header or function's entry.
 */
export function injectMetering(bytes: Uint8Array, price: (name: string) => number = wasmtimePrice, limit?: number): Uint8Array {
  const module = parseModule(bytes, { name: 'oracle' });
  const counter = leb(module.globals.length);
  const charge = (cost: number) => (cost === 0 ? [] : [0x23, ...counter, 0x42, ...sleb(cost), 0x7c, 0x24, ...counter]);
  const stop = limit === undefined ? [] : [0x23, ...counter, 0x42, ...sleb(limit), 0x55, 0x04, 0x40, 0x00, 0x0b];
  const bodies = module.bodies.map((body) => {
    const out = [...bytes.subarray(body.offset, body.codeStart), ...charge(1), ...stop];
    const reader = new Reader(bytes, body.codeStart, body.codeEnd);
    while (reader.pos < body.codeEnd) {
      const operator: Operator = readOperator(reader);
      for (const byte of charge(price(operator.op.name))) out.push(byte);
      for (let i = operator.offset; i < reader.pos; i++) out.push(bytes[i]);
      if (operator.op.name === 'loop') for (const byte of stop) out.push(byte);
    }
    return out;
  });
  const sections = readSections(bytes);
  const find = (id: number) => sections.find((s) => s.id === id);
  const replaced = new Map([
    [6, appended(bytes, find(6), 6, [[0x7e, 1, 0x42, 0, 0x0b]])],
    [7, appended(bytes, find(7), 7, [exportEntry(COUNTER, 'global', module.globals.length)])],
  ]);
  if (bodies.length > 0) replaced.set(10, section(10, [...leb(bodies.length), ...bodies.flatMap((body) => leb(body.length).concat(body))]));
  return withSections(bytes, sections, replaced);
}
