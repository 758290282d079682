/** `wasm-aot run`: links an artifact to WASI, runs it or calls one export, and turns every outcome into an exit code. */
import { closeSync, openSync, readSync } from 'node:fs';
import { ArtifactError, type ArtifactErrorKind } from '../../loader/errors.js';
import type { Instance } from '../../loader/instance.js';
import type { Manifest, ManifestValType } from '../../loader/manifest.js';
import { load, type Module } from '../../loader/module.js';
import { type CachedArtifact, cachedBuild } from '../cache.js';
import { CompileError, ExitCode } from '../diagnostics.js';
import { type BuildOptions, type CpuLevel, nearestName } from '../options.js';
import { type ParsedArguments, usageError } from './arguments.js';
import { explainIo, readBuildFlags, readInput } from './flags.js';
import type { Guest } from './wasi.js';

type Options = ParsedArguments['options'];

/** Whether a file is wasm, of a format that artifacts have, or neither, by its first bytes. */
async function sniff(path: string): Promise<'wasm' | 'artifact' | 'other'> {
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
  return head.toString('latin1') === '\x7fELF' || (await import('../../loader/macho.js')).isMachO(head) ? 'artifact' : 'other';
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

/** Builds the module, or takes it from the cache. @param keep whether the cache may be used. */
async function compile(path: string, options: Options, keep: boolean): Promise<CachedArtifact> {
  const given = await readBuildFlags(options, 'fuel-mode');
  const flags: BuildOptions = {
    // For this machine, or for the level that the environment allows on it: nobody else gets what is kept.
    ...given, cpu: given.cpu ?? ((process.env.WASM_AOT_CPU || 'native') as CpuLevel), name: path, readSourceMap: options.g ? (await import('./source-map.js')).sourceMapReader(path) : undefined,
  };
  const began = Date.now();
  const cached = await cachedBuild(readInput(path), flags, async (bytes, wanted) => {
    const [{ build }, { openProgress }] = await Promise.all([import('../index.js'), import('./output.js')]);
    const bar = openProgress(!options.quiet);
    try {
      return await build(bytes, { ...wanted, onProgress: bar.update });
    } finally {
      bar.clear();
    }
  }, keep);
  if (options.verbose) {
    const { formatTime, standardError } = await import('./output.js');
    standardError().write(`wasm-aot: ${cached.hit ? 'found' : 'built'} ${cached.path} in ${formatTime(Date.now() - began)}\n`);
  }
  return cached;
}

/** Why an artifact cannot be loaded, where making it anew helps: found in the cache, or made just now. An artifact for another machine would be the same again. */
const GONE: ReadonlySet<ArtifactErrorKind> = new Set(['io']), DAMAGED: ReadonlySet<ArtifactErrorKind> = new Set(['io', 'format', 'hash', 'abi']);

/** Opens the file that the user named, compiling it first where it is wasm. */
async function openModule(path: string, options: Options): Promise<Module> {
  const kind = await sniff(path);
  if (kind === 'other') throw new CompileError({ kind: 'malformed', message: `${JSON.stringify(path)} is neither wasm nor an artifact`, place: { file: path, offset: 0 } });
  if (kind === 'artifact') {
    const flag = ['O', 'g', 'path-map', 'cost-table', 'nan', 'enable', 'disable', 'cpu', 'jobs', 'memory-budget', 'fuel-mode', 'no-cache'].find((name) => options[name] !== undefined);
    if (flag) throw usageError(`${flag.length === 1 ? '-' : '--'}${flag} has no effect on an artifact`, 'it is for a .wasm, or for wasm-aot build');
    return load(path);
  }
  let keep = options['no-cache'] !== true;
  for (;;) {
    const cached = await compile(path, options, keep);
    try {
      return load(cached.path);
    } catch (error) {
      // What was found in the cache is damaged: make it anew. What was made just now and is no longer there, because somebody else needed its room, is made once more, for this run alone.
      if (cached.temporary || !(error instanceof ArtifactError) || !(cached.hit ? DAMAGED : GONE).has(error.kind)) throw error;
      cached.remove();
      keep = cached.hit;
    } finally {
      // The mapping outlives the name.
      if (cached.temporary) cached.remove();
    }
  }
}

type ExportedFunction = { name: string; params: ManifestValType[]; results: ManifestValType[] };
const functionsOf = (manifest: Manifest): ExportedFunction[] => manifest.exports.flatMap((e) => (e.kind === 'func' ? [e] : []));

interface Call { readonly target: ExportedFunction; readonly args: readonly unknown[] }

/** Finds the export to invoke and reads its arguments. @throws {CompileError} of kind `usage`. */
async function readCall(manifest: Manifest, name: string, texts: readonly string[]): Promise<Call> {
  const functions = functionsOf(manifest);
  const target = functions.find((f) => f.name === name);
  if (!target) {
    throw usageError(`no function ${JSON.stringify(name)} is exported`, functions.length ? `did you mean ${JSON.stringify(nearestName(name, functions.map((f) => f.name)))}?` : 'the module exports no function');
  }
  if (texts.length !== target.params.length) {
    throw usageError(`${name} takes ${target.params.length} argument${target.params.length === 1 ? '' : 's'} (${target.params.join(', ')}), not ${texts.length}`);
  }
  const { parseValue } = await import('./values.js');
  return { target, args: texts.map((text, i) => parseValue(text, target.params[i])) };
}

/** Calls the export. Returns its results. */
function invoke(instance: Instance, { target, args }: Call, guest: Guest | undefined): unknown[] {
  // A WASI reactor wants its initialiser run before any other export.
  if (guest && typeof instance.exports._initialize === 'function' && instance.exports._start === undefined) guest.wasi.initialize(instance);
  const value = (instance.exports[target.name] as (...args: unknown[]) => unknown)(...args);
  return target.results.length > 1 ? (value as unknown[]) : target.results.length === 1 ? [value] : [];
}

async function printResults({ target }: Call, values: readonly unknown[]): Promise<void> {
  const [{ standardOutput }, { formatValue }] = await Promise.all([import('./output.js'), import('./values.js')]);
  standardOutput().write(values.map((v, i) => `${formatValue(v, target.results[i])}\n`).join(''));
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
  const call = name === undefined ? undefined : await readCall(manifest, name, texts);
  const { openGuest } = await import('./wasi.js');
  const guest = await openGuest(manifest.imports.map((i) => i.module), [path, ...(call ? [] : texts)], options);
  const began = Date.now();
  const instance = module.instantiate(importObject(manifest, guest), limit === undefined ? {} : { fuel: limit });
  let results: unknown[];
  try {
    if (!call) return start(instance, manifest, guest);
    results = invoke(instance, call, guest);
  } finally {
    const milliseconds = Date.now() - began;
    if (options.verbose) {
      const { complain, formatCount, formatTime } = await import('./output.js');
      const fuel = manifest.options.fuel === 'none' ? 'not metered' : `${formatCount(instance.fuel.consumed)} fuel consumed`;
      complain(`${fuel}, ${formatTime(milliseconds)}`, 'note');
    }
  }
  await printResults(call, results);
  return ExitCode.ok;
}
