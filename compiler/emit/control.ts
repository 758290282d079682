/** Control operators: blocks, branches, traps, returns. */
import type { Block, Value } from '../llvm/builder.js';
import { irType } from '../llvm/builder.js';
import type { BlockType, Operator, RefType, ValType, WasmModule } from '../wasm/module.js';
import { functionType, withoutNull, withoutType } from '../wasm/types.js';
import { testReference } from './cast.js';
import type { Frame, FunctionState, Operand } from './state.js';
import { emitTrap } from './trap.js';

type Signature = { readonly params: readonly ValType[]; readonly results: readonly ValType[] };

function blockSignature(module: WasmModule, block: BlockType): Signature {
  if (block.kind === 'func') return functionType(module, block.index);
  return { params: [], results: block.kind === 'value' ? [block.type] : [] };
}

function makeTarget(s: FunctionState, name: string, types: readonly ValType[]): NonNullable<Frame['target']> {
  const block = s.b.block(s.func, name);
  return { block, phis: s.b.phis(block, types.map(irType)) };
}

/** The types a branch to the frame's label carries. */
const labelTypes = (frame: Frame) => (frame.kind === 'loop' ? frame.params : frame.results);

/** Notes an edge from the current block to a frame's label, carrying values; returns the block to branch to. */
function edgeTo(s: FunctionState, frame: Frame, values: readonly Value[]): Block {
  frame.target ??= makeTarget(s, 'end', frame.results);
  const from = s.b.current();
  frame.target.phis.forEach((phi, i) => s.b.addIncoming(phi, values[i], from));
  return frame.target.block;
}

function frameAt(s: FunctionState, label: number): Frame {
  return s.frames[s.frames.length - 1 - label];
}

/** Leaves the current block for a label with the top operands. The label of the function's own frame is a return. */
function branch(s: FunctionState, frame: Frame): void {
  const values = s.popMany(labelTypes(frame).length);
  s.fuel.flush();
  if (frame.kind === 'func') s.b.ret(s.type, values);
  else s.b.br(edgeTo(s, frame, values));
}

function pushFrame(s: FunctionState, kind: Frame['kind'], signature: Signature, extra: Partial<Frame> = {}): void {
  s.frames.push({ kind, params: signature.params, results: signature.results, height: s.height - signature.params.length, ...extra });
}

function beginLoop(s: FunctionState, signature: Signature): void {
  // The charge of what came before the loop belongs before the header: inside it would be paid on every round.
  const params = s.popMany(signature.params.length);
  s.fuel.flush();
  const target = makeTarget(s, 'loop', signature.params);
  const from = s.b.current();
  target.phis.forEach((phi, i) => s.b.addIncoming(phi, params[i], from));
  s.b.br(target.block);
  s.b.moveTo(target.block);
  s.forgetLocals();
  signature.params.forEach((type, i) => s.push(type, target.phis[i]));
  pushFrame(s, 'loop', signature, { target });
  s.fuel.check();
}

function beginIf(s: FunctionState, signature: Signature): void {
  const condition = s.popCondition();
  // Both arms use the parameters: as plain values, made before the branch.
  const values = s.popMany(signature.params.length);
  const params: Operand[] = signature.params.map((type, i) => ({ type, value: values[i] }));
  s.fuel.flush();
  const then = s.b.block(s.func, 'then');
  const otherwise = s.b.block(s.func, 'else');
  s.b.condBr(condition, then, otherwise);
  s.b.moveTo(then);
  for (const operand of params) s.pushOperand(operand);
  pushFrame(s, 'if', signature, { otherwise: { block: otherwise, params } });
}

function beginElse(s: FunctionState): void {
  const frame = s.frames.pop() as Frame;
  if (!s.skipping) fallThrough(s, frame);
  s.truncate(frame.height);
  const { block, params } = frame.otherwise as NonNullable<Frame['otherwise']>;
  s.skipping = false;
  s.b.moveTo(block);
  s.forgetLocals();
  for (const operand of params) s.pushOperand(operand);
  s.frames.push({ kind: 'else', params: frame.params, results: frame.results, height: frame.height, target: frame.target });
}

/** Control reaches the end of a frame whose end other code branches to as well. */
function fallThrough(s: FunctionState, frame: Frame): void {
  const values = s.popMany(frame.results.length);
  s.fuel.flush();
  s.b.br(edgeTo(s, frame, values));
}

function endFrame(s: FunctionState): void {
  const frame = s.frames.pop() as Frame;
  if (frame.kind === 'func') {
    if (!s.skipping) {
      const values = s.popMany(frame.results.length);
      s.fuel.flush();
      s.b.ret(s.type, values);
    }
    s.skipping = false;
    return;
  }
  if (frame.otherwise) {
    // An `if` without `else`: when the condition is zero the parameters are the results.
    if (!s.skipping) fallThrough(s, frame);
    s.b.moveTo(frame.otherwise.block);
    s.b.br(edgeTo(s, frame, frame.otherwise.params.map((p) => p.value)));
  } else if (frame.kind === 'loop' || !frame.target) {
    // Nothing branches to the end: the line of code goes on, with what it owes, or stays unreached.
    return;
  } else if (!s.skipping) {
    fallThrough(s, frame);
  }
  const { block, phis } = frame.target as NonNullable<Frame['target']>;
  s.truncate(frame.height);
  s.skipping = false;
  s.b.moveTo(block);
  s.forgetLocals();
  frame.results.forEach((type, i) => s.push(type, phis[i]));
}

