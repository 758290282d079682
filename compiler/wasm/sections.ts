/** The sections of a module (spec 2.0, 5.5.2 to 5.5.16), one function each, filling a draft of the decoded module. */
import { featureMessage, type FeatureSet, hasWideNumbers, notSupported, Proposal } from './features.js';
import { readConstExpr } from './const-expr.js';
import { Limit } from './limits.js';
import type {
  ArrayType, ConstExpr, DataSegment, DefinedType, ElemSegment, Export, ExternKind, ExternType, FieldType, FuncBody, FuncType, Global, GlobalType, Import, Limits, MemoryType, RefType, StructType, TableType, ValType,
} from './module.js';
import { readRefType, readStorageType, readValType } from './read-types.js';
import { Reader } from './reader.js';

/** The module while its sections are read: what `WasmModule` becomes, not yet frozen. */
export interface Draft {
  readonly types: DefinedType[];
  readonly typeGroups: number[];
  readonly imports: Import[];
  readonly funcs: number[];
  readonly tables: TableType[];
  readonly memories: MemoryType[];
  readonly globals: GlobalType[];
  readonly exports: Export[];
  start?: number;
  readonly definedGlobals: Global[];
  readonly tableInits: (ConstExpr | undefined)[];
  readonly bodies: FuncBody[];
  readonly datas: DataSegment[];
  readonly elems: ElemSegment[];
  dataCount?: number;
  importedFuncs: number;
  importedTables: number;
  importedMemories: number;
  importedGlobals: number;
  readonly offsets: { readonly types: number[]; readonly funcs: number[]; readonly tables: number[]; readonly memories: number[]; start?: number };
  /** Locals by the bytes that declare them: equal declarations share one array. */
  readonly localsByDeclaration: Map<string, readonly ValType[]>;
  localsInAll: number;
}

/** A section's decoder: reads the section's contents, which end where the reader ends. */
export type ReadSection = (reader: Reader, draft: Draft, features: FeatureSet) => void;

const hex = (n: number): string => `0x${n.toString(16).padStart(2, '0')}`;

/**
 * Reads a vector: a count, then that many items. A claimed count allocates nothing: the bytes run out first.
 * `present` counts what the module has already, for the limit.
 */
function readVector(reader: Reader, what: string, most: number, item: (index: number) => void, present = 0): number {
  const offset = reader.pos;
  const count = reader.u32();
  reader.limit(what, present + count, most, offset);
  for (let i = 0; i < count; i++) item(i);
  return count;
}

export const readTypeSection: ReadSection = (reader, draft, features) => {
  readVector(reader, 'types', Limit.types, () => {
    const first = draft.types.length;
    const grouped = reader.pos < reader.end && reader.bytes[reader.pos] === TypeForm.group && (features.has('function-references') || features.has('gc'));
    const add = () => {
      draft.typeGroups.push(first);
      draft.offsets.types.push(reader.pos);
      draft.types.push(readSubType(reader, features));
    };
    if (!grouped) return add();
    reader.u8();
    readVector(reader, 'types', Limit.types, add, first);
  });
};

/** First bytes of types (spec 3.0, 5.3.8 to 5.3.10). `group`: types that may refer to each other; a vector of types follows. `sub`, `subFinal`: a vector of supertypes, then the type itself. */
const TypeForm = { group: 0x4e, subFinal: 0x4f, sub: 0x50, array: 0x5e, struct: 0x5f, func: 0x60 } as const;

function readSubType(reader: Reader, features: FeatureSet): DefinedType {
  const offset = reader.pos;
  const form = reader.pos < reader.end ? reader.bytes[reader.pos] : 0;
  if (form !== TypeForm.sub && form !== TypeForm.subFinal) return { ...readCompositeType(reader, features), final: true };
  reader.need('gc', features, offset);
  reader.u8();
  const supertypes: number[] = [];
  readVector(reader, 'supertypes', Limit.types, () => supertypes.push(reader.u32()));
  if (supertypes.length > 1) reader.fail(`a type can have one supertype at most, not ${supertypes.length}`, offset, 'invalid');
  const type = { ...readCompositeType(reader, features), final: form === TypeForm.subFinal };
  return supertypes.length === 0 ? type : { ...type, supertype: supertypes[0] };
}

type CompositeType = ({ kind: 'func' } & FuncType) | ({ kind: 'struct' } & StructType) | ({ kind: 'array' } & ArrayType);

