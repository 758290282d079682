/** Numbers of bytes as people write them. */
import { usageError } from './arguments.js';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/**
 * A number of bytes, with K, M, G or T behind it for their powers of 1024.
 * @param name where it was written, for the message.
 * @throws {CompileError} of kind `usage`.
 */
export function parseSize(text: string, name: string): number {
  const match = /^(\d{1,12})([KMGT]?)i?B?$/i.exec(text);
  const bytes = match ? Number(match[1]) * UNITS[match[2].toUpperCase()] : 0;
  if (!Number.isSafeInteger(bytes) || bytes < 1) throw usageError(`${name} cannot be ${JSON.stringify(text)}`, 'it is a number of bytes, such as 500M or 2G');
  return bytes;
}
