/** The manifest: what an artifact says of itself, as JSON in its NOTE_MANIFEST note. Read by the loader and by `inspect`; written by the compiler. */
import type { FuelModeName } from '../runtime-c/abi.js';
import type { Refuse } from './notes.js';

/** A reference type, as in the text format: `(ref func)`, `(ref null 3)`; numbers are indices in `types`. */
export type ManifestRefType =
  | 'funcref' | 'externref' | 'nullfuncref' | 'nullexternref' | 'anyref' | 'eqref' | 'i31ref' | 'structref' | 'arrayref' | 'nullref' | `(ref ${string})`;
export type ManifestValType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | ManifestRefType;

export type ManifestExtern =
  | { kind: 'func'; params: ManifestValType[]; results: ManifestValType[] }
  | { kind: 'table'; element: ManifestRefType; min: number; max?: number }
  | { kind: 'memory'; min: number; max?: number }
  | { kind: 'global'; type: ManifestValType; mutable: boolean };

/** A field of a struct, or the element of an array. */
export interface ManifestField { type: ManifestValType | 'i8' | 'i16'; mutable: boolean }
/** A type of the module; `open`: it may have subtypes; `supertype`: the index of the one that it declares. */
export type ManifestType = ({ params: ManifestValType[]; results: ManifestValType[] } | { fields: ManifestField[] } | { element: ManifestField }) & { open?: true; supertype?: number };

export interface Manifest {
  /** Version of this schema. */
  schema: 1;
  abiVersion: number;
  /** What compiled it: versions of wasm-aot and of LLVM. */
  producer: { name: 'wasm-aot'; version: string; llvm: string };
  /** The wasm it was compiled from. */
  source: { name: string; sha256: string; bytes: number };
  /** `cpu` and `features`: of the code for the least level; `levels`: of that for others, if there is any, each better than those before it. */
  target: { triple: string; cpu: string; features: string[]; levels?: { cpu: string; features: string[] }[] };
  options: { optLevel: 0 | 1 | 2 | 3; debug: boolean; fuel: FuelModeName; nan: 'native' | 'canonical' };
  /** The cost table: its name, and the SHA-256 of its canonical JSON (absent when `fuel` is none). */
  costTable?: { name: string; sha256: string };
  /** The module's types, by index; absent when no import or export names one. */
  types?: ManifestType[];
  imports: ({ module: string; name: string } & ManifestExtern)[];
  exports: ({ name: string } & ManifestExtern)[];
  /** Memories that the module defines or imports, in index order. */
  memories: { min: number; max?: number; imported: boolean }[];
  functions: { imported: number; defined: number };
  start: boolean;
}

/** The manifest in the text of the note. `refuse` throws for one that cannot be read. */
export function parseManifest(text: string, refuse: Refuse): Manifest {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch {
    refuse('damaged: its manifest is no JSON');
  }
  if (typeof manifest !== 'object' || manifest === null || (manifest as Manifest).schema !== 1) refuse('its manifest has an unknown schema');
  return manifest as Manifest;
}
