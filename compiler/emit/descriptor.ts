/** The descriptor: what the runtime must know of a module to instantiate it, as LLVM IR text (LLVM 22 syntax), with the adapters and the notes. */
import {
  ABI_VERSION, Arch, ConstKind, CpuFeature, type CpuFeatureName, DESCRIPTOR_STRUCTS, DESCRIPTOR_SYMBOL, ExternKind, FuelMode, MACHO_NOTES, NOTE_FUNCTIONS, NOTE_HEADER, NOTE_MANIFEST, NOTE_NAME, NULLABLE,
  OWED_ROWS_SECTION, Os, PackedType, RefType, SegmentMode, TypeKind, VALUE_SIZE, ValType,
  type AbiType,
} from '../../runtime-c/abi.js';
import { irType } from '../llvm/builder.js';
import { VECTOR } from '../llvm/prelude.js';
import type { ConstExpr, ConstStep, DefinedType, FuncType, Limits, StorageType, WasmModule } from '../wasm/module.js';
import { functionType, refParts, valuesOf } from '../wasm/types.js';
import { adapterNames, emitAdapters, TAIL_CONVENTION, wrapperName } from './adapters.js';
import { layoutOf } from './layout.js';
import type { ModulePlan } from './plan.js';
import { quoteSymbol } from './symbols.js';

const ABSENT_32 = 0xffffffff;
const ABSENT_64 = 0xffffffffffffffffn;
type StructName = (typeof DESCRIPTOR_STRUCTS)[number]['name'];
type Field = number | bigint | string;

const IR: Record<AbiType, string> = { ptr: 'ptr', u8: 'i8', i32: 'i32', u32: 'i32', i64: 'i64', u64: 'i64' };

/** What the linker calls the ends of the rows' section, as IR spells it (\\01: no prefix). ld.lld has them null where there is no such section, ld64.lld equal. */
const OWED_ROWS: Record<keyof typeof Os, { readonly start: string; readonly end: string; readonly linkage: string }> = {
  linux: { start: `@__start_${OWED_ROWS_SECTION}`, end: `@__stop_${OWED_ROWS_SECTION}`, linkage: 'extern_weak hidden' },
  darwin: { start: `@"\\01section$start$__DATA_CONST$__${OWED_ROWS_SECTION}"`, end: `@"\\01section$end$__DATA_CONST$__${OWED_ROWS_SECTION}"`, linkage: 'external hidden' },
};

/** Gathers constants of the descriptor module. */
class DataWriter {
  readonly lines: string[] = [];
  private count = 0;

  /** A private constant; returns its name. Empty arrays are null pointers. */
  private constant(type: string, value: string): string {
    const name = `@waot.d${this.count++}`;
    this.lines.push(`${name} = private constant ${type} ${value}, align 8`);
    return name;
  }

  bytes(data: Uint8Array): string {
    return data.length === 0 ? 'null' : this.constant(`[${data.length} x i8]`, bytesLiteral(data));
  }

  /** A struct of abi.ts as a typed literal; fields that are not given are zero. */
  struct(name: StructName, values: Record<string, Field>): { type: string; value: string } {
    const { fields } = DESCRIPTOR_STRUCTS.find((s) => s.name === name) as (typeof DESCRIPTOR_STRUCTS)[number];
    const known: readonly string[] = fields.map((f) => f.name);
    for (const key of Object.keys(values)) if (!known.includes(key)) throw new Error(`${name} has no field ${key}`);
    const value = fields.map((f) => `${IR[f.type]} ${values[f.name] ?? (f.type === 'ptr' ? 'null' : 0)}`).join(', ');
    return { type: `{ ${fields.map((f) => IR[f.type]).join(', ')} }`, value: `{ ${value} }` };
  }

  one(name: StructName, values: Record<string, Field>): string {
    const { type, value } = this.struct(name, values);
    return this.constant(type, value);
  }

