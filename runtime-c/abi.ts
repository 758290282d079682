/**
 * The ABI between compiled code and the runtime: everything that an artifact and the runtime must agree on, as pure data.
 *
 * `generate-abi.ts` writes `abi.h` from it (C structs with static asserts, named offsets for the assembly); the compiler
 * reads it directly. Nothing else may spell an offset, a trap code or a builtin's signature. Any change that an old
 * artifact would notice raises `ABI_VERSION`.
 */

/** Raised whenever an artifact compiled before the change could misbehave with a runtime built after it. */
export const ABI_VERSION = 6;

/** Name of the notes (in the form of ELF's; `namesz` counts the terminating NUL) that carry the header and the manifest of an artifact. */
export const NOTE_NAME = 'wasmaot';
/** Name of the section that holds the notes where the file is Mach-O. */
export const MACHO_NOTES = '__wasm_aot';
/** Note type of the binary header (`waot_note_header`). */
export const NOTE_HEADER = 1;
/** Note type of the manifest (UTF-8 JSON, see `loader/manifest.ts`). */
export const NOTE_MANIFEST = 2;
/** Note type of the function table: u32 count of defined functions; their u32 byte offsets in the wasm file; their symbols, each ending in NUL, empty for `func[index]`. For backtraces. */
export const NOTE_FUNCTIONS = 3;
/**
 * Sections of an artifact that only backtraces read; in ELF they are not mapped. `SECTION_FRAMES`: which wasm function each address of the artifact's code is of, by way of which functions that LLVM inlined,
 * and which byte of the wasm file. `SECTION_SOURCES`, with -g, of modules that have debugging information or a source map: which line of which source each byte of the wasm file comes from, by way of
 * which functions that the module's producer inlined.
 *
 * Both are place tables. Numbers are LEB128, differences signed by zigzag (the sign in the lowest bit):
 *
 *     u8 PLACES_VERSION
 *     strings   count, then each: bytes, UTF-8
 *     scopes    count, then each: parent, name, file, line, column
 *     rows      count, then each: u8 head, [address - last - 15], [scope - last], [file - last], [line - last], [column - last]
 *
 * The head's high half is the difference of the address, 15 if it is that or more and follows; its bits 0 to 3 say which of the others follow. A row holds from its address up to the next row's. All
 * "last" values begin as 0. Strings and scopes are numbered from 1 in their order; 0 is none, or not known. A scope is code of a function, out of line (parent 0) or inlined into its parent, a scope before it,
 * by a call at the place that is given. Among sources, a name and a file are strings, lines and columns count from 1. Among frames, a name is 1 + the wasm function's index, a line is an offset in the
 * wasm file, the file of a scope is the offset of the function's body, that of a row 0, and columns are 0.
 */
export const PLACES_VERSION = 1;
export const SECTION_FRAMES = '.wasm_aot.frames';
export const SECTION_SOURCES = '.wasm_aot.sources';
/** The same where the file is Mach-O, which limits names to 16 characters: in a segment of their own, that is mapped but which nothing touches. */
export const MACHO_TABLES_SEGMENT = '__WASM_AOT';
export const MACHO_FRAMES = '__waot_frames';
export const MACHO_SOURCES = '__waot_sources';
/** The one symbol that an artifact exports: its `waot_module_desc`. */
export const DESCRIPTOR_SYMBOL = 'waot_module';
/**
 * Sections of an object that say what compiled code has not charged yet at each instruction (compiler/llvm/codegen/place_charges.cc): `owed_row`s in the order of the text,
 * and the entries that they refer to. A row is of a function, or of a piece of one that has many entries: a lookup reads those of one row. An entry is two ULEB128 numbers: its distance in bytes from the one before (from
 * the row's code), and the fuel owed from there on, until the next; their count leads, and the last one of a function is its end. The linker puts what all objects have one after the other, in the order of their text.
 */