function readCompositeType(reader: Reader, features: FeatureSet): CompositeType {
  const offset = reader.pos;
  const form = reader.u8();
  if (form === TypeForm.struct) {
    reader.need('gc', features, offset);
    const fields: FieldType[] = [];
    readVector(reader, 'fields', Limit.fields, () => fields.push(readFieldType(reader, features)));
    return { kind: 'struct', fields };
  }
  if (form === TypeForm.array) {
    reader.need('gc', features, offset);
    return { kind: 'array', element: readFieldType(reader, features) };
  }
  if (form !== TypeForm.func) {
    if (form >= 0x80) reader.fail('integer representation too long', offset);
    if (form === TypeForm.group && !features.has('gc')) reader.fail(featureMessage('gc'), offset, 'unsupported');
    if (form === 0x5d) reader.fail(notSupported(Proposal.stackSwitching), offset, 'unsupported');
    reader.fail(`malformed function type: form ${hex(form)}`, offset);
  }
  const params: ValType[] = [];
  const results: ValType[] = [];
  readVector(reader, 'parameters', Limit.params, () => params.push(readValType(reader, features)));
  const at = reader.pos;
  readVector(reader, 'results', Limit.results, () => results.push(readValType(reader, features)));
  if (results.length > 1) reader.need('multi-value', features, at);
  return { kind: 'func', params, results };
}

function readFieldType(reader: Reader, features: FeatureSet): FieldType {
  return { type: readStorageType(reader, features), mutable: readMutability(reader) };
}

export const readImportSection: ReadSection = (reader, draft, features) => {
  readVector(reader, 'imports', Limit.imports, () => {
    const offset = reader.pos;
    const module = reader.name();
    const name = reader.name();
    const desc = readImportDesc(reader, features);
    draft.imports.push({ module, name, desc, offset });
    switch (desc.kind) {
      case 'func': draft.funcs.push(desc.type); draft.importedFuncs++; break;
      case 'table': draft.tables.push(desc.type); draft.importedTables++; break;
      case 'memory': draft.memories.push(desc.type); draft.importedMemories++; break;
      case 'global': draft.globals.push(desc.type); draft.importedGlobals++; break;
    }
  });
};

function readImportDesc(reader: Reader, features: FeatureSet): ExternType {
  const offset = reader.pos;
  const kind = readExternKind(reader, 'import');
  switch (kind) {
    case 'func': return { kind, type: reader.u32() };
    case 'table': return { kind, type: readTableType(reader, features) };
    case 'memory': return { kind, type: readMemoryType(reader, features) };
    case 'global': {
      const type = readGlobalType(reader, features);
      if (type.mutable) reader.need('mutable-globals', features, offset);
      return { kind, type };
    }
  }
}

const EXTERN_KINDS: readonly ExternKind[] = ['func', 'table', 'memory', 'global'];

function readExternKind(reader: Reader, what: 'import' | 'export'): ExternKind {
  const offset = reader.pos;
  const byte = reader.u8();
  const why = byte === 4 ? ` (${notSupported(Proposal.exceptions)})` : '';
  return EXTERN_KINDS[byte] ?? reader.fail(`malformed ${what} kind: ${hex(byte)}${why}`, offset);
}

function readTableType(reader: Reader, features: FeatureSet): TableType {
  return { element: readRefType(reader, features), limits: readLimits(reader, 'table', features) };
}

function readMemoryType(reader: Reader, features: FeatureSet): MemoryType {
  return { limits: readLimits(reader, 'memory', features) };
}

function readLimits(reader: Reader, what: 'table' | 'memory', features: FeatureSet): Limits {
  const offset = reader.pos;
  const flags = reader.u8();
  // Those above 2^53 lose digits here, but are far above what is valid.
  const size = () => (hasWideNumbers(features) ? Number(reader.u64()) : reader.u32());
  if (flags === 0) return { min: size() };
  if (flags === 1) {
    const min = size();
    return { min, max: size() };
  }
  if (flags >= 0x80) reader.fail('integer representation too long', offset);
  if (what === 'memory' && flags === 3) reader.fail(notSupported(Proposal.threads), offset, 'unsupported');
  if (flags >= 4 && flags <= 7) reader.fail(notSupported(Proposal.memory64), offset, 'unsupported');
  return reader.fail(`integer too large: limits flags ${hex(flags)}`, offset);
}

