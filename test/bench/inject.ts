/**
 * Metering as it is usually injected into a module for an engine that has none (the way of the smart-contract chains' instrumenters): fuel in a mutable global; a
 * charge for each basic block, at its start; a check at each function's entry and each loop's header. It is what a careful user would do: blocks are as large
 * as control flow allows, and calls do not end them. Prices are those of the profile wasmtime-1, so that at a normal return it must agree with our own metering.
 */
import type { FuncBody, Operator, WasmModule } from '../../compiler/wasm/module.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { readOperator } from '../../compiler/wasm/read-operator.js';
import { Reader } from '../../compiler/wasm/reader.js';

/** Name of the exported i64 global that holds the fuel that is left. */
export const FUEL_GLOBAL = '$fuel';
/** What the global starts with: 2^62. */
export const INITIAL_FUEL = 2n ** 62n;

/** Signed LEB128 (spec 5.2.2). */
function sleb(value: bigint): number[] {
  const out: number[] = [];
  for (;;) {
    const byte = Number(value & 0x7fn);
    value >>= 7n;
    const done = (value === 0n && (byte & 0x40) === 0) || (value === -1n && (byte & 0x40) !== 0);
    out.push(done ? byte : byte | 0x80);
    if (done) return out;
  }
}
/** Unsigned LEB128. */
function leb(value: number): number[] {
  const out: number[] = [];
  for (; value > 0x7f; value >>>= 7) out.push((value & 0x7f) | 0x80);
  return [...out, value];
}

/** A basic block: `at` is the file offset where its charge goes; `check` where fuel must be compared as well. */
interface Block { readonly at: number; cost: number; readonly check: boolean }
interface Label { readonly kind: string; targeted: boolean }

/** Operators after which control does not go on; code up to the next label is dead, and free. */
const LEAVES = new Set(['br', 'br_table', 'return', 'unreachable']);

/** The basic blocks of a function, in order. */
function findBlocks(bytes: Uint8Array, body: FuncBody): Block[] {
  const labels: Label[] = [{ kind: 'function', targeted: true }];
  const reader = new Reader(bytes, body.codeStart, body.codeEnd);
  // Entering the function costs 1.
  let current: Block = { at: body.codeStart, cost: 1, check: true };
  const blocks = [current];
  const begin = (check = false) => {
    current = { at: reader.pos, cost: 0, check };
    blocks.push(current);
  };
  const target = (depth: number) => {
    const label = labels[labels.length - 1 - depth];
    if (label.kind !== 'loop') label.targeted = true;
  };
  while (reader.pos < body.codeEnd) {
    const operator: Operator = readOperator(reader);
    const { name } = operator.op;
    current.cost += operator.op.cost;
    if (name === 'block' || name === 'loop' || name === 'if') labels.push({ kind: name, targeted: name === 'if' });
    if (name === 'br' || name === 'br_if') target(operator.a);
    if (name === 'br_table') for (const depth of operator.labels ?? []) target(depth);
    if (name === 'loop') begin(true);
    else if (name === 'if' || name === 'else' || name === 'br_if' || LEAVES.has(name)) begin();
    else if (name === 'end' && labels.pop()?.targeted && labels.length > 0) begin();
  }
  return blocks;
}

/** The body with its charges: the bytes after the size. */
function meterBody(bytes: Uint8Array, body: FuncBody, global: readonly number[]): number[] {
  const out: number[] = [];
  let from = body.offset;
  for (const { at, cost, check } of findBlocks(bytes, body)) {
    if (at >= body.codeEnd) break;
    for (; from < at; from++) out.push(bytes[from]);
    // global.get, i64.const, i64.sub, global.set; then global.get, i64.const 0, i64.lt_s, if, unreachable, end.
    if (cost > 0) out.push(0x23, ...global, 0x42, ...sleb(BigInt(cost)), 0x7d, 0x24, ...global);
    if (check) out.push(0x23, ...global, 0x42, 0, 0x53, 0x04, 0x40, 0x00, 0x0b);
  }
  for (; from < body.codeEnd; from++) out.push(bytes[from]);
  return out;
}

/** A section's contents with one more entry: a vector's count and its bytes. Without the section: one of that entry alone. */
function append(section: Uint8Array | undefined, entry: readonly number[]): Uint8Array {
  const reader = new Reader(section ?? Uint8Array.of(0), 0, section?.length ?? 1);
  const count = reader.u32();
  return Buffer.concat([Uint8Array.from(leb(count + 1)), section?.subarray(reader.pos) ?? new Uint8Array(), Uint8Array.from(entry)]);
}

/** The code section, metered. */
function meterCode(module: WasmModule, global: readonly number[]): number[] {
  const out = leb(module.bodies.length);
  for (const body of module.bodies) {
    const metered = meterBody(module.bytes, body, global);
    out.push(...leb(metered.length));
    for (const byte of metered) out.push(byte);
  }
  return out;
}

/** The sections' numbers in the order in which a module has them (spec 5.5.2). */
const ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/** The contents of a module's sections, by number, without the custom ones. */
function readSections(bytes: Uint8Array): Map<number, Uint8Array> {
  const sections = new Map<number, Uint8Array>();
  for (const reader = new Reader(bytes, 8); reader.pos < bytes.length;) {
    const id = reader.u8();
    const size = reader.u32();
    if (id !== 0) sections.set(id, bytes.subarray(reader.pos, reader.pos + size));
    reader.pos += size;
  }
  return sections;
}

/** The module with block-wise metering. Custom sections are left out. */
export function injectBlockMetering(bytes: Uint8Array): Uint8Array {
  const module = parseModule(bytes, { name: 'module' });
  const index = leb(module.globals.length);
  const name = [...Buffer.from(FUEL_GLOBAL)];
  const sections = readSections(bytes);
  sections.set(6, append(sections.get(6), [0x7e, 1, 0x42, ...sleb(INITIAL_FUEL), 0x0b]));
  sections.set(7, append(sections.get(7), [...leb(name.length), ...name, 3, ...index]));
  if (sections.has(10)) sections.set(10, Uint8Array.from(meterCode(module, index)));
  const out: number[] = [...bytes.subarray(0, 8)];
  for (const id of ORDER) {
    const section = sections.get(id);
    if (section === undefined) continue;
    out.push(id, ...leb(section.length));
    for (let i = 0; i < section.length; i++) out.push(section[i]);
  }
  return Uint8Array.from(out);
}
