/** Compile processes use jemalloc where the system has it and nobody says otherwise, and build the same with it. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allocatorEnvironment } from '../../compiler/allocator.js';
import { type BuildOptions, openCompiler } from '../../compiler/index.js';
import { makeShape } from './shapes.js';

/** Whether a child of this process that has LLVM loaded has jemalloc, too. */
function isUsed(): boolean {
  const children = readdirSync('/proc/self/task').flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'latin1').split(' ').filter(Boolean));
  const compiling = children.map((pid) => readFileSync(`/proc/${pid}/maps`, 'latin1')).filter((maps) => maps.includes('libLLVM'));
  assert.is(compiling.length, 1);
  return compiling[0].includes('libjemalloc');
}

async function buildAlone(options: BuildOptions): Promise<{ artifact: Uint8Array; used: boolean }> {
  const compiler = await openCompiler({ workers: 1 });
  try {
    const { artifact } = await compiler.build(makeShape('ifs', 100), options);
    return { artifact, used: isUsed() };
  } finally {
    await compiler.close();
  }
}

if (allocatorEnvironment().LD_PRELOAD === undefined) console.log('skipped: there is no libjemalloc.so.2 (apt-get install libjemalloc2), or LD_PRELOAD is set');
else {
  test('jemalloc is used, unless there is a budget or LD_PRELOAD is set; the bytes are the same', async () => {
    const usual = await buildAlone({});
    assert.is(usual.used, true);
    const budgeted = await buildAlone({ memoryBudget: 2 ** 30 });
    assert.is(budgeted.used, false);
    process.env.LD_PRELOAD = '';
    try {
      assert.equal(allocatorEnvironment(), {});
      const other = await buildAlone({});
      assert.is(other.used, false);
      for (const { artifact } of [budgeted, other]) assert.ok(Buffer.from(artifact).equals(usual.artifact));
    } finally {
      delete process.env.LD_PRELOAD;
    }
  });

  test('a compiler that has it does without for a module with a budget', async () => {
    const compiler = await openCompiler({ workers: 1 });
    try {
      await compiler.build(makeShape('ifs', 10));
      assert.is(isUsed(), true);
      await compiler.build(makeShape('ifs', 10), { memoryBudget: 2 ** 30 });
      assert.is(isUsed(), false);
    } finally {
      await compiler.close();
    }
  });
}

test("with an allocator that is not glibc's, glibc's is not asked to trim its memory", async () => {
  // It would initialise itself for a thread of ours; two at a time, and the process was aborted when they ended, once in some hundred builds.
  const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-allocator-'));
  const library = (name: string, text: string): string => {
    const [source, output] = [join(folder, `${name}.c`), join(folder, `${name}.so`)];
    writeFileSync(source, text);
    execFileSync('gcc', ['-O2', '-shared', '-fPIC', source, '-o', output]);
    return output;
  };
  const before = process.env.LD_PRELOAD;
  try {
    const other = library('malloc', '#include <stddef.h>\nvoid *__libc_malloc(size_t);\nvoid *malloc(size_t size) { return __libc_malloc(size); }\n');
    const refuses = library('malloc_trim', '#include <stdlib.h>\nint malloc_trim(size_t pad) { (void)pad; abort(); }\n');
    process.env.LD_PRELOAD = `${other} ${refuses}`;
    assert.ok((await buildAlone({})).artifact.length > 0);
  } finally {
    if (before === undefined) delete process.env.LD_PRELOAD;
    else process.env.LD_PRELOAD = before;
    rmSync(folder, { recursive: true, force: true });
  }
});

test.run();
