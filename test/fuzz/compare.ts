/** Runs one module on V8 and on wasm-aot at several levels, and says where they differ: results, traps, imports' calls, memory, globals, fuel. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Compiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import type { ValType, WasmModule } from '../../compiler/wasm/module.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { Global, load, Table, Trap } from '../../loader/index.js';
import { addExports, COUNTER, injectMetering } from '../fuel/inject.js';
import { Random } from './generate.js';

type Func = (...args: unknown[]) => unknown;
interface Engine { readonly name: string; readonly exports: Record<string, unknown>; consumed(): bigint }
type Instantiate = (log: string[]) => Engine;

const MEMORY = '$memory';
/** The levels at which wasm-aot runs each module. */
const LEVELS: readonly { name: string; options: BuildOptions }[] = [
  { name: '-O0', options: { optLevel: 0 } },
  { name: '-O2', options: { optLevel: 2 } },
  { name: '-O3 sync canonical', options: { optLevel: 3, fuel: 'sync', nan: 'canonical' } },
];

/** One object serves as every externref, so that it compares equal. */
const SOME_OBJECT = { some: 'object' };

function someValue(type: ValType, random: Random): unknown {
  const small = [0, 1, -1, 2, 7, 255, 65535, 65536, 0x7fffffff, -0x80000000];
  switch (type) {
    case 'i32': return random.below(2) ? small[random.below(small.length)] : random.next() | 0;
    case 'i64': return random.below(2) ? BigInt(small[random.below(small.length)]) : BigInt.asIntN(64, (BigInt(random.next()) << 32n) | BigInt(random.next()));
    case 'f32': return Math.fround([0, -0, 1.5, -1, 1e10, Infinity, random.next() / 7][random.below(7)]);
    case 'f64': return [0, -0, 0.1, -1, 1e300, -Infinity, random.next() / 7][random.below(7)];
    case 'externref': return random.below(2) ? SOME_OBJECT : null;
    default: return null;
  }
}

const zeroOf = (type: ValType): unknown => (type === 'i64' ? 0n : type === 'externref' || type === 'funcref' ? null : 0);

/** A value as text that is equal for equal values: -0 is told from 0, functions are alike. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  if (typeof value === 'function') return 'function';
  if (typeof value === 'object' && value !== null) return 'object';
  return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`;
}

/** Imports that log their calls and give zeros. */
function makeImports(module: WasmModule, seed: number, log: string[], ours: boolean): Record<string, Record<string, unknown>> {
  const imports: Record<string, Record<string, unknown>> = {};
  const random = new Random(seed);
  for (const { module: from, name, desc } of module.imports) {
    imports[from] ??= {};
    imports[from][name] = importOf(module, desc, random, (args) => log.push(`${from}.${name}(${args.map(show).join(', ')})`), ours);
  }
  return imports;
}

function importOf(module: WasmModule, desc: WasmModule['imports'][number]['desc'], random: Random, log: (args: unknown[]) => void, ours: boolean): unknown {
  switch (desc.kind) {
    case 'func': {
      const { results } = module.types[desc.type];
      return (...args: unknown[]) => {
        log(args);
        return results.length > 1 ? results.map(zeroOf) : results.length === 1 ? zeroOf(results[0]) : undefined;
      };
    }
    case 'global': {
      const value = someValue(desc.type.type, random);
      const descriptor = { value: desc.type.type === 'funcref' ? 'anyfunc' : desc.type.type, mutable: desc.type.mutable } as WebAssembly.GlobalDescriptor;
      return ours ? new Global({ value: desc.type.type as 'i32', mutable: desc.type.mutable }, value as number) : new WebAssembly.Global(descriptor, value as number);
    }
    case 'memory': return new WebAssembly.Memory({ initial: desc.type.limits.min, maximum: desc.type.limits.max });
    case 'table': {
      const { element, limits } = desc.type;
      const size = { initial: limits.min, maximum: limits.max };
      return ours ? new Table({ element: element === 'funcref' ? 'funcref' : 'externref', ...size }) : new WebAssembly.Table({ element: element === 'funcref' ? 'anyfunc' : 'externref', ...size } as WebAssembly.TableDescriptor);
    }
  }
}

/** V8's wording of traps, by the start of ours. */
const V8_TRAPS: readonly [RegExp, string][] = [
  [/^unreachable/, 'unreachable'], [/^divide by zero|^remainder by zero/, 'integer_divide_by_zero'], [/^divide result unrepresentable/, 'integer_overflow'],
  [/^float unrepresentable/, 'float'], [/memory access out of bounds/, 'out_of_bounds_memory_access'], [/^table index is out of bounds/, 'table index'],
  [/^table access out of bounds|^table index/, 'out_of_bounds_table_access'], [/^null function|^RuntimeError: null/, 'call'], [/signature mismatch/, 'call'],
];
/** Our codes where V8 does not tell apart what the spec does. */
const OUR_TRAPS: Readonly<Record<string, string>> = {
  integer_overflow: 'overflow', invalid_conversion_to_integer: 'overflow', undefined_element: 'table', uninitialized_element: 'call', indirect_call_type_mismatch: 'call', out_of_bounds_table_access: 'table',
};
const V8_CLASSES: Readonly<Record<string, string>> = { float: 'overflow', integer_overflow: 'overflow', 'table index': 'table', out_of_bounds_table_access: 'table' };

