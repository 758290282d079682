/**
 * Compiles a module without metering and without exact traps, which is what the cost of both together is compared with: `plain-child.js IN.wasm OUT.so`. Accesses are not volatile, so LLVM
 * may drop, merge and reorder those that would trap, as a C compiler does with its own. Such an artifact is wrong for any module that traps, which is why no option of the compiler makes one.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { compileModule } from '../../compiler/compile-module.js';
import { linkObjects, sealArtifact } from '../../compiler/link.js';
import { resolveOptions } from '../../compiler/options.js';

/** The prelude with plain accesses of memory and globals. @throws {Error} when it has no volatile ones, so that the comparison would be with itself. */
function makePlain(prelude: string): string {
  const plain = prelude.replace(/\b(load|store) volatile\b/g, '$1');
  if (plain === prelude) throw new Error('the prelude has no volatile accesses: how exact traps are made has changed');
  return plain;
}

const [input, output] = process.argv.slice(2);
const options = resolveOptions({ fuel: 'none', name: basename(input) });
const { outputs } = await compileModule(readFileSync(input), options, () => {}, makePlain);
writeFileSync(output, sealArtifact(await linkObjects(outputs, { soname: basename(output), triple: options.target })));
