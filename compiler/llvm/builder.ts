/**
 * A narrow, typed face of llvm-bindings (LLVM 14): the only file that imports it. What the bindings get wrong or cannot say is settled here or in
 * the prelude; the rest of the compiler knows neither.
 *
 * Facts of llvm-bindings 0.4.2 that shape this file: 64-bit constants from a JS number are wrong beyond 32 bits; constant FP values lose NaN payloads unless
 * made by bitcast; contexts and modules are never freed (so every compile runs in a child process); pointers are typed.
 */
import { createRequire } from 'node:module';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type llvmTypes from 'llvm-bindings';
import type { FuncType, ValType } from '../wasm/module.js';

type Llvm = typeof llvmTypes;
let loaded: Llvm | undefined;
/** Loads the native bindings on first use: they are an optional dependency, and large. */
function llvm(): Llvm {
  loaded ??= createRequire(import.meta.url)('llvm-bindings') as Llvm;
  return loaded;
}

export type Value = llvmTypes.Value;
export type Block = llvmTypes.BasicBlock;
export type Func = llvmTypes.Function;
export type Phi = llvmTypes.PHINode;
export type Type = llvmTypes.Type;
/** The types that emitters name: value types, and what helpers take and return. */
export type TypeName = 'i1' | 'i8' | 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'ptr' | 'void';

/** How each value type is held in IR: references are 64-bit integers, so that no pointer type is needed for them. */
const IR_TYPE: Readonly<Partial<Record<ValType, TypeName>>> = { i32: 'i32', f32: 'f32', f64: 'f64', v128: 'v128' };

/** The IR type of a value type. */
export function irType(type: ValType): TypeName {
  return IR_TYPE[type] ?? 'i64';
}

/** Text of a module from which the bindings, which cannot name a vector type, read one. */
const VECTOR_SOURCE = 'declare <2 x i64> @vector()\n';