export const OWED_ROWS_SECTION = 'waot_owed_rows';
export const OWED_ENTRIES_SECTION = 'waot_owed';
/** Section of an object that says which wasm functions its code is of (compiler/llvm/codegen/frame_rows.cc). It is not linked: the compiler makes the frame table of it. */
export const FRAME_ROWS_SECTION = 'waot_rows';

/** Bytes of one slot of an argument array, of a global, and of a C `waot_value`: room for a v128. */
export const VALUE_SIZE = 16;

/** How the artifact's code is metered. */
export const FuelMode = { none: 0, outband: 1, sync: 2 } as const;
export type FuelModeName = keyof typeof FuelMode;

/** Architectures, as the note header names them. */
export const Arch = { x86_64: 1, aarch64: 2 } as const;
/** Operating systems, as the note header names them. */
export const Os = { linux: 1, darwin: 2 } as const;

/** Value types, by their code in the wasm binary format (spec 2.0, 5.3.1 to 5.3.4). */
export const ValType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, funcref: 0x70, externref: 0x6f } as const;
/**
 * Codes of the other reference types, for descriptors and the C API. Those that null is of are the binary format's codes; the bit `NULLABLE` is clear in the same
 * type without null. `ref_null_type` and `ref_type`: references to functions, structs or arrays of one type, which stands beside the code.
 */
export const RefType = {
  nullfuncref: 0x73, nullexternref: 0x72, nullref: 0x71, anyref: 0x6e, eqref: 0x6d, i31ref: 0x6c, structref: 0x6b, arrayref: 0x6a,
  ref_func: 0x30, ref_extern: 0x2f, ref_nofunc: 0x33, ref_noextern: 0x32, ref_none: 0x31, ref_any: 0x2e, ref_eq: 0x2d, ref_i31: 0x2c, ref_struct: 0x2b, ref_array: 0x2a,
  ref_null_type: 0x63, ref_type: 0x23,
} as const;
/** Set in the code of a reference type that null is of. */
export const NULLABLE = 0x40;
/** Packed types of struct fields and array elements, by their code in the binary format. */
export const PackedType = { i8: 0x78, i16: 0x77 } as const;
/** What a `waot_type` is of. `box`: the runtime's own, of objects that carry a host's value in the any hierarchy; modules have none. */
export const TypeKind = { func: 0, struct: 1, array: 2, box: 3 } as const;
/** External kinds, by their code in the import and export sections. */
export const ExternKind = { func: 0, table: 1, memory: 2, global: 3 } as const;

/** CPU features that an artifact can require; the value is the bit in `waot_note_header.cpu_features`. */
export const CpuFeature = {
  sse3: 0, ssse3: 1, 'sse4.1': 2, 'sse4.2': 3, popcnt: 4, cx16: 5, avx: 6, avx2: 7, bmi: 8, bmi2: 9, f16c: 10, fma: 11,
  lzcnt: 12, movbe: 13, avx512f: 14, avx512bw: 15, avx512cd: 16, avx512dq: 17, avx512vl: 18,
} as const;
export type CpuFeatureName = keyof typeof CpuFeature;

/** Names of the CPU features in a bit set. */
export function cpuFeatureNames(set: bigint): string[] {
  const names = new Map<number, string>(Object.entries(CpuFeature).map(([name, bit]) => [bit, name]));
  return Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => set >> BigInt(bit) & 1n).map((bit) => names.get(bit) ?? `feature ${bit}`);
}

