/**
 * Implementation limits. Most are those that the WebAssembly JavaScript Interface fixes for web engines ("Limits" in its appendix), so that a
 * module which every browser takes is taken here. A module over a limit is well-formed: the error is of kind `unsupported`.
 */
export const Limit = {
  /** Bytes of a module. */
  moduleBytes: 1_073_741_824,
  types: 1_000_000,
  params: 1000,
  results: 1000,
  /** Fields of a struct; operands of array.new_fixed. */
  fields: 10_000,
  /** Supertypes of a type, one above the other. */
  supertypes: 63,
  /** Imports; functions, imported and own ones together; and so on. */
  imports: 1_000_000,
  funcs: 1_000_000,
  tables: 100_000,
  memories: 100_000,
  globals: 1_000_000,
  exports: 1_000_000,
  elems: 10_000_000,
  datas: 100_000,
  /** Initial elements of a table, and items of an element segment. */
  tableElements: 10_000_000,
  /** Bytes of a function's body. */
  bodyBytes: 7_654_321,
  /** Locals of a function, parameters counted. */
  locals: 50_000,
  /** Our own: locals in all different declarations of a module, since a few bytes can declare 50,000 of them. */
  moduleLocals: 20_000_000,
  /** Labels of a br_table, without the default: V8's. */
  brTableLabels: 65_520,
  /** Our own: nested blocks, since LLVM recurses over nested loops. */
  nesting: 50_000,
  /** Our own: height of the operand stack, since a call of two bytes can push 1,000 values. */
  operands: 1_000_000,
  /** Spec: pages of a 32-bit memory. */
  memoryPages: 65_536,
} as const;
