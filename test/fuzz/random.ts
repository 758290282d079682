/** A small generator of pseudo-random numbers (xorshift32): the same seed gives the same run. */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (seed | 0) || 0x9e3779b9;
  }
  /** A 32-bit unsigned integer. */
  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return this.state >>> 0;
  }
  /** A number from 0 to n - 1. */
  below(n: number): number {
    return this.next() % n;
  }
  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.next() % n === 0;
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.next() & 0xff));
  }
}
