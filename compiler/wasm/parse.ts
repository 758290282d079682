/** Decoding a module: header, sections in their order, names. Function bodies are left as byte ranges (spec 2.0, 5.5). */
import { DEFAULT_FEATURES, type FeatureSet, notSupported, Proposal } from './features.js';
import { Limit } from './limits.js';
import type { ConstExpr, WasmModule } from './module.js';
import { type ModuleNames, readNameSection } from './names.js';
import { Reader } from './reader.js';
import {
  checkBodyCount, type Draft, failDataCount, readCodeSection, readDataCountSection, readDataSection, readElementSection, readExportSection, readFunctionSection,
  readGlobalSection, readImportSection, readMemorySection, type ReadSection, readStartSection, readTableSection, readTypeSection,
} from './sections.js';

export interface ParseOptions {
  /** Name of the file, for messages. */
  readonly name: string;
  /** Features that are on. Default: `DEFAULT_FEATURES`. */
  readonly features?: FeatureSet;
}

const CUSTOM = 0;
/** The sections in the order in which they must come; the id is the format's. */
const SECTIONS: readonly { readonly id: number; readonly name: string; readonly read: ReadSection }[] = [
  { id: 1, name: 'type', read: readTypeSection },
  { id: 2, name: 'import', read: readImportSection },
  { id: 3, name: 'function', read: readFunctionSection },
  { id: 4, name: 'table', read: readTableSection },
  { id: 5, name: 'memory', read: readMemorySection },
  { id: 6, name: 'global', read: readGlobalSection },
  { id: 7, name: 'export', read: readExportSection },
  { id: 8, name: 'start', read: readStartSection },
  { id: 9, name: 'element', read: readElementSection },
  { id: 12, name: 'data count', read: readDataCountSection },
  { id: 10, name: 'code', read: readCodeSection },
  { id: 11, name: 'data', read: readDataSection },
];
const TAG_SECTION = 13;

/**
 * Decodes a module. The bytes are kept, not copied: they must not change while the module is in use.
 * @throws {CompileError} `malformed` with the byte offset; `unsupported` for a feature that is off or not supported and for an implementation
 * limit (limits.ts); `invalid` for a constant expression that is none. All other rules of validity are `validateModule`'s, and
 * so is everything inside function bodies but their locals.
 */
export function parseModule(bytes: Uint8Array, options: ParseOptions): WasmModule {
  const features = options.features ?? DEFAULT_FEATURES;
  const reader = new Reader(bytes, 0, bytes.length, { file: options.name });
  readHeader(reader);
  const draft = newDraft();
  const customSections: { name: string; start: number; end: number }[] = [];
  let names: ModuleNames | undefined;
  let next = 0; // rank of the first section that may come now
  while (reader.pos < reader.end) {
    const offset = reader.pos;
    const id = reader.u8();
    const rank = SECTIONS.findIndex((section) => section.id === id);
    if (rank < 0 && id !== CUSTOM) failSectionId(reader, id, offset);
    const section = reader.sub(reader.u32(), id === CUSTOM ? 'custom section' : `${SECTIONS[rank].name} section`);
    if (id === CUSTOM) {
      const name = section.name();
      if (name !== 'name') customSections.push({ name, start: section.pos, end: section.end });
      else names ??= readNameSection(bytes, section.pos, section.end);
      continue;
    }
    if (rank < next) reader.fail(`unexpected content after last section: ${SECTIONS[rank].name} section out of order or repeated`, offset);
    next = rank + 1;
    SECTIONS[rank].read(section, draft, features);
    if (section.pos !== section.end) section.fail(`section size mismatch: ${section.end - section.pos} bytes left in the ${SECTIONS[rank].name} section`);
  }
  if (draft.bodies.length === 0) checkBodyCount(reader, draft, 0, reader.end);
  if (draft.dataCount !== undefined && draft.dataCount !== draft.datas.length) failDataCount(reader, draft.dataCount, draft.datas.length, reader.end);
  return finish(bytes, draft, names, customSections);
}

function newDraft(): Draft {
  return {
    types: [], typeGroups: [], imports: [], funcs: [], tables: [], memories: [], globals: [], exports: [], definedGlobals: [], tableInits: [], bodies: [], datas: [], elems: [],
    importedFuncs: 0, importedTables: 0, importedMemories: 0, importedGlobals: 0,
    offsets: { types: [], funcs: [], tables: [], memories: [] }, localsByDeclaration: new Map(), localsInAll: 0,
  };
}

function finish(bytes: Uint8Array, draft: Draft, names: ModuleNames | undefined, customSections: WasmModule['customSections']): WasmModule {
  const { localsByDeclaration: _, localsInAll: __, ...fields } = draft;
  const funcs = new Map([...(names?.funcs ?? [])].filter(([index]) => index < draft.funcs.length));
  return { bytes, ...fields, refs: declaredRefs(draft), names: { module: names?.module, funcs }, customSections };
}

/** The functions named outside function bodies and the start section: those that `ref.func` may take (spec 2.0, 3.4.14). */
function declaredRefs(draft: Draft): ReadonlySet<number> {
  const refs = new Set<number>();
  for (const { kind, index } of draft.exports) if (kind === 'func') refs.add(index);
  const visit = (expr: ConstExpr) => {
    for (const step of expr.kind === 'extended' ? expr.steps : [expr]) if (step.kind === 'func') refs.add(step.index);
  };
  for (const { init } of draft.definedGlobals) visit(init);
  for (const init of draft.tableInits) if (init) visit(init);
  for (const { items } of draft.elems) items.forEach(visit);
  return refs;
}

const MAGIC = [0x00, 0x61, 0x73, 0x6d];
const VERSION = [0x01, 0x00, 0x00, 0x00];
/** Version and layer of a component (component model). */
const COMPONENT = [0x0d, 0x00, 0x01, 0x00];

function readHeader(reader: Reader): void {
  reader.limit('bytes in the module', reader.end, Limit.moduleBytes, 0);
  if (!startsWith(reader, MAGIC)) {
    const text = reader.end > 0 && isTextFormat(reader.bytes);
    reader.fail(`magic header not detected: this is not a WebAssembly binary${text ? ', but looks like the text format (convert it with wat2wasm)' : ''}`, 0);
  }
  if (reader.end < 4) reader.fail(`unexpected end: the file has ${reader.end} bytes`, reader.end);
  reader.pos = 4;
  if (startsWith(reader, COMPONENT) && reader.end >= 8) reader.fail(`unknown binary version: ${notSupported('WebAssembly components')}`, 4, 'unsupported');
  if (reader.end < 8) reader.fail(`unexpected end: the file has ${reader.end} bytes`, reader.end);
  if (!startsWith(reader, VERSION)) reader.fail('unknown binary version', 4);
  reader.pos = 8;
}

/** Whether the bytes at the reader's position, as far as there are any, are these. */
function startsWith(reader: Reader, expected: readonly number[]): boolean {
  return expected.every((byte, i) => reader.pos + i >= reader.end || reader.bytes[reader.pos + i] === byte);
}

/** Whether the first character that is no blank opens a parenthesis or a comment. */
function isTextFormat(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 256)).trimStart();
  return start.startsWith('(') || start.startsWith(';;');
}

function failSectionId(reader: Reader, id: number, offset: number): never {
  if (id === TAG_SECTION) reader.fail(notSupported(Proposal.exceptions), offset, 'unsupported');
  return reader.fail(`malformed section id: ${id}`, offset);
}
