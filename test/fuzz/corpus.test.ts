/** What once went wrong, or nearly: modules in the text format, each with its description in comments at its head (`failure.ts`), compared with V8 at four levels unless it names them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Compiler, openCompiler } from '../../compiler/index.js';
import { assemble } from '../loader/wat.js';
import { checkModule } from './check.js';
import { DEFAULT_LEVEL, LEVELS, showDifference } from './compare.js';
import { parsePlan } from './failure.js';

const CORPUS = fileURLToPath(new URL('../../../test/fuzz/corpus/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-corpus-'));
let compiler: Compiler;
test.before(async () => { compiler = await openCompiler({ workers: 1 }); });
test.after(async () => {
  await compiler.close();
  rmSync(folder, { recursive: true, force: true });
});

const SOME_LEVELS = [DEFAULT_LEVEL, ...LEVELS.filter(({ name }) => ['-O0', '-O3', '-O2 sync'].includes(name))];

const descriptionOf = (text: string): string => text.split('\n').filter((line) => line.startsWith(';; ')).map((line) => line.slice(3)).join('\n');

for (const file of readdirSync(CORPUS).filter((name) => name.endsWith('.wat'))) {
  test(file, async () => {
    const text = readFileSync(join(CORPUS, file), 'utf8');
    const described = parsePlan(descriptionOf(text));
    const plan = text.includes(';; level ') ? described : { ...described, levels: SOME_LEVELS };
    const { comparison, error, skipped } = await checkModule(await assemble(text, { simd: true, tail_call: true }), plan, compiler, folder);
    assert.is(error ?? skipped, undefined);
    assert.is(comparison?.difference && showDifference(comparison.difference), undefined);
    assert.ok((comparison?.runs ?? 0) >= (plan.sessions ?? []).length * plan.levels.length, 'every session ran at every level');
  });
}

test.run();
