/**
 * The source table of an artifact: which lines of which sources, and which functions of theirs that the module's producer inlined, each byte of the module's code comes from. Made of the DWARF in the
 * module's custom sections, or else of a source map. What is malformed in there costs lines in stacks, never the build.
 */
import type { Diagnostic } from '../diagnostics.js';
import type { ResolvedOptions } from '../options.js';
import type { WasmModule } from '../wasm/module.js';
import { DwarfError, type DwarfSections } from './dwarf-reader.js';
import { type LineSequence, type LineTable, readLineTables } from './dwarf-lines.js';
import { readScopes, type Scope, type ScopeTree } from './dwarf-scopes.js';
import { joinRows, type PaintedScope } from './place-rows.js';
import { PlaceTableWriter } from './place-table.js';
import { mapPath, pathOf } from './source-files.js';
import { readSourceMap } from './source-map.js';

/** The input's name, for warnings; what becomes of paths; how a source map is read. */
export type SourceTableOptions = Pick<ResolvedOptions, 'name' | 'pathMap' | 'readSourceMap'>;

export interface SourceTable { readonly table: Buffer | undefined; readonly warnings: readonly Diagnostic[] }

/** Offsets in the file of the code section's contents: what addresses of DWARF in wasm count from. */
function codeSection({ bytes }: WasmModule): { start: number; end: number } | undefined {
  const CODE = 10;
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at++];
    let size = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      size += (byte & 0x7f) * scale;
      if (byte < 0x80) break;
    }
    if (id === CODE) return { start: at, end: at + size };
    at += size;
  }
  return undefined;
}

function dwarfSections({ bytes, customSections }: WasmModule): DwarfSections {
  const sections = new Map<string, Uint8Array>();
  for (const { name, start, end } of customSections) if (name.startsWith('.debug_') && !sections.has(name)) sections.set(name, bytes.subarray(start, end));
  return sections;
}

/** Collects what is wrong: the first of it is said, and how much there was. */
class Complaints {
  private first: string | undefined;
  private count = 0;

  readonly report = (error: DwarfError): void => {
    this.first ??= error.message;
    this.count++;
  };

  warnings(file: string): Diagnostic[] {
    if (this.first === undefined) return [];
    const more = this.count > 1 ? ` (and ${this.count - 1} more)` : '';
    return [{ kind: 'malformed', message: `debugging information is malformed, and left out of stacks: ${this.first}${more}`, place: { file } }];
  }
}

/** Sequences of rows that lie in the code. Linkers leave the lines of what they removed at addresses before it, or far behind. */
function liveSequences(table: LineTable, size: number): LineSequence[] {
  return table.sequences.filter((rows) => rows[0].address > 0 && rows[rows.length - 1].address <= size);
}

/** Numbers the files of a unit in the writer, each path once. */
function fileNumbering(writer: PlaceTableWriter, table: LineTable, compDir: string, { pathMap }: SourceTableOptions): (file: number) => number {
  const numbers = new Map<number, number>();
  return (file) => {
    let number = numbers.get(file);
    if (number === undefined) {
      const path = pathOf(table, file, compDir);
      number = writer.string(path && mapPath(path, pathMap));
      numbers.set(file, number);
    }
    return number;
  };
}

/** Gives the writer the scopes; returns them as they are to be painted. */
function writeScopes(writer: PlaceTableWriter, tree: ScopeTree, start: number, fileOf: (scope: Scope) => number, report: (error: DwarfError) => void): PaintedScope[] {
  const numbers = new Map<Scope, number>();
  return tree.scopes.map((scope) => {
    let name: string | undefined;
    try {
      name = tree.nameOf(scope);
    } catch (error) {
      if (!(error instanceof DwarfError)) throw error;
      report(error);
    }
    const parent = scope.parent ? (numbers.get(scope.parent) as number) : 0;
    const number = writer.scope(parent, writer.string(name), fileOf(scope), scope.callLine, scope.callColumn);
    numbers.set(scope, number);
    return { number, depth: scope.depth, ranges: scope.ranges.map(([from, to]) => [from + start, to + start] as const) };
  });
}

/** The table of DWARF sections; undefined when they say nothing of the code. */
function tableFromDwarf(sections: DwarfSections, code: { start: number; end: number }, options: SourceTableOptions, report: (error: DwarfError) => void): Buffer | undefined {
  const size = code.end - code.start;
  const lines = readLineTables(sections, 4, report);
  const tree = readScopes(sections, ([start, end]) => start > 0 && start < end && end <= size, report);
  const compDirs = new Map(tree.units.map((unit) => [unit.stmtList, unit.compDir]));
  const writer = new PlaceTableWriter();
  const numberings = new Map([...lines].map(([offset, table]) => [offset, fileNumbering(writer, table, compDirs.get(offset) ?? '', options)]));
  const sequences = [...lines].flatMap(([offset, table]) => liveSequences(table, size).map((rows) => ({
    rows: rows.map((row) => ({ ...row, address: row.address + code.start })), fileOf: numberings.get(offset) as (file: number) => number,
  })));
  const fileOf = ({ parent, unit, callFile }: Scope) => (parent && unit.stmtList !== undefined ? (numberings.get(unit.stmtList)?.(callFile) ?? 0) : 0);
  const painted = writeScopes(writer, tree, code.start, fileOf, report);
  const rows = joinRows(sequences, painted);
  return rows.length > 0 ? writer.finish(rows) : undefined;
}

/** Makes the source table of a module. */
export function makeSourceTable(module: WasmModule, options: SourceTableOptions): SourceTable {
  const code = codeSection(module);
  if (!code) return { table: undefined, warnings: [] };
  const complaints = new Complaints();
  const sections = dwarfSections(module);
  const table = sections.has('.debug_line') ? tableFromDwarf(sections, code, options, complaints.report) : undefined;
  const warnings = complaints.warnings(options.name);
  if (table) return { table, warnings };
  const map = readSourceMap(module, code, options);
  return { table: map.table, warnings: [...warnings, ...map.warnings] };
}