  array(name: StructName, rows: readonly Record<string, Field>[]): string {
    if (rows.length === 0) return 'null';
    const structs = rows.map((values) => this.struct(name, values));
    return this.constant(`[${rows.length} x ${structs[0].type}]`, `[${structs.map((s) => `${s.type} ${s.value}`).join(', ')}]`);
  }
}

const HEX = Array.from({ length: 256 }, (_, i) => `\\${i.toString(16).padStart(2, '0')}`);
function bytesLiteral(data: Uint8Array): string {
  const parts = new Array<string>(data.length);
  for (let i = 0; i < data.length; i++) parts[i] = HEX[data[i]];
  return `c"${parts.join('')}"`;
}

/** The fields of a constant expression; the steps of an extended one become an array of their own. */
function constExpr(d: DataWriter, plan: ModulePlan, expr: ConstExpr | ConstStep): Record<string, Field> {
  switch (expr.kind) {
    case 'const': return { kind: ConstKind.value, bits_lo: expr.bits & ABSENT_64, bits_hi: expr.bits >> 64n };
    case 'null': return { kind: ConstKind.ref_null };
    case 'func': return { kind: ConstKind.ref_func, index: slotOf(plan, expr.index) };
    case 'global': return { kind: ConstKind.global_get, index: expr.index };
    case 'extended': {
      const steps = d.array('const_expr', expr.steps.map((step) => constExpr(d, plan, step)));
      return { kind: ConstKind.extended, index: expr.steps.length, bits_lo: `ptrtoint (ptr ${steps} to i64)` };
    }
    case 'operator': {
      const [type, name] = expr.op.name.split('.') as ['i32' | 'i64', 'add' | 'sub' | 'mul'];
      if (type === 'i32' || type === 'i64') return { kind: ConstKind[name], index: type === 'i32' ? 32 : 64 };
      return { kind: ConstKind[expr.op.name.replace('.', '_') as keyof typeof ConstKind], index: expr.a, bits_lo: expr.b };
    }
  }
}

function slotOf(plan: ModulePlan, index: number): number {
  const slot = plan.slots.get(index);
  if (slot === undefined) throw new Error(`function ${index} is referenced but has no funcref slot`);
  return slot;
}

const limitsDesc = (limits: Limits): Record<string, Field> => ({
  min: limits.min, max: limits.max ?? ABSENT_64, flags: (limits.max === undefined ? 0 : 1) | (limits.shared ? 2 : 0) | (limits.is64 ? 4 : 0),
});

const NULLABLE_CODES = {
  func: ValType.funcref, extern: ValType.externref, nofunc: RefType.nullfuncref, noextern: RefType.nullexternref,
  any: RefType.anyref, eq: RefType.eqref, i31: RefType.i31ref, struct: RefType.structref, array: RefType.arrayref, none: RefType.nullref,
} as const;

/** The code of a type, and the type index where it is one of references to values of a type. */
function typeFields(type: StorageType): { valtype: number; heap: number } {
  const parts = refParts(type);
  if (!parts) return { valtype: type === 'i8' || type === 'i16' ? PackedType[type] : ValType[type as keyof typeof ValType], heap: 0 };
  const code = typeof parts.heap === 'number' ? RefType.ref_null_type : NULLABLE_CODES[parts.heap];
  return { valtype: parts.nullable ? code : code & ~NULLABLE, heap: typeof parts.heap === 'number' ? parts.heap : 0 };
}

const bytesOf32 = (words: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);

/** For the first type of a recursion group, how many types of the group follow; for others 0. */
function followers({ typeGroups }: WasmModule, index: number): number {
  if (typeGroups[index] !== index) return 0;
  let end = index + 1;
  while (typeGroups[end] === index) end++;
  return end - index - 1;
}