function readGlobalType(reader: Reader, features: FeatureSet): GlobalType {
  return { type: readValType(reader, features), mutable: readMutability(reader) };
}

function readMutability(reader: Reader): boolean {
  const offset = reader.pos;
  const mutable = reader.u8();
  if (mutable > 1) reader.fail(`malformed mutability: ${hex(mutable)}`, offset);
  return mutable === 1;
}

export const readFunctionSection: ReadSection = (reader, draft) => {
  readVector(reader, 'functions', Limit.funcs, () => {
    draft.offsets.funcs.push(reader.pos);
    draft.funcs.push(reader.u32());
  }, draft.funcs.length);
};

export const readTableSection: ReadSection = (reader, draft, features) => {
  readVector(reader, 'tables', Limit.tables, () => {
    const offset = reader.pos;
    const initialised = reader.pos < reader.end && reader.bytes[reader.pos] === TABLE_WITH_INIT;
    if (initialised) {
      reader.need('function-references', features, offset);
      reader.u8();
      if (reader.u8() !== 0) reader.fail('malformed table: a zero byte is expected', reader.pos - 1);
    }
    draft.offsets.tables.push(offset);
    draft.tables.push(readTableType(reader, features));
    draft.tableInits.push(initialised ? readConstExpr(reader, features) : undefined);
  }, draft.tables.length);
};

/** First byte of a table that an expression initialises; a zero byte follows. */
const TABLE_WITH_INIT = 0x40;

export const readMemorySection: ReadSection = (reader, draft, features) => {
  readVector(reader, 'memories', Limit.memories, () => {
    draft.offsets.memories.push(reader.pos);
    draft.memories.push(readMemoryType(reader, features));
  }, draft.memories.length);
};

export const readGlobalSection: ReadSection = (reader, draft, features) => {
  readVector(reader, 'globals', Limit.globals, () => {
    const offset = reader.pos;
    const type = readGlobalType(reader, features);
    draft.definedGlobals.push({ type, init: readConstExpr(reader, features), offset });
    draft.globals.push(type);
  }, draft.globals.length);
};

export const readExportSection: ReadSection = (reader, draft) => {
  readVector(reader, 'exports', Limit.exports, () => {
    const offset = reader.pos;
    const name = reader.name();
    const kind = readExternKind(reader, 'export');
    draft.exports.push({ name, kind, index: reader.u32(), offset });
  });
};

export const readStartSection: ReadSection = (reader, draft) => {
  draft.offsets.start = reader.pos;
  draft.start = reader.u32();
};

export const readElementSection: ReadSection = (reader, draft, features) => {
  readVector(reader, 'element segments', Limit.elems, () => draft.elems.push(readElemSegment(reader, features)));
};

/** Bits of an element segment's flags. */
const Elem = { notActive: 1, indexOrDeclarative: 2, expressions: 4 } as const;

function readElemSegment(reader: Reader, features: FeatureSet): ElemSegment {
  const offset = reader.pos;
  const flags = reader.u32();
  if (flags > 7) reader.fail(`malformed elements segment kind: ${flags}`, offset);
  if (flags !== 0) reader.need('bulk-memory', features, offset);
  const explicit = (flags & Elem.indexOrDeclarative) !== 0;
  const mode = (flags & Elem.notActive) === 0 ? 'active' : explicit ? 'declarative' : 'passive';
  const table = mode === 'active' && explicit ? reader.u32() : 0;
  const offsetExpr = mode === 'active' ? readConstExpr(reader, features) : undefined;
  const expressions = (flags & Elem.expressions) !== 0;
  // Elements that are function indices are never null.
  let type: RefType = !expressions && features.has('function-references') ? '(ref func)' : 'funcref';
  if ((flags & (Elem.notActive | Elem.indexOrDeclarative)) !== 0) {
    if (expressions) type = readRefType(reader, features);
    else if (reader.u8() !== 0) reader.fail('malformed element kind', reader.pos - 1);
  }
  const items: ConstExpr[] = [];
  readVector(reader, 'elements of a segment', Limit.tableElements, () => {
    items.push(expressions ? readConstExpr(reader, features) : { kind: 'func', index: reader.u32() });
  });
  return { mode, table, type, offsetExpr, items, offset };
}

export const readDataCountSection: ReadSection = (reader, draft, features) => {
  const offset = reader.pos;
  reader.need('bulk-memory', features, offset);
  draft.dataCount = reader.u32();
  reader.limit('data segments', draft.dataCount, Limit.datas, offset);
};

