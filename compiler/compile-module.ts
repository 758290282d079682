/**
 * The half of the pipeline that runs in a child process: parse -> lower (+ charge) -> LLVM 14 bitcode -> LLVM 22 (prelude, passes, object) -> scan.
 * The bytes have been validated by the parent.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Arch } from '../runtime-c/abi.js';
import { emitDescriptor } from './emit/descriptor.js';
import { emitPartition } from './emit/function.js';
import { type ModulePlan, type PartitionPlan, planLevel, planModule } from './emit/plan.js';
import { compile, resolveCpu, version, type CompileOptions } from './llvm/codegen.js';
import { preludeText } from './llvm/prelude.js';
import { heapPrelude } from './llvm/prelude-heap.js';
import { vectorPrelude } from './llvm/prelude-simd.js';
import { findTarget, type ResolvedCpu } from './llvm/target.js';
import { writeManifest } from './manifest.js';
import { budgetForPartitions, memoryOf, peakBytes } from './memory-budget.js';
import type { Progress, ResolvedOptions } from './options.js';
import { type CompileProfile, type PartitionProfile, TraceSum } from './profile.js';
import { scanObject } from './scan.js';
import { Schedule } from './schedule.js';
import { resolveFeatures } from './wasm/features.js';
import { parseModule } from './wasm/parse.js';

/** The architecture's name, as the ABI has it, of a triple. */
function archName(triple: string): keyof typeof Arch {
  const { arch } = findTarget(triple);
  return (Object.keys(Arch) as (keyof typeof Arch)[]).find((name) => Arch[name] === arch) ?? 'x86_64';
}

/** What comes back: one output for each partition, the descriptor's last. */
export interface CompiledModule { readonly outputs: Uint8Array[]; readonly partitions: number; /** CPU time by stage. */ readonly milliseconds: Record<string, number>; readonly profile?: CompileProfile; /** Largest resident size of the process, in bytes. */ readonly peakBytes: number }

type Report = (progress: Progress) => void;
/** Changes the text of the prelude: for the benchmark alone, which compares with code whose accesses need not trap exactly (test/bench/plain-child.ts). No option of `build` leads here. */
export type RewritePrelude = (text: string) => string;

/** Code for one CPU level. */
interface Level extends ResolvedCpu { readonly plan: ModulePlan }

/** Compiles the partitions of one module, for each level, and keeps account. */
class Job {
  readonly times = { parse: 0, lower: 0, codegen: 0, scan: 0 };
  private readonly profiles: PartitionProfile[] = [];
  private readonly traces = new TraceSum();
  private readonly schedule: Schedule;

  /** @param budget bytes that the partitions compiled at a time may take. */
  constructor(private readonly plan: ModulePlan, private readonly options: CompileOptions, budget: number, private readonly report: Report, private readonly rewrite: RewritePrelude) {
    this.schedule = new Schedule(plan.options.jobs, budget);
  }

  /** The functions, partition by partition, large ones first. Each is lowered when its turn has come, while the code generator's threads are busy with those before. */
  async compilePartitions(levels: readonly Level[]): Promise<Uint8Array[]> {
    const partitions = levels.flatMap((level) => this.plan.partitions.map((partition, number) => ({ ...partition, level, number })));
    const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-'));
    const outputs = new Array<Uint8Array>(partitions.length);
    const order = partitions.map((_, i) => i).sort((a, b) => partitions[b].bytes - partitions[a].bytes || a - b);
    const done = { lower: 0, codegen: 0 };
    const report = (stage: keyof typeof done): void => this.report({ stage, done: ++done[stage], total: partitions.length });
    const compileOne = async (place: number): Promise<void> => {
      const { level, number, effort } = partitions[place];
      const start = performance.now();
      const builder = emitPartition(level.plan, number);
      const lowered = performance.now();
      const bitcode = builder.writeBitcode(join(scratch, `${place}.bc`));
      const prelude = this.rewrite(`${this.options.prelude}${vectorPrelude(archName(this.options.triple), builder.helperNames)}${heapPrelude(builder.helperNames)}`);
      const own = { lower: lowered - start, bitcode: performance.now() - lowered };
      report('lower');
      outputs[place] = await this.generate(bitcode, { ...this.options, cpu: level.cpu, features: level.features, prelude, effort }, partitions[place], own);
      report('codegen');
    };
    let failed = false;
    try {
      await Promise.all(order.map((place) => this.schedule.run(memoryOf(partitions[place], this.plan.options), async () => {
        if (failed) return;
        await compileOne(place).catch((error: unknown) => {
          failed = true; // nothing that waits is begun
          throw error;
        });
      })));
      return outputs;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }

  /** Code for one LLVM module; an object is scanned before anything else sees it. */
  async generate(input: Uint8Array, options: CompileOptions, { from, to, bytes, effort, level: { plan } = { plan: this.plan } }: PartitionPlan & { level?: { plan: ModulePlan } }, own = { lower: 0, bitcode: 0 }): Promise<Uint8Array> {
    const { output, cpu, trace } = await compile(input, options);
    const scan = options.emit === 'obj' ? (await scanObject(output, options)).milliseconds : 0;
    this.times.lower += own.lower + own.bitcode;
    this.times.codegen += cpu.read + cpu.passes + cpu.emit;
    this.times.scan += scan;
    this.profiles.push({ from, functions: to - from, bytes, outputBytes: output.length, effort, cpu: { ...own, ...cpu, scan } });
    if (trace !== undefined) this.traces.add(trace, new Set(plan.symbols.slice(plan.module.importedFuncs + from, plan.module.importedFuncs + to)));
    return output;
  }

  profile(): CompileProfile {
    return { partitions: this.profiles, ...this.traces.slowest() };
  }
}

/** Compiles a valid module. Throws CompileError. */
export async function compileModule(bytes: Uint8Array, options: ResolvedOptions, report: Report, rewrite: RewritePrelude = (text) => text): Promise<CompiledModule> {
  const start = performance.now();
  const plan = planModule(parseModule(bytes, { name: options.name, features: resolveFeatures(options.features) }), options);
  const parse = performance.now() - start;
  const triple = options.target;
  const [least, ...others] = options.cpu.map((level, i): Level => ({ ...resolveCpu(level, triple), plan: i === 0 ? plan : planLevel(plan, level) }));
  const emit = options.emit === 'artifact' ? 'obj' : options.emit;
  const compileOptions: CompileOptions = {
    triple, cpu: least.cpu, features: least.features, prelude: preludeText(archName(triple)), optLevel: options.optLevel, emit, profile: options.profile,
  };
  const manifest = writeManifest(plan, {
    triple, cpu: least.cpu, features: least.required, llvm: version(), levels: others.map(({ cpu, required }) => ({ cpu, features: required })),
  });
  const identity = { arch: archName(triple), os: findTarget(triple).os, requiredFeatures: least.required, manifest };
  const descriptor = emitDescriptor(plan, identity, others.map(({ required, plan: own }) => ({ plan: own, requiredFeatures: required })));
  const job = new Job(plan, compileOptions, budgetForPartitions(plan, options.cpu.length, descriptor.length), report, rewrite);
  const outputs = await job.compilePartitions([least, ...others]);
  outputs.push(await job.generate(Buffer.from(descriptor), { ...compileOptions, prelude: '' }, { from: 0, to: 0, bytes: 0, effort: 'full', memory: 0 }));
  return { outputs, partitions: outputs.length - 1, milliseconds: { ...job.times, parse }, peakBytes: peakBytes(), ...(options.profile ? { profile: job.profile() } : {}) };
}
