/** One module of the fuzzer, from its kind and its seed: made, compiled, run, compared. */
import type { Compiler } from '../../compiler/index.js';
import { CompileError } from '../../compiler/index.js';
import { type Comparison, compareModule, type Plan, planOf, planOfRelaxed } from './compare.js';
import { generateModule, OBJECTS, VECTORS } from './generate.js';
import { generateProgram } from './program.js';
import { Random } from './random.js';
import { relaxModule } from './relax.js';

/**
 * Kinds of modules: our programs of loops; binaryen's random modules; loops on two memories, for which V8 needs Node 22 and the oracle is our own -O0 before; binaryen's with structs,
 * arrays and casts, likewise; binaryen's with relaxed vector operators, of which V8 and we may choose different results.
 */
export const KINDS = ['loops', 'modules', 'memories', 'objects', 'relaxed'] as const;
/** The kinds that binaryen makes. */
export const BINARYEN_KINDS: readonly Kind[] = ['modules', 'objects', 'relaxed'];
export type Kind = (typeof KINDS)[number];

/** Loops in a program: many functions compile faster in one module than in many. */
const LOOPS = 24;

/** What came of one module. */
export interface Verdict { readonly plan: Plan; readonly comparison?: Comparison; /** Why it was left out. */ readonly skipped?: string; /** An error that is no difference. */ readonly error?: string }

/** The module of a kind and a seed, the same each time; undefined when binaryen gives none. */
export async function makeModule(kind: Kind, seed: number, folder: string): Promise<Uint8Array | undefined> {
  const random = new Random(seed * 2654435761);
  switch (kind) {
    case 'modules': return generateModule(random, folder);
    case 'objects': return generateModule(random, folder, OBJECTS);
    case 'relaxed': {
      const bytes = await generateModule(random, folder, VECTORS);
      return bytes && relaxModule(bytes, random).bytes;
    }
    default: return generateProgram(random, LOOPS, kind === 'loops' ? 1 : 2);
  }
}

export const planFor = (kind: Kind, seed: number): Plan => (kind === 'relaxed' ? planOfRelaxed(seed) : planOf(seed, kind === 'modules' || kind === 'objects' ? 'row' : 'each'));

/** Compares a module. Never rejects. */
export async function checkModule(bytes: Uint8Array, plan: Plan, compiler: Compiler, folder: string): Promise<Verdict> {
  try {
    return { plan, comparison: await compareModule(bytes, plan, async (input, options) => (await compiler.build(input, options)).artifact, folder) };
  } catch (error) {
    // The generator's "reference types" take in later proposals now and then, which we or V8 lack.
    if (error instanceof CompileError && error.errors[0].kind === 'unsupported') return { plan, skipped: error.message };
    if (error instanceof WebAssembly.CompileError) return { plan, skipped: `V8: ${error.message}` };
    return { plan, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