export const readCodeSection: ReadSection = (reader, draft, features) => {
  const offset = reader.pos;
  const count = reader.u32();
  checkBodyCount(reader, draft, count, offset);
  for (let i = 0; i < count; i++) {
    const size = reader.u32();
    reader.limit('bytes in a function body', size, Limit.bodyBytes);
    const start = reader.pos;
    reader.skip(size, 'function body');
    const index = draft.importedFuncs + i;
    draft.bodies.push(readBody(new Reader(reader.bytes, start, reader.pos, { ...reader.context, func: { index } }), draft, draft.funcs[index], features));
  }
};

/** A code section with `count` bodies, or none (`count` 0), must have a body for each function of the function section. */
export function checkBodyCount(reader: Reader, draft: Draft, count: number, offset: number): void {
  const functions = draft.funcs.length - draft.importedFuncs;
  if (count !== functions) reader.fail(`function and code section have inconsistent lengths: ${functions} functions, ${count} bodies`, offset);
}

function readBody(reader: Reader, draft: Draft, type: number, features: FeatureSet): FuncBody {
  const offset = reader.pos;
  const locals = readLocals(reader, draft, paramCount(draft.types[type]), features);
  return { type, locals, offset, codeStart: reader.pos, codeEnd: reader.end };
}

const paramCount = (type: DefinedType | undefined): number => (type?.kind === 'func' ? type.params.length : 0);

/** Reads the runs of locals twice: once to check and count, then, unless another function has the same, to expand them. */
function readLocals(reader: Reader, draft: Draft, params: number, features: FeatureSet): readonly ValType[] {
  const start = reader.pos;
  const runs: { readonly count: number; readonly type: ValType }[] = [];
  let total = 0;
  for (let left = reader.u32(); left > 0; left--) {
    const at = reader.pos;
    const count = reader.u32();
    runs.push({ count, type: readValType(reader, features) });
    total += count;
    if (total >= 2 ** 32) reader.fail('too many locals: 2^32 or more', at);
  }
  if (total === 0) return NO_LOCALS;
  reader.limit('locals', params + total, Limit.locals, start);
  const declaration = String.fromCharCode(...reader.bytes.subarray(start, Math.min(reader.pos, start + MAX_KEY)));
  const shared = reader.pos - start <= MAX_KEY ? draft.localsByDeclaration.get(declaration) : undefined;
  if (shared !== undefined) return shared;
  draft.localsInAll += total;
  reader.limit('locals in the module', draft.localsInAll, Limit.moduleLocals, start);
  const locals: ValType[] = [];
  for (const run of runs) for (let i = 0; i < run.count; i++) locals.push(run.type);
  if (reader.pos - start <= MAX_KEY) draft.localsByDeclaration.set(declaration, locals);
  return locals;
}

const NO_LOCALS: readonly ValType[] = [];
/** Longest declaration of locals, in bytes, that is looked for among those of other functions. */
const MAX_KEY = 64;

export const readDataSection: ReadSection = (reader, draft, features) => {
  const offset = reader.pos;
  const count = readVector(reader, 'data segments', Limit.datas, () => draft.datas.push(readDataSegment(reader, features)));
  if (draft.dataCount !== undefined && draft.dataCount !== count) failDataCount(reader, draft.dataCount, count, offset);
};

/** Says that the data count section promised another number of data segments. */
export function failDataCount(reader: Reader, promised: number, found: number, offset: number): never {
  return reader.fail(`data count and data section have inconsistent lengths: ${promised} promised, ${found} found`, offset);
}

function readDataSegment(reader: Reader, features: FeatureSet): DataSegment {
  const offset = reader.pos;
  const flags = reader.u32();
  if (flags > 2) reader.fail(`malformed data segment kind: ${flags}`, offset);
  if (flags !== 0 && !features.has('bulk-memory')) reader.fail(featureMessage('bulk-memory'), offset, 'unsupported');
  const memory = flags === 2 ? reader.u32() : 0;
  const offsetExpr = flags === 1 ? undefined : readConstExpr(reader, features);
  const length = reader.u32();
  const start = reader.pos;
  reader.skip(length, 'data segment');
  return { mode: flags === 1 ? 'passive' : 'active', memory, offsetExpr, start, end: reader.pos, offset };
}
