/** What lowering decides about a module before it emits a function: symbols, funcref slots, the vmctx's layout, prices, partitions. */
import { layoutVmctx, type VmctxLayout } from '../../runtime-c/abi.js';
import type { CpuLevel, OptLevel, ResolvedOptions } from '../options.js';
import type { CostTable } from '../metering/cost.js';
import { defaultCostTable } from '../metering/cost.js';
import { type FeatureSet, resolveFeatures } from '../wasm/features.js';
import { opcodeByName } from '../wasm/opcodes.js';
import { readOperator } from '../wasm/read-operator.js';
import { Reader } from '../wasm/reader.js';
import type { FuncBody, Operator, WasmModule } from '../wasm/module.js';
import { type ConstantTable, findConstantTables } from './constant-tables.js';
import { type Effort, effortOf, measureFunction } from './effort.js';
import { footprintOf, joinFootprints, NO_FOOTPRINT, partitionMemory } from './footprint.js';
import { assignSymbols, levelSymbol } from './symbols.js';

export interface ModulePlan {
  readonly module: WasmModule;
  readonly options: ResolvedOptions;
  readonly costs: CostTable;
  /** Whether the module uses tail calls: all its functions then have the tail-calling convention, and wrappers in C's. */
  readonly tailCalls: boolean;
  /** The features that the module was validated with. */
  readonly features: FeatureSet;
  readonly layout: VmctxLayout;
  /** Symbol of every function, by function index (imported ones have none). */
  readonly symbols: readonly string[];
  /** Funcref slot of each function that can be referenced: the imported ones, then those defined ones that escape, in index order. */
  readonly slots: ReadonlyMap<number, number>;
  /** Of code for another CPU level than the artifact's least: its name. */
  readonly level?: CpuLevel;
  /** Tables of which the elements are known, by index. */
  readonly constantTables: ReadonlyMap<number, ConstantTable>;
  /** What each LLVM module gets. */
  readonly partitions: readonly PartitionPlan[];
}

/** Function bodies from `from` up to and without `to`, compiled as one LLVM module, and how hard. */
export interface PartitionPlan {
  readonly from: number;
  readonly to: number;
  /** Of code. */
  readonly bytes: number;
  readonly effort: Effort;
  /** Bytes of memory that compiling it takes at most, as far as can be told (footprint.ts). */
  readonly memory: number;
}

/**
 * Bytes of code in a partition, about. Partitions compile in parallel and do not inline into each other; the size is fixed, not derived from the machine's
 * cores, so that a build gives the same bytes everywhere.
 */
const PARTITION_BYTES = 48 * 1024;

/** Bytes of memory beyond which a partition takes no more functions. Those of programs are far from it; a few bytes can declare thousands of locals. */
const PARTITION_MEMORY = 256 << 20;

function* readOperators(module: WasmModule, body: FuncBody, features: FeatureSet): Generator<Operator> {
  const reader = new Reader(module.bytes, body.codeStart, body.codeEnd);
  while (reader.pos < body.codeEnd) yield readOperator(reader, features);
}

/** Cuts the functions into partitions. A function that does not get the full effort has one of its own. */
function planPartitions(module: WasmModule, features: FeatureSet, optLevel: OptLevel): PartitionPlan[] {
  const total = module.bodies.reduce((sum, body) => sum + (body.codeEnd - body.codeStart), 0);
  const target = total / Math.max(1, Math.round(total / PARTITION_BYTES));
  const partitions: PartitionPlan[] = [];
  let from = 0;
  let bytes = 0;
  let footprint = NO_FOOTPRINT;
  const close = (to: number, effort: Effort): void => {
    if (to > from) partitions.push({ from, to, bytes, effort, memory: partitionMemory(footprint) });
    from = to;
    bytes = 0;
    footprint = NO_FOOTPRINT;
  };
  module.bodies.forEach((body, i) => {
    const size = measureFunction(module, body, readOperators(module, body, features));
    const effort = effortOf(size);
    if (effort !== 'full') close(i, 'full');
    bytes += body.codeEnd - body.codeStart;
    footprint = joinFootprints(footprint, footprintOf(size, optLevel === 0 ? 'none' : effort));
    if (effort !== 'full' || bytes >= target || partitionMemory(footprint) >= PARTITION_MEMORY) close(i + 1, effort);
  });
  close(module.bodies.length, 'full');
  return partitions;
}

function planSlots(module: WasmModule): Map<number, number> {
  const escaping = new Set(module.refs);
  if (module.start !== undefined) escaping.add(module.start);
  for (const { kind, index } of module.exports) if (kind === 'func') escaping.add(index);
  const slots = new Map<number, number>();
  for (let i = 0; i < module.importedFuncs; i++) slots.set(i, i);
  for (const index of [...escaping].sort((a, b) => a - b)) if (index >= module.importedFuncs) slots.set(index, slots.size);
  return slots;
}

/** Whether a body has a tail call. Bodies in which neither opcode occurs as a byte need not be read. */
function usesTailCalls(module: WasmModule, features: FeatureSet): boolean {
  const codes = ['return_call', 'return_call_indirect', 'return_call_ref'].map((name) => opcodeByName(name)?.code as number);
  return module.bodies.some((body) => {
    const bytes = module.bytes.subarray(body.codeStart, body.codeEnd);
    if (!codes.some((code) => bytes.includes(code))) return false;
    for (const { op } of readOperators(module, body, features)) if (codes.includes(op.code)) return true;
    return false;
  });
}

/** Plans the lowering of a valid module. */
export function planModule(module: WasmModule, options: ResolvedOptions): ModulePlan {
  const features = resolveFeatures(options.features);
  return {
    module,
    options,
    features,
    tailCalls: features.has('tail-call') && usesTailCalls(module, features),
    costs: options.costTable ?? defaultCostTable(),
    layout: layoutVmctx({ memories: module.memories.length, tables: module.tables.length, globals: module.globals.length, importedFuncs: module.importedFuncs }),
    symbols: assignSymbols(module),
    slots: planSlots(module),
    constantTables: findConstantTables(module, (body) => readOperators(module, body, features)),
    partitions: planPartitions(module, features, options.optLevel),
  };
}

/** The plan for the same module's code for another CPU level, beside that of `plan` in one artifact: all that differs is what its functions are called. */
export function planLevel(plan: ModulePlan, level: CpuLevel): ModulePlan {
  return { ...plan, level, symbols: plan.symbols.map((symbol) => levelSymbol(symbol, level)) };
}
