/**
 * The opcode table: every operator of WebAssembly 2.0 and of what is supported beyond it, as data (spec 2.0, 5.4 and the index of instructions); vector operators come from `opcodes-simd.ts`.
 *
 * The reader takes the immediates from it, the validator the signature, the cost model the cost, the emitter dispatches on
 * `lower`. To add an operator is to add a row; an operator with a new shape of immediates or a context-dependent type needs its
 * reader (`reader.ts`) or its rule (`validate-rules.ts`) as well, which the compiler's exhaustive records will ask for.
 */
import type { Feature, FuncType, Immediates, LowerKind, Opcode, ValType } from './module.js';
import { PREFIX_SIMD, RELAXED_SIMD_ROWS, SIMD_ROWS, type SimdRow } from './opcodes-simd.js';

/** The first byte of the operators that have a sub-opcode: bulk memory, tables, saturating conversions. */
export const PREFIX_MISC = 0xfc;
/** The same of structs, arrays and casts. */
export const PREFIX_GC = 0xfb;

interface Extra {
  readonly cost?: 0;
  readonly perUnit?: 'byte' | 'element' | 'page';
  readonly feature?: Feature;
  readonly traps?: true;
  readonly width?: Opcode['width'];
}

/** `'i32 i64 -> i32'` as a function type. */
function parseSignature(text: string): FuncType {
  const [params, results] = text.split('->').map((side) => side.split(' ').filter((type) => type !== '') as ValType[]);
  return { params, results };
}

/** One row; `signature` is null where the types depend on immediates or on the context. */
function row(code: number, name: string, immediates: Immediates, signature: string | null, lower: LowerKind, extra: Extra = {}): Opcode {
  return {
    code,
    name,
    immediates,
    signature: signature === null ? undefined : parseSignature(signature),
    cost: extra.cost ?? 1,
    costPerUnit: extra.perUnit === undefined ? undefined : { cost: 0, unit: extra.perUnit },
    lower,
    feature: extra.feature ?? 'mvp',
    traps: extra.traps,
    width: extra.width,
  };
}

const load = (code: number, name: string, type: ValType, width: 1 | 2 | 4 | 8) => row(code, name, 'memarg', `i32 -> ${type}`, 'load', { traps: true, width });
const store = (code: number, name: string, type: ValType, width: 1 | 2 | 4 | 8) => row(code, name, 'memarg', `i32 ${type} ->`, 'store', { traps: true, width });
const compare = (code: number, name: string, type: ValType) => row(code, name, 'none', `${type} ${type} -> i32`, 'compare');
const unary = (code: number, name: string, type: ValType) => row(code, name, 'none', `${type} -> ${type}`, 'unary');
const binary = (code: number, name: string, type: ValType) => row(code, name, 'none', `${type} ${type} -> ${type}`, 'binary');
const divide = (code: number, name: string, type: ValType) => row(code, name, 'none', `${type} ${type} -> ${type}`, 'divide', { traps: true });
const shift = (code: number, name: string, type: ValType) => row(code, name, 'none', `${type} ${type} -> ${type}`, 'shift');
const convert = (code: number, name: string, from: ValType, to: ValType) => row(code, name, 'none', `${from} -> ${to}`, 'convert');
const extend = (code: number, name: string, type: ValType) => row(code, name, 'none', `${type} -> ${type}`, 'convert', { feature: 'sign-extension' });
const truncate = (code: number, name: string, from: ValType, to: ValType) => row(code, name, 'none', `${from} -> ${to}`, 'truncate', { traps: true });
const saturate = (sub: number, name: string, from: ValType, to: ValType) =>
  row((PREFIX_MISC << 8) | sub, name, 'none', `${from} -> ${to}`, 'saturate', { feature: 'saturating-float-to-int' });
const misc = (sub: number, name: string, immediates: Immediates, signature: string | null, lower: LowerKind, extra: Extra) =>
  row((PREFIX_MISC << 8) | sub, name, immediates, signature, lower, extra);