/** How objects of a type lie on the heap, for the runtime. */
function objectFields(d: DataWriter, module: WasmModule, type: DefinedType): Record<string, Field> {
  if (type.kind === 'func') return {};
  const { size, offsets, references } = layoutOf(module, type);
  const mutables = type.kind === 'struct' ? type.fields.map(({ mutable }) => mutable) : [type.element.mutable];
  return {
    size, ref_count: references.length, mutables: d.bytes(Uint8Array.from(mutables, Number)), offsets: d.bytes(bytesOf32(offsets)), ref_offsets: d.bytes(bytesOf32(references)),
  };
}

function tablesArray(d: DataWriter, plan: ModulePlan): string {
  const { tables, tableInits, importedTables } = plan.module;
  return d.array('limits_desc', tables.map(({ limits, element }, i) => {
    const init = i < importedTables ? undefined : tableInits[i - importedTables];
    return { ...limitsDesc(limits), ...typeFields(element), init: init ? d.one('const_expr', constExpr(d, plan, init)) : 'null' };
  }));
}

function typesArray(d: DataWriter, plan: ModulePlan): string {
  const adapters = adapterNames(plan);
  const symbol = (name: string | undefined) => (name === undefined ? 'null' : `@${quoteSymbol(name)}`);
  return d.array('type_desc', plan.module.types.map((type, i) => {
    const values = valuesOf(type);
    const fields = values.map(typeFields);
    const results = type.kind === 'func' ? type.results.length : 0;
    return {
      param_count: values.length - results, result_count: results, valtypes: d.bytes(Uint8Array.from(fields.map(({ valtype }) => valtype))),
      enter: symbol(adapters.enter.get(i)), host: symbol(adapters.host.get(i)),
      heaps: values.some((value) => typeof refParts(value)?.heap === 'number') ? d.bytes(bytesOf32(fields.map(({ heap }) => heap))) : 'null',
      followers: followers(plan.module, i), kind: TypeKind[type.kind], is_final: type.final ? 1 : 0, supertype: type.supertype ?? ABSENT_32, ...objectFields(d, plan.module, type),
    };
  }));
}

function importsArray(d: DataWriter, module: WasmModule): string {
  const next = { func: 0, table: 0, memory: 0, global: 0 };
  return d.array('import_desc', module.imports.map((entry) => {
    const [from, name] = [Buffer.from(entry.module), Buffer.from(entry.name)];
    return { module: d.bytes(from), module_len: from.length, name: d.bytes(name), name_len: name.length, kind: ExternKind[entry.desc.kind], index: next[entry.desc.kind]++ };
  }));
}

function exportsArray(d: DataWriter, plan: ModulePlan): string {
  return d.array('export_desc', plan.module.exports.map(({ name, kind, index }) => {
    const bytes = Buffer.from(name);
    return { name: d.bytes(bytes), name_len: bytes.length, kind: ExternKind[kind], index: kind === 'func' ? slotOf(plan, index) : index };
  }));
}

function funcrefsArray(d: DataWriter, plan: ModulePlan): string {
  return d.array('funcref_desc', [...plan.slots.keys()].map((index) => ({
    code: index < plan.module.importedFuncs ? 'null' : `@${quoteSymbol(plan.tailCalls ? wrapperName(plan, index) : plan.symbols[index])}`, type: plan.module.funcs[index], index,
    tail_code: index < plan.module.importedFuncs || !plan.tailCalls ? 'null' : `@${quoteSymbol(plan.symbols[index])}`,
  })));
}

function globalsArray(d: DataWriter, plan: ModulePlan): string {
  const { module } = plan;
  return d.array('global_desc', module.globals.map((type, i) => ({
    ...typeFields(type.type),
    is_mutable: type.mutable ? 1 : 0,
    init: i < module.importedGlobals ? 'null' : d.one('const_expr', constExpr(d, plan, module.definedGlobals[i - module.importedGlobals].init)),
  })));
}

