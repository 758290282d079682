/** The frame table of an artifact: which wasm functions, and which operators, each address of its code is of. Made of the linked file's symbols and of what the code generator says of each object. */
import { assignSymbols, withoutLevel } from '../emit/symbols.js';
import type { WasmModule } from '../wasm/module.js';
import { type CodeRow, type FrameRows, readFrameRows, refuseCode } from './frame-rows.js';
import type { PlaceRow } from './place-rows.js';
import { PlaceTableWriter } from './place-table.js';

/** A function of a linked file: its code is at [start, end). */
export interface FunctionSymbol { readonly name: string; readonly start: number; readonly end: number }

/** What LLVM appends to the symbol of a copy that it makes of a function for certain arguments. */
const COPY = /\.specialized\.\d+(\.\d+)?$/;

/** The wasm functions among the functions of a linked file, in order, with their indices. */
function findWasmFunctions(symbols: readonly FunctionSymbol[], module: WasmModule): (FunctionSymbol & { readonly index: number })[] {
  const indices = new Map(assignSymbols(module).map((symbol, index) => [symbol, index]));
  return symbols.flatMap((symbol) => {
    const index = indices.get(withoutLevel(symbol.name)) ?? indices.get(withoutLevel(symbol.name.replace(COPY, '')));
    const isAdapter = index === undefined || index < module.importedFuncs;
    return isAdapter || symbol.end === symbol.start ? [] : [{ ...symbol, index }];
  }).sort((a, b) => a.start - b.start);
}

/** Collects the scopes of all objects; equal ones once. */
class Scopes {
  private readonly numbers = new Map<string, number>();
  private readonly byBody: ReadonlyMap<number, number>;

  constructor(private readonly writer: PlaceTableWriter, private readonly module: WasmModule) {
    this.byBody = new Map(module.bodies.map((body, i) => [body.offset, module.importedFuncs + i]));
  }

  /** The number in the table of a function's code, out of line or inlined into the scope `parent`, 0 for none. */
  add(parent: number, index: number, call: number): number {
    const key = `${parent} ${index} ${call}`;
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    const number = this.writer.scope(parent, index + 1, this.module.bodies[index - this.module.importedFuncs].offset, call, 0);
    this.numbers.set(key, number);
    return number;
  }

  /** The numbers of an object's scopes, in their order. */
  addAll({ scopes }: FrameRows): number[] {
    const made: number[] = [];
    for (const { parent, body, call } of scopes) made.push(this.add(parent === 0 ? 0 : made[parent - 1], this.byBody.get(body) ?? refuseCode(`no function is at ${body}`), call));
    return made;
  }
}

/** Makes the frame table of a linked artifact. */
export function makeFrameTable(symbols: readonly FunctionSymbol[], objects: readonly Uint8Array[], module: WasmModule): Buffer {
  const writer = new PlaceTableWriter();
  const scopes = new Scopes(writer, module);
  const known = new Map<string, readonly CodeRow[]>();
  for (const object of objects) {
    const found = readFrameRows(object);
    const numbers = scopes.addAll(found);
    for (const { symbol, rows } of found.functions) known.set(symbol, rows.map((row) => ({ ...row, scope: row.scope === 0 ? 0 : numbers[row.scope - 1] })));
  }
  const rows: PlaceRow[] = [];
  const add = (address: number, scope: number, line: number): void => {
    if (rows.at(-1)?.address === address) rows.pop();
    const last = rows.at(-1);
    if (last ? last.scope !== scope || last.line !== line : scope !== 0) rows.push({ address, scope, file: 0, line, column: 0 });
  };
  for (const { name, start, end, index } of findWasmFunctions(symbols, module)) {
    add(start, scopes.add(0, index, 0), 0);
    for (const { distance, scope, offset } of known.get(name) ?? refuseCode(`${name} has no frame rows`)) {
      if (distance >= end - start) refuseCode(`${name} has a frame row behind its end`);
      add(start + distance, scope, offset);
    }
    add(end, 0, 0);
  }
  return writer.finish(rows);
}