function branchIf(s: FunctionState, label: number): void {
  const condition = s.popCondition();
  const types = labelTypes(frameAt(s, label));
  const values = s.popMany(types.length);
  branchOn(s, frameAt(s, label), condition, values);
  types.forEach((type, i) => s.push(type, values[i]));
}

/** br_on_null: the values go with the branch, the reference does not; it stays, without null, when the branch is not taken. */
function branchOnNull(s: FunctionState, label: number): void {
  const { type, value } = s.popOperand();
  const types = labelTypes(frameAt(s, label));
  const values = s.popMany(types.length);
  branchOn(s, frameAt(s, label), s.b.compare('ICmpEQ', value, s.b.zero('i64')), values);
  types.forEach((t, i) => s.push(t, values[i]));
  s.push(withoutNull(type as RefType), value);
}

/** br_on_non_null: the reference goes with the branch, after the other values; it is dropped when the branch is not taken. */
function branchOnNonNull(s: FunctionState, label: number): void {
  const { value } = s.popOperand();
  const types = labelTypes(frameAt(s, label)).slice(0, -1);
  const values = s.popMany(types.length);
  branchOn(s, frameAt(s, label), s.b.compare('ICmpNE', value, s.b.zero('i64')), [...values, value]);
  types.forEach((type, i) => s.push(type, values[i]));
}

/** br_on_cast and br_on_cast_fail: the reference goes with the branch, after the other values, and stays when the branch is not taken. */
function branchOnCast(s: FunctionState, { op, a, types: immediate }: Operator): void {
  const [from, to] = immediate as readonly RefType[];
  const { type, value } = s.popOperand();
  const test = testReference(s, { type, value }, to);
  const isTaken = op.name === 'br_on_cast' ? test : s.b.binary('Xor', test, s.b.compare('ICmpEQ', s.b.i32(0), s.b.i32(0)));
  const types = labelTypes(frameAt(s, a)).slice(0, -1);
  const values = s.popMany(types.length);
  branchOn(s, frameAt(s, a), isTaken, [...values, value]);
  types.forEach((t, i) => s.push(t, values[i]));
  s.push(op.name === 'br_on_cast' ? withoutType(from, to) : to, value);
}

/** Leaves for a frame's label, with values, when the condition holds; the code goes on where it does not. */
function branchOn(s: FunctionState, frame: Frame, condition: Value, values: readonly Value[]): void {
  s.fuel.flush();
  const next = s.b.block(s.func, 'next');
  if (frame.kind === 'func') {
    const leave = s.b.block(s.func, 'return');
    s.b.condBr(condition, leave, next);
    s.b.moveTo(leave);
    s.b.ret(s.type, values);
  } else {
    s.b.condBr(condition, edgeTo(s, frame, values), next);
  }
  s.b.moveTo(next);
}

function branchTable(s: FunctionState, labels: readonly number[]): void {
  const index = s.pop();
  const values = s.popMany(labelTypes(frameAt(s, labels[labels.length - 1])).length);
  s.fuel.flush();
  let leave: Block | undefined;
  const targets = labels.map((label) => {
    const frame = frameAt(s, label);
    if (frame.kind !== 'func') return edgeTo(s, frame, values);
    leave ??= s.b.block(s.func, 'return');
    return leave;
  });
  s.b.switchOn(index, targets[targets.length - 1], targets.slice(0, -1));
  if (leave) {
    s.b.moveTo(leave);
    s.b.ret(s.type, values);
  }
}

/** Operators are passed over after a branch, but their blocks are counted. Returns whether this operator ends the passing over. */
export function skipOperator(s: FunctionState, operator: Operator): boolean {
  switch (operator.op.name) {
    case 'block': case 'loop': case 'if':
      s.skippedNest++;
      return false;
    case 'else':
      return s.skippedNest === 0;
    case 'end':
      if (s.skippedNest === 0) return true;
      s.skippedNest--;
      return false;
    default:
      return false;
  }
}

/** Starts the function's own frame, whose label returns. */
export function beginFunctionFrame(s: FunctionState): void {
  s.frames.push({ kind: 'func', params: [], results: s.type.results, height: 0 });
}

export function emitControl(s: FunctionState, operator: Operator): void {
  switch (operator.op.name) {
    case 'nop':
      return;
    case 'unreachable':
      s.fuel.flush();
      return emitTrap(s, 'unreachable');
    case 'block':
      return pushFrame(s, 'block', blockSignature(s.module, operator.block as BlockType));
    case 'loop':
      return beginLoop(s, blockSignature(s.module, operator.block as BlockType));
    case 'if':
      return beginIf(s, blockSignature(s.module, operator.block as BlockType));
    case 'else':
      return beginElse(s);
    case 'end':
      return endFrame(s);
    case 'br':
      branch(s, frameAt(s, operator.a));
      return s.skipRest();
    case 'br_if':
      return branchIf(s, operator.a);
    case 'br_on_null':
      return branchOnNull(s, operator.a);
    case 'br_on_non_null':
      return branchOnNonNull(s, operator.a);
    case 'br_on_cast': case 'br_on_cast_fail':
      return branchOnCast(s, operator);
    case 'br_table':
      branchTable(s, operator.labels as readonly number[]);
      return s.skipRest();
    case 'return':
      branch(s, s.frames[0]);
      return s.skipRest();
    default:
      throw new Error(`no lowering for control operator ${operator.op.name}`);
  }
}