function segmentArrays(d: DataWriter, plan: ModulePlan): { datas: string; elems: string } {
  const { module } = plan;
  const offset = (expr: ConstExpr | undefined) => (expr ? d.one('const_expr', constExpr(d, plan, expr)) : 'null');
  return {
    datas: d.array('data_desc', module.datas.map((segment) => ({
      mode: SegmentMode[segment.mode], memory: segment.memory, offset: offset(segment.offsetExpr),
      bytes: d.bytes(module.bytes.subarray(segment.start, segment.end)), length: segment.end - segment.start,
    }))),
    elems: d.array('elem_desc', module.elems.map((segment) => ({
      mode: SegmentMode[segment.mode], table: segment.table, offset: offset(segment.offsetExpr),
      items: d.array('const_expr', segment.items.map((item) => constExpr(d, plan, item))), length: segment.items.length, valtype: typeFields(segment.type).valtype,
    }))),
  };
}

/** Code for another CPU level, and what that needs. */
export interface LevelPlan { readonly plan: ModulePlan; readonly requiredFeatures: readonly CpuFeatureName[] }

const featureSet = (names: readonly CpuFeatureName[]): bigint => names.reduce((set, name) => set | (1n << BigInt(CpuFeature[name])), 0n);

function moduleDesc(d: DataWriter, plan: ModulePlan, os: keyof typeof Os, levels: readonly LevelPlan[]): { type: string; value: string } {
  const { module, layout, slots } = plan;
  return d.struct('module_desc', {
    abi_version: ABI_VERSION, fuel_mode: FuelMode[plan.options.fuel],
    vmctx_size: layout.size, memories_offset: layout.memories, tables_offset: layout.tables, globals_offset: layout.globals, imports_offset: layout.imports,
    type_count: module.types.length, import_count: module.imports.length, imported_func_count: module.importedFuncs, imported_table_count: module.importedTables,
    imported_memory_count: module.importedMemories, imported_global_count: module.importedGlobals,
    func_count: module.funcs.length, funcref_count: slots.size, table_count: module.tables.length, memory_count: module.memories.length, global_count: module.globals.length,
    export_count: module.exports.length, data_count: module.datas.length, elem_count: module.elems.length,
    start: module.start === undefined ? ABSENT_32 : slotOf(plan, module.start),
    types: typesArray(d, plan), imports: importsArray(d, module), funcrefs: funcrefsArray(d, plan),
    tables: tablesArray(d, plan),
    memories: d.array('limits_desc', module.memories.map((memory) => limitsDesc(memory.limits))),
    globals: globalsArray(d, plan), exports: exportsArray(d, plan), ...segmentArrays(d, plan),
    owed_rows: OWED_ROWS[os].start, owed_rows_end: OWED_ROWS[os].end,
    level_count: levels.length, levels: d.array('level_desc', levels.map((level) => ({ cpu_features: featureSet(level.requiredFeatures), funcrefs: funcrefsArray(d, level.plan) }))),
  });
}

/** One note, in the form of ELF's (ELF gABI, Note Section): sizes, type, name and descriptor, each padded to 4 bytes. */
function note(type: number, descriptor: Uint8Array): Buffer {
  const name = Buffer.from(`${NOTE_NAME}\0`);
  const pad = (n: number) => Buffer.alloc((4 - (n % 4)) % 4);
  const head = Buffer.alloc(12);
  head.writeUInt32LE(name.length, 0);
  head.writeUInt32LE(descriptor.length, 4);
  head.writeUInt32LE(type, 8);
  return Buffer.concat([head, name, pad(name.length), descriptor, pad(descriptor.length)]);
}

/** What the notes say that the plan does not know. */
export interface ArtifactIdentity { readonly arch: keyof typeof Arch; readonly os: keyof typeof Os; readonly requiredFeatures: readonly CpuFeatureName[]; readonly manifest: string }

