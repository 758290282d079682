/** Functions far beyond any usual size: compiled in bounded time, with the same results and the same bill as at -O0. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildResult, openCompiler } from '../../compiler/index.js';
import { type Effort, effortOf, type FunctionSize, LIMITS } from '../../compiler/emit/effort.js';
import { load } from '../../loader/index.js';
import { scratch } from '../loader/wat.js';
import { makeShape, type Shape } from './shapes.js';

const compiler = await openCompiler({ workers: 1 });

/** CPU seconds of the code generator, and what it was asked to do. */
function codegen({ stats }: BuildResult): { seconds: number; efforts: Effort[] } {
  const partitions = stats.profile?.partitions ?? [];
  const seconds = partitions.reduce((sum, { cpu }) => sum + cpu.read + cpu.passes + cpu.emit, 0) / 1000;
  return { seconds, efforts: partitions.filter((p) => p.functions > 0).map((p) => p.effort) };
}

let files = 0;
/** What a call gives and costs. */
function call(artifact: Uint8Array, x: number): [number, bigint] {
  const path = join(scratch(), `large-${files++}.so`);
  writeFileSync(path, artifact);
  const instance = load(path).instantiate({}, { fuel: 1_000_000_000n });
  return [(instance.exports.f as (x: number) => number)(x), instance.fuel.consumed];
}

/**
 * Sizes about a limit, and the effort that they get. What is compiled there takes a second or two of CPU time on an idle machine; at the full effort most of these would take a minute. Larger
 * ones, `npm run bench:compile` times.
 */
const CASES: readonly { shape: Shape; count: number; effort: Effort }[] = [
  { shape: 'ifs', count: 2_400, effort: 'full' },
  { shape: 'ifs', count: 5_100, effort: 'plain' },
  { shape: 'loads', count: 2_700, effort: 'plain' },
  { shape: 'guarded', count: 2_600, effort: 'lean' },
  { shape: 'switch', count: 2_600, effort: 'plain' },
  { shape: 'loops', count: 1_000, effort: 'plain' },
  { shape: 'nested', count: 2_600, effort: 'lean' },
  { shape: 'merges', count: 201, effort: 'plain' },
  { shape: 'merges', count: 1_000, effort: 'none' },
];
/** CPU seconds of the code generator that are allowed, on a machine that is busy with much else. */
const ALLOWED = 15;

for (const { shape, count, effort } of CASES) {
  test(`${shape} x ${count}: ${effort}, in bounded time, as at -O0`, async () => {
    const bytes = makeShape(shape, count);
    const optimised = await compiler.build(bytes, { profile: true });
    const took = codegen(optimised);
    assert.equal(took.efforts, [effort]);
    assert.ok(took.seconds < ALLOWED, `${took.seconds} s`);
    const plain = await compiler.build(bytes, { optLevel: 0 });
    const reference = (new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource)).exports.f as (x: number) => number);
    for (const x of [0, 1, 77, count - 1, count + 5]) {
      const [result, consumed] = call(optimised.artifact, x);
      assert.is(result, reference(x));
      assert.equal([result, consumed], call(plain.artifact, x));
    }
  });
}

test('a large function does not change what others get', async () => {
  const { stats } = await compiler.build(makeShape('ifs', 1_000), { profile: true });
  assert.equal(codegen({ stats } as BuildResult).efforts, ['full']);
});

test('each limit decides', () => {
  const small: FunctionSize = { operators: 10, branches: 1, loops: 0, straight: 5, merges: 3 };
  assert.is(effortOf(small), 'full');
  for (const key of Object.keys(small) as (keyof FunctionSize)[]) {
    assert.is(effortOf({ ...small, [key]: LIMITS.full[key] }), 'full', key);
    assert.is(effortOf({ ...small, [key]: LIMITS.full[key] + 1 }), LIMITS.lean[key] > LIMITS.full[key] ? 'lean' : 'plain', key);
    assert.is(effortOf({ ...small, [key]: LIMITS.lean[key] + 1 }), 'plain', key);
  }
});

test.after(() => compiler.close());
test.run();
