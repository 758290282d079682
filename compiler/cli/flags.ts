/** Options that `build` and `run` have in common, and files that the user names. */
import { readFileSync, statSync } from 'node:fs';
import { CompileError } from '../diagnostics.js';
import { type BuildOptions, CPU_LEVELS, type CpuLevel, type OptLevel, parseSize, TRIPLES } from '../options.js';
import { type ParsedArguments, usageError } from './arguments.js';

type Options = ParsedArguments['options'];
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

/** The value of an option that takes one of a few. @throws {CompileError} of kind `usage` for others, with what `note` says of them. */
export const oneOf = <T extends string>(options: Options, name: string, allowed: readonly T[], note?: (value: string) => string | undefined): T | undefined => {
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

/** The CPU levels of `--cpu`, separated by commas. Whether they go together is for the compiler to say. */
function readLevels(options: Options): CpuLevel[] | undefined {
  return (options.cpu as string | undefined)?.split(',').map((level) => oneOf({ cpu: level }, 'cpu', CPU_LEVELS) as CpuLevel);
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
    target: oneOf(options, 'target', TRIPLES),
    cpu: readLevels(options),
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
