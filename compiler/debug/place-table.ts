/** Writes the place tables of an artifact: the format is described at PLACES_VERSION in runtime-c/abi.ts, the reader is loader/place-table.ts. */
import { PLACES_VERSION } from '../../runtime-c/abi.js';
import type { PlaceRow } from './place-rows.js';

/** A growing array of bytes. */
class Bytes {
  private bytes = Buffer.alloc(4096);
  private length = 0;

  u8(value: number): void {
    if (this.length === this.bytes.length) this.bytes = Buffer.concat([this.bytes, Buffer.alloc(this.bytes.length)]);
    this.bytes[this.length++] = value;
  }

  uleb(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.u8((rest % 128) | 128);
    this.u8(rest);
  }

  /** Zigzag: the sign in the lowest bit. */
  sleb(value: number): void {
    this.uleb(value < 0 ? -2 * value - 1 : 2 * value);
  }

  text(value: string): void {
    const bytes = Buffer.from(value, 'utf8');
    this.uleb(bytes.length);
    for (const byte of bytes) this.u8(byte);
  }

  finish(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }
}

/** Numbers that fit the table; what a malformed file says beyond is as good as unknown. */
const bounded = (value: number): number => (value >= 0 && value < 2 ** 32 ? value : 0);

/** A table in the making. */
export class PlaceTableWriter {
  private readonly strings = new Map<string, number>();
  private readonly scopes = new Bytes();
  private scopeCount = 0;

  /** The number of a string; 0 of none. */
  string(text: string | undefined): number {
    if (text === undefined || text === '') return 0;
    const known = this.strings.get(text);
    if (known !== undefined) return known;
    this.strings.set(text, this.strings.size + 1);
    return this.strings.size;
  }

  /** Adds a scope and returns its number. `parent`: the number of the one that it is inlined into, 0 for none; the rest says where it is called there. */
  scope(parent: number, name: number, file: number, line: number, column: number): number {
    for (const value of [parent, name, file, bounded(line), bounded(column)]) this.scopes.uleb(value);
    return ++this.scopeCount;
  }

  /** The table with these rows, which are in order. */
  finish(rows: readonly PlaceRow[]): Buffer {
    const out = new Bytes();
    out.u8(PLACES_VERSION);
    out.uleb(this.strings.size);
    for (const text of this.strings.keys()) out.text(text);
    out.uleb(this.scopeCount);
    const body = new Bytes();
    let last: PlaceRow = { address: 0, scope: 0, file: 0, line: 0, column: 0 };
    for (const given of rows) {
      const row = { ...given, line: bounded(given.line), column: bounded(given.column) };
      const step = row.address - last.address;
      const changes = [row.scope - last.scope, row.file - last.file, row.line - last.line, row.column - last.column];
      body.u8(changes.reduce((head, change, i) => (change === 0 ? head : head | (1 << i)), Math.min(step, 15) << 4));
      if (step >= 15) body.uleb(step - 15);
      for (const change of changes) if (change !== 0) body.sleb(change);
      last = row;
    }
    const tail = new Bytes();
    tail.uleb(rows.length);
    return Buffer.concat([out.finish(), this.scopes.finish(), tail.finish(), body.finish()]);
  }
}
