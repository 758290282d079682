/** Stacks of traps in random modules: V8's frames to the byte, at every level, with -g and without. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import type { ValType, WasmModule } from '../../compiler/wasm/module.js';
import { functionType } from '../../compiler/wasm/types.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { Global, load, Table, Trap } from '../../loader/index.js';
import { findWasmOpt, generateModule } from '../fuzz/generate.js';
import { Random } from '../fuzz/random.js';
import { sessionOfAll } from '../fuzz/session.js';

const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-random-'));
const compiler = await openCompiler({ workers: 1 });
test.after(async () => {
  await compiler.close();
  rmSync(folder, { recursive: true, force: true });
});

const zero = (type: ValType): unknown => (type === 'i64' ? 0n : type === 'externref' || type === 'funcref' ? null : 0);

/** Imports of zeros, for V8 or for us. */
function makeImports(module: WasmModule, ours: boolean): WebAssembly.Imports {
  const made: Record<string, Record<string, unknown>> = {};
  for (const { module: from, name, desc } of module.imports) {
    made[from] ??= {};
    const element = (type: string) => (type === 'funcref' && !ours ? 'anyfunc' : type);
    if (desc.kind === 'func') {
      const { results } = functionType(module, desc.type);
      made[from][name] = () => (results.length > 1 ? results.map(zero) : results.length === 1 ? zero(results[0]) : undefined);
    } else if (desc.kind === 'global') {
      const type = { value: element(desc.type.type) as 'i32', mutable: desc.type.mutable };
      made[from][name] = ours ? new Global(type, zero(desc.type.type) as number) : new WebAssembly.Global(type, zero(desc.type.type) as number);
    } else if (desc.kind === 'memory') made[from][name] = new WebAssembly.Memory({ initial: desc.type.limits.min, maximum: desc.type.limits.max });
    else {
      const type = { element: element(desc.type.element) as 'anyfunc', initial: desc.type.limits.min, maximum: desc.type.limits.max };
      made[from][name] = ours ? new Table(type as never) : new WebAssembly.Table(type);
    }
  }
  return made as WebAssembly.Imports;
}

function stackOf(exports: Record<string, unknown>, name: string, args: readonly unknown[]): { error: unknown; frames: string } {
  try {
    (exports[name] as (...values: unknown[]) => unknown)(...args);
  } catch (error) {
    return { error, frames: [...((error as Error).stack ?? '').matchAll(/wasm-function\[(\d+)\]:(0x[0-9a-f]+)\)?$/gm)].map(([, index, offset]) => `${index} ${offset}`).join(', ') };
  }
  return { error: undefined, frames: '' };
}

/** Frames that we note at most. */
const LIMIT = 32;

/** Beside the first few: those with inlined tail calls (107), and with loads in two arms that LLVM made one (349). */
const SEEDS = [25, 26, 27, 28, 29, 107, 349];

const LEVELS = [{ optLevel: 0 }, { optLevel: 1 }, { optLevel: 2 }, { optLevel: 2, debug: true }] as const;

/** Compares the stacks of all exports that trap on both; returns how many there were. */
async function compareStacks(bytes: Uint8Array, seed: number, options: BuildOptions): Promise<number> {
  const module = parseModule(bytes, { name: 'random.wasm' });
  const path = join(folder, `${seed}-${Object.values(options).join('-')}.so`);
  writeFileSync(path, (await compiler.build(bytes, options)).artifact);
  const v8 = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), makeImports(module, false)).exports;
  const ours = load(path).instantiate(makeImports(module, true)).exports;
  let compared = 0;
  for (const { name, args } of sessionOfAll(module, seed)) {
    const [expected, found] = [stackOf(v8, name, args), stackOf(ours, name, args)];
    if (!(expected.error instanceof WebAssembly.RuntimeError) || !(found.error instanceof Trap)) continue; // a stack overflow, perhaps: how deep is the engine's choice
    assert.is(found.frames, expected.frames, `seed ${seed}, ${JSON.stringify(options)}: ${name}: ${found.error.message}`);
    compared++;
  }
  return compared;
}

(findWasmOpt() ? test : test.skip)("random modules, at several levels: V8's frames", async () => {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = LIMIT;
  let compared = 0;
  for (const seed of SEEDS) {
    const bytes = await generateModule(new Random(seed * 2654435761), folder);
    // Not those with operators of proposals that this V8 does not know, as the generator makes now and then.
    if (!bytes || !WebAssembly.validate(bytes as BufferSource)) continue;
    for (const options of LEVELS) {
      try {
        compared += await compareStacks(bytes, seed, options);
      } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error; // the start function traps
      }
    }
  }
  Error.stackTraceLimit = before;
  assert.ok(compared >= 100, `${compared} stacks compared`);
});

test.run();