/** The psABI's micro-architecture levels of x86-64, ascending: what each adds to the one before, as far as CpuFeature names it. */
export const CPU_LEVEL_TABLE = [
  { name: 'v2', adds: ['sse3', 'ssse3', 'sse4.1', 'sse4.2', 'popcnt', 'cx16'] },
  { name: 'v3', adds: ['avx', 'avx2', 'bmi', 'bmi2', 'f16c', 'fma', 'lzcnt', 'movbe'] },
  { name: 'v4', adds: ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'] },
] as const satisfies readonly { name: string; adds: readonly CpuFeatureName[] }[];
export type CpuLevelName = (typeof CPU_LEVEL_TABLE)[number]['name'];

/** Every feature of an x86-64 level and of those below it. */
export function cpuLevelFeatures(name: CpuLevelName): CpuFeatureName[] {
  return CPU_LEVEL_TABLE.slice(0, CPU_LEVEL_TABLE.findIndex((level) => level.name === name) + 1).flatMap((level) => [...level.adds]);
}

/**
 * How an activation ended: the value in the status register at the landing. 0 is a normal return. The codes below 64 are
 * traps of compiled code (the operand of `llvm.ubsantrap`); `message` is the spec tests' wording.
 */
export const STATUS = [
  { code: 0, name: 'ok', message: 'ok' },
  { code: 1, name: 'unreachable', message: 'unreachable' },
  { code: 2, name: 'integer_divide_by_zero', message: 'integer divide by zero' },
  { code: 3, name: 'integer_overflow', message: 'integer overflow' },
  { code: 4, name: 'invalid_conversion_to_integer', message: 'invalid conversion to integer' },
  { code: 5, name: 'out_of_bounds_memory_access', message: 'out of bounds memory access' },
  { code: 6, name: 'out_of_bounds_table_access', message: 'out of bounds table access' },
  { code: 7, name: 'undefined_element', message: 'undefined element' },
  { code: 8, name: 'uninitialized_element', message: 'uninitialized element' },
  { code: 9, name: 'indirect_call_type_mismatch', message: 'indirect call type mismatch' },
  { code: 10, name: 'call_stack_exhausted', message: 'call stack exhausted' },
  { code: 11, name: 'null_reference', message: 'null reference' },
  { code: 12, name: 'null_function_reference', message: 'null function reference' },
  { code: 13, name: 'null_structure_reference', message: 'null structure reference' },
  { code: 14, name: 'null_array_reference', message: 'null array reference' },
  { code: 15, name: 'null_i31_reference', message: 'null i31 reference' },
  { code: 16, name: 'out_of_bounds_array_access', message: 'out of bounds array access' },
  { code: 17, name: 'cast_failure', message: 'cast failure' },
  { code: 18, name: 'heap_exhausted', message: 'garbage-collected heap exhausted' },
  { code: 64, name: 'out_of_fuel', message: 'out of fuel' },
  { code: 65, name: 'interrupted', message: 'interrupted' },
  { code: 66, name: 'host_error', message: 'the host function failed' },
] as const;
export type StatusName = (typeof STATUS)[number]['name'];
/** The code of a status, by name. */
export const StatusCode = Object.fromEntries(STATUS.map((row) => [row.name, row.code])) as Record<StatusName, number>;

/** The types that fields and builtins are made of. */
export type AbiType = 'ptr' | 'u8' | 'i32' | 'u32' | 'i64' | 'u64';
export interface AbiField { readonly name: string; readonly type: AbiType; readonly doc: string }
export interface AbiStruct { readonly name: string; readonly doc: string; readonly fields: readonly AbiField[] }

const f = (name: string, type: AbiType, doc: string): AbiField => ({ name, type, doc });

/** Structs that compiled code or assembly reads or writes. The compiler and the assembly use their offsets. */
export const STRUCTS = [
  { name: 'vmctx', doc: 'Head of the per-instance struct, first argument of all compiled code; arrays follow (see VmctxLayout).', fields: [
    f('instance', 'ptr', 'the waot_instance'),
    f('builtins', 'ptr', 'waot_builtins: the function pointers of BUILTINS, in order'),
    f('types', 'ptr', 'array of interned waot_type pointers, by type index of the module'),
    f('funcrefs', 'ptr', 'array of waot_func pointers, by funcref slot'),
    f('reserved0', 'u64', 'zero'), f('reserved1', 'u64', 'zero'), f('reserved2', 'u64', 'zero'), f('reserved3', 'u64', 'zero'),
  ] },
  { name: 'vm_memory', doc: 'One memory in a vmctx.', fields: [
    f('base', 'ptr', 'first byte; never changes while the instance lives, so loads of it are invariant'),
    f('memory', 'ptr', 'the waot_memory'),
  ] },
  { name: 'memory_head', doc: 'The head of a waot_memory, as far as compiled code reads it.', fields: [
    f('base', 'ptr', 'first byte'),
    f('length', 'u64', 'bytes; a lower bound, since memories only grow and the host may grow them unseen'),
  ] },
  { name: 'vm_import', doc: 'One imported function in a vmctx: a copy of the two fields of its waot_func that a call needs.', fields: [
    f('code', 'ptr', 'native code'), f('vmctx', 'ptr', 'its first argument'),
  ] },
  { name: 'func', doc: 'A function reference points to one of these.', fields: [
    f('code', 'ptr', 'native code: (vmctx, parameters...) in the C calling convention'),
    f('vmctx', 'ptr', 'first argument of code: the vmctx of the defining instance, or the waot_host of a host function'),
    f('type', 'ptr', 'interned waot_type: equal types have equal pointers'),
    f('enter', 'ptr', 'entry adapter of the type: void (vmctx, waot_value *args_and_results, code)'),
    f('instance', 'ptr', 'defining instance, or NULL for a host function'),
    f('index', 'u64', 'function index in the defining module'),
    f('tail_code', 'ptr', 'the same code in the tail-calling convention (LLVM tailcc), or NULL where there is none: host functions, modules without tail calls'),
  ] },
  { name: 'type_head', doc: 'The head of a waot_type, as far as compiled code reads it.', fields: [
    f('param_count', 'u32', 'functions: parameters; structs: fields; arrays: 1'), f('result_count', 'u32', 'functions only'), f('valtypes', 'ptr', 'u8 codes'), f('refs', 'ptr', 'see waot_type'),
    f('supers', 'ptr', 'waot_type pointers: its supertypes from the root of its hierarchy down, and itself, at [depth]'),
    f('depth', 'u32', 'how many supertypes it has'), f('kind', 'u32', 'TypeKind'),
  ] },
  { name: 'object', doc: 'The head of a struct or array on the heap of a store, which a reference points to; aligned to 16 bytes. Fields or elements follow.', fields: [
    f('type', 'ptr', 'interned waot_type'), f('length', 'u32', 'arrays: elements; else 0'), f('reserved', 'u32', 'zero'),
  ] },
  { name: 'host', doc: 'First argument of the host adapter, the code that compiled code calls for a host function.', fields: [
    f('exit', 'ptr', 'the exit trampoline: void (waot_host *, waot_value *args_and_results); does not return on failure'),
    f('fn', 'ptr', 'int (*)(void *data, waot_value *args_and_results): 0, or a status code'),
    f('data', 'ptr', 'first argument of fn'),
  ] },
  { name: 'table', doc: 'The part of a table that compiled code reads and writes.', fields: [
    f('elements', 'ptr', 'array of references (8 bytes each, 0 is null); moves when the table grows'),
    f('length', 'u64', 'elements in use'),
  ] },
  { name: 'limits', doc: 'The budget of a store; an activation points to that of the store it was entered through.', fields: [
    f('fuel', 'i64', 'consumed - limit; exhausted means > 0. In the fuel register while wasm runs'),
    f('interrupt', 'u32', 'non-zero: stop at the next tick or exit'),
    f('reserved', 'u32', 'zero'),
  ] },
  { name: 'thread', doc: 'Per-thread record; the tick signal carries its address.', fields: [
    f('top', 'ptr', 'newest activation, or NULL'),
    f('running', 'ptr', 'while compiled code runs on the thread, the limits that it runs under, else NULL: the checker ticks only then'),
    f('host_stack_limit', 'u64', 'lowest stack pointer at which a host function or a builtin may still be called'),
    f('tick_pending', 'u32', 'non-zero from before the tick signal is sent until its handler has run'),
    f('reserved', 'u32', 'zero'),
  ] },
  { name: 'activation', doc: 'One entry of the host into wasm: lives on the stack of the entry trampoline, linked from thread.top.', fields: [
    f('prev', 'ptr', 'activation below on the same thread, or NULL'),
    f('thread', 'ptr', 'the thread record'),
    f('limits', 'ptr', 'the limits of the entering store'),
    f('exit_sp', 'u64', 'stack pointer at the entry of the trampoline by which it last left wasm; valid while it is not the newest activation'),
  ] },
] as const satisfies readonly AbiStruct[];

/** Functions of the runtime that compiled code calls through `vmctx.builtins`. `i32` results of bulk operators: 0, or non-zero for out of bounds. */
export const BUILTINS = [
  { name: 'memory_size', params: ['ptr', 'u32'], result: 'i64', doc: '(vmctx, memory) -> pages' },
  { name: 'memory_grow', params: ['ptr', 'u32', 'u64'], result: 'i64', doc: '(vmctx, memory, delta pages) -> old pages, or -1' },
  { name: 'memory_fill', params: ['ptr', 'u32', 'u64', 'u32', 'u64'], result: 'i32', doc: '(vmctx, memory, start, byte, count)' },
  { name: 'memory_copy', params: ['ptr', 'u32', 'u32', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, to memory, from memory, to, from, count)' },
  { name: 'memory_init', params: ['ptr', 'u32', 'u32', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, memory, data segment, to, from, count)' },
  { name: 'data_drop', params: ['ptr', 'u32'], result: 'void', doc: '(vmctx, data segment)' },
  { name: 'table_grow', params: ['ptr', 'u32', 'u64', 'u64'], result: 'i64', doc: '(vmctx, table, initial reference, delta) -> old length, or -1' },
  { name: 'table_fill', params: ['ptr', 'u32', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, table, start, reference, count)' },
  { name: 'table_copy', params: ['ptr', 'u32', 'u32', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, to table, from table, to, from, count)' },
  { name: 'table_init', params: ['ptr', 'u32', 'u32', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, table, element segment, to, from, count)' },
  { name: 'elem_drop', params: ['ptr', 'u32'], result: 'void', doc: '(vmctx, element segment)' },
  { name: 'struct_new', params: ['ptr', 'u32'], result: 'u64', doc: '(vmctx, type) -> struct of zeros, or 0: the heap is exhausted' },
  { name: 'array_new', params: ['ptr', 'u32', 'u64'], result: 'u64', doc: '(vmctx, type, length) -> array of zeros, or 0: the heap is exhausted' },
  { name: 'array_new_data', params: ['ptr', 'u32', 'u32', 'u64', 'u64'], result: 'u64', doc: '(vmctx, type, data segment, from byte, length) -> array; 0: the heap is exhausted; 1: the segment is too short' },
  { name: 'array_new_elem', params: ['ptr', 'u32', 'u32', 'u64', 'u64'], result: 'u64', doc: '(vmctx, type, element segment, from, length) -> array; 0: the heap is exhausted; 1: the segment is too short' },
  { name: 'array_fill', params: ['ptr', 'u64', 'u64', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, array, start, count, low 8 bytes of the value, high 8 bytes)' },
  { name: 'array_copy', params: ['ptr', 'u64', 'u64', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, to array, to, from array, from, count)' },
  { name: 'array_init_data', params: ['ptr', 'u32', 'u64', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, data segment, array, to, from byte, count) -> 0; 1: out of the array, which is looked at first; 2: out of the segment' },
  { name: 'array_init_elem', params: ['ptr', 'u32', 'u64', 'u64', 'u64', 'u64'], result: 'i32', doc: '(vmctx, element segment, array, to, from, count) -> as array_init_data' },
  { name: 'any_convert_extern', params: ['ptr', 'u64'], result: 'u64', doc: '(vmctx, externref that is not null) -> anyref, or 0: the heap is exhausted' },
  { name: 'extern_convert_any', params: ['ptr', 'u64'], result: 'u64', doc: '(vmctx, anyref that is not null) -> externref, or 0: the heap is exhausted' },
] as const satisfies readonly { name: string; params: readonly AbiType[]; result: AbiType | 'void'; doc: string }[];
export type BuiltinName = (typeof BUILTINS)[number]['name'];

/**
 * Kinds of constant expression in a descriptor (`waot_const_expr.kind`). An extended one is an array of others in postfix order; in there, and nowhere else, those
 * from `add` on take values from a stack and put one back, as the operators of these names do.
 */
export const ConstKind = {
  value: 0, ref_null: 1, ref_func: 2, global_get: 3, extended: 4, add: 5, sub: 6, mul: 7,
  ref_i31: 8, struct_new: 9, struct_new_default: 10, array_new: 11, array_new_default: 12, array_new_fixed: 13, any_convert_extern: 14, extern_convert_any: 15,
} as const;
/** Values at once on the stack of an extended constant expression, at most. */
export const MAX_CONST_HEIGHT = 10_000;
/** Modes of data and element segments in a descriptor. */
export const SegmentMode = { active: 0, passive: 1, declarative: 2 } as const;

/** Structs of the descriptor, read by the runtime only, laid out as C lays them out. `index` fields default to 0. */
export const DESCRIPTOR_STRUCTS = [
  { name: 'const_expr', doc: 'A constant expression.', fields: [
    f('kind', 'u32', 'ConstKind'), f('index', 'u32', 'ref_func: funcref slot; global_get: global index; extended: number of steps; add, sub, mul: 32 or 64; struct_new to array_new_fixed: type index'),
    f('bits_lo', 'u64', 'value: low 8 bytes of the bit pattern; extended: address of the steps, const_expr[index]; array_new_fixed: number of elements'), f('bits_hi', 'u64', 'value: high 8 bytes (v128)'),
  ] },
  { name: 'type_desc', doc: 'A type of the module. The values of a function type are its parameters, then its results; of a struct its fields; of an array its element.', fields: [
    f('param_count', 'u32', 'functions: parameters; structs: fields; arrays: 1'), f('result_count', 'u32', 'functions only'),
    f('valtypes', 'ptr', 'u8 ValType or RefType codes of the values; of fields and elements PackedType as well'),
    f('enter', 'ptr', 'entry adapter, or NULL when no reference to a function of this type can exist in the module'),
    f('host', 'ptr', 'host adapter: what compiled code calls for a host function of this type; NULL unless imported'),
    f('heaps', 'ptr', 'u32 type indices: of what each value of type ref_type or ref_null_type refers to; NULL when there is none'),
    f('followers', 'u32', 'of the first type of a recursion group: how many types of the group follow; of others 0'),
    f('kind', 'u32', 'TypeKind'), f('is_final', 'u32', '1: it has no subtypes'), f('supertype', 'u32', 'type index of the declared supertype; all ones: none'),
    f('size', 'u32', 'structs: bytes of an object, its head included; arrays: bytes of an element'), f('ref_count', 'u32', 'values that the collector has to follow: references but those to functions'),
    f('mutables', 'ptr', 'u8 for each field, or the element: 1 if mutable; NULL for functions'),
    f('offsets', 'ptr', 'u32 for each field: bytes from the start of the object, naturally aligned; arrays: of the first element; NULL for functions'),
    f('ref_offsets', 'ptr', 'u32: the offsets of those of ref_count; arrays: of the first element; NULL when there is none'),
  ] },
  { name: 'limits_desc', doc: 'Limits of a memory (pages) or a table (elements).', fields: [
    f('min', 'u64', ''), f('max', 'u64', 'all ones when absent'), f('flags', 'u32', 'bit 0: has a maximum; bit 1: shared; bit 2: 64-bit indices'),
    f('valtype', 'u32', 'tables: ValType or RefType of the elements'),
    f('heap', 'u32', 'tables of ref_type or ref_null_type: type index'), f('init', 'ptr', 'tables: const_expr for the elements, or NULL for null'),
  ] },
  { name: 'global_desc', doc: 'A global of the module (imported ones first; their init is unused).', fields: [
    f('valtype', 'u32', 'ValType or RefType'), f('is_mutable', 'u32', '0 or 1'), f('init', 'ptr', 'const_expr, or NULL for an import'), f('heap', 'u32', 'ref_type, ref_null_type: type index'),
  ] },
  { name: 'import_desc', doc: 'An import, in the order of the import section.', fields: [
    f('module', 'ptr', ''), f('module_len', 'u64', 'bytes'), f('name', 'ptr', ''), f('name_len', 'u64', 'bytes'),
    f('kind', 'u32', 'ExternKind'), f('index', 'u32', 'index in the index space of its kind'),
  ] },
  { name: 'export_desc', doc: 'An export.', fields: [
    f('name', 'ptr', ''), f('name_len', 'u64', 'bytes'), f('kind', 'u32', 'ExternKind'),
    f('index', 'u32', 'func: funcref slot; else the index in its index space'),
  ] },
  { name: 'funcref_desc', doc: 'A function that can be referenced: imported functions first (slot = function index), then defined ones that escape.', fields: [
    f('code', 'ptr', 'NULL for an import'), f('type', 'u32', 'type index'), f('index', 'u32', 'function index'), f('tail_code', 'ptr', 'see waot_func'),
  ] },
  { name: 'data_desc', doc: 'A data segment.', fields: [
    f('mode', 'u32', 'SegmentMode'), f('memory', 'u32', ''), f('offset', 'ptr', 'const_expr, or NULL'), f('bytes', 'ptr', ''), f('length', 'u64', ''),
  ] },
  { name: 'elem_desc', doc: 'An element segment.', fields: [
    f('mode', 'u32', 'SegmentMode'), f('table', 'u32', ''), f('offset', 'ptr', 'const_expr, or NULL'), f('items', 'ptr', 'const_expr array'), f('length', 'u64', ''),
    f('valtype', 'u64', 'ValType or RefType of the elements'),
  ] },
  { name: 'level_desc', doc: 'The code of another CPU level: everything else of the descriptor holds for all levels.', fields: [
    f('cpu_features', 'u64', 'bit set of CpuFeature: all are needed'), f('funcrefs', 'ptr', 'funcref_desc[funcref_count]: as module_desc.funcrefs, but for the code'),
  ] },
  { name: 'owed_row', doc: 'Code in which fuel may be owed; both fields are distances from the row itself. See OWED_ROWS_SECTION.', fields: [
    f('code', 'i32', 'to its first byte'), f('entries', 'i32', 'to its entries'),
  ] },
  { name: 'module_desc', doc: 'What the symbol waot_module names.', fields: [
    f('abi_version', 'u32', 'ABI_VERSION'), f('fuel_mode', 'u32', 'FuelMode'),
    f('vmctx_size', 'u64', 'bytes'),
    f('memories_offset', 'u64', 'offset in the vmctx of vm_memory[memory_count]'),
    f('tables_offset', 'u64', 'offset of waot_table*[table_count]'),
    f('globals_offset', 'u64', 'offset of VALUE_SIZE-byte slots, one a global: an own global is its value; of an imported one the first 8 bytes point to its value'),
    f('imports_offset', 'u64', 'offset of vm_import[imported_func_count]'),
    f('type_count', 'u32', ''), f('import_count', 'u32', ''), f('imported_func_count', 'u32', ''), f('imported_table_count', 'u32', ''),
    f('imported_memory_count', 'u32', ''), f('imported_global_count', 'u32', ''),
    f('func_count', 'u32', 'function index space'), f('funcref_count', 'u32', ''), f('table_count', 'u32', ''), f('memory_count', 'u32', ''), f('global_count', 'u32', ''),
    f('export_count', 'u32', ''), f('data_count', 'u32', ''), f('elem_count', 'u32', ''),
    f('start', 'u32', 'funcref slot of the start function, or all ones'), f('level_count', 'u32', 'levels beyond that of funcrefs, which is the least'),
    f('types', 'ptr', 'type_desc[]'), f('imports', 'ptr', 'import_desc[]'), f('funcrefs', 'ptr', 'funcref_desc[]'), f('tables', 'ptr', 'limits_desc[]'),
    f('memories', 'ptr', 'limits_desc[]'), f('globals', 'ptr', 'global_desc[]'), f('exports', 'ptr', 'export_desc[]'), f('datas', 'ptr', 'data_desc[]'), f('elems', 'ptr', 'elem_desc[]'),
    f('owed_rows', 'ptr', 'owed_row[], ascending by code; NULL when there is none'), f('owed_rows_end', 'ptr', 'their end'),
    f('levels', 'ptr', 'level_desc[level_count], each better than those before it'),
  ] },
  { name: 'note_header', doc: 'Descriptor bytes of the NOTE_HEADER note: what a loader checks before it maps anything.', fields: [
    f('abi_version', 'u32', 'ABI_VERSION'), f('fuel_mode', 'u32', 'FuelMode'), f('arch', 'u32', 'Arch'), f('os', 'u32', 'Os'),
    f('cpu_features', 'u64', 'bit set of CpuFeature: all are needed, by the least level that the artifact has'), f('file_size', 'u64', 'size of the whole file in bytes; Mach-O: without the code signature at its end'),
    f('hash0', 'u64', 'SHA-256, in digest order, of as much of the file, with these 32 bytes zero (Mach-O: and what signing changes, see seal_macho.ts)'), f('hash1', 'u64', ''), f('hash2', 'u64', ''), f('hash3', 'u64', ''),
  ] },
] as const satisfies readonly AbiStruct[];

const SIZE: Record<AbiType, number> = { ptr: 8, u8: 1, i32: 4, u32: 4, i64: 8, u64: 8 };

/** Offsets of a struct's fields, its size and its alignment, by the rules of the System V and AAPCS64 ABIs (LP64). */
export function layoutStruct(struct: AbiStruct): { offsets: Record<string, number>; size: number } {
  const offsets: Record<string, number> = {};
  let size = 0;
  let align = 1;
  for (const field of struct.fields) {
    const bytes = SIZE[field.type];
    size = Math.ceil(size / bytes) * bytes;
    offsets[field.name] = size;
    size += bytes;
    align = Math.max(align, bytes);
  }
  return { offsets, size: Math.ceil(size / align) * align };
}

type StructName = (typeof STRUCTS)[number]['name'];
/** Offset of each field of the structs that compiled code uses: `OFFSETS.func.code`. */
export const OFFSETS = Object.fromEntries(STRUCTS.map((s) => [s.name, layoutStruct(s).offsets])) as Record<StructName, Record<string, number>>;
/** Size in bytes of the structs that compiled code uses. */
export const SIZES = Object.fromEntries(STRUCTS.map((s) => [s.name, layoutStruct(s).size])) as Record<StructName, number>;

/** Where the arrays of a module's vmctx lie, in bytes from its start. */
export interface VmctxLayout {
  readonly memories: number;
  readonly tables: number;
  readonly globals: number;
  readonly imports: number;
  readonly size: number;
}

/** Lays out the vmctx of a module with these counts (imported and own ones together; functions: imported ones only). */
export function layoutVmctx(counts: { memories: number; tables: number; globals: number; importedFuncs: number }): VmctxLayout {
  const align16 = (n: number) => Math.ceil(n / 16) * 16;
  const memories = SIZES.vmctx;
  const tables = memories + counts.memories * SIZES.vm_memory;
  const globals = align16(tables + counts.tables * 8);
  const imports = globals + counts.globals * VALUE_SIZE;
  return { memories, tables, globals, imports, size: align16(imports + counts.importedFuncs * SIZES.vm_import) };
}
