/** Addresses for the generator of loops: pointers that move with a loop, counters that are scaled, constants, and some that no compiler can foresee. */
import type { FunctionWriter } from './assembler.js';
import type { Random } from './random.js';
import { type Induction, type Program, ValueWriter } from './values.js';

/** Parameters of a loop; what it calls has the first two. */
export const [ADDRESS, COUNT, STEP] = [0, 1, 2];
/** Bytes of a page. */
export const PAGE = 65536;

/** A local that moves by a step in each iteration. */
export interface Pointer { readonly local: number; readonly step: () => void }

export class AddressWriter extends ValueWriter {
  /** What moves with the loops around. */
  protected pointers: Pointer[] = [];
  /** Most functions are tame: loops that run about as often as they are asked to, addresses within the memory if the arguments let them be. The wild ones have everything else. */
  protected readonly tame: boolean;

  constructor(w: FunctionWriter, random: Random, program: Program) {
    super(w, random, program);
    this.tame = !random.oneIn(4);
  }

  protected pointer(): Pointer {
    const { w, random, program } = this;
    const local = w.local('i32');
    const kind = random.below(this.tame ? 6 : 8);
    const end = program.pages * PAGE;
    if (kind < 3) w.get(ADDRESS);
    else if (kind < 4 && w.params.length > 2) w.get(ADDRESS).get(STEP).op('i32.add');
    else if (kind < 7) w.i32(random.pick([0, 8, 1024, 4096, end - 4096, end - 64, end - 1000, random.below(end), this.tame ? 16 : -16]));
    else this.i32(2);
    if (kind === 7 ? random.below(8) > 0 : random.oneIn(5)) w.i32(random.pick([0xfff, 0xffff, end - 1, end / 2 - 1])).op('i32.and');
    w.set(local);
    const size = !this.tame && random.oneIn(3) ? random.pick([4096, 0x10000, 0, 0x40000000, -0x80000000, 0x10001]) : random.pick([1, 1, 2, 4, 4, 8, 8, 16, 3, 12, 64, -1, -4, -8, -16, -3]);
    const byParameter = random.oneIn(4) && w.params.length > 2;
    return { local, step: () => void (byParameter ? w.get(STEP) : w.i32(size)) };
  }

  protected movePointers(own: readonly Pointer[]): void {
    for (const { local, step } of own) {
      this.w.get(local);
      step();
      this.w.op('i32.add').set(local);
    }
  }

  /** An address; returns the offset that the access should have. `width` in bytes. */
  protected address(width: number): number {
    const { w, random, program, pointers } = this;
    const end = program.pages * PAGE;
    const kind = random.below(20);
    const index = this.inductions.length > 0 ? random.pick(this.inductions) : undefined;
    if (kind < 8 && pointers.length > 0) w.get(random.pick(pointers).local);
    else if (kind < 15 && index) this.scaled(index, width);
    else if (kind < 16) w.i32(random.pick([0, 16, 200, end - 64 - width, ...(this.tame ? [] : [end - width, end - width + 1]), random.below(end)]));
    else if (kind < 17) w.get(ADDRESS);
    else {
      // Not affine, and mostly within the memory.
      this.i32(2);
      if (this.tame || random.below(4)) w.i32(random.pick(this.tame ? [0xff, 0x7fff, 0xfff8] : [0xff, 0xffff, end - 1])).op('i32.and');
    }
    if (random.below(2)) return 0;
    if (this.tame || random.below(3)) return random.pick([1, 2, 4, 8, 8, 16, 24, 64, 1000]);
    return random.pick([4096, PAGE - 4, PAGE, end - width, end - 64, end - 1000, 0x7fffffff, 0xffffffff, 0xfffffff0]);
  }

  /** start + counter * scale, in one of the ways that compilers write it. */
  private scaled({ local, type }: Induction, width: number): void {
    const { w, random } = this;
    const base = random.below(4);
    if (base < 2) w.get(ADDRESS);
    const shift = random.pick([0, Math.log2(width), Math.log2(width), 2, 3]);
    if (type === 'i64' && random.oneIn(2)) w.get(local).i64(BigInt(shift)).op('i64.shl').op('i32.wrap_i64');
    else {
      w.get(local);
      if (type === 'i64') w.op('i32.wrap_i64');
      if (random.oneIn(8) && w.params.length > 2) w.get(STEP).op('i32.mul');
      else if (random.oneIn(8)) w.i32(!this.tame && random.oneIn(2) ? random.pick([-1, -4, 0x10001, 0x8000]) : random.pick([3, 5, 12, 20])).op('i32.mul');
      else if (shift > 0) w.i32(shift).op('i32.shl');
    }
    if (base < 2) w.op(this.tame || random.below(3) ? 'i32.add' : random.pick(['i32.sub', 'i32.or']));
  }
}
