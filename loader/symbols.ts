/** What an artifact's file says of its functions: symbols, the compiler's table of them, and line tables. Read when the first error needs it. */
import { type ArtifactFile, readArtifactFile } from './artifact.js';
import { readLines } from './line-table.js';

/** A function of an artifact, by the addresses of its code. */
export interface CodeRange { readonly start: number; readonly end: number; readonly index: number; readonly name: string | undefined; readonly offset: number }

/** The functions of an artifact. */
export interface Symbols {
  /** The hash of the wasm file, shortened as V8 does in its names of wasm scripts. */
  readonly script: string;
  /** By address; code that is no wasm function's is missing. */
  readonly ranges: readonly CodeRange[];
  /** By wasm function, in the order of their offsets. */
  readonly byOffset: readonly CodeRange[];
  /** The byte offset in the wasm file of the operator at an address; undefined without line tables. */
  lineOf(address: number): number | undefined;
}

const SECTION_SIZE = 64;
const SYMBOL_SIZE = 24;
const SHT_SYMTAB = 2;
const STT_FUNC = 2;

interface Section { readonly name: string; readonly type: number; readonly bytes: Buffer; readonly link: number }

function readSections(bytes: Buffer): Section[] {
  const table = Number(bytes.readBigUInt64LE(40));
  const headers = Array.from({ length: bytes.readUInt16LE(60) }, (_, i) => bytes.subarray(table + i * SECTION_SIZE, table + (i + 1) * SECTION_SIZE));
  const content = (header: Buffer) => {
    const offset = Number(header.readBigUInt64LE(24));
    return bytes.subarray(offset, offset + Number(header.readBigUInt64LE(32)));
  };
  const names = content(headers[bytes.readUInt16LE(62)]);
  return headers.map((header) => ({ name: textAt(names, header.readUInt32LE(0)), type: header.readUInt32LE(4), bytes: content(header), link: header.readUInt32LE(40) }));
}

const textAt = (bytes: Buffer, start: number): string => bytes.toString('utf8', start, bytes.indexOf(0, start));

/** Index and wasm offset of the defined functions, by symbol. */
function readFunctions({ functions, manifest }: ArtifactFile): Map<string, { index: number; offset: number; name: string | undefined }> {
  const table = new Map<string, { index: number; offset: number; name: string | undefined }>();
  if (!functions) return table;
  const count = functions.readUInt32LE(0);
  const symbols = functions.toString('utf8', 4 + 4 * count).split('\0');
  for (let i = 0; i < count; i++) {
    const index = manifest.functions.imported + i;
    const symbol = symbols[i];
    const suffix = ` [${index}]`; // where the plain name was taken, or means something to LLVM
    table.set(symbol || `func[${index}]`, { index, offset: functions.readUInt32LE(4 + 4 * i), name: symbol ? (symbol.endsWith(suffix) ? symbol.slice(0, -suffix.length) : symbol) : undefined });
  }
  return table;
}

function readRanges(sections: readonly Section[], functions: ReturnType<typeof readFunctions>): CodeRange[] {
  const symtab = sections.find((section) => section.type === SHT_SYMTAB);
  const ranges: CodeRange[] = [];
  if (!symtab) return ranges;
  for (let at = 0; at + SYMBOL_SIZE <= symtab.bytes.length; at += SYMBOL_SIZE) {
    if ((symtab.bytes[at + 4] & 15) !== STT_FUNC) continue;
    const known = functions.get(textAt(sections[symtab.link].bytes, symtab.bytes.readUInt32LE(at)));
    if (!known) continue;
    const start = Number(symtab.bytes.readBigUInt64LE(at + 8));
    ranges.push({ start, end: start + Number(symtab.bytes.readBigUInt64LE(at + 16)), ...known });
  }
  return ranges.sort((a, b) => a.start - b.start);
}

/** The last element whose key is at most `value`. */
export function findLast<T>(sorted: readonly T[], key: (element: T) => number, value: number): T | undefined {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (key(sorted[middle]) <= value) low = middle + 1;
    else high = middle;
  }
  return sorted[low - 1];
}

const cache = new Map<string, Symbols | undefined>();

/** The symbols of the artifact with this hash; undefined when the file at its path is another one by now, or cannot be read. */
export function symbolsOf(hash: string, path: string): Symbols | undefined {
  if (cache.has(hash)) return cache.get(hash);
  let symbols: Symbols | undefined;
  try {
    const file = readArtifactFile(path);
    if (file.header.hash === hash) {
      const sections = readSections(file.bytes);
      const ranges = readRanges(sections, readFunctions(file));
      const rows = readLines(sections.find((section) => section.name === '.debug_line')?.bytes);
      symbols = {
        script: file.manifest.source.sha256.slice(0, 8),
        ranges,
        byOffset: [...ranges].sort((a, b) => a.offset - b.offset),
        lineOf: (address) => findLast(rows, (row) => row.address, address)?.line || undefined,
      };
    }
  } catch {
    // The error that is being reported matters more than its names.
  }
  cache.set(hash, symbols);
  return symbols;
}
