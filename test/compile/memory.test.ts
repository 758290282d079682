/** The memory budget: kept by the compile process, without a change to what is built, or refused. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build, CompileError, type Compiler, ExitCode, openCompiler } from '../../compiler/index.js';
import { planModule } from '../../compiler/emit/plan.js';
import { resolveOptions } from '../../compiler/options.js';
import { DEFAULT_FEATURES } from '../../compiler/wasm/features.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { assemble } from '../loader/wat.js';
import { body, END, funcType, I32, I64, leb, module, section, vec } from '../unit/module-bytes.js';
import { makeShape } from './shapes.js';

/** Functions of some 30 KiB each: several partitions. */
const large = await assemble(`(module ${Array.from({ length: 6 }, (_, i) =>
  `(func (export "f${i}") (param i32) (result i32) local.get 0 ${`i32.const ${i + 70000} i32.xor local.get 0 i32.mul `.repeat(2500)})`).join('\n')})`);

/** As `section`, for contents that are too long to be arguments. */
const sectionOf = (id: number, contents: readonly number[]): number[] => [id, ...leb(contents.length)].concat(contents);

/** What a budget of one byte is refused with. */
async function refusal(compiler: Pick<Compiler, 'build'>, bytes: Uint8Array): Promise<CompileError> {
  const error = await compiler.build(bytes, { name: 'in.wasm', memoryBudget: 1 }).then(() => undefined, (reason: Error) => reason);
  assert.instance(error, CompileError);
  return error as CompileError;
}

/** The least budget that is not refused, as the refusal says. */
const needed = ({ message }: CompileError): number => Number(/this module may take (\d+) MiB/.exec(message)?.[1]) * 2 ** 20;

test('a budget that cannot do is refused, with what would', async () => {
  const error = await refusal({ build }, large);
  assert.is(error.exitCode, ExitCode.memory);
  assert.is(error.errors[0].kind, 'memory');
  assert.match(error.message, /^in\.wasm: a memory budget of 1 MiB is too small: this module may take \d+ MiB\n {2}note: \d+ MiB for the compile process, \d+ MiB for what stays of all functions, \d+ MiB for compiling func\[\d\]/);
});

test('the least budget is kept, and changes nothing', async () => {
  const budget = needed(await refusal({ build }, large));
  const [free, tight] = [await build(large), await build(large, { memoryBudget: budget, jobs: 8 })];
  assert.ok(free.stats.partitions > 2);
  assert.ok(tight.stats.peakBytes <= budget, `${tight.stats.peakBytes} bytes, of ${budget}`);
  assert.ok(tight.stats.peakBytes > 2 ** 26, 'a process that compiles takes more than 64 MiB');
  assert.ok(Buffer.from(tight.artifact).equals(free.artifact));
});

test('a table of many elements counts', async () => {
  const count = 50_000;
  const table = [...leb(1), 0x70, 0, ...leb(count)];
  const elements = [1, 0, 0x41, 0, END, ...leb(count)].concat(new Array<number>(count).fill(0));
  const bytes = Uint8Array.from([...module(section(1, vec([funcType([I32], [I32])])), section(3, vec([[0]])), section(4, table))].concat(sectionOf(9, elements), section(10, vec([body([0x20, 0, END])]))));
  const error = await refusal({ build }, bytes);
  assert.match(error.message, /\d+ MiB for compiling what the artifact says of itself$/);
  const { stats } = await build(bytes, { memoryBudget: needed(error) });
  assert.ok(stats.peakBytes <= needed(error), `${stats.peakBytes} bytes, of ${needed(error)}`);
});

test('a warm compiler keeps it too, whatever came before', async () => {
  const compiler = await openCompiler({ workers: 1 });
  try {
    const bytes = makeShape('ifs', 100);
    const budget = needed(await refusal(compiler, bytes));
    const before = await compiler.build(makeShape('ifs', 20_000));
    assert.ok(before.stats.peakBytes > budget, 'the first module is the larger one');
    const { stats } = await compiler.build(bytes, { memoryBudget: budget });
    assert.ok(stats.peakBytes <= budget, `${stats.peakBytes} bytes, of ${budget}`);
  } finally {
    await compiler.close();
  }
});

/** The partitions of a module of 500 functions, all alike. */
const planMany = (locals: readonly (readonly [number, number])[]) => {
  const func = body([0x20, 0, END], locals);
  const bytes = module(section(1, vec([funcType([I32], [I32])])), section(3, vec(Array.from({ length: 500 }, () => leb(0)))), section(10, vec(Array.from({ length: 500 }, () => func))));
  return planModule(parseModule(bytes, { name: 'm', features: DEFAULT_FEATURES }), resolveOptions()).partitions;
};

test('functions that are small, but not in memory, are spread over partitions', () => {
  assert.is(planMany([]).length, 1);
  const partitions = planMany([[5000, I64]]);
  assert.ok(partitions.length > 10 && partitions.every(({ memory }) => memory < 300 * 2 ** 20), `${partitions.length}`);
});

test.run();
