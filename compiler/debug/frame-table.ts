/** The frame table of an artifact: which wasm function, and with -g which operator, each address of its code is of. Made of the linked file's symbols and of the DWARF that LLVM wrote for it. */
import { type ElfSection, readFunctionSymbols, readSections } from '../../loader/elf-sections.js';
import { CompileError } from '../diagnostics.js';
import { assignSymbols } from '../emit/symbols.js';
import type { WasmModule } from '../wasm/module.js';
import type { DwarfError } from './dwarf-reader.js';
import { readLineTables } from './dwarf-lines.js';
import { readScopes, type Scope } from './dwarf-scopes.js';
import { joinRows, type PaintedScope } from './place-rows.js';
import { PlaceTableWriter } from './place-table.js';

/** What LLVM appends to the symbol of a copy that it makes of a function for certain arguments. */
const COPY = /\.specialized\.\d+(\.\d+)?$/;

/** Writes a scope for each wasm function that has code of its own; gives them by the function's index. */
function writeFunctions(writer: PlaceTableWriter, sections: readonly ElfSection[], module: WasmModule): Map<number, PaintedScope> {
  const indices = new Map(assignSymbols(module).map((symbol, index) => [symbol, index]));
  const ranges = new Map<number, [number, number][]>();
  for (const { name, start, end } of readFunctionSymbols(sections)) {
    const index = indices.get(name) ?? indices.get(name.replace(COPY, ''));
    if (index === undefined || index < module.importedFuncs || end === start) continue; // an adapter
    ranges.set(index, [...(ranges.get(index) ?? []), [start, end]]);
  }
  return new Map([...ranges].map(([index, own]) => [index, { number: writer.scope(0, index + 1, module.bodies[index - module.importedFuncs].offset, 0, 0), depth: 0, ranges: own }]));
}

const refuse = (error: DwarfError): never => {
  throw new CompileError({ kind: 'internal', message: `the artifact's own debugging information cannot be read: ${error.message}` });
};

/** Adds what LLVM inlined; returns the function of each scope, by its number, and all scopes. */
function writeInlined(writer: PlaceTableWriter, sections: ReadonlyMap<string, Uint8Array>, functions: ReadonlyMap<number, PaintedScope>, indexAt: (offset: number) => number | undefined): PaintedScope[] {
  const own = [...functions.values()].flatMap(({ ranges }) => ranges);
  const [low, high] = [own.reduce((min, [start]) => Math.min(min, start), Number.POSITIVE_INFINITY), own.reduce((max, [, end]) => Math.max(max, end), 0)];
  const tree = readScopes(sections, ([start, end]) => start >= low && start < end && end <= high, refuse);
  const numbers = new Map<Scope, number>();
  const painted: PaintedScope[] = [];
  for (const scope of tree.scopes) {
    const index = indexAt(tree.declarationOf(scope) ?? 0);
    const parent = scope.parent && numbers.get(scope.parent);
    const number = index === undefined ? undefined : scope.parent ? parent && writer.scope(parent, index + 1, tree.declarationOf(scope) as number, scope.callLine, 0) : functions.get(index)?.number;
    if (number === undefined) continue;
    numbers.set(scope, number);
    if (scope.parent) painted.push({ number, depth: scope.depth, ranges: scope.ranges });
  }
  return painted;
}

/** Makes the frame table of a linked artifact. @param debug whether it was compiled with -g. */
export function makeFrameTable(elf: Buffer, module: WasmModule, debug: boolean): Buffer {
  const sections = readSections(elf);
  const writer = new PlaceTableWriter();
  const functions = writeFunctions(writer, sections, module);
  const painted = [...functions.values()];
  if (!debug) return writer.finish(joinRows([], painted));
  const dwarf = new Map(sections.filter(({ name }) => name.startsWith('.debug_')).map(({ name, bytes }) => [name, bytes]));
  const byOffset = new Map(module.bodies.map((body, i) => [body.offset, module.importedFuncs + i]));
  painted.push(...writeInlined(writer, dwarf, functions, (offset) => byOffset.get(offset)));
  const sequences = [...readLineTables(dwarf, 8, refuse).values()].flatMap((table) => table.sequences.map((rows) => ({ rows, fileOf: () => 0 })));
  // Lines and columns of adapters, if there were any, are nobody's.
  return writer.finish(joinRows(sequences, painted, (line, scope) => (scope === 0 ? 0 : line)));
}
