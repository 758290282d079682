/** Reads the place tables of artifacts; the format is described at PLACES_VERSION in runtime-c/abi.ts. */
import { PLACES_VERSION } from '../runtime-c/abi.js';

/** One function that an address stands for, and where in it. Numbers as the table has them: see there. */
export interface Place { readonly name: number; readonly file: number; readonly line: number; readonly column: number }

interface Scope { readonly parent: number; readonly name: number; readonly file: number; readonly line: number; readonly column: number }

class Cursor {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}

  u8(): number {
    if (this.at >= this.bytes.length) throw new RangeError('the place table ends too early');
    return this.bytes[this.at++];
  }

  uleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  sleb(): number {
    const value = this.uleb();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  text(): string {
    const size = this.uleb();
    this.at += size;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + this.at - size, size).toString('utf8');
  }
}

/** A place table. */
export class PlaceTable {
  private readonly strings: string[];
  private readonly scopes: Scope[];
  private readonly addresses: Uint32Array;
  /** Scope, file, line and column of each row. */
  private readonly values: Uint32Array;

  /** @throws {RangeError} for a table of another version, or one that is cut off. */
  constructor(bytes: Uint8Array) {
    const c = new Cursor(bytes);
    if (c.u8() !== PLACES_VERSION) throw new RangeError('a place table of another version');
    this.strings = Array.from({ length: c.uleb() }, () => c.text());
    this.scopes = Array.from({ length: c.uleb() }, () => ({ parent: c.uleb(), name: c.uleb(), file: c.uleb(), line: c.uleb(), column: c.uleb() }));
    const count = c.uleb();
    this.addresses = new Uint32Array(count);
    this.values = new Uint32Array(4 * count);
    const last = [0, 0, 0, 0];
    for (let i = 0, address = 0; i < count; i++) {
      const head = c.u8();
      address += head >> 4 === 15 ? 15 + c.uleb() : head >> 4;
      this.addresses[i] = address;
      for (let field = 0; field < 4; field++) {
        if (head & (1 << field)) last[field] += c.sleb();
        this.values[4 * i + field] = last[field];
      }
    }
  }

  /** A string by its number; undefined for none. */
  string(number: number): string | undefined {
    return this.strings[number - 1];
  }

  /** What an address stands for: the innermost function first, then those that it was inlined into. Empty where there is nothing. */
  find(address: number): Place[] {
    let [low, high] = [0, this.addresses.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.addresses[middle] <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return [];
    const [scope, file, line, column] = this.values.subarray(4 * (low - 1), 4 * low);
    if (scope === 0) return file === 0 && line === 0 ? [] : [{ name: 0, file, line, column }];
    const places: Place[] = [];
    for (let at = { file, line, column }, number = scope; number !== 0;) {
      const inner = this.scopes[number - 1];
      places.push({ name: inner.name, file: at.file, line: at.line, column: at.column });
      at = inner;
      number = inner.parent;
    }
    return places;
  }
}
