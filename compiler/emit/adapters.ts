/**
 * Adapters: the two stubs of a function type between an array of values, as the runtime's trampolines pass it, and the registers of compiled code.
 * They are part of the artifact's text and, like all of it, leave the fuel register alone.
 */
import { OFFSETS, VALUE_SIZE } from '../../runtime-c/abi.js';
import type { FuncType } from '../wasm/module.js';
import { functionType } from '../wasm/types.js';
import { irSignature } from './descriptor.js';
import type { ModulePlan } from './plan.js';
import { quoteSymbol } from './symbols.js';

/** Symbols of the adapters, by type index: entry adapters of the types of functions that can be referenced, host adapters of the types of imports. */
export function adapterNames(plan: ModulePlan): { enter: ReadonlyMap<number, string>; host: ReadonlyMap<number, string> } {
  const { module } = plan;
  const enter = new Map<number, string>();
  const host = new Map<number, string>();
  for (const index of plan.slots.keys()) enter.set(module.funcs[index], `waot.enter.${module.funcs[index]}`);
  for (const { desc } of module.imports) if (desc.kind === 'func') host.set(desc.type, `waot.host.${desc.type}`);
  return { enter, host };
}

const slot = (base: string, i: number, to: string) => `  ${to} = getelementptr i8, ptr ${base}, i64 ${i * VALUE_SIZE}`;

/** Stores the results of a call into an array of values. */
function storeResults(type: FuncType, result: string, value: string, base: string): string[] {
  const { result: ir } = irSignature(type);
  if (type.results.length === 0) return [];
  if (type.results.length === 1) return [`  store ${ir} ${value}, ptr ${base}, align 16`];
  return type.results.flatMap((t, i) => [
    `  ${result}${i} = extractvalue ${ir} ${value}, ${i}`, slot(base, i, `${result}p${i}`), `  store ${irSignature({ params: [t], results: [] }).params[0]} ${result}${i}, ptr ${result}p${i}, align 16`,
  ]);
}

/** `void (vmctx, values, code)`: takes the parameters from the array, calls, puts the results there. */
function enterAdapter(name: string, type: FuncType): string {
  const { result, params } = irSignature(type);
  return [
    `define hidden void @${quoteSymbol(name)}(ptr %vmctx, ptr %values, ptr %code) {`,
    ...params.flatMap((ir, i) => [slot('%values', i, `%p${i}`), `  %a${i} = load ${ir}, ptr %p${i}, align 16`]),
    `  ${result === 'void' ? '' : '%r = '}call ${result} %code(${['ptr %vmctx', ...params.map((ir, i) => `${ir} %a${i}`)].join(', ')})`,
    ...storeResults(type, '%v', '%r', '%values'),
    '  ret void',
    '}',
  ].join('\n');
}

/** What compiled code calls for a host function: puts the parameters into an array on its stack, goes through the exit trampoline, takes the results. */
function hostAdapter(name: string, type: FuncType): string {
  const { result, params } = irSignature(type);
  const count = Math.max(1, type.params.length, type.results.length);
  const loads = type.results.flatMap((t, i) => [slot('%values', i, `%q${i}`), `  %r${i} = load ${irSignature({ params: [t], results: [] }).params[0]}, ptr %q${i}, align 16`]);
  const build = type.results.flatMap((t, i) => [
    `  %s${i} = insertvalue ${result} ${i === 0 ? 'undef' : `%s${i - 1}`}, ${irSignature({ params: [t], results: [] }).params[0]} %r${i}, ${i}`,
  ]);
  const many = type.results.length > 1;
  return [
    `define hidden ${result} @${quoteSymbol(name)}(${['ptr %host', ...params.map((ir, i) => `${ir} %a${i}`)].join(', ')}) {`,
    `  %values = alloca [${count * VALUE_SIZE} x i8], align 16`,
    ...params.flatMap((ir, i) => [slot('%values', i, `%p${i}`), `  store ${ir} %a${i}, ptr %p${i}, align 16`]),
    `  %ep = getelementptr i8, ptr %host, i64 ${OFFSETS.host.exit}`,
    '  %exit = load ptr, ptr %ep, align 8',
    '  call void %exit(ptr %host, ptr %values)',
    ...loads,
    ...(many ? build : []),
    result === 'void' ? '  ret void' : `  ret ${result} %${many ? 's' : 'r'}${many ? type.results.length - 1 : 0}`,
    '}',
  ].join('\n');
}

/** LLVM's name of the convention in which functions of modules with tail calls are compiled: the callee pops its arguments, so that any can be called in place of any. */
export const TAIL_CONVENTION = 'tailcc';

/** Symbol of the wrapper in C's convention around a function that has the tail-calling one. */
export const wrapperName = (plan: ModulePlan, index: number): string => `waot.c.${index}${plan.level ? `.${plan.level}` : ''}`;

function wrapper(plan: ModulePlan, index: number): string {
  const { result, params } = irSignature(functionType(plan.module, plan.module.funcs[index]));
  const args = params.map((ir, i) => `${ir} %a${i}`);
  const value = result === 'void' ? '' : ' %r';
  return [
    `define hidden ${result} @${quoteSymbol(wrapperName(plan, index))}(${['ptr %vmctx', ...args].join(', ')}) {`,
    `  ${value ? '%r = ' : ''}call ${TAIL_CONVENTION} ${result} @${quoteSymbol(plan.symbols[index])}(${['ptr %vmctx', ...args].join(', ')})`,
    `  ret ${result}${value}`,
    '}',
  ].join('\n');
}

/** All adapters of a module, as IR text: those of its types, which serve all levels, and the wrappers of each level. */
export function emitAdapters(plan: ModulePlan, levels: readonly ModulePlan[]): string {
  const { enter, host } = adapterNames(plan);
  const type = (index: number) => functionType(plan.module, index);
  const wrapped = plan.tailCalls ? [...plan.slots.keys()].filter((index) => index >= plan.module.importedFuncs) : [];
  return [...[plan, ...levels].flatMap((level) => wrapped.map((index) => wrapper(level, index))), ...[...enter].map(([index, name]) => enterAdapter(name, type(index))), ...[...host].map(([index, name]) => hostAdapter(name, type(index)))].join('\n\n');
}