/** The vector type of a context: `<2 x i64>`, as the prelude has it. */
function vectorType(context: llvmTypes.LLVMContext): Type {
  const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-'));
  try {
    const file = join(folder, 'vector.ll');
    writeFileSync(file, VECTOR_SOURCE);
    const func = llvm().parseIRFile(file, new (llvm().SMDiagnostic)(), context).getFunction('vector');
    if (!func) throw new Error('llvm-bindings did not read the vector type');
    return func.getReturnType();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Helper that marks a tail call. See codegen/tail_calls.c. */
const TAIL_MARK = 'tail';
/** The column of the location of a call that takes its caller's place; all others have 0. See codegen/tail_locations.h. */
const TAIL_COLUMN = 1;

export type BinaryOp = 'Add' | 'Sub' | 'Mul' | 'And' | 'Or' | 'Xor' | 'Shl' | 'AShr' | 'LShr' | 'FAdd' | 'FSub' | 'FMul' | 'FDiv';
export type CompareOp =
  | 'ICmpEQ' | 'ICmpNE' | 'ICmpSLT' | 'ICmpULT' | 'ICmpSGT' | 'ICmpUGT' | 'ICmpSLE' | 'ICmpULE' | 'ICmpSGE' | 'ICmpUGE'
  | 'FCmpOEQ' | 'FCmpUNE' | 'FCmpOLT' | 'FCmpOGT' | 'FCmpOLE' | 'FCmpOGE';
export type CastOp = 'Trunc' | 'ZExt' | 'SExt' | 'FPTrunc' | 'FPExt' | 'SIToFP' | 'UIToFP' | 'BitCast';

/** What a map has for a key, made at the first use. */
function cached<K>(values: Map<K, Value>, key: K, make: () => Value): Value {
  let value = values.get(key);
  if (!value) {
    value = make();
    values.set(key, value);
  }
  return value;
}

/** The symbol of a prelude helper. */
const helperSymbol = (name: string): string => `waot.${name}`;

/** Builds one LLVM module: a partition of a wasm module. */
export class ModuleBuilder {
  private readonly context: llvmTypes.LLVMContext;
  private readonly module: llvmTypes.Module;
  private readonly ir: llvmTypes.IRBuilder;
  private readonly scalarTypes: Record<Exclude<TypeName, 'v128'>, Type>;
  private vector: Type | undefined;
  private readonly constants = new Map<string, Value>();
  private readonly words = new Map<number, Value>();
  private readonly longs = new Map<bigint, Value>();
  /** By their names, without what their symbols begin with: a string put together for each call would be hashed for each. */
  private readonly helpers = new Map<string, Func>();
  private readonly funcs: Func[] = [];
  private readonly funcTypes = new Map<FuncType, llvmTypes.FunctionType>();
  private debug: DebugInfo | undefined;
  /** Where instructions go. */
  private at: Block | undefined;

  /** @param named whether blocks have names, for readers of the IR: they take time. */
  constructor(name: string, private readonly named = true) {
    const L = llvm();
    this.context = new L.LLVMContext();
    this.module = new L.Module(name, this.context);
    this.ir = new L.IRBuilder(this.context);
    const { ir } = this;
    this.scalarTypes = {
      i1: ir.getInt1Ty(), i8: ir.getInt8Ty(), i32: ir.getInt32Ty(), i64: ir.getInt64Ty(), f32: ir.getFloatTy(), f64: ir.getDoubleTy(), ptr: ir.getInt8PtrTy(), void: ir.getVoidTy(),
    };
  }

  // --- types and constants -----------------------------------------------------------------------------------------

  /** The IR type of a name. The vector type is made on first use: most modules have none. */
  private typeOf(name: TypeName): Type {
    if (name !== 'v128') return this.scalarTypes[name];
    this.vector ??= vectorType(this.context);
    return this.vector;
  }

  /** The IR type of the results of a wasm function: void, the one type, or a literal struct. */
  resultType(type: FuncType): Type {
    if (type.results.length === 0) return this.scalarTypes.void;
    if (type.results.length === 1) return this.typeOf(irType(type.results[0]));
    return llvm().StructType.get(this.context, type.results.map((t) => this.typeOf(irType(t))));
  }

  /** The IR type of a compiled function: (vmctx, parameters...) -> results. */
  funcType(type: FuncType): llvmTypes.FunctionType {
    let made = this.funcTypes.get(type);
    if (!made) {
      made = llvm().FunctionType.get(this.resultType(type), [this.scalarTypes.ptr, ...type.params.map((t) => this.typeOf(irType(t)))], false);
      this.funcTypes.set(type, made);
    }
    return made;
  }

  i32(value: number): Value {
    return cached(this.words, value, () => this.ir.getInt32(value >>> 0));
  }

  /** A 64-bit constant, by its bits. From 2^31 on it is built from two halves: the bindings' own 64-bit constants are wrong beyond 32 bits. */
  i64(bits: bigint): Value {
    return cached(this.longs, bits, () => {
      if (bits >= 0n && bits < 0x80000000n) return this.ir.getInt64(Number(bits));
      const half = (n: bigint) => this.ir.CreateZExt(this.ir.getInt32(Number(n & 0xffffffffn)), this.scalarTypes.i64);
      return this.ir.CreateOr(this.ir.CreateShl(half(bits >> 32n), half(32n)), half(bits));
    });
  }

  /** A floating-point constant by its bits: a bitcast is exact where a number would lose a NaN's payload. */
  float(type: 'f32' | 'f64', bits: bigint): Value {
    return cached(this.constants, `${type} ${bits}`, () => {
      const int = type === 'f32' ? this.i32(Number(bits)) : this.i64(bits);
      return llvm().ConstantExpr.getBitCast(int as llvmTypes.Constant, this.typeOf(type));
    });
  }

  /** A vector constant by its bits. */
  vectorBits(bits: bigint): Value {
    return cached(this.constants, `v128 ${bits}`, () => {
      const i128 = this.ir.getIntNTy(128);
      const word = (index: bigint) => this.ir.CreateShl(this.ir.CreateZExt(this.i32(Number((bits >> (32n * index)) & 0xffffffffn)), i128), this.ir.CreateZExt(this.i32(Number(32n * index)), i128));
      const all = [0n, 1n, 2n, 3n].map(word).reduce((a, b) => this.ir.CreateOr(a, b));
      return llvm().ConstantExpr.getBitCast(all as llvmTypes.Constant, this.typeOf('v128'));
    });
  }

  zero(type: TypeName): Value {
    return cached(this.constants, `zero ${type}`, () => llvm().Constant.getNullValue(this.typeOf(type)));
  }

  // --- functions ----------------------------------------------------------------------------------------------------

  /** Declares a compiled function; the codegen addon gives it hidden visibility unless it is internal. */
  declareFunc(name: string, type: FuncType, internal: boolean): Func {
    const { ExternalLinkage, InternalLinkage } = llvm().GlobalValue.LinkageTypes;
    const func = llvm().Function.Create(this.funcType(type), internal ? InternalLinkage : ExternalLinkage, name, this.module);
    this.funcs.push(func);
    return func;
  }

  /** A prelude helper, declared on first use. */
  private helper(name: string, result: TypeName, params: readonly TypeName[]): Func {
    let func = this.helpers.get(name);
    if (!func) {
      const type = llvm().FunctionType.get(this.typeOf(result), params.map((t) => this.typeOf(t)), false);
      func = llvm().Function.Create(type, llvm().GlobalValue.LinkageTypes.ExternalLinkage, helperSymbol(name), this.module);
      this.helpers.set(name, func);
    }
    return func;
  }

  /** Symbols of the prelude helpers that have been called. */
  get helperNames(): Iterable<string> {
    return [...this.helpers.keys()].map(helperSymbol);
  }

  /** Calls the prelude helper `waot.<name>`. */
  callHelper(name: string, result: TypeName, params: readonly TypeName[], args: Value[]): Value {
    return this.ir.CreateCall(this.helper(name, result, params), args);
  }

  /**
   * Says that the module uses tail calls: the code generator then gives every compiled function the tail-calling convention, and heeds `markTailCall`
   * (codegen/tail_calls.c). The bindings can express neither.
   */
  useTailCalls(): void {
    this.helper(TAIL_MARK, 'void', []);
  }

  /** Says how many pages the first memory has at least (codegen/loop_nest.cc). @param pages up to 65,536. */
  setLeastPages(pages: number): void {
    this.module.addModuleFlag(llvm().Module.ModFlagBehavior.Warning, 'waot.least_pages', pages);
  }

  /** The next call is a tail call: the caller's frame is gone before the callee runs. It must be made by `retCall`. */
  markTailCall(): void {
    this.ir.CreateCall(this.helper(TAIL_MARK, 'void', []), []);
  }

  /** Makes a call in place of the caller, which stacks do not show while it lasts, and returns its result, whatever it is, as it is. */
  retCall(type: FuncType, call: () => Value): void {
    const offset = this.debug?.offset ?? 0;
    this.setDebugOffset(offset, TAIL_COLUMN);
    const result = call();
    this.setDebugOffset(offset);
    if (type.results.length === 0) this.ir.CreateRetVoid();
    else this.ir.CreateRet(result);
  }

  isNull(pointer: Value): Value {
    return this.ir.CreateICmpEQ(this.ir.CreatePtrToInt(pointer, this.scalarTypes.i64), this.zero('i64'));
  }

  call(func: Func, args: Value[]): Value {
    return this.ir.CreateCall(func, args);
  }

  /** Calls through a code pointer. */
  callIndirect(type: FuncType, code: Value, args: Value[]): Value {
    const funcType = this.funcType(type);
    return this.ir.CreateCall(funcType, this.ir.CreateBitCast(code, llvm().PointerType.get(funcType, 0)), args);
  }

  param(func: Func, index: number): Value {
    return func.getArg(index);
  }

  // --- blocks -------------------------------------------------------------------------------------------------------

  /** A new block; it is placed in the function at once. */
  block(func: Func, name: string): Block {
    return llvm().BasicBlock.Create(this.context, this.named ? name : '', func);
  }

  moveTo(block: Block): void {
    this.at = block;
    this.ir.SetInsertPoint(block);
  }

  current(): Block {
    return this.at as Block;
  }

  br(to: Block): void {
    this.ir.CreateBr(to);
  }

  condBr(condition: Value, then: Block, otherwise: Block): void {
    this.ir.CreateCondBr(condition, then, otherwise);
  }

  switchOn(value: Value, otherwise: Block, cases: readonly Block[]): void {
    const inst = this.ir.CreateSwitch(value, otherwise, cases.length);
    cases.forEach((block, i) => inst.addCase(this.ir.getInt32(i), block));
  }

  unreachable(): void {
    this.ir.CreateUnreachable();
  }

  /** Returns the values: none, one, or a struct of them. */
  ret(type: FuncType, values: readonly Value[]): void {
    if (values.length === 0) this.ir.CreateRetVoid();
    else if (values.length === 1) this.ir.CreateRet(values[0]);
    else {
      let struct: Value = llvm().UndefValue.get(this.resultType(type));
      values.forEach((value, i) => { struct = this.ir.CreateInsertValue(struct, value, [i]); });
      this.ir.CreateRet(struct);
    }
  }

  /** The results of a call as separate values. */
  results(type: FuncType, value: Value): Value[] {
    if (type.results.length < 2) return type.results.length === 0 ? [] : [value];
    return type.results.map((_, i) => this.ir.CreateExtractValue(value, [i]));
  }

  /** Phis at the start of a block that is empty yet. */
  phis(block: Block, types: readonly TypeName[]): Phi[] {
    if (types.length === 0) return [];
    const back = this.current();
    this.moveTo(block);
    const phis = types.map((type) => this.ir.CreatePHI(this.typeOf(type), 2));
    this.moveTo(back);
    return phis;
  }

  addIncoming(phi: Phi, value: Value, from: Block): void {
    phi.addIncoming(value, from);
  }

  // --- instructions -------------------------------------------------------------------------------------------------

  local(type: TypeName): Value {
    return this.ir.CreateAlloca(this.typeOf(type), null);
  }

  load(type: TypeName, slot: Value): Value {
    return this.ir.CreateLoad(this.typeOf(type), slot);
  }

  store(value: Value, slot: Value): void {
    this.ir.CreateStore(value, slot);
  }

  binary(op: BinaryOp, a: Value, b: Value): Value {
    return this.ir[`Create${op}`](a, b);
  }

  compare(op: CompareOp, a: Value, b: Value): Value {
    return this.ir[`Create${op}`](a, b);
  }

  cast(op: CastOp, value: Value, to: TypeName): Value {
    return this.ir[`Create${op}`](value, this.typeOf(to));
  }

  select(condition: Value, then: Value, otherwise: Value): Value {
    return this.ir.CreateSelect(condition, then, otherwise);
  }

  // --- debug information --------------------------------------------------------------------------------------------

  /** Starts locations for the module, whose line is the byte offset in the wasm file. `dwarf`: the object is to have them as DWARF too (codegen/frame_rows.cc). */
  enableLocations(fileName: string, optimised: boolean, dwarf: boolean): void {
    this.module.addModuleFlag(llvm().Module.ModFlagBehavior.Warning, 'Debug Info Version', llvm().LLVMConstants.DEBUG_METADATA_VERSION);
    if (dwarf) this.module.addModuleFlag(llvm().Module.ModFlagBehavior.Warning, 'Dwarf Version', 4);
    const builder = new (llvm().DIBuilder)(this.module);
    const file = builder.createFile(fileName, '.');
    builder.createCompileUnit(llvm().dwarf.SourceLanguage.DW_LANG_C99, file, 'wasm-aot', optimised, '', 0);
    const type = builder.createSubroutineType(builder.getOrCreateTypeArray([null]));
    this.debug = { builder, file, type, offset: 0 };
  }

  /** Gives a function its DWARF entry and makes it the scope of the locations that follow. */
  beginFuncDebug(func: Func, name: string, offset: number): void {
    if (!this.debug) return;
    const { builder, file, type } = this.debug;
    const flags = llvm().DISubprogram.DISPFlags;
    const scope = builder.createFunction(file, name, name, file, offset, type, offset, llvm().DINode.DIFlags.FlagPrototyped, flags.SPFlagDefinition);
    func.setSubprogram(scope);
    this.debug.scope = scope;
    this.setDebugOffset(offset);
  }

  /** The instructions that follow come from the operator at this byte offset. */
  setDebugOffset(offset: number, column = 0): void {
    if (!this.debug?.scope) return;
    this.debug.offset = offset;
    this.ir.SetCurrentDebugLocation(llvm().DILocation.get(this.context, offset, column, this.debug.scope));
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  /**
   * The finished module as LLVM 14 bitcode, once. The bindings can write it to a file only: `scratch` names one, which is removed again. They never free a module, but the bodies of
   * its functions, most of it, can be.
   */
  writeBitcode(scratch: string): Uint8Array {
    this.debug?.builder.finalize();
    try {
      llvm().WriteBitcodeToFile(this.module, scratch);
      return readFileSync(scratch);
    } finally {
      rmSync(scratch, { force: true });
      for (const func of this.funcs) func.deleteBody();
    }
  }

  /** The module as text, for diagnosing the compiler itself. */
  print(): string {
    return this.module.print();
  }
}

interface DebugInfo {
  readonly builder: llvmTypes.DIBuilder;
  readonly file: llvmTypes.DIFile;
  readonly type: llvmTypes.DISubroutineType;
  /** That of the last location. */
  offset: number;
  scope?: llvmTypes.DISubprogram;
}
