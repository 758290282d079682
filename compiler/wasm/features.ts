/** Features of WebAssembly: which can be switched, which proposals are known but not supported, and how an input that needs one is told so. */
import { CompileError } from '../diagnostics.js';
import { nearestName } from '../options.js';
import type { Feature } from './module.js';

/** The features that are on. `mvp` always is. */
export type FeatureSet = ReadonlySet<Feature>;

/** A feature: the version of WebAssembly that it came with, whether it can be on at all, and what it is called in messages. */
export interface FeatureRow { readonly name: Feature; readonly version: 1 | 2 | 3; readonly supported: boolean; readonly title: string }

/** Every feature that the opcode table knows. All that are supported are on by default. */
export const FEATURES: readonly FeatureRow[] = [
  { name: 'mvp', version: 1, supported: true, title: 'WebAssembly 1.0' },
  { name: 'sign-extension', version: 2, supported: true, title: 'sign-extension operators' },
  { name: 'saturating-float-to-int', version: 2, supported: true, title: 'saturating float-to-int conversions' },
  { name: 'multi-value', version: 2, supported: true, title: 'multiple values' },
  { name: 'bulk-memory', version: 2, supported: true, title: 'bulk memory operations' },
  { name: 'reference-types', version: 2, supported: true, title: 'reference types' },
  { name: 'mutable-globals', version: 1, supported: true, title: 'import and export of mutable globals' },
  { name: 'simd', version: 2, supported: true, title: 'vector (SIMD) operators' },
  { name: 'relaxed-simd', version: 3, supported: true, title: 'relaxed vector (SIMD) operators' },
  { name: 'multi-memory', version: 3, supported: true, title: 'multiple memories' },
  { name: 'extended-const', version: 3, supported: true, title: 'extended constant expressions' },
  { name: 'tail-call', version: 3, supported: true, title: 'tail calls' },
  { name: 'function-references', version: 3, supported: true, title: 'typed function references' },
  { name: 'gc', version: 3, supported: true, title: 'garbage-collected structs and arrays' },
];

/** The default: WebAssembly 2.0 and what is finished of 3.0. */
export const DEFAULT_FEATURES: FeatureSet = new Set(FEATURES.filter((row) => row.supported).map((row) => row.name));

/** The features of WebAssembly 2.0 and none of later versions, as switches over the default. */
export const VERSION_2: FeatureOptions = { disable: FEATURES.filter((row) => row.version > 2).map((row) => row.name) };

const VERSION_3: readonly Feature[] = FEATURES.filter((row) => row.version > 2).map((row) => row.name);
const isVersion3 = new WeakMap<FeatureSet, boolean>();

/**
 * Whether the binary format is that of WebAssembly 3.0, which any of its features brings with it: limits and offsets of memory accesses are numbers of 64 bits
 * there, and the alignment one of 6. The same bytes are malformed in 2.0 and well-formed, though not valid, in 3.0.
 */
export function hasWideNumbers(features: FeatureSet): boolean {
  let answer = isVersion3.get(features);
  if (answer === undefined) {
    answer = VERSION_3.some((feature) => features.has(feature));
    isVersion3.set(features, answer);
  }
  return answer;
}

/** Names of features to switch, over the default. */
export interface FeatureOptions { readonly enable?: readonly string[]; readonly disable?: readonly string[] }

/**
 * The default set with some features switched on and then some off.
 * @throws {CompileError} of kind `usage` for an unknown name (with the nearest known one), for one that cannot be switched off
 * (`mvp`), and for one that is not supported yet.
 */
export function resolveFeatures(options: FeatureOptions = {}): FeatureSet {
  const set = new Set(DEFAULT_FEATURES);
  for (const name of options.enable ?? []) {
    const row = findFeature(name);
    if (!row.supported) throw new CompileError({ kind: 'usage', message: `the feature ${JSON.stringify(name)} is not supported yet` });
    set.add(row.name);
  }
  for (const name of options.disable ?? []) {
    const row = findFeature(name);
    if (row.name === 'mvp') throw new CompileError({ kind: 'usage', message: 'the feature "mvp" cannot be switched off' });
    set.delete(row.name);
  }
  return set;
}

function findFeature(name: string): FeatureRow {
  const row = FEATURES.find((feature) => feature.name === name);
  if (row) return row;
  const nearest = nearestName(name, FEATURES.map((feature) => feature.name));
  throw new CompileError({ kind: 'usage', message: `unknown feature ${JSON.stringify(name)}`, note: `did you mean ${JSON.stringify(nearest)}?` });
}

/** Why something that needs `feature` is refused when the feature is off. */
export function featureMessage(feature: Feature): string {
  const row = FEATURES.find((other) => other.name === feature) as FeatureRow;
  return row.supported ? `${row.title} are switched off (feature ${JSON.stringify(feature)})` : notSupported(row.title);
}

/** `SIMD is not supported`, `tail calls are not supported`. */
export function notSupported(title: string): string {
  return `${title} ${title.endsWith('s') ? 'are' : 'is'} not supported`;
}

/** Titles of the proposals that are recognised in order to be refused by name. */
export const Proposal = {
  threads: 'threads',
  exceptions: 'exception handling',
  memory64: '64-bit memories and tables',
  wideArithmetic: 'wide arithmetic',
  stackSwitching: 'stack switching',
} as const;

/** Opcode ranges of those proposals, both ends included. */
const OPCODE_RANGES: readonly (readonly [first: number, last: number, title: string])[] = [
  [0x06, 0x0a, Proposal.exceptions],
  [0x18, 0x19, Proposal.exceptions],
  [0x1f, 0x1f, Proposal.exceptions],
  [0xe0, 0xe6, Proposal.stackSwitching],
  [0xfe, 0xfe, Proposal.threads],
];

/** The title of the unsupported proposal that an opcode's first byte (and, after 0xfc, its sub-opcode) belongs to; undefined when nobody uses it. */
export function proposalOfOpcode(byte: number, sub = 0): string | undefined {
  if (byte === 0xfc) return sub >= 19 && sub <= 22 ? Proposal.wideArithmetic : undefined;
  return OPCODE_RANGES.find(([first, last]) => byte >= first && byte <= last)?.[2];
}

/** The title of the unsupported proposal that the first byte of a value type or heap type belongs to; undefined when nobody uses it. */
export function proposalOfValType(byte: number): string | undefined {
  if (byte === 0x69 || byte === 0x74) return Proposal.exceptions;
  if (byte === 0x68 || byte === 0x75) return Proposal.stackSwitching;
  return undefined;
}
