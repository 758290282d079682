/** A decoded module: the shapes that parsing fills, validation checks and lowering reads. Names are the spec's. */

/**
 * A reference type, as the text format has it: one of the short names where there is one, else `(ref null? HEAP)`, where HEAP is an abstract heap type (`HeapType` in
 * types.ts) or the index of a type in the module. Two spellings can mean the same type (two indices of equal types): `TypeRelation` in types.ts compares.
 */
export type RefType =
  | 'funcref' | 'externref' | 'nullfuncref' | 'nullexternref' | 'anyref' | 'eqref' | 'i31ref' | 'structref' | 'arrayref' | 'nullref' | `(ref ${string})`;
/** A value type. References are 8 bytes; `v128` is decoded only where SIMD is enabled. */
export type ValType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | RefType;

export interface FuncType { readonly params: readonly ValType[]; readonly results: readonly ValType[] }
/** What a field holds: a value, or an i32's low bits. */
export type StorageType = ValType | 'i8' | 'i16';
/** A field of a struct, or the element of an array. */
export interface FieldType { readonly type: StorageType; readonly mutable: boolean }
export interface StructType { readonly fields: readonly FieldType[] }
export interface ArrayType { readonly element: FieldType }
/** A type of the type section. A final one has no subtypes; `supertype` is the index of the one that it is declared a subtype of. */
export type DefinedType = (({ readonly kind: 'func' } & FuncType) | ({ readonly kind: 'struct' } & StructType) | ({ readonly kind: 'array' } & ArrayType)) & {
  readonly final: boolean; readonly supertype?: number;
};
/** Limits of a memory (pages of 65,536 bytes) or a table (elements). */
export interface Limits { readonly min: number; readonly max?: number; readonly shared?: boolean; readonly is64?: boolean }
export interface TableType { readonly element: RefType; readonly limits: Limits }
export interface MemoryType { readonly limits: Limits }
export interface GlobalType { readonly type: ValType; readonly mutable: boolean }

export type ExternType =
  | { readonly kind: 'func'; readonly type: number }
  | { readonly kind: 'table'; readonly type: TableType }
  | { readonly kind: 'memory'; readonly type: MemoryType }
  | { readonly kind: 'global'; readonly type: GlobalType };
export type ExternKind = ExternType['kind'];

/** An import; `offset` is where its entry begins in the file. */
export interface Import { readonly module: string; readonly name: string; readonly desc: ExternType; readonly offset: number }
/** An export; `index` is in the index space of `kind`. */
export interface Export { readonly name: string; readonly kind: ExternKind; readonly index: number; readonly offset: number }

/**
 * A constant expression, decoded. `const` carries the bit pattern, zero-extended, of a number or vector; `global` a global index; `func` a
 * function index. An extended one is a list of constants, globals and operators (i32.add, struct.new and so on) in postfix order, as in the binary.
 */
export type ConstExpr =
  | { readonly kind: 'const'; readonly type: ValType; readonly bits: bigint }
  | { readonly kind: 'null'; readonly type: RefType }
  | { readonly kind: 'func'; readonly index: number }
  | { readonly kind: 'global'; readonly index: number }
  | { readonly kind: 'extended'; readonly steps: readonly ConstStep[] };

/** A step of an extended constant expression. */
export type ConstStep = Exclude<ConstExpr, { readonly kind: 'extended' }> | { readonly kind: 'operator'; readonly op: Opcode; /** As in `Operator`: a type, and array.new_fixed's number of elements. */ readonly a: number; readonly b: number };

export interface Global { readonly type: GlobalType; readonly init: ConstExpr; readonly offset: number }

/** A function defined in the module. */
export interface FuncBody {
  /** Index in the module's types. */
  readonly type: number;
  /** Types of the locals after the parameters, expanded. */
  readonly locals: readonly ValType[];
  /** File offset of the body's first byte (the locals), as in wasm-objdump. */
  readonly offset: number;
  /** File offsets of the first operator and of the byte after the final `end`. */
  readonly codeStart: number;
  readonly codeEnd: number;
}

export type SegmentMode = 'active' | 'passive' | 'declarative';
export interface DataSegment { readonly mode: 'active' | 'passive'; readonly memory: number; readonly offsetExpr?: ConstExpr; readonly start: number; readonly end: number; readonly offset: number }
export interface ElemSegment { readonly mode: SegmentMode; readonly table: number; readonly type: RefType; readonly offsetExpr?: ConstExpr; readonly items: readonly ConstExpr[]; readonly offset: number }

