/** `npm run fuzz -- --reduce FILE.wasm`: a failure that was kept, as small as it gets: FILE.reduced.wasm, its text, and the description with what differs in it. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Plan } from './compare.js';
import { describe, parsePlan } from './failure.js';
import { reduceModule } from './reduce.js';
import type { Runner } from './runner.js';
import { showCall } from './session.js';

/** What we use of binaryen's package. */
interface BinaryenModule {
  setFeatures(features: number): void;
  removeExport(name: string): void;
  runPasses(passes: string[]): void;
  emitBinary(): Uint8Array;
  emitText(): string;
  dispose(): void;
}
interface Binaryen { readBinary(bytes: Uint8Array): BinaryenModule; readonly Features: { readonly All: number } }

async function withBinaryen<T>(bytes: Uint8Array, use: (module: BinaryenModule) => T): Promise<T | undefined> {
  try {
    const { default: binaryen } = await import('binaryen' as string) as { default: Binaryen };
    const module = binaryen.readBinary(bytes);
    module.setFeatures(binaryen.Features.All);
    const result = use(module);
    module.dispose();
    return result;
  } catch {
    // Not installed, or it doesn't understand the module: we do without.
    return undefined;
  }
}

/** The module without what the named exports don't need. */
const prune = (bytes: Uint8Array, names: ReadonlySet<string>): Promise<Uint8Array | undefined> => withBinaryen(bytes, (module) => {
  for (const { name, kind } of WebAssembly.Module.exports(new WebAssembly.Module(bytes as BufferSource))) if (kind === 'function' && !names.has(name)) module.removeExport(name);
  module.runPasses(['remove-unused-module-elements']);
  return module.emitBinary();
});

/**
 * Reduces a file, and says what differs in the end.
 * @returns 1 when it does not fail at all.
 */
export async function shrinkFile(file: string, runner: Runner, minutes: number): Promise<number> {
  const stem = file.replace(/\.wasm$/, '');
  const original = readFileSync(file);
  const given = parsePlan(readFileSync(`${stem}.txt`, 'utf8'));
  const fails = async (bytes: Uint8Array, plan: Plan) => (await runner.run({ bytes, description: describe(plan) })).failure !== undefined;
  const found = await runner.run({ bytes: original, description: readFileSync(`${stem}.txt`, 'utf8') });
  if (found.failure === undefined) {
    console.log(`${file}: does not fail`);
    return 1;
  }
  // From here on, only where it showed.
  const plan = found.description ? parsePlan(found.description) : given;
  const holds = (bytes: Uint8Array) => fails(bytes, plan);
  const names = new Set((plan.sessions ?? []).flat().map((call) => call.name));
  const pruneIfPossible = async (bytes: Uint8Array): Promise<Uint8Array> => {
    const pruned = names.size > 0 ? await prune(bytes, names) : undefined;
    return pruned && (await holds(pruned)) ? pruned : bytes;
  };
  const reduced = await pruneIfPossible(await reduceModule(await pruneIfPossible(original), holds, minutes));
  const last = await runner.run({ bytes: reduced, description: describe(plan) });
  writeFileSync(`${stem}.reduced.wasm`, reduced);
  writeFileSync(`${stem}.reduced.txt`, last.description ?? describe(plan));
  const text = await withBinaryen(reduced, (module) => module.emitText());
  if (text !== undefined) writeFileSync(`${stem}.reduced.wat`, text);
  console.log(`${stem}.reduced.wasm: ${reduced.length} bytes instead of ${original.length}, calls ${(plan.sessions ?? []).flat().map(showCall).join('; ')}\n${last.failure}`);
  return 0;
}
