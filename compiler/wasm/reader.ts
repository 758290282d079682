/**
 * The byte reader: numbers and names of the binary format (spec 2.0, 5.2).
 *
 * Offsets are always those of the file, so that errors and debug information need no translation. Every operator of a module is read twice (validation, lowering), hence the fast paths for one-byte numbers.
 */
import { CompileError, type DiagnosticKind, type Place } from '../diagnostics.js';
import { featureMessage, type FeatureSet } from './features.js';
import type { Feature } from './module.js';

/** What a reader adds to the offset in its errors. */
export type Context = Pick<Place, 'file' | 'func'>;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
// Offsets and constants are mostly small, and making a BigInt is the dearest part of reading an operator.
const SMALL_BIGINTS: readonly bigint[] = Array.from({ length: 1024 }, (_, i) => BigInt(i));
/** The same as BigInt. */
export const toBigInt = (n: number): bigint => (n < 1024 ? SMALL_BIGINTS[n] : BigInt(n));

/** Reads a range of a file. Every method throws a CompileError of kind `malformed`, with the offset, when the bytes are not what it reads. */
export class Reader {
  readonly bytes: Uint8Array;
  /** File offset of the next byte. */
  pos: number;
  /** File offset at which reading ends, at most the length of the file. */
  end: number;
  readonly context: Context;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, pos = 0, end = bytes.length, context: Context = {}) {
    this.bytes = bytes;
    this.pos = pos;
    this.end = end;
    this.context = context;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Throws a CompileError at `offset`. */
  fail(message: string, offset = this.pos, kind: DiagnosticKind = 'malformed'): never {
    throw new CompileError({ kind, message, place: { ...this.context, offset } });
  }

  /** Throws a CompileError of kind `unsupported` unless `feature` is on. */
  need(feature: Feature, features: FeatureSet, offset: number): void {
    if (feature !== 'mvp' && !features.has(feature)) this.fail(featureMessage(feature), offset, 'unsupported');
  }

  /** Throws a CompileError of kind `unsupported` when there are more of something than the implementation takes. */
  limit(what: string, count: number, most: number, offset = this.pos): void {
    if (count > most) this.fail(`too many ${what}: ${count} (the implementation limit is ${most})`, offset, 'unsupported');
  }

  /** A reader of the next `length` bytes, which this one skips; `what` names them in the error. */
  sub(length: number, what: string): Reader {
    const start = this.pos;
    this.skip(length, what);
    return new Reader(this.bytes, start, this.pos, this.context);
  }

  /** Skips bytes; `what` names them in the error when there are not as many. */
  skip(length: number, what: string): void {
    if (length > this.end - this.pos) this.fail(`length out of bounds: ${what} of ${length} bytes, ${this.end - this.pos} left`);
    this.pos += length;
  }

  u8(): number {
    if (this.pos >= this.end) this.#failEnd();
    return this.bytes[this.pos++];
  }

  /** An unsigned LEB128 number below 2^32. */
  u32(): number {
    if (this.pos < this.end) {
      const byte = this.bytes[this.pos];
      if (byte < 0x80) {
        this.pos++;
        return byte;
      }
    }
    return this.#u32();
  }

  #u32(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    if (last > 0x0f) this.#failLarge();
    return value + last * 0x1000_0000;
  }

  /** An unsigned LEB128 number below 2^64. */
  u64(): bigint {
    if (this.pos < this.end && this.bytes[this.pos] < 0x80) return toBigInt(this.bytes[this.pos++]);
    let value = 0n;
    for (let shift = 0n; shift < 63n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    if (last > 1) this.#failLarge();
    return value | (BigInt(last) << 63n);
  }

  /** A signed LEB128 number of 32 bits. */
  s32(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value << (25 - shift)) >> (25 - shift);
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    const sign = last & 0x78; // bit 31 and its three copies
    if (sign !== 0 && sign !== 0x78) this.#failLarge();
    return value | (last << 28);
  }

  /** A signed LEB128 number of 33 bits: exact in a JS number. */
  s33(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value << (25 - shift)) >> (25 - shift);
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    const sign = last & 0x70; // bit 32 and its two copies
    if (sign !== 0 && sign !== 0x70) this.#failLarge();
    return value + ((last & 0x0f) - (last & 0x10)) * 0x1000_0000;
  }

  /** A signed LEB128 number of 64 bits, as its unsigned bit pattern. */
  s64(): bigint {
    const start = this.pos;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        const value = (low << (25 - shift)) >> (25 - shift);
        return value >= 0 ? toBigInt(value) : BigInt.asUintN(64, BigInt(value));
      }
    }
    return this.#s64(start);
  }

  #s64(start: number): bigint {
    this.pos = start;
    let value = 0n;
    for (let shift = 0n; shift < 63n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, BigInt.asIntN(Number(shift) + 7, value));
    }
    const last = this.u8();
    if (last >= 0x80) this.#failLong();
    if (last !== 0 && last !== 0x7f) this.#failLarge();
    return BigInt.asUintN(64, value | (BigInt(last) << 63n));
  }

  /** The bit pattern of an f32. */
  f32(): bigint {
    if (this.end - this.pos < 4) this.#failEnd();
    const bits = this.#view.getUint32(this.pos, true);
    this.pos += 4;
    return toBigInt(bits);
  }

  /** The bit pattern of an f64. */
  f64(): bigint {
    if (this.end - this.pos < 8) this.#failEnd();
    const bits = this.#view.getBigUint64(this.pos, true);
    this.pos += 8;
    return bits;
  }

  /** 16 bytes as a number, the first lowest: the bit pattern of a v128. */
  v128(): bigint {
    if (this.end - this.pos < 16) this.#failEnd();
    const low = this.#view.getBigUint64(this.pos, true);
    const high = this.#view.getBigUint64(this.pos + 8, true);
    this.pos += 16;
    return (high << 64n) | low;
  }

  /** A name: a length in bytes and that much well-formed UTF-8. */
  name(): string {
    const length = this.u32();
    const start = this.pos;
    this.skip(length, 'name');
    try {
      return UTF8.decode(this.bytes.subarray(start, this.pos));
    } catch {
      return this.fail('malformed UTF-8 encoding', start);
    }
  }

  #failEnd(): never {
    return this.fail('unexpected end of section or function', this.end);
  }
  #failLong(): never {
    return this.fail('integer representation too long', this.pos - 1);
  }
  #failLarge(): never {
    return this.fail('integer too large', this.pos - 1);
  }
}

/** A byte or opcode as messages have it. */
export const hex = (n: number): string => `0x${n.toString(16).padStart(2, '0')}`;