/** What a backtrace says of the functions that the module defines: where each is in the wasm file, and by which symbol it is found. See NOTE_FUNCTIONS. */
function functionsNote({ module, symbols }: ModulePlan): Buffer {
  const words = Buffer.alloc(4 * (1 + module.bodies.length));
  words.writeUInt32LE(module.bodies.length, 0);
  module.bodies.forEach((body, i) => words.writeUInt32LE(body.offset, 4 * (i + 1)));
  const names = module.bodies.map((_, i) => symbols[module.importedFuncs + i]).map((symbol, i) => (symbol === `func[${module.importedFuncs + i}]` ? '' : symbol));
  return Buffer.concat([words, Buffer.from(names.map((name) => `${name}\0`).join(''))]);
}

/** Where the notes go. Mach-O: a segment and a section in it; beside the constants, since what lies in __TEXT is executable. */
const NOTES_SECTION: Record<keyof typeof Os, string> = { linux: '.note.wasm_aot', darwin: `__DATA_CONST,${MACHO_NOTES}` };

/** The header's size and hash are zero here: `sealArtifact` fills them in when the file is linked. */
function notes(plan: ModulePlan, identity: ArtifactIdentity): Buffer {
  const header = Buffer.alloc(64);
  [ABI_VERSION, FuelMode[plan.options.fuel], Arch[identity.arch], Os[identity.os]].forEach((value, i) => header.writeUInt32LE(value, i * 4));
  header.writeBigUInt64LE(featureSet(identity.requiredFeatures), 16);
  return Buffer.concat([note(NOTE_HEADER, header), note(NOTE_MANIFEST, Buffer.from(identity.manifest)), note(NOTE_FUNCTIONS, functionsNote(plan))]);
}

/** The IR of a compiled function's type: `result (ptr, params...)`. */
export function irSignature(type: FuncType): { result: string; params: string[] } {
  const ir = (t: FuncType['params'][number]) => ({ i32: 'i32', i64: 'i64', f32: 'float', f64: 'double', v128: VECTOR })[irType(t) as 'i32'];
  return { result: type.results.length === 0 ? 'void' : type.results.length === 1 ? ir(type.results[0]) : `{ ${type.results.map(ir).join(', ')} }`, params: type.params.map(ir) };
}

/**
 * The LLVM IR text of the descriptor module: descriptor, adapters, notes.
 * @param levels the code for other CPU levels that is beside the plan's, each better than those before it.
 */
export function emitDescriptor(plan: ModulePlan, identity: ArtifactIdentity, levels: readonly LevelPlan[] = []): string {
  if (VALUE_SIZE !== 16) throw new Error('adapters assume 16-byte values');
  const d = new DataWriter();
  const desc = moduleDesc(d, plan, identity.os, levels);
  const ends = OWED_ROWS[identity.os];
  const noteBytes = notes(plan, identity);
  const declarations = [plan, ...levels.map((level) => level.plan)].flatMap(({ symbols }) => [...plan.slots.keys()].filter((i) => i >= plan.module.importedFuncs).map((i) => {
    const { result, params } = irSignature(functionType(plan.module, plan.module.funcs[i]));
    return `declare hidden ${plan.tailCalls ? `${TAIL_CONVENTION} ` : ''}${result} @${quoteSymbol(symbols[i])}(${['ptr', ...params].join(', ')})`;
  }));
  return [
    ...declarations,
    ...[ends.start, ends.end].map((symbol) => `${symbol} = ${ends.linkage} global i8`),
    ...d.lines,
    `@${DESCRIPTOR_SYMBOL} = constant ${desc.type} ${desc.value}, align 8`,
    `@waot.notes = private constant [${noteBytes.length} x i8] ${bytesLiteral(noteBytes)}, section "${NOTES_SECTION[identity.os]}", align 4`,
    '@llvm.used = appending global [1 x ptr] [ptr @waot.notes], section "llvm.metadata"',
    emitAdapters(plan, levels.map((level) => level.plan)),
    '',
  ].join('\n');
}
