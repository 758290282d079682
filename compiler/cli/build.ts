/** `wasm-aot build`: a wasm file in, an artifact (or an intermediate form) out; nothing is written unless all of it is. */
import { accessSync, constants, statSync } from 'node:fs';
import { basename, dirname, extname } from 'node:path';
import { CompileError, type Diagnostic, ExitCode, formatDiagnostic } from '../diagnostics.js';
import { findTarget } from '../llvm/target.js';
import { type BuildResult, type BuildStats, DEFAULT_TRIPLE, type EmitKind } from '../options.js';
import { type ParsedArguments, usageError } from './arguments.js';
import { explainIo, oneOf, readBuildFlags, readInput } from './flags.js';
import { describeProfile } from './profile.js';
import { sourceMapReader } from './source-map.js';
import { complain, formatBytes, formatCount, formatTime, openProgress, standardOutput } from './output.js';

type Options = ParsedArguments['options'];
const EXTENSION: Record<Exclude<EmitKind, 'artifact'>, string> = { obj: '.o', asm: '.s', ir: '.ll', bc: '.bc' };

/** Fails early, before minutes of compiling, where the output obviously cannot be written. */
function checkOutput(path: string): void {
  const refuse = (reason: string): never => {
    throw new CompileError({ kind: 'output', message: `cannot write ${JSON.stringify(path)}: ${reason}` });
  };
  const folder = dirname(path);
  try {
    if (!statSync(folder).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory()) refuse(explainIo({ code: 'EISDIR' }));
    // A device is written to as it is; everything else is written beside and renamed.
    accessSync(found && !found.isFile() ? path : folder, constants.W_OK);
  } catch (error) {
    if (error instanceof CompileError) throw error;
    refuse(`folder ${JSON.stringify(folder)}: ${explainIo(error)}`);
  }
}

/** Runs the command. Returns the exit code; throws what `cli.ts` reports. */
export async function runBuild({ options, operands }: ParsedArguments): Promise<number> {
  if (operands.length !== 1) throw usageError(operands.length ? `one input file is wanted, not ${operands.length}` : 'which file?', 'e.g. wasm-aot build prog.wasm -o prog.so');
  const [input] = operands;
  const flags = await readBuildFlags(options, 'fuel');
  const emit: EmitKind = oneOf(options, 'emit', ['ir', 'bc', 'asm', 'obj']) ?? 'artifact';
  const output = (options.o as string | undefined) ?? basename(input, extname(input)) + (emit === 'artifact' ? findTarget(flags.target ?? DEFAULT_TRIPLE).extension : EXTENSION[emit]);
  const bytes = readInput(input);
  if (output !== '-') checkOutput(output);
  const bar = openProgress(!options.quiet && !options.json);
  const { build } = await import('../index.js');
  let result: BuildResult;
  try {
    result = await build(bytes, { ...flags, emit, name: input, readSourceMap: sourceMapReader(input), onProgress: bar.update });
  } finally {
    bar.clear();
  }
  const files = await writeResult(output, emit, result);
  // With `-o -` standard output carries the result, so the report goes nowhere.
  if (output !== '-') report(options, files, result);
  return ExitCode.ok;
}

/** Writes the result beside its destination and renames it; one file a partition where there are several. Returns the files' names. */
async function writeResult(output: string, emit: EmitKind, result: BuildResult): Promise<string[]> {
  // Text is joined; binary files of several partitions are several files.
  const parts = (emit === 'obj' || emit === 'bc') && result.parts && result.parts.length > 1 ? result.parts : undefined;
  if (output === '-') {
    if (parts) throw usageError(`there are ${parts.length} files, which standard output cannot take`, 'name a file with -o');
    await new Promise<void>((resolve, reject) => { standardOutput().write(result.artifact, (error) => (error ? reject(error) : resolve())); });
    return [];
  }
  const { writeArtifact } = await import('../link.js');
  if (!parts) {
    await writeArtifact(output, result.artifact);
    return [output];
  }
  const extension = extname(output);
  const names = parts.map((_, i) => `${output.slice(0, output.length - extension.length)}.${i}${extension}`);
  for (const [i, part] of parts.entries()) await writeArtifact(names[i], part);
  return names;
}

function report(options: Options, files: readonly string[], { stats, warnings }: BuildResult): void {
  if (options.json) {
    standardOutput().write(`${JSON.stringify({ output: files.length === 1 ? files[0] : files, warnings: warnings.map(toJson), stats }, undefined, 2)}\n`);
    return;
  }
  for (const warning of warnings) complain(formatDiagnostic(warning), 'warning');
  if (options.quiet) return;
  standardOutput().write(`${files.join(', ')}: ${formatBytes(stats.outputBytes)} from ${formatBytes(stats.inputBytes)} of wasm, `
    + `${formatCount(stats.functions)} function${stats.functions === 1 ? '' : 's'}, ${formatTime(stats.milliseconds)}\n`);
  if (options.verbose) standardOutput().write(describeStages(stats));
  if (stats.profile) standardOutput().write(describeProfile(stats, stats.profile));
}

function describeStages(stats: BuildStats): string {
  const lines = Object.entries(stats.stages).map(([stage, ms]) => `  ${stage.padEnd(10)} ${formatTime(ms)}\n`);
  return `${lines.join('')}  ${stats.partitions} partition${stats.partitions === 1 ? '' : 's'} in parallel\n`;
}

/** A diagnostic as JSON, with its one-line rendering. */
export function toJson(diagnostic: Diagnostic): Diagnostic & { text: string } {
  return { ...diagnostic, text: formatDiagnostic(diagnostic) };
}
