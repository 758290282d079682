/** Compiles all the modules of a spec group in bulk: distinct ones once each, on warm compile processes. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import { needsArtifact, type SpecFile } from './commands.js';

/** By SHA-256 of the wasm: the artifact's path, or why there is none. */
export type Artifacts = Record<string, { readonly path?: string; readonly error?: string }>;

/** The key of a module in `Artifacts`. */
export const moduleKey = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * Compiles the modules of all the files into `into`. A module that fails is reported by the command that needs it, so it does not end the run.
 * @param progress called with the numbers of modules done and in all.
 */
export async function compileModules(files: readonly SpecFile[], into: string, options: BuildOptions, progress: (done: number, total: number) => void): Promise<Artifacts> {
  const modules = new Map<string, { bytes: Uint8Array; name: string }>();
  for (const file of files) {
    for (const command of file.commands.filter(needsArtifact)) {
      const bytes = readFileSync(join(file.folder, command.filename as string));
      modules.set(moduleKey(bytes), { bytes, name: command.filename as string });
    }
  }
  const queue = [...modules];
  const artifacts: Artifacts = {};
  const workers = availableParallelism();
  const compiler = await openCompiler({ workers });
  let done = 0;
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const [key, { bytes, name }] = next;
      const path = join(into, `${key}.so`);
      try {
        const { artifact } = await compiler.build(bytes, { ...options, name });
        writeFileSync(path, artifact);
        artifacts[key] = { path };
      } catch (error) {
        artifacts[key] = { error: `${name}: ${(error as Error).message}` };
      }
      progress(++done, modules.size);
    }
  };
  try {
    // Twice as many as the workers, so that linking one module overlaps with compiling the next.
    await Promise.all(Array.from({ length: 2 * workers }, work));
  } finally {
    await compiler.close();
  }
  return artifacts;
}
