/**
 * Compiles one partition of a module, alone in this process, and prints what memory it took and what was expected: `node memory-child.js FILE.wasm PARTITION LEVEL DEBUG`. What the process takes with nothing to compile is taken first,
 * by compiling nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { emitPartition } from '../../compiler/emit/function.js';
import { planModule } from '../../compiler/emit/plan.js';
import { ModuleBuilder } from '../../compiler/llvm/builder.js';
import { compile, type CompileOptions, resolveCpu } from '../../compiler/llvm/codegen.js';
import { preludeText } from '../../compiler/llvm/prelude.js';
import { heapPrelude } from '../../compiler/llvm/prelude-heap.js';
import { vectorPrelude } from '../../compiler/llvm/prelude-simd.js';
import { memoryOf, peakBytes } from '../../compiler/memory-budget.js';
import { type OptLevel, resolveOptions } from '../../compiler/options.js';
import { scanObject } from '../../compiler/scan.js';
import { resolveFeatures } from '../../compiler/wasm/features.js';
import { parseModule } from '../../compiler/wasm/parse.js';

/** What the process takes before, the partition's code, and the partition beyond that, in bytes; how many partitions there are. */
export interface Measured { readonly process: number; readonly code: number; readonly taken: number; readonly expected: number; readonly partitions: number }

const [file, partition, level, debug] = process.argv.slice(2);
const options = resolveOptions({ name: 'm.wasm', optLevel: Number(level) as OptLevel, debug: debug === 'true' });
const plan = planModule(parseModule(readFileSync(file), { name: 'm.wasm', features: resolveFeatures({}) }), options);
const { cpu, features } = resolveCpu(options.cpu[0], options.target);
const generate = async (builder: ModuleBuilder, { effort }: Pick<CompileOptions, 'effort'>): Promise<void> => {
  const input = builder.writeBitcode(`${file}.${process.pid}.bc`);
  const prelude = `${preludeText('x86_64')}${vectorPrelude('x86_64', builder.helperNames)}${heapPrelude(builder.helperNames)}`;
  const { output } = await compile(input, { triple: options.target, cpu, features, prelude, optLevel: options.optLevel, emit: 'obj', effort });
  await scanObject(output, { triple: options.target, cpu, features });
};

await generate(new ModuleBuilder('empty'), {});
const before = process.memoryUsage.rss();
writeFileSync('/proc/self/clear_refs', '5'); // the peak begins anew
await generate(emitPartition(plan, Number(partition)), plan.partitions[Number(partition)]);
const measured: Measured = {
  process: before, code: plan.partitions[Number(partition)].bytes, taken: peakBytes() - before, expected: memoryOf(plan.partitions[Number(partition)], options), partitions: plan.partitions.length,
};
console.log(JSON.stringify(measured));
