/** The machines that wasm-aot compiles for: one row each, and everything that differs between them. */
import { Arch, CpuFeature, Os } from '../../runtime-c/abi.js';
import { CompileError } from '../diagnostics.js';
import type { CpuLevel } from '../options.js';

export type CpuFeatureName = keyof typeof CpuFeature;

/** A target. The patterns are for instructions as LLVM's disassembler prints them, blanks collapsed. */
export interface Target {
  readonly triple: string;
  readonly arch: (typeof Arch)[keyof typeof Arch];
  readonly os: (typeof Os)[keyof typeof Os];
  /** The fuel register, and features (as LLVM spells them) that keep LLVM's hands off it. */
  readonly fuelRegister: string;
  readonly reserveFeatures: readonly string[];
  /** POSIX extended: matches each instruction that names any part of the fuel register, or uses it without naming it. */
  readonly mention: string;
  /** The largest cost that one charge can add; a larger one is charged in several. */
  readonly maxCharge: number;
  /** The instructions that may write it: charges. */
  readonly charges: readonly RegExp[];
  /** The instructions that may read it: the check of synchronous metering. */
  readonly reads: readonly RegExp[];
}

/** A 64-bit general register of x86-64 other than the stack pointer and the fuel register. */
const X64_REG = '%r(?:[abcd]x|[sd]i|8|9|1[0-5])';

/** What `build` compiles for unless told otherwise. */
export const DEFAULT_TRIPLE = 'x86_64-unknown-linux-gnu';

export const TARGETS: readonly Target[] = [
  {
    triple: DEFAULT_TRIPLE,
    arch: Arch.x86_64,
    os: Os.linux,
    fuelRegister: 'rbp',
    reserveFeatures: [], // the function attributes "frame-pointer"="reserved" and "no-realign-stack" do it
    mention: '%([re]?bp|bpl)([^a-z0-9]|$)|(^| )(enter|leave|pusha|popa)[wlq]?( |$)',
    maxCharge: 2 ** 31 - 1, // the immediate is sign-extended from 32 bits
    charges: [/^addq \$\d+, %rbp$/, new RegExp(`^addq ${X64_REG}, %rbp$`), new RegExp(`^leaq (?:\\d+)?\\(%rbp(?:,${X64_REG})?\\), %rbp$`)],
    reads: [new RegExp(`^movq %rbp, ${X64_REG}$`), /^testq %rbp, %rbp$/, /^cmpq \$0, %rbp$/],
  },
  {
    triple: 'aarch64-unknown-linux-gnu',
    arch: Arch.aarch64,
    os: Os.linux,
    fuelRegister: 'x28',
    reserveFeatures: ['+reserve-x28'],
    // ld64b and st64b move eight registers and name the first.
    mention: '(^|[^a-z0-9])[xw]28([^0-9]|$)|^(ld64b|st64b)',
    maxCharge: 2 ** 24 - 1, // two immediates of 12 bits
    charges: [/^add x28, x28, #(?:0x[\da-f]+|\d+)(?:, lsl #12)?$/, /^add x28, x28, x(?!28)\d+$/],
    reads: [/^mov x(?!28)\d+, x28$/, /^cmp x28, #0(?:x0)?$/, /^tst x28, x28$/],
  },
];

/**
 * The row of a triple.
 * @throws {CompileError} of kind `unsupported` when there is none.
 */
export function findTarget(triple: string): Target {
  const target = TARGETS.find((row) => row.triple === triple);
  if (!target) {
    throw new CompileError({ kind: 'unsupported', message: `no target ${JSON.stringify(triple)}`, note: `known targets: ${TARGETS.map((row) => row.triple).join(', ')}` });
  }
  return target;
}

/** The psABI's micro-architecture levels of x86-64: what each adds, as far as CpuFeature names it. */
const LEVELS: readonly { readonly name: Exclude<CpuLevel, 'native'>; readonly adds: readonly CpuFeatureName[] }[] = [
  { name: 'v2', adds: ['sse3', 'ssse3', 'sse4.1', 'sse4.2', 'popcnt', 'cx16'] },
  { name: 'v3', adds: ['avx', 'avx2', 'bmi', 'bmi2', 'f16c', 'fma', 'lzcnt', 'movbe'] },
  { name: 'v4', adds: ['avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'] },
];

/** What to tell LLVM of the CPU, and what the artifact then needs of the machine that runs it. */
export interface ResolvedCpu {
  /** LLVM's name of the CPU, and features to add (`+`) and remove (`-`), comma-separated. */
  readonly cpu: string;
  readonly features: string;
  /** For the note header: see `cpuFeatureBits`. */
  readonly required: readonly CpuFeatureName[];
}

/** Every feature of an x86-64 level and of those below it. */
function levelFeatures(name: Exclude<CpuLevel, 'native'>): CpuFeatureName[] {
  return LEVELS.slice(0, LEVELS.findIndex((level) => level.name === name) + 1).flatMap((level) => level.adds);
}

/**
 * Resolves an x86-64 CPU level. `native` is the best level that the machine has in full plus whatever else it has of CpuFeature; every feature is
 * then stated, so that LLVM assumes nothing that the note header cannot express.
 * @param hostFeatures the machine's features as LLVM lists them (`+avx,-fma,...`): `hostCpu().features`. Needed for `native` only.
 */
export function resolveCpuFrom(level: CpuLevel, hostFeatures: string): ResolvedCpu {
  if (level !== 'native') return { cpu: `x86-64-${level}`, features: '', required: levelFeatures(level) };
  const has = new Set(hostFeatures.split(','));
  const known = Object.keys(CpuFeature) as CpuFeatureName[];
  const required = known.filter((name) => has.has(`+${name}`));
  const base = [...LEVELS].reverse().find((row) => levelFeatures(row.name).every((name) => required.includes(name)));
  return {
    cpu: base ? `x86-64-${base.name}` : 'x86-64',
    features: known.map((name) => `${required.includes(name) ? '+' : '-'}${name}`).join(','),
    required,
  };
}

/** The bit set of `waot_note_header.cpu_features`. */
export function cpuFeatureBits(features: readonly CpuFeatureName[]): bigint {
  return features.reduce((bits, name) => bits | (1n << BigInt(CpuFeature[name])), 0n);
}
