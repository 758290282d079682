/** Lowers function bodies: one pass over the operators, each handed to the emitter of its kind. */
import { ModuleBuilder, type Func } from '../llvm/builder.js';
import type { LowerKind, Opcode, Operator } from '../wasm/module.js';
import { readOperator } from '../wasm/read-operator.js';
import { Reader } from '../wasm/reader.js';
import { functionType, TypeRelation } from '../wasm/types.js';
import { emitArray } from './array.js';
import { emitCall } from './call.js';
import { emitCast } from './cast.js';
import { beginFunctionFrame, emitControl, skipOperator } from './control.js';
import { emitLoad, emitMemory, emitStore, loadFirstMemory } from './memory.js';
import { emitBinary, emitCompare, emitConst, emitConvert, emitHelper, emitShift } from './numeric.js';
import type { ModulePlan } from './plan.js';
import { FunctionState, type Partition } from './state.js';
import { emitStruct } from './struct.js';
import { emitReference, emitTable } from './table.js';
import { emitVector } from './vector.js';
import { declareLocals, emitGlobal, emitLocal, emitParametric } from './variable.js';

type Emitter = (s: FunctionState, operator: Operator) => void;

/** Traps are part of these helpers: what the line of code owes, this operator included, is charged before it. */
const trapping: Emitter = (s, operator) => {
  s.fuel.flush();
  emitHelper(s, operator);
};

const EMITTERS: Readonly<Record<LowerKind, Emitter>> = {
  control: emitControl,
  call: emitCall,
  parametric: emitParametric,
  local: emitLocal,
  global: emitGlobal,
  table: emitTable,
  load: emitLoad,
  store: emitStore,
  memory: emitMemory,
  const: emitConst,
  compare: emitCompare,
  binary: emitBinary,
  divide: trapping,
  shift: emitShift,
  unary: emitHelper,
  convert: emitConvert,
  truncate: trapping,
  saturate: emitHelper,
  reference: emitReference,
  vector: emitVector,
  struct: emitStruct,
  array: emitArray,
  cast: emitCast,
};

/** Kinds of operators at which execution cannot stop, unless they trap. Their instructions take the location of the operator before, which is of the same function. */
const NEVER_STOP: ReadonlySet<LowerKind> = new Set(['control', 'parametric', 'local', 'global', 'const', 'compare', 'binary', 'shift', 'unary', 'convert', 'saturate', 'vector']);

/** Whether execution can stop at an operator, or in a loop that begins with it: what a backtrace must be able to name. */
const canStop = ({ lower, name, traps }: Opcode): boolean => traps === true || !NEVER_STOP.has(lower) || name === 'loop';

/** Fuel for entering a wasm function (fuel law, clause 1). */
const ENTRY_COST = 1;

function emitFunction(partition: Partition, index: number): void {
  const { builder: b, plan } = partition;
  const { module } = plan;
  const body = module.bodies[index - module.importedFuncs];
  const func = partition.funcOf(index);
  const s = new FunctionState(partition, func, index);
  b.moveTo(b.block(func, 'entry'));
  b.beginFuncDebug(func, plan.symbols[index], body.offset);
  declareLocals(s, body.locals);
  loadFirstMemory(s);
  beginFunctionFrame(s);
  s.fuel.add(ENTRY_COST);
  if (plan.options.fuel === 'sync') {
    s.fuel.flush();
    s.fuel.check();
  }
  const reader = new Reader(module.bytes, body.codeStart, body.codeEnd);
  while (reader.pos < body.codeEnd) {
    const operator = readOperator(reader, plan.features);
    if (s.skipping && !skipOperator(s, operator)) continue;
    if (plan.options.debug || canStop(operator.op)) b.setDebugOffset(operator.offset);
    if (!s.skipping) s.fuel.add(s.cost(operator.op));
    EMITTERS[operator.op.lower](s, operator);
  }
}

/** Lowers one partition of a module; the builder holds the result. */
export function emitPartition(plan: ModulePlan, number: number): ModuleBuilder {
  const { module } = plan;
  const { from, to } = plan.partitions[number];
  const b = new ModuleBuilder(`${plan.options.name}.${number}`, plan.options.emit === 'ir');
  b.enableLocations(plan.options.name, plan.options.optLevel > 0, plan.options.debug);
  if (plan.tailCalls) b.useTailCalls();
  if (module.memories.length > 0) b.setLeastPages(module.memories[0].limits.min);
  const declared = new Map<number, Func>();
  const alone = plan.partitions.length === 1;
  const partition: Partition = {
    plan,
    builder: b,
    relation: new TypeRelation(module),
    funcOf(index) {
      let func = declared.get(index);
      if (!func) {
        func = b.declareFunc(plan.symbols[index], functionType(module, module.funcs[index]), alone && !plan.slots.has(index));
        declared.set(index, func);
      }
      return func;
    },
  };
  for (let i = from; i < to; i++) emitFunction(partition, module.importedFuncs + i);
  return b;
}
