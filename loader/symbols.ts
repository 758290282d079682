/** What an artifact's file says of its code: the wasm functions and operators that addresses are of, their names, and the sources of these. Read when the first error needs it. */
import { MACHO_FRAMES, MACHO_SOURCES, SECTION_FRAMES, SECTION_SOURCES } from '../runtime-c/abi.js';
import { type ArtifactFile, readArtifactFile } from './artifact.js';
import { provideSymbols } from './backtrace.js';
import { readSections } from './elf-sections.js';
import { isMachO, readMachO } from './macho.js';
import { PlaceTable } from './place-table.js';

/** A wasm function that the module defines. */
export interface FunctionInfo {
  /** By the name section or an export. */
  readonly name: string | undefined;
  /** Offset of its body in the wasm file. */
  readonly offset: number;
}

/** What is known of an artifact. */
export interface Symbols {
  /** The hash of the wasm file, shortened as V8 does in its names of wasm scripts. */
  readonly script: string;
  /** A function by its index; undefined for imported ones. */
  functionAt(index: number): FunctionInfo | undefined;
  readonly frames: PlaceTable;
  readonly sources: PlaceTable | undefined;
}

/** Names and wasm offsets of the defined functions, in order: see NOTE_FUNCTIONS. */
function readFunctions({ functions, manifest }: ArtifactFile): FunctionInfo[] {
  if (!functions) return [];
  const count = functions.readUInt32LE(0);
  const symbols = functions.toString('utf8', 4 + 4 * count).split('\0');
  return Array.from({ length: count }, (_, i) => {
    const symbol = symbols[i];
    const suffix = ` [${manifest.functions.imported + i}]`; // where the plain name was taken, or means something to LLVM
    return { offset: functions.readUInt32LE(4 + 4 * i), name: symbol ? (symbol.endsWith(suffix) ? symbol.slice(0, -suffix.length) : symbol) : undefined };
  });
}

/** The place tables of an artifact, in either format. */
function readTables(bytes: Buffer): { frames: PlaceTable | undefined; sources: PlaceTable | undefined } {
  const macho = isMachO(bytes);
  const refuse = (what: string): never => { throw new RangeError(what); };
  const sections = macho ? readMachO(bytes, refuse).sections.map(({ name, start, end }) => ({ name, bytes: bytes.subarray(start, end) })) : readSections(bytes);
  const table = (wanted: string) => {
    const found = sections.find(({ name }) => name === wanted);
    return found && new PlaceTable(found.bytes);
  };
  return macho ? { frames: table(MACHO_FRAMES), sources: table(MACHO_SOURCES) } : { frames: table(SECTION_FRAMES), sources: table(SECTION_SOURCES) };
}

/** What a file that has been checked says of its code, whatever machine it is for; undefined when it has no frame table. */
export function readSymbols(file: ArtifactFile): Symbols | undefined {
  const { frames, sources } = readTables(file.bytes);
  const functions = readFunctions(file);
  const { imported } = file.manifest.functions;
  return frames && { script: file.manifest.source.sha256.slice(0, 8), functionAt: (index) => functions[index - imported], frames, sources };
}

const cache = new Map<string, Symbols | undefined>();

/** The symbols of the artifact with this hash; undefined when the file at its path is another one by now, or cannot be read. */
function symbolsOf(hash: string, path: string): Symbols | undefined {
  if (cache.has(hash)) return cache.get(hash);
  let symbols: Symbols | undefined;
  try {
    const file = readArtifactFile(path);
    if (file.header.hash === hash) symbols = readSymbols(file);
  } catch {
    // The error that is being reported matters more than its names.
  }
  cache.set(hash, symbols);
  return symbols;
}

provideSymbols(symbolsOf);
