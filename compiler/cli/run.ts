/** `wasm-aot run`: links an artifact to WASI, runs it or calls one export, and turns every outcome into an exit code. */
import { closeSync, openSync, readSync } from 'node:fs';
import { ArtifactError, type Instance, load, type Module } from '../../loader/index.js';
import { isMachO } from '../../loader/macho.js';
import type { Manifest, ManifestValType } from '../../loader/manifest.js';
import { type CachedArtifact, cachedBuild } from '../cache.js';
import { CompileError, ExitCode } from '../diagnostics.js';
import { type BuildOptions, type CpuLevel, nearestName } from '../options.js';
import { type ParsedArguments, usageError } from './arguments.js';
import { explainIo, readBuildFlags, readInput } from './flags.js';
import { complain, formatCount, formatTime, openProgress } from './output.js';
import { formatValue, parseValue } from './values.js';
import { type Guest, openGuest, silenceWasiWarning } from './wasi.js';

type Options = ParsedArguments['options'];

/** Whether a file is wasm, of a format that artifacts have, or neither, by its first bytes. */
function sniff(path: string): 'wasm' | 'artifact' | 'other' {
  const head = Buffer.alloc(4);
  try {
    const fd = openSync(path, 'r');
    try {
      readSync(fd, head, 0, 4, 0);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new CompileError({ kind: 'input', message: `cannot read ${JSON.stringify(path)}: ${explainIo(error)}` });
  }
  if (head.toString('latin1') === '\0asm') return 'wasm';
  return head.toString('latin1') === '\x7fELF' || isMachO(head) ? 'artifact' : 'other';
}

const LIMIT_MAX = 2n ** 63n - 1n;

/** The limit of `--fuel`; undefined without one. */
function readLimit(options: Options): bigint | undefined {
  const text = options.fuel as string | undefined;
  if (text === undefined) return undefined;
  if (['outband', 'sync', 'none'].includes(text)) throw usageError(`--fuel of run is a limit, not ${JSON.stringify(text)}`, `how code is metered: --fuel-mode ${text}`);
  const value = /^[0-9](?:_?[0-9])*$/.test(text) ? BigInt(text.replaceAll('_', '')) : -1n;
  if (value < 0n || value > LIMIT_MAX) throw usageError(`--fuel cannot be ${JSON.stringify(text)}`, `it is a whole number from 0 to ${LIMIT_MAX}`);
  return value;
}

/** Builds the module, or takes it from the cache. */
async function compile(path: string, options: Options): Promise<CachedArtifact> {
  const given = await readBuildFlags(options, 'fuel-mode');
  const flags: BuildOptions = {
    // For this machine, or for the level that the environment allows on it: nobody else gets what is kept.
    ...given, cpu: given.cpu ?? ((process.env.WASM_AOT_CPU || 'native') as CpuLevel), name: path, readSourceMap: options.g ? (await import('./source-map.js')).sourceMapReader(path) : undefined,
  };
  const bar = openProgress(!options.quiet);
  const began = Date.now();
  try {
    const cached = await cachedBuild(readInput(path), flags, async (bytes, wanted) => {
      const { build } = await import('../index.js');
      return build(bytes, { ...wanted, onProgress: bar.update });
    }, options['no-cache'] !== true);
    bar.clear();
    if (options.verbose) process.stderr.write(`wasm-aot: ${cached.hit ? 'found' : 'built'} ${cached.path} in ${formatTime(Date.now() - began)}\n`);
    return cached;
  } finally {
    bar.clear();
  }
}

/** Opens the file that the user named, compiling it first where it is wasm. */
async function openModule(path: string, options: Options): Promise<Module> {
  const kind = sniff(path);
  if (kind === 'other') throw new CompileError({ kind: 'malformed', message: `${JSON.stringify(path)} is neither wasm nor an artifact`, place: { file: path, offset: 0 } });
  if (kind === 'artifact') {
    const flag = ['O', 'g', 'path-map', 'cost-table', 'nan', 'enable', 'disable', 'cpu', 'jobs', 'memory-budget', 'fuel-mode', 'no-cache'].find((name) => options[name] !== undefined);
    if (flag) throw usageError(`${flag.length === 1 ? '-' : '--'}${flag} has no effect on an artifact`, 'it is for a .wasm, or for wasm-aot build');
    return load(path);
  }
  let cached = await compile(path, options);
  try {
    return load(cached.path);
  } catch (error) {
    if (!cached.hit || !(error instanceof ArtifactError)) throw error;
    // The kept artifact is damaged: make it anew, once.
    cached.remove();
    cached = await compile(path, options);
    return load(cached.path);
  } finally {
    // The mapping outlives the name.
    if (cached.temporary) cached.remove();
  }
}

type ExportedFunction = { name: string; params: ManifestValType[]; results: ManifestValType[] };
const functionsOf = (manifest: Manifest): ExportedFunction[] => manifest.exports.flatMap((e) => (e.kind === 'func' ? [e] : []));

/** Finds the export to invoke and reads its arguments. @throws {CompileError} of kind `usage`. */
function readCall(manifest: Manifest, name: string, texts: readonly string[]): { target: ExportedFunction; args: unknown[] } {
  const functions = functionsOf(manifest);
  const target = functions.find((f) => f.name === name);
  if (!target) {
    throw usageError(`no function ${JSON.stringify(name)} is exported`, functions.length ? `did you mean ${JSON.stringify(nearestName(name, functions.map((f) => f.name)))}?` : 'the module exports no function');
  }
  if (texts.length !== target.params.length) {
    throw usageError(`${name} takes ${target.params.length} argument${target.params.length === 1 ? '' : 's'} (${target.params.join(', ')}), not ${texts.length}`);
  }
  return { target, args: texts.map((text, i) => parseValue(text, target.params[i])) };
}

function invoke(instance: Instance, call: { target: ExportedFunction; args: unknown[] }, guest: Guest | undefined): number {
  // A WASI reactor wants its initialiser run before any other export.
  if (guest && typeof instance.exports._initialize === 'function' && instance.exports._start === undefined) guest.wasi.initialize(instance);
  const value = (instance.exports[call.target.name] as (...args: unknown[]) => unknown)(...call.args);
  const { results } = call.target;
  const values = results.length > 1 ? (value as unknown[]) : results.length === 1 ? [value] : [];
  process.stdout.write(values.map((v, i) => `${formatValue(v, results[i])}\n`).join(''));
  return ExitCode.ok;
}

function start(instance: Instance, manifest: Manifest, guest: Guest | undefined): number {
  if (typeof instance.exports._start !== 'function') {
    const names = functionsOf(manifest).map((f) => f.name);
    throw usageError('it is no command: it exports no function "_start"', names.length ? `call an export with --invoke: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', ...' : ''}` : 'it exports no function at all');
  }
  if (guest) return guest.wasi.start(instance) as number;
  (instance.exports._start as () => void)();
  return ExitCode.ok;
}

/** What there is to link. Modules of which there is nothing are empty, so that the loader's complaint names the import, and what it should be. */
function importObject(manifest: Manifest, guest: Guest | undefined): WebAssembly.Imports {
  return { ...Object.fromEntries(manifest.imports.map(({ module }) => [module, {}])), ...guest?.imports };
}

/** Runs the command. Returns the exit code; throws what `cli.ts` reports. */
export async function runRun({ options, operands }: ParsedArguments): Promise<number> {
  if (operands.length === 0) throw usageError('which file?', 'e.g. wasm-aot run prog.so -- args');
  const [path, ...texts] = operands;
  const limit = readLimit(options);
  const module = await openModule(path, options);
  const { manifest } = module;
  if (limit !== undefined && manifest.options.fuel === 'none') throw usageError('--fuel has no effect: the artifact is not metered', 'build it with --fuel outband');
  const name = options.invoke as string | undefined;
  const call = name === undefined ? undefined : readCall(manifest, name, texts);
  silenceWasiWarning();
  const guest = await openGuest(manifest.imports.map((i) => i.module), [path, ...(call ? [] : texts)], options);
  const began = performance.now();
  const instance = module.instantiate(importObject(manifest, guest), limit === undefined ? {} : { fuel: limit });
  try {
    return call ? invoke(instance, call, guest) : start(instance, manifest, guest);
  } finally {
    if (options.verbose) {
      const fuel = manifest.options.fuel === 'none' ? 'not metered' : `${formatCount(instance.fuel.consumed)} fuel consumed`;
      complain(`${fuel}, ${formatTime(performance.now() - began)}`, 'note');
    }
  }
}
