/** The machines that wasm-aot compiles for: one row each, and everything that differs between them. */
import { Arch, CPU_LEVEL_TABLE, CpuFeature, type CpuFeatureName, cpuLevelFeatures, type Os } from '../../runtime-c/abi.js';
import { CompileError } from '../diagnostics.js';
import { type CpuLevel, DEFAULT_TRIPLE, type Triple } from '../options.js';

/** What differs between the architectures. The patterns are for instructions as LLVM's disassembler prints them, blanks collapsed. */
interface Machine {
  readonly arch: (typeof Arch)[keyof typeof Arch];
  /** The fuel register. */
  readonly fuelRegister: string;
  /** POSIX extended: matches each instruction that names any part of the fuel register, or uses it without naming it. */
  readonly mention: string;
  /** The largest cost that one charge can add; a larger one is charged in several. */
  readonly maxCharge: number;
  /** The instructions that may write it: charges. */
  readonly charges: readonly RegExp[];
  /** The instructions that may read it: the check of synchronous metering. */
  readonly reads: readonly RegExp[];
}

/** A target. */
export interface Target extends Machine {
  /** Its name for users, and in the manifest. */
  readonly triple: Triple;
  readonly os: keyof typeof Os;
  /** The file format of objects and artifacts; lld has a driver for each. */
  readonly format: 'elf' | 'macho';
  /** What an artifact's file name ends in by default. */
  readonly extension: string;
  /** What LLVM is told: see the rows. */
  readonly llvmTriple: string;
  /** LLVM's CPU name, and features that keep its hands off the fuel register and off what the system keeps for itself. x86-64 has levels instead of a CPU. */
  readonly cpu: string | undefined;
  readonly reserveFeatures: readonly string[];
}

/** A 64-bit general register of x86-64 other than the stack pointer and the fuel register. */
const X64_REG = '%r(?:[abcd]x|[sd]i|8|9|1[0-5])';

/** The function attributes "frame-pointer"="reserved" and "no-realign-stack" keep RBP free. */
const X86_64: Machine = {
  arch: Arch.x86_64,
  fuelRegister: 'rbp',
  mention: '%([re]?bp|bpl)([^a-z0-9]|$)|(^| )(enter|leave|pusha|popa)[wlq]?( |$)',
  maxCharge: 2 ** 31 - 1, // the immediate is sign-extended from 32 bits
  charges: [/^addq \$\d+, %rbp$/, new RegExp(`^addq ${X64_REG}, %rbp$`), new RegExp(`^leaq (?:\\d+)?\\(%rbp(?:,${X64_REG})?\\), %rbp$`), /^leaq -\d{1,7}\(%rbp\), %rbp$/],
  reads: [new RegExp(`^movq %rbp, ${X64_REG}$`), /^testq %rbp, %rbp$/, /^cmpq \$0, %rbp$/],
};

/** The feature `+reserve-x28` keeps X28 free. */
const AARCH64: Machine = {
  arch: Arch.aarch64,
  fuelRegister: 'x28',
  // ld64b and st64b move eight registers and name the first.
  mention: '(^|[^a-z0-9])[xw]28([^0-9]|$)|^(ld64b|st64b)',
  maxCharge: 2 ** 24 - 1, // two immediates of 12 bits
  charges: [/^(?:add|sub) x28, x28, #(?:0x[\da-f]+|\d+)(?:, lsl #12)?$/, /^add x28, x28, x(?!28)\d+$/],
  reads: [/^mov x(?!28)\d+, x28$/, /^cmp x28, #0(?:x0)?$/, /^tst x28, x28$/],
};

export const TARGETS: readonly Target[] = [
  { ...X86_64, triple: DEFAULT_TRIPLE, os: 'linux', format: 'elf', extension: '.so', llvmTriple: DEFAULT_TRIPLE, cpu: undefined, reserveFeatures: [] },
  {
    ...AARCH64, triple: 'aarch64-unknown-linux-gnu', os: 'linux', format: 'elf', extension: '.so', llvmTriple: 'aarch64-unknown-linux-gnu', cpu: 'generic', reserveFeatures: ['+reserve-x28'],
  },
  // macOS. LLVM is told "Mach-O files, no system": for a system it knows to be Apple's it writes no CFI in the epilogues of x86-64, and compact unwind entries, which can
  // describe a frame only once it is complete. Without them lld points the unwinder to the DWARF tables, which are exact at every instruction. What else the system
  // asks for is said here: X18 is the platform's, and every Mac with an Arm processor has at least an M1. For Mach-O, LLVM saves callee-saved registers in fixed pairs,
  // reserved or not: X27, with X28, which would put an old number back into the fuel register. So X27 goes unused as well.
  { ...X86_64, triple: 'x86_64-apple-darwin', os: 'darwin', format: 'macho', extension: '.dylib', llvmTriple: 'x86_64-unknown-none-macho', cpu: undefined, reserveFeatures: [] },
  {
    ...AARCH64, triple: 'arm64-apple-darwin', os: 'darwin', format: 'macho', extension: '.dylib', llvmTriple: 'aarch64-unknown-none-macho', cpu: 'apple-m1',
    reserveFeatures: ['+reserve-x28', '+reserve-x27', '+reserve-x18'],
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

/** What to tell LLVM of the CPU, and what the artifact then needs of the machine that runs it. */
export interface ResolvedCpu {
  /** LLVM's name of the CPU, and features to add (`+`) and remove (`-`), comma-separated. */
  readonly cpu: string;
  readonly features: string;
  /** For the note header: see `cpuFeatureBits`. */
  readonly required: readonly CpuFeatureName[];
}

/**
 * Resolves an x86-64 CPU level. `native` is the best level that the machine has in full plus whatever else it has of CpuFeature; every feature is
 * then stated, so that LLVM assumes nothing that the note header cannot express.
 * @param hostFeatures the machine's features as LLVM lists them (`+avx,-fma,...`): `hostCpu().features`. Needed for `native` only.
 */
export function resolveCpuFrom(level: CpuLevel, hostFeatures: string): ResolvedCpu {
  // Below v2 there are no instructions for rounding and for counting bits: LLVM would call a C library.
  if (level === 'baseline') return resolveCpuFrom('v2', hostFeatures);
  if (level !== 'native') return { cpu: `x86-64-${level}`, features: '', required: cpuLevelFeatures(level) };
  const has = new Set(hostFeatures.split(','));
  const known = Object.keys(CpuFeature) as CpuFeatureName[];
  const required = known.filter((name) => has.has(`+${name}`));
  const base = [...CPU_LEVEL_TABLE].reverse().find((row) => cpuLevelFeatures(row.name).every((name) => required.includes(name)));
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
