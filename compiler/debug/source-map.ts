/** Source maps of wasm (the custom section `sourceMappingURL`; WebAssembly tool conventions, "Source maps"): positions are byte offsets in the file, all on one line. */
import type { Diagnostic } from '../diagnostics.js';
import type { BuildOptions, ResolvedOptions } from '../options.js';
import { resolveFeatures } from '../wasm/features.js';
import type { WasmModule } from '../wasm/module.js';
import { parseModule } from '../wasm/parse.js';
import type { PlaceRow } from './place-rows.js';
import { PlaceTableWriter } from './place-table.js';
import { mapPath } from './source-files.js';

interface SourceMap { readonly version: number; readonly sources: readonly (string | null)[]; readonly sourceRoot?: string; readonly mappings: string }

type Options = Pick<ResolvedOptions, 'name' | 'pathMap' | 'readSourceMap'>;

/** The URL that the module names; undefined without one. */
function urlOf({ bytes, customSections }: WasmModule): string | undefined {
  const section = customSections.find(({ name }) => name === 'sourceMappingURL');
  if (!section) return undefined;
  // A name: its length in LEB128, its bytes.
  let at = section.start;
  while (at < section.end && bytes[at] >= 128) at++;
  return Buffer.from(bytes.subarray(at + 1, section.end)).toString('utf8');
}

/** The text behind a URL; undefined when it cannot be had. */
function fetchText(url: string, readFile: BuildOptions['readSourceMap']): string | undefined {
  const data = /^data:[^,]*?(;base64)?,(.*)$/s.exec(url);
  try {
    if (data) return data[1] ? Buffer.from(data[2], 'base64').toString('utf8') : decodeURIComponent(data[2]);
    const bytes = readFile?.(url);
    return bytes && Buffer.from(bytes).toString('utf8');
  } catch {
    return undefined;
  }
}

/** The text of the source map that a module names; undefined when it names none that can be had, or is no module. */
export function sourceMapText(bytes: Uint8Array, { readSourceMap, features }: Pick<BuildOptions, 'readSourceMap' | 'features'>): string | undefined {
  try {
    const url = urlOf(parseModule(bytes, { name: '', features: resolveFeatures(features) }));
    return url === undefined ? undefined : fetchText(url, readSourceMap);
  } catch {
    return undefined; // the compiler says why
  }
}

function parseMap(text: string): SourceMap | undefined {
  let map: Partial<SourceMap> | null;
  try {
    map = JSON.parse(text) as Partial<SourceMap> | null;
  } catch {
    return undefined;
  }
  const fits = map?.version === 3 && typeof map.mappings === 'string' && Array.isArray(map.sources) && map.sources.every((source) => source === null || typeof source === 'string');
  return fits && (map?.sourceRoot === undefined || map.sourceRoot === null || typeof map.sourceRoot === 'string') ? (map as SourceMap) : undefined;
}

const DIGITS = new Map([...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].map((digit, i) => [digit.charCodeAt(0), i]));

/** The numbers of a segment: base-64 digits of five bits, lowest first, the sign in the lowest bit. Undefined when it is none. */
function decodeSegment(text: string, start: number, end: number): number[] | undefined {
  const numbers: number[] = [];
  let [value, scale] = [0, 1];
  for (let i = start; i < end; i++) {
    const digit = DIGITS.get(text.charCodeAt(i));
    if (digit === undefined || scale > 2 ** 35) return undefined;
    value += (digit & 31) * scale;
    scale *= 32;
    if (digit & 32) continue;
    numbers.push(value % 2 === 1 ? -(value - 1) / 2 : value / 2);
    [value, scale] = [0, 1];
  }
  return scale === 1 ? numbers : undefined;
}

/** The rows that mappings stand for; undefined when they are malformed. */
function readMappings({ mappings }: SourceMap, fileOf: (source: number) => number, code: { start: number; end: number }): PlaceRow[] | undefined {
  const rows: PlaceRow[] = [];
  const line = mappings.split(';', 1)[0]; // the others would be of other lines, which wasm does not have
  let [offset, source, sourceLine, sourceColumn] = [0, 0, 0, 0];
  for (let start = 0; start < line.length;) {
    const comma = line.indexOf(',', start);
    const end = comma < 0 ? line.length : comma;
    const fields = decodeSegment(line, start, end);
    if (!fields || ![1, 4, 5].includes(fields.length)) return undefined;
    start = end + 1;
    offset += fields[0];
    if (fields.length > 1) [source, sourceLine, sourceColumn] = [source + fields[1], sourceLine + fields[2], sourceColumn + fields[3]];
    const place = fields.length > 1 ? { file: fileOf(source), line: sourceLine + 1, column: sourceColumn + 1 } : { file: 0, line: 0, column: 0 };
    if (offset >= code.start && offset < code.end) rows.push({ address: offset, scope: 0, ...place });
  }
  rows.push({ address: code.end, scope: 0, file: 0, line: 0, column: 0 });
  return rows.sort((a, b) => a.address - b.address);
}

/** The place table of the source map that a module names. A map that is missing or malformed is warned of. */
export function readSourceMap(module: WasmModule, code: { start: number; end: number }, options: Options): { table: Buffer | undefined; warnings: Diagnostic[] } {
  const url = urlOf(module);
  if (url === undefined) return { table: undefined, warnings: [] };
  const shown = url.startsWith('data:') ? 'in the module' : JSON.stringify(url);
  const without = (why: string) => ({ table: undefined, warnings: [{ kind: 'malformed' as const, message: `stacks will be without lines: the source map ${shown} ${why}`, place: { file: options.name } }] });
  const text = fetchText(url, options.readSourceMap);
  if (text === undefined) return without('cannot be read');
  const map = parseMap(text);
  if (!map) return without('is none of version 3');
  const writer = new PlaceTableWriter();
  const root = map.sourceRoot ? `${map.sourceRoot.replace(/\/$/, '')}/` : '';
  const files = map.sources.map((source) => (source === null ? 0 : writer.string(mapPath(root + source, options.pathMap))));
  const rows = readMappings(map, (source) => files[source] ?? 0, code);
  return rows ? { table: writer.finish(rows), warnings: [] } : without('has malformed mappings');
}