/** How a call ended, as text; `overflow of the stack` is the one end that engines may reach at different depths. */
const STACK = 'stack overflow';
function outcome(run: () => unknown): string {
  try {
    return show(run());
  } catch (error) {
    if (error instanceof RangeError) return STACK;
    if (error instanceof Trap) return error.code === 'call_stack_exhausted' ? STACK : `trap ${OUR_TRAPS[error.code] ?? error.code}`;
    if (error instanceof WebAssembly.RuntimeError) {
      const found = V8_TRAPS.find(([pattern]) => pattern.test(error.message))?.[1] ?? error.message;
      return `trap ${V8_CLASSES[found] ?? found}`;
    }
    return `thrown ${String(error)}`;
  }
}

/** The state that outsiders can see. */
function snapshot(module: WasmModule, engine: Engine): string {
  const parts = module.globals.map((_, i) => show((engine.exports[`$g${i}`] as { value: unknown }).value));
  const memory = engine.exports[MEMORY] as WebAssembly.Memory | undefined;
  if (memory) {
    const words = new Uint32Array(memory.buffer);
    let hash = words.length;
    for (let i = 0; i < words.length; i++) hash = (Math.imul(hash, 31) + words[i]) | 0;
    parts.push(`memory ${words.length} ${hash}`);
  }
  return parts.join('; ');
}

/** Everything that one engine does with the module, as lines. */
function runAll(module: WasmModule, names: readonly string[], seed: number, instantiate: Instantiate): string[] {
  const lines: string[] = [];
  const log: string[] = [];
  let engine: Engine | undefined;
  const started = outcome(() => { engine = instantiate(log); });
  lines.push(`instantiate: ${started}`);
  if (!engine) return lines;
  for (const name of names) {
    const index = (module.exports.find((e) => e.name === name) as { index: number }).index;
    const random = new Random(seed ^ index);
    const args = module.types[module.funcs[index]].params.map((type) => someValue(type, random));
    const before = engine.consumed();
    log.length = 0;
    const { exports } = engine;
    const ended = outcome(() => (exports[name] as Func)(...args));
    if (ended === STACK) return [...lines, STACK];
    lines.push(`${name}(${args.map(show).join(', ')}): ${ended}, consumed ${engine.consumed() - before}, calls [${log.join(' ')}], ${snapshot(module, engine)}`);
  }
  return lines;
}

/** Compares; returns the first difference in words, or undefined. */
export async function compareModule(bytes: Uint8Array, seed: number, compiler: Compiler, folder: string): Promise<string | undefined> {
  const original = parseModule(bytes, { name: 'fuzz' });
  const state = original.globals.map((_, i) => ({ name: `$g${i}`, kind: 'global' as const, index: i }));
  const exposed = addExports(bytes, original.memories.length > 0 ? [...state, { name: MEMORY, kind: 'memory' as const, index: 0 }] : state);
  const module = parseModule(exposed, { name: 'fuzz' });
  const names = module.exports.filter((e) => e.kind === 'func').map((e) => e.name);
  const counted = new WebAssembly.Module(Uint8Array.from(injectMetering(exposed)));
  const expected = runAll(module, names, seed, (log) => {
    const { exports } = new WebAssembly.Instance(counted, makeImports(module, seed, log, false) as WebAssembly.Imports);
    return { name: 'V8', exports: exports as Record<string, unknown>, consumed: () => (exports[COUNTER] as WebAssembly.Global).value as bigint };
  });
  for (const { name, options } of LEVELS) {
    const { artifact } = await compiler.build(exposed, { ...options, name: 'fuzz.wasm' });
    const path = join(folder, `fuzz${name.replace(/\W/g, '')}.${process.pid}.${seed}.so`);
    writeFileSync(path, artifact);
    const found = runAll(module, names, seed, (log) => {
      const instance = load(path).instantiate(makeImports(module, seed, log, true));
      return { name, exports: instance.exports as Record<string, unknown>, consumed: () => instance.fuel.consumed };
    });
    // Behind a stack overflow nothing is comparable: where it happens is the engine's choice.
    const comparable = Math.min(...[expected, found].map((lines) => (lines.indexOf(STACK) < 0 ? Number.POSITIVE_INFINITY : lines.indexOf(STACK))));
    for (let i = 0; i < Math.min(comparable, Math.max(expected.length, found.length)); i++) {
      if (expected[i] !== found[i]) return `${name} differs from V8:\n  V8:   ${expected[i]}\n  ours: ${found[i]}`;
    }
  }
  return undefined;
}
