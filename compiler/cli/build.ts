/** `wasm-aot build`: a wasm file in, an artifact (or an intermediate form) out; nothing is written unless all of it is. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname } from 'node:path';
import { CompileError, type Diagnostic, ExitCode, formatDiagnostic } from '../diagnostics.js';
import { DEFAULT_TRIPLE, findTarget, TARGETS } from '../llvm/target.js';
import { type BuildOptions, type BuildResult, type BuildStats, CPU_LEVELS, type EmitKind, type OptLevel } from '../options.js';
import { type ParsedArguments, usageError } from './arguments.js';
import { describeProfile } from './profile.js';
import { sourceMapReader } from './source-map.js';
import { parseSize } from './size.js';
import { complain, formatBytes, formatCount, formatTime, openProgress } from './output.js';

type Options = ParsedArguments['options'];
const EXTENSION: Record<Exclude<EmitKind, 'artifact'>, string> = { obj: '.o', asm: '.s', ir: '.ll', bc: '.bc' };
const REASONS: Record<string, string> = {
  ENOENT: 'no such file', EACCES: 'permission denied', EPERM: 'permission denied', EISDIR: 'it is a directory', ENOTDIR: 'a part of the path is not a directory',
  EROFS: 'the file system is read-only', ENOSPC: 'the disk is full', EDQUOT: 'the disk quota is used up', ENAMETOOLONG: 'the name is too long', ELOOP: 'too many symbolic links',
};

/** Why a file operation failed, for a person. */
export function explainIo(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && REASONS[code]) || message;
}

/** Reads a file that the user named. @throws {CompileError} of kind `input`. */
export function readInput(path: string): Uint8Array {
  try {
    if (statSync(path).isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    return readFileSync(path);
  } catch (error) {
    throw new CompileError({ kind: 'input', message: `cannot read ${JSON.stringify(path)}: ${explainIo(error)}` });
  }
}

const oneOf = <T extends string>(options: Options, name: string, allowed: readonly T[], note?: (value: string) => string | undefined): T | undefined => {
  const value = options[name] as string | undefined;
  if (value === undefined || (allowed as readonly string[]).includes(value)) return value as T | undefined;
  throw usageError(`${name.length === 1 ? '-' : '--'}${name} cannot be ${JSON.stringify(value)}`, note?.(value) ?? `it is one of ${allowed.join(', ')}`);
};

/** A whole number of at least 1. */
function readCount(options: Options, name: string): number | undefined {
  const text = options[name] as string | undefined;
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw usageError(`--${name} cannot be ${JSON.stringify(text)}`, 'it is a whole number of at least 1');
  return Number(text);
}

/** A number of bytes, with K, M, G or T behind it for their powers of 1024. @throws {CompileError} of kind `usage`. */
function readSize(options: Options, name: string): number | undefined {
  const text = options[name] as string | undefined;
  return text === undefined ? undefined : parseSize(text, `--${name}`);
}

/** The replacements of `--path-map`. */
function readPathMap(options: Options): [string, string][] | undefined {
  return (options['path-map'] as string[] | undefined)?.map((text) => {
    const at = text.indexOf('=');
    if (at <= 0) throw usageError(`--path-map cannot be ${JSON.stringify(text)}`, 'it is OLD=NEW: paths that begin with OLD begin with NEW instead');
    return [text.slice(0, at), text.slice(at + 1)];
  });
}

/**
 * The build options that flags of `build` and `run` ask for.
 * @param mode name of the option that says how code is metered: `fuel` of `build`, `fuel-mode` of `run`.
 * @throws {CompileError} for values that are not allowed and for a cost table that is missing or wrong.
 */
export async function readBuildFlags(options: Options, mode: 'fuel' | 'fuel-mode'): Promise<BuildOptions> {
  const level = oneOf(options, 'O', ['0', '1', '2', '3']);
  const flags: BuildOptions = {
    optLevel: level === undefined ? undefined : (Number(level) as OptLevel),
    debug: options.g === true || undefined,
    pathMap: readPathMap(options),
    nan: oneOf(options, 'nan', ['native', 'canonical']),
    target: oneOf(options, 'target', TARGETS.map((row) => row.triple)),
    cpu: oneOf(options, 'cpu', CPU_LEVELS),
    jobs: readCount(options, 'jobs'),
    memoryBudget: readSize(options, 'memory-budget'),
    profile: options['profile-compile'] === true || undefined,
    features: options.enable || options.disable ? { enable: options.enable as string[] | undefined, disable: options.disable as string[] | undefined } : undefined,
    fuel: oneOf(options, mode, ['outband', 'sync', 'none'], (value) =>
      /^\d/.test(value) ? `here it says how the code is metered: outband, sync or none; the limit is for run: wasm-aot run --fuel ${value} FILE` : undefined),
  };
  const table = options['cost-table'] as string | undefined;
  if (table === undefined) return flags;
  const text = new TextDecoder().decode(readInput(table));
  const { parseCostTable } = await import('../metering/cost.js');
  try {
    return { ...flags, costTable: parseCostTable(text, table) };
  } catch (error) {
    // To a program that calls the compiler a wrong table is a wrong argument; here it is a wrong file.
    throw error instanceof CompileError ? new CompileError(...error.errors.map((e) => ({ ...e, kind: 'invalid' as const }))) : error;
  }
}

/** Fails early, before minutes of compiling, where the output obviously cannot be written. */
function checkOutput(path: string): void {
  const refuse = (reason: string): never => {
    throw new CompileError({ kind: 'output', message: `cannot write ${JSON.stringify(path)}: ${reason}` });
  };
  const folder = dirname(path);
  try {
    if (!statSync(folder).isDirectory()) throw Object.assign(new Error(), { code: 'ENOTDIR' });
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory()) refuse(REASONS.EISDIR);
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
    await new Promise<void>((resolve, reject) => { process.stdout.write(result.artifact, (error) => (error ? reject(error) : resolve())); });
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
    process.stdout.write(`${JSON.stringify({ output: files.length === 1 ? files[0] : files, warnings: warnings.map(toJson), stats }, undefined, 2)}\n`);
    return;
  }
  for (const warning of warnings) complain(formatDiagnostic(warning), 'warning');
  if (options.quiet) return;
  process.stdout.write(`${files.join(', ')}: ${formatBytes(stats.outputBytes)} from ${formatBytes(stats.inputBytes)} of wasm, `
    + `${formatCount(stats.functions)} function${stats.functions === 1 ? '' : 's'}, ${formatTime(stats.milliseconds)}\n`);
  if (options.verbose) process.stdout.write(describeStages(stats));
  if (stats.profile) process.stdout.write(describeProfile(stats, stats.profile));
}

function describeStages(stats: BuildStats): string {
  const lines = Object.entries(stats.stages).map(([stage, ms]) => `  ${stage.padEnd(10)} ${formatTime(ms)}\n`);
  return `${lines.join('')}  ${stats.partitions} partition${stats.partitions === 1 ? '' : 's'} in parallel\n`;
}

/** A diagnostic as JSON, with its one-line rendering. */
export function toJson(diagnostic: Diagnostic): Diagnostic & { text: string } {
  return { ...diagnostic, text: formatDiagnostic(diagnostic) };
}
