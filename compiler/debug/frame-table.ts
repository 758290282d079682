/** The frame table of an artifact: which wasm function, and with -g which operator, each address of its code is of. Made of the linked file's symbols and of the DWARF that LLVM wrote for it. */
import { CompileError } from '../diagnostics.js';
import { assignSymbols, withoutLevel } from '../emit/symbols.js';
import type { WasmModule } from '../wasm/module.js';
import type { DwarfError } from './dwarf-reader.js';
import { readLineTables } from './dwarf-lines.js';
import { readScopes, type Scope } from './dwarf-scopes.js';
import type { FunctionSymbol, LinkedCode, ObjectDebug } from './linked-code.js';
import { joinRows, type PaintedScope } from './place-rows.js';
import { PlaceTableWriter } from './place-table.js';

/** What LLVM appends to the symbol of a copy that it makes of a function for certain arguments. */
const COPY = /\.specialized\.\d+(\.\d+)?$/;

/** Writes a scope for each wasm function that has code of its own; gives them by the function's index. */
function writeFunctions(writer: PlaceTableWriter, symbols: readonly FunctionSymbol[], module: WasmModule): Map<number, PaintedScope> {
  const indices = new Map(assignSymbols(module).map((symbol, index) => [symbol, index]));
  const ranges = new Map<number, [number, number][]>();
  for (const { name, start, end } of symbols) {
    const index = indices.get(withoutLevel(name)) ?? indices.get(withoutLevel(name.replace(COPY, '')));
    if (index === undefined || index < module.importedFuncs || end === start) continue; // an adapter
    ranges.set(index, [...(ranges.get(index) ?? []), [start, end]]);
  }
  return new Map([...ranges].map(([index, own]) => [index, { number: writer.scope(0, index + 1, module.bodies[index - module.importedFuncs].offset, 0, 0), depth: 0, ranges: own }]));
}

const refuse = (error: DwarfError): never => {
  throw new CompileError({ kind: 'internal', message: `the artifact's own debugging information cannot be read: ${error.message}` });
};

/** Adds what LLVM inlined into the functions, whose scopes are given by their indices; returns the scopes of that. */
function writeInlined(writer: PlaceTableWriter, { sections, shift }: ObjectDebug, functions: ReadonlyMap<number, PaintedScope>, indexAt: (offset: number) => number | undefined): PaintedScope[] {
  const own = [...functions.values()].flatMap(({ ranges }) => ranges);
  const low = own.reduce((min, [start]) => Math.min(min, start), Number.POSITIVE_INFINITY) - shift;
  const high = own.reduce((max, [, end]) => Math.max(max, end), 0) - shift;
  const tree = readScopes(sections, ([start, end]) => start >= low && start < end && end <= high, refuse);
  const numbers = new Map<Scope, number>();
  const painted: PaintedScope[] = [];
  for (const scope of tree.scopes) {
    const index = indexAt(tree.declarationOf(scope) ?? 0);
    const parent = scope.parent && numbers.get(scope.parent);
    const number = index === undefined ? undefined : scope.parent ? parent && writer.scope(parent, index + 1, tree.declarationOf(scope) as number, scope.callLine, 0) : functions.get(index)?.number;
    if (number === undefined) continue;
    numbers.set(scope, number);
    if (scope.parent) painted.push({ number, depth: scope.depth, ranges: scope.ranges.map(([start, end]) => [start + shift, end + shift]) });
  }
  return painted;
}

/** The lines of an object, at the addresses that the linker gave to its code. */
function readLines({ sections, shift }: ObjectDebug) {
  const sequences = [...readLineTables(sections, 8, refuse).values()].flatMap((table) => table.sequences);
  return sequences.map((rows) => ({ rows: rows.map((row) => ({ ...row, address: row.address + shift })), fileOf: () => 0 }));
}

/** Makes the frame table of a linked artifact. */
export function makeFrameTable({ functions: symbols, debug }: LinkedCode, module: WasmModule): Buffer {
  const writer = new PlaceTableWriter();
  const functions = writeFunctions(writer, symbols, module);
  const painted = [...functions.values()];
  const byOffset = new Map(module.bodies.map((body, i) => [body.offset, module.importedFuncs + i]));
  for (const object of debug) painted.push(...writeInlined(writer, object, functions, (offset) => byOffset.get(offset)));
  // Lines and columns of adapters, if there were any, are nobody's.
  return writer.finish(joinRows(debug.flatMap(readLines), painted, (line, scope) => (scope === 0 ? 0 : line)));
}
