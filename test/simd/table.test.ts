/** The table of vector operators in the documentation is what the compiler emits. */
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { FILE, isOfThisLlvm, makeTable } from './table.js';

const committed = readFileSync(FILE, 'utf8');
const fits = isOfThisLlvm(committed);
if (!fits) console.log('compiler/emit/simd.md was made with another LLVM: it is not compared');

(fits ? test : test.skip)('compiler/emit/simd.md is up to date (if not: node dist/test/simd/table.js)', async () => {
  const [made, found] = [await makeTable(), committed].map((text) => text.split('\n'));
  assert.equal(found.filter((line, i) => line !== made[i]), []);
  assert.is(found.length, made.length);
});

test.run();
