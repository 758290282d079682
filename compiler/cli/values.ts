/** Values of wasm as text: how `run --invoke` reads its arguments and prints results. */
import type { ManifestValType } from '../../loader/manifest.js';
import { usageError } from './arguments.js';

/** A value as the loader takes and returns it. */
export type Value = number | bigint | null | unknown;

const INTEGER = /^([+-]?)(0[xX][0-9a-fA-F](?:_?[0-9a-fA-F])*|[0-9](?:_?[0-9])*)$/;
const FLOAT = /^[+-]?(?:[0-9](?:_?[0-9])*)?\.?(?:[0-9](?:_?[0-9])*)?(?:[eE][+-]?[0-9]+)?$/;

/** Decimal or hexadecimal, signed or unsigned: anything from -2^(bits-1) to 2^bits - 1, as a signed number of that many bits. */
function parseInteger(text: string, bits: 32 | 64): bigint | undefined {
  const match = INTEGER.exec(text);
  if (!match) return undefined;
  const magnitude = BigInt(match[2].replaceAll('_', ''));
  const value = match[1] === '-' ? -magnitude : magnitude;
  if (value < -(2n ** BigInt(bits - 1)) || value >= 2n ** BigInt(bits)) return undefined;
  return BigInt.asIntN(bits, value);
}

function parseFloatText(text: string): number | undefined {
  const word = /^([+-]?)(nan|inf|infinity)$/i.exec(text);
  if (word) {
    if (word[2].toLowerCase() === 'nan') return Number.NaN;
    return word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (/^[+-]?0x/i.test(text)) return parseHexFloat(text);
  return FLOAT.test(text) && /[0-9]/.test(text) ? Number(text.replaceAll('_', '')) : undefined;
}

/** C99's hexadecimal floats, e.g. 0x1.8p3; undefined where the digits do not fit a double exactly, since scaling would then round twice. */
function parseHexFloat(text: string): number | undefined {
  const match = /^([+-]?)0x([0-9a-f]*)\.?([0-9a-f]*)(?:p([+-]?[0-9]{1,5}))?$/i.exec(text);
  if (!match || match[2] + match[3] === '') return undefined;
  const digits = BigInt(`0x${match[2]}${match[3]}`);
  if (BigInt(Number(digits)) !== digits) return undefined;
  let exponent = Number(match[4] ?? 0) - 4 * match[3].length;
  let value = Number(digits);
  // In steps, since a power of two outside the range of doubles must not swallow the digits.
  for (; exponent > 1000; exponent -= 1000) value *= 2 ** 1000;
  for (; exponent < -1000; exponent += 1000) value *= 2 ** -1000;
  value *= 2 ** exponent;
  return match[1] === '-' ? -value : value;
}

/**
 * Reads one argument by the parameter's type.
 * @throws {CompileError} of kind `usage` when the text is no value of the type, or the type has no text.
 */
export function parseValue(text: string, type: ManifestValType): Value {
  const refuse = (wanted: string): never => {
    throw usageError(`${JSON.stringify(text)} is no ${type}`, `wanted is ${wanted}`);
  };
  switch (type) {
    case 'i32': return Number(parseInteger(text, 32) ?? refuse('a decimal or 0x number from -2147483648 to 4294967295'));
    case 'i64': return parseInteger(text, 64) ?? refuse('a decimal or 0x number from -2^63 to 2^64 - 1');
    case 'f32': case 'f64': return parseFloatText(text) ?? refuse('a number such as 1.5, 1e-3, 0x1.8p3, inf, -inf or nan');
    case 'v128': return refuse('nothing: vectors cannot be given on a command line');
    default: return text === 'null' ? null : refuse('null: other references cannot be given on a command line');
  }
}

/** Prints one result by its type: integers signed and in decimal, floats so that they read back as the same value. */
export function formatValue(value: Value, type: ManifestValType): string {
  switch (type) {
    case 'i32': case 'i64': return String(value);
    case 'f32': case 'f64': return formatFloat(value as number, type);
    case 'v128': return String(value);
    default: return value === null ? 'null' : type;
  }
}

function formatFloat(value: number, type: 'f32' | 'f64'): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0';
  if (type === 'f64') return String(value);
  // The shortest decimal that rounds to the same float.
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}
