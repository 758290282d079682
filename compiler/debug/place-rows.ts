/** From lines and functions, which DWARF has apart, to rows: what each address stands for, in order. */
import type { LineSequence } from './dwarf-lines.js';
import type { Range } from './dwarf-scopes.js';

/** From `address` up to the next row. Scope 0: no function; file 0, line 0, column 0: not known. */
export interface PlaceRow { readonly address: number; readonly scope: number; readonly file: number; readonly line: number; readonly column: number }

/** Code of a function, numbered from 1; what is inlined into it is deeper. */
export interface PaintedScope { readonly number: number; readonly depth: number; readonly ranges: readonly Range[] }

interface Change { readonly address: number; readonly scope: number }

/** The deepest scope at each address, as changes in order. */
export function paintScopes(scopes: readonly PaintedScope[]): Change[] {
  const spans = scopes.flatMap(({ number, depth, ranges }) => ranges.map(([start, end]) => ({ start, end, depth, number })));
  spans.sort((a, b) => a.start - b.start || a.depth - b.depth || b.end - a.end || a.number - b.number);
  const changes: Change[] = [];
  const open: typeof spans = [];
  const closeUpTo = (address: number) => {
    for (let top = open.at(-1); top && top.end <= address; top = open.at(-1)) {
      open.pop();
      // What began earlier and has ended meanwhile is not shown again.
      while (open.length > 0 && (open.at(-1) as typeof top).end <= top.end) open.pop();
      changes.push({ address: top.end, scope: open.at(-1)?.number ?? 0 });
    }
  };
  for (const span of spans) {
    closeUpTo(span.start);
    open.push(span);
    changes.push({ address: span.start, scope: span.number });
  }
  closeUpTo(Number.POSITIVE_INFINITY);
  return changes;
}

/** Lines as changes in order. `fileOf` numbers the files of all units. Where sequences overlap, as only malformed ones do, the first counts. */
function flattenLines(sequences: readonly { rows: LineSequence; fileOf: (file: number) => number }[]): Omit<PlaceRow, 'scope'>[] {
  const sorted = [...sequences].sort((a, b) => a.rows[0].address - b.rows[0].address);
  const flat: Omit<PlaceRow, 'scope'>[] = [];
  let end = 0;
  for (const { rows, fileOf } of sorted) {
    if (rows[0].address < end) continue;
    for (const { address, file, line, column } of rows.slice(0, -1)) flat.push({ address, file: fileOf(file), line, column });
    end = rows[rows.length - 1].address;
    flat.push({ address: end, file: 0, line: 0, column: 0 });
  }
  return flat;
}

/** Joins lines and scopes. Of several rows at one address the last counts, as in DWARF; rows that change nothing are left out. */
export function joinRows(sequences: readonly { rows: LineSequence; fileOf: (file: number) => number }[], scopes: readonly PaintedScope[]): PlaceRow[] {
  const lines = flattenLines(sequences);
  const changes = paintScopes(scopes);
  const rows: PlaceRow[] = [];
  let [scope, file, line, column] = [0, 0, 0, 0];
  for (let i = 0, j = 0; i < lines.length || j < changes.length;) {
    const address = Math.min(lines[i]?.address ?? Number.POSITIVE_INFINITY, changes[j]?.address ?? Number.POSITIVE_INFINITY);
    for (; j < changes.length && changes[j].address === address; j++) ({ scope } = changes[j]);
    for (; i < lines.length && lines[i].address === address; i++) ({ file, line, column } = lines[i]);
    const last = rows.at(-1);
    if (last ? last.scope !== scope || last.file !== file || last.line !== line || last.column !== column : scope !== 0 || file !== 0) rows.push({ address, scope, file, line, column });
  }
  return rows;
}
