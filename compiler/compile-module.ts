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
import { planModule, type ModulePlan } from './emit/plan.js';
import { compile, resolveCpu, version, type CompileOptions } from './llvm/codegen.js';
import { preludeText } from './llvm/prelude.js';
import { findTarget } from './llvm/target.js';
import { vectorPrelude } from './llvm/prelude-simd.js';
import { writeManifest } from './manifest.js';
import type { Progress, ResolvedOptions } from './options.js';
import { scanObject } from './scan.js';
import { resolveFeatures } from './wasm/features.js';
import { parseModule } from './wasm/parse.js';

/** The architecture's name, as the ABI has it, of a triple. */
function archName(triple: string): keyof typeof Arch {
  const { arch } = findTarget(triple);
  return (Object.keys(Arch) as (keyof typeof Arch)[]).find((name) => Arch[name] === arch) ?? 'x86_64';
}

/** What comes back: one output for each partition, the descriptor's last. `milliseconds` holds CPU time in the stages that run here. */
export interface CompiledModule { readonly outputs: Uint8Array[]; readonly partitions: number; readonly milliseconds: Record<string, number> }

type Report = (progress: Progress) => void;

/** The functions, lowered partition by partition; each goes to the code generator's threads while the next is being lowered. */
async function compilePartitions(plan: ModulePlan, options: CompileOptions, report: Report, times: Record<string, number>): Promise<Uint8Array[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-'));
  const total = plan.partitions.length;
  let done = 0;
  try {
    const jobs = plan.partitions.map(async (_, i) => {
      const start = performance.now();
      const builder = emitPartition(plan, i);
      const bitcode = builder.writeBitcode(join(scratch, `${i}.bc`));
      const prelude = `${options.prelude}${vectorPrelude(archName(options.triple), builder.helperNames)}`;
      times.lower += performance.now() - start;
      report({ stage: 'lower', done: i + 1, total });
      const output = await generate(bitcode, { ...options, prelude }, times);
      report({ stage: 'codegen', done: ++done, total });
      return output;
    });
    return await Promise.all(jobs);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Code for one LLVM module; an object is scanned before anything else sees it. */
async function generate(input: Uint8Array, options: CompileOptions, times: Record<string, number>): Promise<Uint8Array> {
  const { output, milliseconds } = await compile(input, options);
  times.codegen += milliseconds;
  if (options.emit === 'obj') times.scan += (await scanObject(output, options)).milliseconds;
  return output;
}

/** Compiles a valid module. Throws CompileError. */
export async function compileModule(bytes: Uint8Array, options: ResolvedOptions, report: Report): Promise<CompiledModule> {
  const times: Record<string, number> = { parse: 0, lower: 0, codegen: 0, scan: 0 };
  const start = performance.now();
  const plan = planModule(parseModule(bytes, { name: options.name, features: resolveFeatures(options.features) }), options);
  times.parse = performance.now() - start;
  const triple = options.target;
  const cpu = resolveCpu(options.cpu, triple);
  const emit = options.emit === 'artifact' ? 'obj' : options.emit;
  const compileOptions: CompileOptions = { triple, cpu: cpu.cpu, features: cpu.features, prelude: preludeText(archName(triple)), optLevel: options.optLevel, emit };
  const manifest = writeManifest(plan, { triple, cpu: cpu.cpu, features: cpu.required, llvm: version() });
  const descriptor = emitDescriptor(plan, { arch: archName(triple), os: findTarget(triple).os, requiredFeatures: cpu.required, manifest });
  const outputs = await compilePartitions(plan, compileOptions, report, times);
  outputs.push(await generate(Buffer.from(descriptor), { ...compileOptions, prelude: '' }, times));
  return { outputs, partitions: plan.partitions.length, milliseconds: times };
}