/** The decoded module. Index spaces list imports first, as the spec has it. */
export interface WasmModule {
  /** The whole file; bodies, data segments and operators are read from it by offset. */
  readonly bytes: Uint8Array;
  readonly types: readonly DefinedType[];
  /** For each type the first type of its recursion group: those that may refer to each other, and are equal to others only all together. Mostly its own index. */
  readonly typeGroups: readonly number[];
  readonly imports: readonly Import[];
  /** Type index of every function, imported ones first. */
  readonly funcs: readonly number[];
  readonly tables: readonly TableType[];
  readonly memories: readonly MemoryType[];
  /** Type of every global, imported ones first. */
  readonly globals: readonly GlobalType[];
  readonly exports: readonly Export[];
  readonly start?: number;
  /** The globals, functions and so on that the module defines itself, without the imported ones. */
  readonly definedGlobals: readonly Global[];
  /** What the elements of the tables that the module defines are at first; undefined: null. */
  readonly tableInits: readonly (ConstExpr | undefined)[];
  readonly bodies: readonly FuncBody[];
  readonly datas: readonly DataSegment[];
  readonly elems: readonly ElemSegment[];
  readonly dataCount?: number;
  readonly importedFuncs: number;
  readonly importedTables: number;
  readonly importedMemories: number;
  readonly importedGlobals: number;
  /** Functions that a `ref.func` may name: those in exports, element segments, globals and the like (spec 3.4.10, `C.refs`). */
  readonly refs: ReadonlySet<number>;
  /** Names from the custom section "name", where it is well-formed: module, and functions by index. */
  readonly names: { readonly module?: string; readonly funcs: ReadonlyMap<number, string> };
  /** Names of the other custom sections, in order. */
  readonly customSections: readonly { readonly name: string; readonly start: number; readonly end: number }[];
  /** File offsets, for messages, of what the module itself defines: entries of the type, function, table and memory sections, and the start section. */
  readonly offsets?: { readonly types: readonly number[]; readonly funcs: readonly number[]; readonly tables: readonly number[]; readonly memories: readonly number[]; readonly start?: number };
}

/** A block type: no or one result, or a type index. */
export type BlockType = { readonly kind: 'empty' } | { readonly kind: 'value'; readonly type: ValType } | { readonly kind: 'func'; readonly index: number };

/** One operator with its immediates, as `readOperator` returns it. Fields that the operator does not have are 0, 0n or undefined. */
export interface Operator {
  readonly op: Opcode;
  /** File offset of the opcode's first byte. */
  readonly offset: number;
  /** First index: label, local, global, function, type (call_indirect, call_ref, structs and arrays), table, memory of a memarg, segment (table.init, memory.init), or the value of i32.const (signed). */
  readonly a: number;
  /** Second index: table (call_indirect, table.init), source table, memory or type (copies), memory (memory.init), field, segment or number of elements after a type, alignment exponent of a memarg. */
  readonly b: number;
  /** Bit pattern of a const (unsigned), offset of a memarg, or the 16 lane indices of a shuffle (one a byte, the first lowest). */
  readonly bits: bigint;
  /** Lane index of a vector operator. */
  readonly lane: number;
  readonly block?: BlockType;
  /** br_table: the labels, the default last. */
  readonly labels?: readonly number[];
  /** select with types: those types. ref.null, ref.test, ref.cast: its one type. br_on_cast and br_on_cast_fail: the operand's type, the wanted one. */
  readonly types?: readonly ValType[];
}

/** Shapes of immediates. */
export type Immediates =
  | 'none' | 'block' | 'label' | 'br_table' | 'func' | 'type' | 'call_indirect' | 'local' | 'global' | 'table' | 'memarg' | 'memory' | 'memory_init' | 'data'
  | 'memory_copy' | 'table_init' | 'elem' | 'table_copy' | 'i32' | 'i64' | 'f32' | 'f64' | 'ref_type' | 'select_types'
  | 'memarg_lane' | 'lane' | 'shuffle' | 'v128' | 'type_field' | 'type_count' | 'type_data' | 'type_elem' | 'type_type' | 'heap' | 'heap_null' | 'cast_branch';

/** Which emitter lowers an operator. */
export type LowerKind =
  | 'control' | 'call' | 'parametric' | 'local' | 'global' | 'table' | 'load' | 'store' | 'memory' | 'const' | 'compare' | 'binary' | 'divide' | 'shift'
  | 'unary' | 'convert' | 'truncate' | 'saturate' | 'reference' | 'vector' | 'struct' | 'array' | 'cast';

/** A feature that can be switched; `mvp` is always on. */
export type Feature = 'mvp' | 'sign-extension' | 'saturating-float-to-int' | 'multi-value' | 'bulk-memory' | 'reference-types' | 'mutable-globals' | 'simd'
  | 'relaxed-simd' | 'multi-memory' | 'extended-const' | 'tail-call' | 'function-references' | 'gc';

/** One row of the opcode table. */
export interface Opcode {
  /** The opcode; with a prefix byte `p`, `p << 8 | sub-opcode` (sub-opcodes above 255: `p << 16 | sub`). */
  readonly code: number;
  /** Name in the text format, e.g. `i32.add`. */
  readonly name: string;
  readonly immediates: Immediates;
  /** Operand and result types; undefined where they depend on immediates or context (control, parametric, variable, table, call). */
  readonly signature?: FuncType;
  /** Fuel under the profile `wasmtime-1` (DESIGN's fuel law, clause 2). */
  readonly cost: number;
  /** Present on bulk operators: the fuel per unit under `wasmtime-1`, and what a unit is. */
  readonly costPerUnit?: { readonly cost: number; readonly unit: 'byte' | 'element' | 'page' };
  readonly lower: LowerKind;
  readonly feature: Feature;
  /** Whether executing it can end in a trap (apart from fuel and stack). */
  readonly traps?: boolean;
  /** Loads and stores: bytes in memory; the natural alignment. */
  readonly width?: 1 | 2 | 4 | 8 | 16;
}