/** Rows of structs, arrays, i31 and casts. */
const gc = (sub: number, name: string, immediates: Immediates, signature: string | null, lower: LowerKind, extra: Omit<Extra, 'feature'> = {}) =>
  row((PREFIX_GC << 8) | sub, name, immediates, signature, lower, { ...extra, feature: 'gc' });

/** Rows of a vector feature. All that touch memory can trap. */
const vectors = (rows: readonly SimdRow[], feature: Feature) => rows.map(([sub, name, signature, immediates = 'none', lower = 'vector', width]) =>
  row(prefixedCode(PREFIX_SIMD, sub), name, immediates, signature, lower, { feature, width, ...(width === undefined ? {} : { traps: true }) }));

/** The number of a prefixed operator in the table: see `Opcode.code`. */
export function prefixedCode(prefix: number, sub: number): number {
  return sub < 0x100 ? (prefix << 8) | sub : prefix * 0x10000 + sub;
}

/**
 * All rows, by ascending opcode. `traps` tells of the operator itself, not of what it calls. Names are unique but for the two encodings of
 * `select`, `ref.test` and `ref.cast`, which the text format, and so a cost table, does not tell apart.
 */
export const OPCODES: readonly Opcode[] = [
  // Control
  row(0x00, 'unreachable', 'none', null, 'control', { cost: 0, traps: true }),
  row(0x01, 'nop', 'none', '->', 'control', { cost: 0 }),
  row(0x02, 'block', 'block', null, 'control', { cost: 0 }),
  row(0x03, 'loop', 'block', null, 'control', { cost: 0 }),
  row(0x04, 'if', 'block', null, 'control'),
  row(0x05, 'else', 'none', null, 'control', { cost: 0 }),
  row(0x0b, 'end', 'none', null, 'control', { cost: 0 }),
  row(0x0c, 'br', 'label', null, 'control'),
  row(0x0d, 'br_if', 'label', null, 'control'),
  row(0x0e, 'br_table', 'br_table', null, 'control'),
  row(0x0f, 'return', 'none', null, 'control', { cost: 0 }),
  row(0x10, 'call', 'func', null, 'call'),
  row(0x11, 'call_indirect', 'call_indirect', null, 'call', { traps: true }),
  row(0x12, 'return_call', 'func', null, 'call', { feature: 'tail-call' }),
  row(0x13, 'return_call_indirect', 'call_indirect', null, 'call', { feature: 'tail-call', traps: true }),
  row(0x14, 'call_ref', 'type', null, 'call', { feature: 'function-references', traps: true }),
  row(0x15, 'return_call_ref', 'type', null, 'call', { feature: 'function-references', traps: true }),
  // Parametric
  row(0x1a, 'drop', 'none', null, 'parametric', { cost: 0 }),
  row(0x1b, 'select', 'none', null, 'parametric'),
  row(0x1c, 'select', 'select_types', null, 'parametric', { feature: 'reference-types' }),
  // Variables
  row(0x20, 'local.get', 'local', null, 'local'),
  row(0x21, 'local.set', 'local', null, 'local'),
  row(0x22, 'local.tee', 'local', null, 'local'),
  row(0x23, 'global.get', 'global', null, 'global'),
  row(0x24, 'global.set', 'global', null, 'global'),
  // Tables
  row(0x25, 'table.get', 'table', null, 'table', { feature: 'reference-types', traps: true }),
  row(0x26, 'table.set', 'table', null, 'table', { feature: 'reference-types', traps: true }),
  // Memory
  load(0x28, 'i32.load', 'i32', 4),
  load(0x29, 'i64.load', 'i64', 8),
  load(0x2a, 'f32.load', 'f32', 4),
  load(0x2b, 'f64.load', 'f64', 8),
  load(0x2c, 'i32.load8_s', 'i32', 1),
  load(0x2d, 'i32.load8_u', 'i32', 1),
  load(0x2e, 'i32.load16_s', 'i32', 2),
  load(0x2f, 'i32.load16_u', 'i32', 2),
  load(0x30, 'i64.load8_s', 'i64', 1),
  load(0x31, 'i64.load8_u', 'i64', 1),
  load(0x32, 'i64.load16_s', 'i64', 2),
  load(0x33, 'i64.load16_u', 'i64', 2),
  load(0x34, 'i64.load32_s', 'i64', 4),
  load(0x35, 'i64.load32_u', 'i64', 4),
  store(0x36, 'i32.store', 'i32', 4),
  store(0x37, 'i64.store', 'i64', 8),
  store(0x38, 'f32.store', 'f32', 4),
  store(0x39, 'f64.store', 'f64', 8),
  store(0x3a, 'i32.store8', 'i32', 1),
  store(0x3b, 'i32.store16', 'i32', 2),
  store(0x3c, 'i64.store8', 'i64', 1),
  store(0x3d, 'i64.store16', 'i64', 2),
  store(0x3e, 'i64.store32', 'i64', 4),
  row(0x3f, 'memory.size', 'memory', '-> i32', 'memory'),
  row(0x40, 'memory.grow', 'memory', 'i32 -> i32', 'memory', { perUnit: 'page' }),
  // Constants
  row(0x41, 'i32.const', 'i32', '-> i32', 'const'),
  row(0x42, 'i64.const', 'i64', '-> i64', 'const'),
  row(0x43, 'f32.const', 'f32', '-> f32', 'const'),
  row(0x44, 'f64.const', 'f64', '-> f64', 'const'),
  // Comparisons
  row(0x45, 'i32.eqz', 'none', 'i32 -> i32', 'compare'),
  compare(0x46, 'i32.eq', 'i32'),
  compare(0x47, 'i32.ne', 'i32'),
  compare(0x48, 'i32.lt_s', 'i32'),
  compare(0x49, 'i32.lt_u', 'i32'),
  compare(0x4a, 'i32.gt_s', 'i32'),
  compare(0x4b, 'i32.gt_u', 'i32'),
  compare(0x4c, 'i32.le_s', 'i32'),
  compare(0x4d, 'i32.le_u', 'i32'),
  compare(0x4e, 'i32.ge_s', 'i32'),
  compare(0x4f, 'i32.ge_u', 'i32'),
  row(0x50, 'i64.eqz', 'none', 'i64 -> i32', 'compare'),
  compare(0x51, 'i64.eq', 'i64'),
  compare(0x52, 'i64.ne', 'i64'),
  compare(0x53, 'i64.lt_s', 'i64'),
  compare(0x54, 'i64.lt_u', 'i64'),
  compare(0x55, 'i64.gt_s', 'i64'),
  compare(0x56, 'i64.gt_u', 'i64'),
  compare(0x57, 'i64.le_s', 'i64'),
  compare(0x58, 'i64.le_u', 'i64'),
  compare(0x59, 'i64.ge_s', 'i64'),
  compare(0x5a, 'i64.ge_u', 'i64'),
  compare(0x5b, 'f32.eq', 'f32'),
  compare(0x5c, 'f32.ne', 'f32'),
  compare(0x5d, 'f32.lt', 'f32'),
  compare(0x5e, 'f32.gt', 'f32'),
  compare(0x5f, 'f32.le', 'f32'),
  compare(0x60, 'f32.ge', 'f32'),
  compare(0x61, 'f64.eq', 'f64'),
  compare(0x62, 'f64.ne', 'f64'),
  compare(0x63, 'f64.lt', 'f64'),
  compare(0x64, 'f64.gt', 'f64'),
  compare(0x65, 'f64.le', 'f64'),
  compare(0x66, 'f64.ge', 'f64'),
  // Integer arithmetic
  unary(0x67, 'i32.clz', 'i32'),
  unary(0x68, 'i32.ctz', 'i32'),
  unary(0x69, 'i32.popcnt', 'i32'),
  binary(0x6a, 'i32.add', 'i32'),
  binary(0x6b, 'i32.sub', 'i32'),
  binary(0x6c, 'i32.mul', 'i32'),
  divide(0x6d, 'i32.div_s', 'i32'),
  divide(0x6e, 'i32.div_u', 'i32'),
  divide(0x6f, 'i32.rem_s', 'i32'),
  divide(0x70, 'i32.rem_u', 'i32'),
  binary(0x71, 'i32.and', 'i32'),
  binary(0x72, 'i32.or', 'i32'),
  binary(0x73, 'i32.xor', 'i32'),
  shift(0x74, 'i32.shl', 'i32'),
  shift(0x75, 'i32.shr_s', 'i32'),
  shift(0x76, 'i32.shr_u', 'i32'),
  shift(0x77, 'i32.rotl', 'i32'),
  shift(0x78, 'i32.rotr', 'i32'),
  unary(0x79, 'i64.clz', 'i64'),
  unary(0x7a, 'i64.ctz', 'i64'),
  unary(0x7b, 'i64.popcnt', 'i64'),
  binary(0x7c, 'i64.add', 'i64'),
  binary(0x7d, 'i64.sub', 'i64'),
  binary(0x7e, 'i64.mul', 'i64'),
  divide(0x7f, 'i64.div_s', 'i64'),
  divide(0x80, 'i64.div_u', 'i64'),
  divide(0x81, 'i64.rem_s', 'i64'),
  divide(0x82, 'i64.rem_u', 'i64'),
  binary(0x83, 'i64.and', 'i64'),
  binary(0x84, 'i64.or', 'i64'),
  binary(0x85, 'i64.xor', 'i64'),
  shift(0x86, 'i64.shl', 'i64'),
  shift(0x87, 'i64.shr_s', 'i64'),
  shift(0x88, 'i64.shr_u', 'i64'),
  shift(0x89, 'i64.rotl', 'i64'),
  shift(0x8a, 'i64.rotr', 'i64'),
  // Floating-point arithmetic
  unary(0x8b, 'f32.abs', 'f32'),
  unary(0x8c, 'f32.neg', 'f32'),
  unary(0x8d, 'f32.ceil', 'f32'),
  unary(0x8e, 'f32.floor', 'f32'),
  unary(0x8f, 'f32.trunc', 'f32'),
  unary(0x90, 'f32.nearest', 'f32'),
  unary(0x91, 'f32.sqrt', 'f32'),
  binary(0x92, 'f32.add', 'f32'),
  binary(0x93, 'f32.sub', 'f32'),
  binary(0x94, 'f32.mul', 'f32'),
  binary(0x95, 'f32.div', 'f32'),
  binary(0x96, 'f32.min', 'f32'),
  binary(0x97, 'f32.max', 'f32'),
  binary(0x98, 'f32.copysign', 'f32'),
  unary(0x99, 'f64.abs', 'f64'),
  unary(0x9a, 'f64.neg', 'f64'),
  unary(0x9b, 'f64.ceil', 'f64'),
  unary(0x9c, 'f64.floor', 'f64'),
  unary(0x9d, 'f64.trunc', 'f64'),
  unary(0x9e, 'f64.nearest', 'f64'),
  unary(0x9f, 'f64.sqrt', 'f64'),
  binary(0xa0, 'f64.add', 'f64'),
  binary(0xa1, 'f64.sub', 'f64'),
  binary(0xa2, 'f64.mul', 'f64'),
  binary(0xa3, 'f64.div', 'f64'),
  binary(0xa4, 'f64.min', 'f64'),
  binary(0xa5, 'f64.max', 'f64'),
  binary(0xa6, 'f64.copysign', 'f64'),
  // Conversions
  convert(0xa7, 'i32.wrap_i64', 'i64', 'i32'),
  truncate(0xa8, 'i32.trunc_f32_s', 'f32', 'i32'),
  truncate(0xa9, 'i32.trunc_f32_u', 'f32', 'i32'),
  truncate(0xaa, 'i32.trunc_f64_s', 'f64', 'i32'),
  truncate(0xab, 'i32.trunc_f64_u', 'f64', 'i32'),
  convert(0xac, 'i64.extend_i32_s', 'i32', 'i64'),
  convert(0xad, 'i64.extend_i32_u', 'i32', 'i64'),
  truncate(0xae, 'i64.trunc_f32_s', 'f32', 'i64'),
  truncate(0xaf, 'i64.trunc_f32_u', 'f32', 'i64'),
  truncate(0xb0, 'i64.trunc_f64_s', 'f64', 'i64'),
  truncate(0xb1, 'i64.trunc_f64_u', 'f64', 'i64'),
  convert(0xb2, 'f32.convert_i32_s', 'i32', 'f32'),
  convert(0xb3, 'f32.convert_i32_u', 'i32', 'f32'),
  convert(0xb4, 'f32.convert_i64_s', 'i64', 'f32'),
  convert(0xb5, 'f32.convert_i64_u', 'i64', 'f32'),
  convert(0xb6, 'f32.demote_f64', 'f64', 'f32'),
  convert(0xb7, 'f64.convert_i32_s', 'i32', 'f64'),
  convert(0xb8, 'f64.convert_i32_u', 'i32', 'f64'),
  convert(0xb9, 'f64.convert_i64_s', 'i64', 'f64'),
  convert(0xba, 'f64.convert_i64_u', 'i64', 'f64'),
  convert(0xbb, 'f64.promote_f32', 'f32', 'f64'),
  convert(0xbc, 'i32.reinterpret_f32', 'f32', 'i32'),
  convert(0xbd, 'i64.reinterpret_f64', 'f64', 'i64'),
  convert(0xbe, 'f32.reinterpret_i32', 'i32', 'f32'),
  convert(0xbf, 'f64.reinterpret_i64', 'i64', 'f64'),
  extend(0xc0, 'i32.extend8_s', 'i32'),
  extend(0xc1, 'i32.extend16_s', 'i32'),
  extend(0xc2, 'i64.extend8_s', 'i64'),
  extend(0xc3, 'i64.extend16_s', 'i64'),
  extend(0xc4, 'i64.extend32_s', 'i64'),
  // References
  row(0xd0, 'ref.null', 'ref_type', null, 'reference', { feature: 'reference-types' }),
  row(0xd1, 'ref.is_null', 'none', null, 'reference', { feature: 'reference-types' }),
  row(0xd2, 'ref.func', 'func', null, 'reference', { feature: 'reference-types' }),
  row(0xd3, 'ref.eq', 'none', 'eqref eqref -> i32', 'reference', { feature: 'gc' }),
  row(0xd4, 'ref.as_non_null', 'none', null, 'reference', { feature: 'function-references', traps: true }),
  row(0xd5, 'br_on_null', 'label', null, 'control', { feature: 'function-references' }),
  row(0xd6, 'br_on_non_null', 'label', null, 'control', { feature: 'function-references' }),
  // Prefix 0xfb: structs, arrays, i31, casts
  gc(0, 'struct.new', 'type', null, 'struct', { traps: true }),
  gc(1, 'struct.new_default', 'type', null, 'struct', { traps: true }),
  gc(2, 'struct.get', 'type_field', null, 'struct', { traps: true }),
  gc(3, 'struct.get_s', 'type_field', null, 'struct', { traps: true }),
  gc(4, 'struct.get_u', 'type_field', null, 'struct', { traps: true }),
  gc(5, 'struct.set', 'type_field', null, 'struct', { traps: true }),
  gc(6, 'array.new', 'type', null, 'array', { traps: true, perUnit: 'element' }),
  gc(7, 'array.new_default', 'type', null, 'array', { traps: true, perUnit: 'element' }),
  gc(8, 'array.new_fixed', 'type_count', null, 'array', { traps: true }),
  gc(9, 'array.new_data', 'type_data', null, 'array', { traps: true, perUnit: 'element' }),
  gc(10, 'array.new_elem', 'type_elem', null, 'array', { traps: true, perUnit: 'element' }),
  gc(11, 'array.get', 'type', null, 'array', { traps: true }),
  gc(12, 'array.get_s', 'type', null, 'array', { traps: true }),
  gc(13, 'array.get_u', 'type', null, 'array', { traps: true }),
  gc(14, 'array.set', 'type', null, 'array', { traps: true }),
  gc(15, 'array.len', 'none', 'arrayref -> i32', 'array', { traps: true }),
  gc(16, 'array.fill', 'type', null, 'array', { traps: true, perUnit: 'element' }),
  gc(17, 'array.copy', 'type_type', null, 'array', { traps: true, perUnit: 'element' }),
  gc(18, 'array.init_data', 'type_data', null, 'array', { traps: true, perUnit: 'element' }),
  gc(19, 'array.init_elem', 'type_elem', null, 'array', { traps: true, perUnit: 'element' }),
  gc(20, 'ref.test', 'heap', null, 'cast'),
  gc(21, 'ref.test', 'heap_null', null, 'cast'),
  gc(22, 'ref.cast', 'heap', null, 'cast', { traps: true }),
  gc(23, 'ref.cast', 'heap_null', null, 'cast', { traps: true }),
  gc(24, 'br_on_cast', 'cast_branch', null, 'control'),
  gc(25, 'br_on_cast_fail', 'cast_branch', null, 'control'),
  gc(26, 'any.convert_extern', 'none', null, 'cast', { traps: true }),
  gc(27, 'extern.convert_any', 'none', null, 'cast', { traps: true }),
  gc(28, 'ref.i31', 'none', null, 'cast'),
  gc(29, 'i31.get_s', 'none', 'i31ref -> i32', 'cast', { traps: true }),
  gc(30, 'i31.get_u', 'none', 'i31ref -> i32', 'cast', { traps: true }),
  // Prefix 0xfc: saturating conversions, bulk memory, tables
  saturate(0, 'i32.trunc_sat_f32_s', 'f32', 'i32'),
  saturate(1, 'i32.trunc_sat_f32_u', 'f32', 'i32'),
  saturate(2, 'i32.trunc_sat_f64_s', 'f64', 'i32'),
  saturate(3, 'i32.trunc_sat_f64_u', 'f64', 'i32'),
  saturate(4, 'i64.trunc_sat_f32_s', 'f32', 'i64'),
  saturate(5, 'i64.trunc_sat_f32_u', 'f32', 'i64'),
  saturate(6, 'i64.trunc_sat_f64_s', 'f64', 'i64'),
  saturate(7, 'i64.trunc_sat_f64_u', 'f64', 'i64'),
  misc(8, 'memory.init', 'memory_init', 'i32 i32 i32 ->', 'memory', { feature: 'bulk-memory', traps: true, perUnit: 'byte' }),
  misc(9, 'data.drop', 'data', '->', 'memory', { feature: 'bulk-memory' }),
  misc(10, 'memory.copy', 'memory_copy', 'i32 i32 i32 ->', 'memory', { feature: 'bulk-memory', traps: true, perUnit: 'byte' }),
  misc(11, 'memory.fill', 'memory', 'i32 i32 i32 ->', 'memory', { feature: 'bulk-memory', traps: true, perUnit: 'byte' }),
  misc(12, 'table.init', 'table_init', 'i32 i32 i32 ->', 'table', { feature: 'bulk-memory', traps: true, perUnit: 'element' }),
  misc(13, 'elem.drop', 'elem', '->', 'table', { feature: 'bulk-memory' }),
  misc(14, 'table.copy', 'table_copy', 'i32 i32 i32 ->', 'table', { feature: 'bulk-memory', traps: true, perUnit: 'element' }),
  misc(15, 'table.grow', 'table', null, 'table', { feature: 'reference-types', perUnit: 'element' }),
  misc(16, 'table.size', 'table', '-> i32', 'table', { feature: 'reference-types' }),
  misc(17, 'table.fill', 'table', null, 'table', { feature: 'reference-types', traps: true, perUnit: 'element' }),
  ...vectors(SIMD_ROWS, 'simd'),
  ...vectors(RELAXED_SIMD_ROWS, 'relaxed-simd'),
];

const BY_CODE: ReadonlyMap<number, Opcode> = new Map(OPCODES.map((op) => [op.code, op]));
// The first row of a name wins: of the two encodings of `select`, the one without types.
const BY_NAME: ReadonlyMap<string, Opcode> = new Map([...OPCODES].reverse().map((op) => [op.name, op]));

/** The row of an opcode (numbered as `Opcode.code`), or undefined when there is none. */
export function opcodeByCode(code: number): Opcode | undefined {
  return BY_CODE.get(code);
}

/** The row of an operator's name in the text format, or undefined. `select` gives the encoding without types (0x1b). */
export function opcodeByName(name: string): Opcode | undefined {
  return BY_NAME.get(name);
}
