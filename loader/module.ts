/** Modules: artifacts that are mapped into this process, without state. */
import { fileURLToPath } from 'node:url';
import { cpuFeatureNames } from '../runtime-c/abi.js';
import { ArtifactError } from './errors.js';
import type { Imports } from './imports.js';
import { artifacts, Instance, type InstanceOptions } from './instance.js';
import { type Manifest, parseManifest } from './manifest.js';
import { type NativeArtifact, type NativeExtern, native } from './native.js';
import { type ExternKindName, type ExternType, externType, kindName } from './values.js';

/** An artifact that is mapped, with its manifest. */
export interface OpenArtifact extends Omit<NativeArtifact, 'manifest'> { readonly path: string; readonly manifest: Manifest }

/**
 * Verifies an artifact, then maps it.
 * @throws {ArtifactError} of any kind.
 */
function openArtifact(path: string): OpenArtifact {
  const opened = native().artifactOpen(path);
  const refuse = (what: string): never => { throw new ArtifactError('format', `${path}: ${what}`); };
  return { ...opened, path, manifest: parseManifest(opened.manifest, refuse) };
}

/** An export of a module. */
export interface ExportDescriptor { readonly name: string; readonly kind: ExternKindName; readonly type: ExternType }
/** An import of a module. */
export interface ImportDescriptor extends ExportDescriptor { readonly module: string }

const describeExport = (extern: NativeExtern): ExportDescriptor => ({ name: extern.name, kind: kindName(extern), type: externType(extern) });
const describeImport = (extern: NativeExtern): ImportDescriptor => ({ module: extern.module as string, ...describeExport(extern) });

/** A loaded artifact: code without state, as `WebAssembly.Module`. `load` makes them. */
export class Module {
  /** What the artifact says of itself: source, target, options, cost table, imports, exports. */
  readonly manifest: Manifest;
  /**
   * The CPU features that its code needs, such as `avx2`. An artifact can have code for several levels (`build --cpu v2,v3`): these are those of the code that runs, the best for this CPU
   * and for the level that the environment variable WASM_AOT_CPU (v2, v3, v4) allows at most when the process first loads the artifact.
   */
  readonly cpuFeatures: readonly string[];

  /** As `load(path)`. */
  constructor(path: string | URL) {
    const file = toPath(path);
    const artifact = openArtifact(file);
    artifacts.set(this, artifact);
    this.manifest = artifact.manifest;
    this.cpuFeatures = cpuFeatureNames(artifact.cpuFeatures);
  }
  /** The imports, in order. */
  imports(): ImportDescriptor[] {
    return (artifacts.get(this)?.imports ?? []).map(describeImport);
  }
  /** The exports, in order. */
  exports(): ExportDescriptor[] {
    return (artifacts.get(this)?.exports ?? []).map(describeExport);
  }
  /** The imports of a module, as `WebAssembly.Module.imports`. */
  static imports(module: Module): ImportDescriptor[] {
    return Module.#check(module).imports();
  }
  /** The exports of a module, as `WebAssembly.Module.exports`. */
  static exports(module: Module): ExportDescriptor[] {
    return Module.#check(module).exports();
  }
  /** Makes an instance: see the constructor of `Instance`. */
  instantiate(imports?: Imports, options?: InstanceOptions): Instance {
    return new Instance(this, imports, options);
  }
  get [Symbol.toStringTag](): string {
    return 'WebAssembly.Module';
  }
  static #check(module: Module): Module {
    if (!(module instanceof Module)) throw new TypeError('the argument must be a Module of wasm-aot');
    return module;
  }
}

function toPath(path: unknown): string {
  if (path instanceof URL) return fileURLToPath(path);
  if (typeof path !== 'string') throw new TypeError(`the path of an artifact must be a string or a file: URL, not ${path === null ? 'null' : `of type ${typeof path}`}`);
  if (path === '') throw new TypeError('the path of an artifact is empty');
  return path;
}

/**
 * Loads an artifact: verifies the file (structure, size, hash, ABI version, target, CPU features), and only then maps it. Nothing of it runs before `instantiate`.
 * Loading one file twice shares its code.
 *
 * @param path A path, or a `file:` URL.
 * @throws {ArtifactError} whose `kind` says why the file was refused.
 * @throws {TypeError} when `path` is neither a string nor a `file:` URL.
 * @throws {Error} when the native runtime is not built, saying how to build it.
 */
export function load(path: string | URL): Module {
  return new Module(path);
}
