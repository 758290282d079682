/** The converted spec tests (SPEC_DIR/README.md): the shape of their JSON, and how results are compared with what they expect, by bit pattern. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A value of a command. Numbers are unsigned decimal bit patterns; a float that is expected can be `nan:canonical` or `nan:arithmetic`. */
export type SpecValue =
  | { readonly type: 'i32' | 'i64' | 'f32' | 'f64'; readonly value: string }
  | { readonly type: 'v128'; readonly lane_type: 'i8' | 'i16' | 'i32' | 'i64' | 'f32' | 'f64'; readonly value: readonly string[] }
  | { readonly type: 'either'; readonly values: readonly SpecValue[] }
  | { readonly type: RefTypeName; readonly value?: string };

type RefTypeName = 'externref' | 'funcref' | 'anyref' | 'eqref' | 'i31ref' | 'structref' | 'arrayref' | 'exnref' | 'refnull' | 'nullref' | 'nullfuncref' | 'nullexternref' | 'nullexnref';

/** What JavaScript sees of a reference that is not null, where the test names no value: `typeof` it. Structs and arrays are opaque objects. */
const REFERENCE_LOOKS: Readonly<Partial<Record<RefTypeName, readonly string[]>>> = {
  funcref: ['function'], i31ref: ['number'], structref: ['object'], arrayref: ['object'], eqref: ['number', 'object'],
};

export interface SpecAction { readonly type: 'invoke' | 'get'; readonly module?: string; readonly field: string; readonly args?: readonly SpecValue[] }

export interface SpecCommand {
  readonly type: 'module' | 'module_definition' | 'module_instance' | 'register' | 'action' | 'assert_return' | 'assert_trap' | 'assert_exhaustion' | 'assert_exception'
    | 'assert_invalid' | 'assert_malformed' | 'assert_unlinkable' | 'assert_uninstantiable';
  readonly line: number;
  readonly filename?: string;
  readonly module_type?: 'binary' | 'text';
  readonly name?: string;
  readonly as?: string;
  readonly instance?: string;
  readonly module?: string;
  readonly action?: SpecAction;
  readonly expected?: readonly SpecValue[];
  readonly text?: string;
}

/** One test script: its name (without .json) and its commands. */
export interface SpecFile { readonly name: string; readonly folder: string; readonly commands: readonly SpecCommand[] }

/** Reads the scripts of a folder, in order of name. `only` keeps those with these names, unless it is empty. @throws when the folder is missing. */
export function readSpecFiles(folder: string, only: readonly string[] = []): SpecFile[] {
  return readdirSync(folder).filter((file) => file.endsWith('.json')).sort().map((file) => file.slice(0, -'.json'.length))
    .filter((name) => only.length === 0 || only.includes(name))
    .map((name) => ({ name, folder, commands: JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')).commands }));
}

/** Whether the command needs a parser of the text format, which a compiler of binaries does not have. */
export const isTextOnly = (command: SpecCommand): boolean => command.module_type === 'text';

/** Whether the command needs its module compiled (those of assert_invalid and assert_malformed must be refused before that). */
export const needsArtifact = (command: SpecCommand): boolean =>
  command.filename !== undefined && !isTextOnly(command) && command.type !== 'assert_invalid' && command.type !== 'assert_malformed';

const LANE_BITS = { i8: 8, i16: 16, i32: 32, i64: 64, f32: 32, f64: 64 } as const;

/** The bit pattern of a number or vector, little-endian lanes; references are no bits. */
export function bitsOf(value: SpecValue): bigint {
  if (value.type === 'v128') return value.value.reduce((bits, lane, i) => bits | (BigInt(lane) << BigInt(i * LANE_BITS[value.lane_type])), 0n);
  return BigInt((value as { value: string }).value);
}

function matchesLane(bits: bigint, type: string, expected: string): boolean {
  const wide = type === 'f64';
  const quiet = wide ? 0x7ff8000000000000n : 0x7fc00000n;
  const magnitude = wide ? 0x7fffffffffffffffn : 0x7fffffffn;
  if (expected === 'nan:canonical') return (bits & magnitude) === quiet;
  if (expected === 'nan:arithmetic') return (bits & quiet) === quiet;
  return bits === BigInt(expected);
}

/**
 * Whether a result is what a command expects.
 * @param actual the bit pattern, zero-extended, of a number or vector; a reference as it is.
 * @param externref the host value that stands for an externref's number.
 */
export function matches(actual: unknown, expected: SpecValue, externref: (number: string) => unknown): boolean {
  switch (expected.type) {
    case 'either': return expected.values.some((value) => matches(actual, value, externref));
    case 'i32': case 'i64': case 'f32': case 'f64': return typeof actual === 'bigint' && matchesLane(actual, expected.type, expected.value);
    case 'v128': {
      const width = LANE_BITS[expected.lane_type];
      return typeof actual === 'bigint' && expected.value.every((lane, i) => matchesLane(BigInt.asUintN(width, actual >> BigInt(i * width)), expected.lane_type, lane));
    }
    default:
      if (expected.value === 'null' || expected.type === 'refnull' || expected.type === 'nullref') return actual === null;
      if (expected.value === undefined) return actual !== null && (REFERENCE_LOOKS[expected.type]?.includes(typeof actual) ?? true);
      return actual === externref(expected.value);
  }
}

/** A value for a person reading a failure. */
export function describe(value: unknown): string {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  return typeof value === 'function' ? 'a function' : value === null ? 'null' : typeof value === 'object' ? JSON.stringify(value) : String(value);
}
