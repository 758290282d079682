/**
 * Random functions made of counted loops, written for what the compiler does with such loops (compiler/llvm/codegen/version_loops.cc, merge_charges.cc): trip counts of every form, addresses
 * that are affine in the iteration and some that are not, streams that alias, and everything that may end or cut an iteration. Functions are `(i32, i32, i32, i64) -> i64`:
 * an address, a count, a step and a number; see `argumentsOf` for what they are called with. Loops may well be endless: whoever runs them limits their fuel.
 */
import type { ValType } from '../../compiler/wasm/module.js';
import { leb } from '../unit/module-bytes.js';
import type { Label } from './assembler.js';
import { type Induction, ValueWriter } from './values.js';

const [ADDRESS, COUNT, STEP] = [0, 1, 2];
const PAGE = 65536;

const LOADS: readonly (readonly [name: string, type: ValType, width: number])[] = [
  ['i32.load', 'i32', 4], ['i32.load8_u', 'i32', 1], ['i32.load8_s', 'i32', 1], ['i32.load16_u', 'i32', 2], ['i32.load16_s', 'i32', 2], ['i64.load', 'i64', 8], ['i64.load32_u', 'i64', 4],
  ['i64.load32_s', 'i64', 4], ['i64.load8_s', 'i64', 1], ['i64.load16_u', 'i64', 2], ['f64.load', 'f64', 8], ['v128.load', 'v128', 16], ['v128.load32x2_s', 'v128', 8], ['v128.load8_splat', 'v128', 1],
];
const STORES: readonly (readonly [name: string, type: ValType, width: number])[] = [
  ['i32.store', 'i32', 4], ['i32.store', 'i32', 4], ['i32.store8', 'i32', 1], ['i32.store16', 'i32', 2], ['i64.store', 'i64', 8], ['i64.store', 'i64', 8], ['i64.store32', 'i64', 4], ['i64.store8', 'i64', 1],
  ['f64.store', 'f64', 8], ['f32.store', 'f32', 4], ['v128.store', 'v128', 16],
];

/** How a loop's counter moves, and the condition, left on the stack, under which it goes on. */
interface Advance { readonly step: () => void; readonly goOn: () => void }

/** A local that moves by a step in each iteration. */
interface Pointer { readonly local: number; readonly step: () => void }

export class LoopWriter extends ValueWriter {
  private pointers: Pointer[] = [];
  /** Exits of the loops around, and of a block around the whole function. */
  private readonly exits: Label[] = [];
  private readonly sums: number[] = [];
  /** Statements may be written until this is used up. */
  private statements = 0;
  /** Most functions are tame: loops that run about as often as they are asked to, addresses within the memory if the arguments let them be. The wild ones have everything else. */
  private readonly tame = !this.random.oneIn(4);

  /** The whole body. `complexity` from 0 (one plain loop) to 3. */
  write(complexity: number): void {
    const { w, random } = this;
    this.sums.push(w.local('i64'), w.local('i64'));
    for (const type of ['i32', 'i64', 'f64', 'v128'] as const) w.local(type);
    this.statements = [3, 7, 16, 40][complexity];
    w.block('block', (end) => {
      this.exits.push(end);
      const loops = complexity < 2 ? 1 : 1 + random.below(3);
      for (let i = 0; i < loops; i++) {
        if (random.oneIn(6)) this.statement(1);
        this.loop(complexity, 0);
      }
    });
    this.result();
  }

  /** A smaller function, to be called: `(i32, i32) -> i32`. */
  writeCallee(): void {
    const { w, random } = this;
    this.sums.push(w.local('i64'));
    this.statements = 3;
    w.block('block', (end) => {
      this.exits.push(end);
      for (let i = random.below(3); i >= 0; i--) this.statement(2);
      if (random.oneIn(4)) this.loop(0, 1);
    });
    if (random.oneIn(8) && this.program.callees.length > 0) {
      this.i32(1);
      this.i32(1);
      w.op('return_call', ...leb(random.pick(this.program.callees)));
    } else {
      w.get(this.sums[0]).op('i32.wrap_i64');
      this.i32(2);
      w.op('i32.add');
    }
  }

  private result(): void {
    const { w } = this;
    w.get(this.sums[0]).get(this.sums[1]).op('i64.xor');
    for (const local of w.localsOf('i32')) w.get(local).op('i64.extend_i32_u').op('i64.add').i64(7n).op('i64.rotl');
    for (const local of this.locals('f64')) w.get(local).op('i64.reinterpret_f64').op('i64.xor');
    for (const local of w.localsOf('v128')) w.get(local).op('i64x2.extract_lane', 1).op('i64.add');
  }

  // ---- loops

  private loop(complexity: number, nesting: number): void {
    const { w, random } = this;
    const wide = random.oneIn(5);
    const induction: Induction = { local: w.local(wide ? 'i64' : 'i32'), type: wide ? 'i64' : 'i32' };
    const saved = this.pointers;
    const regular = this.tame && !random.oneIn(5);
    const advance = regular ? this.count(induction) : this.wander(induction);
    this.pointers = [...(random.oneIn(3) ? saved : []), ...Array.from({ length: random.below(complexity > 0 ? 4 : 3) }, () => this.pointer())];
    const own = this.pointers.filter((pointer) => !saved.includes(pointer));
    const form = random.below(10);
    const body = (header: Label) => {
      const early = random.oneIn(3);
      if (early) this.movePointers(own);
      if (form === 9) advance.step();
      for (let i = random.below(complexity > 1 ? 4 : 3) + 1; i > 0; i--) this.statement(nesting);
      // A branch back from the middle: a second latch.
      if (complexity > 1 && random.oneIn(12)) {
        advance.step();
        this.condition(1);
        w.op('br_if', ...w.depth(header));
      }
      if (complexity > 0 && nesting < 2 && random.oneIn(3)) this.loop(complexity - 1, nesting + 1);
      if (!early) this.movePointers(own);
      if (form !== 9) advance.step();
    };
    w.block('block', (exit) => {
      this.exits.push(exit);
      if (form < 3) {
        // while
        w.block('loop', (header) => {
          this.inductions.push(induction);
          advance.goOn();
          w.op('i32.eqz').op('br_if', ...w.depth(exit));
          body(header);
          w.op('br', ...w.depth(header));
          this.inductions.pop();
        });
      } else {
        // do while
        w.block('loop', (header) => {
          this.inductions.push(induction);
          body(header);
          advance.goOn();
          w.op('br_if', ...w.depth(header));
          this.inductions.pop();
        });
      }
      this.exits.pop();
    });
    this.pointers = saved;
  }

  /** A counter that runs from 0 to the count, or back, or to a constant. */
  private count({ local, type }: Induction): Advance {
    const { w, random } = this;
    const number = (value: number) => (type === 'i32' ? w.i32(value) : w.i64(BigInt(value)));
    const size = random.pick([1, 1, 1, 1, 2, 4]);
    const bound = random.oneIn(6) ? random.pick([7, 8, 9, 64, 300]) : 0;
    const last = () => (bound > 0 ? number(bound) : type === 'i32' ? w.get(COUNT) : w.get(COUNT).op('i64.extend_i32_s'));
    const down = random.oneIn(3);
    if (down) last();
    else number(0);
    w.set(local);
    const compare = down ? random.pick(size === 1 ? ['ne', 'gt_s', 'gt_u'] : ['gt_s']) : random.pick(size === 1 ? ['ne', 'lt_s', 'lt_u', 'le_s'] : ['lt_s', 'lt_u', 'le_s', 'le_u']);
    return {
      step: () => {
        w.get(local);
        number(size);
        w.op(`${type}.${down ? 'sub' : 'add'}`).set(local);
      },
      goOn: () => {
        w.get(local);
        if (down) number(0);
        else last();
        w.op(`${type}.${compare}`);
      },
    };
  }

  /** A counter that starts anywhere, and moves by anything to anywhere. */
  private wander(induction: Induction): Advance {
    this.start(induction);
    return this.advance(induction);
  }

  private start({ local, type }: Induction): void {
    const { w, random } = this;
    const kind = random.below(16);
    if (type === 'i32') {
      if (kind < 8) w.i32(random.pick([0, 0, 0, 1, 3, 10]));
      else if (kind < 9) w.i32(random.pick([-1, -5, 0x7ffffff0, -0x7ffffff8]));
      else if (kind < 12) w.get(ADDRESS);
      else if (kind < 15) w.get(COUNT);
      else this.i32(1);
    } else if (kind < 10) w.i64(random.pick([0n, 0n, 1n, 100n]));
    else if (kind < 11) w.i64(random.pick([-3n, 0xfffffff0n, 0x7ffffffffffffff8n]));
    else if (kind < 14) w.get(COUNT).op(random.pick(['i64.extend_i32_s', 'i64.extend_i32_u']));
    else this.i64(1);
    w.set(local);
  }

  /** How the counter moves, and whether the loop goes on. */
  private advance({ local, type }: Induction): Advance {
    const { w, random } = this;
    const narrow = type === 'i32';
    const number = (value: number) => (narrow ? w.i32(value) : w.i64(BigInt(value)));
    const parameter = (index: number) => (narrow ? w.get(index) : w.get(index).op(random.oneIn(2) ? 'i64.extend_i32_s' : 'i64.extend_i32_u'));
    const down = random.oneIn(3);
    const size = random.oneIn(12) ? random.pick([100, 0x10000, 0x40000000]) : random.pick([1, 1, 1, 1, 1, 2, 3, 4, 8, 16]);
    const byParameter = random.oneIn(10) && w.params.length > 2;
    const step = () => {
      w.get(local);
      if (byParameter) parameter(STEP);
      else number(size);
      w.op(`${type}.${down ? 'sub' : 'add'}`).set(local);
    };
    const constant = random.oneIn(8) ? random.pick([0, -1, 0x7fffffff, -0x80000000, PAGE]) : random.pick([1, 3, 7, 8, 9, 16, 50, 100, 300, 1000, 5000, PAGE / 4]);
    const bound = random.below(4);
    const distance = random.pick([1, 2, 8, 100, 1000]);
    const compare = down ? random.pick(['gt_s', 'gt_u', 'ge_s', 'ge_u', 'ne', 'ne']) : random.pick(['lt_s', 'lt_u', 'lt_s', 'lt_u', 'le_s', 'le_u', 'ne', 'ne', 'ne']);
    const nonzero = down && random.oneIn(2);
    const goOn = () => {
      w.get(local);
      if (nonzero) return void (narrow ? w : w.i64(0n).op('i64.ne'));
      if (bound < 2) parameter(COUNT);
      else if (bound < 3 || w.params.length < 3) number(constant);
      else {
        parameter(ADDRESS);
        number(distance);
        w.op(`${type}.${down ? 'sub' : 'add'}`);
      }
      w.op(`${type}.${compare}`);
    };
    return { step, goOn };
  }

  private pointer(): Pointer {
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

  private movePointers(own: readonly Pointer[]): void {
    for (const { local, step } of own) {
      this.w.get(local);
      step();
      this.w.op('i32.add').set(local);
    }
  }

  // ---- addresses

  /** An address; returns the offset that the access should have. `width` in bytes. */
  private address(width: number): number {
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

  // ---- statements

  private statement(nesting: number): void {
    const { w, random } = this;
    if (this.statements-- <= 0) return;
    const kind = random.below(36);
    if (kind < 7) this.store();
    else if (kind < 12) this.accumulate();
    else if (kind < 15) this.copy();
    else if (kind < 18) this.conditional(nesting);
    else if (kind < 19) this.leave();
    else if (kind < 21) this.assign();
    else if (kind < 23) this.call();
    else if (kind < 25) this.setGlobal();
    else if (kind < 27) this.divide();
    else if (kind < 28) this.truncate();
    else if (kind < 29) this.unreachable();
    else if (kind < 30) this.memory();
    else if (kind < 31) this.bulk();
    else if (kind < 32) this.table(nesting);
    else if (kind < 33) this.switch(nesting);
    else if (kind < 34) w.op('nop').i32(5).op('drop');
    else if (nesting < 2 && random.oneIn(2)) this.loop(0, nesting + 1);
    else this.store();
  }

  private store(): void {
    const { random } = this;
    const [name, type, width] = random.pick(STORES);
    const offset = this.address(width);
    if (random.oneIn(3)) this.simple(type);
    else this.value(type, 2);
    this.w.access(name, offset);
  }

  private simple(type: ValType): void {
    if (type === 'f32') this.value(type, 0);
    else this.constant(type as 'i32');
  }

  private load(): ValType {
    const [name, type, width] = this.random.pick(LOADS);
    const offset = this.address(width);
    this.w.access(name, offset);
    return type;
  }

  private accumulate(): void {
    const { w, random } = this;
    const sum = random.pick(this.sums);
    w.get(sum);
    const type = this.load();
    if (type === 'i32') w.op(random.pick(['i64.extend_i32_s', 'i64.extend_i32_u']));
    else if (type === 'f64') w.op('i64.reinterpret_f64');
    else if (type === 'v128') w.op('i64x2.extract_lane', random.below(2));
    w.op(random.pick(['i64.add', 'i64.add', 'i64.xor', 'i64.sub', 'i64.mul', 'i64.or', 'i64.and'])).set(sum);
  }

  private copy(): void {
    const { w, random } = this;
    const [name, type, width] = random.pick(STORES.filter((row) => row[1] !== 'f32'));
    const [from, , size] = random.pick(LOADS.filter((row) => row[1] === type));
    const offset = this.address(width);
    const read = () => w.access(from, this.address(size));
    if (type === 'f64') this.notNaN(read);
    else read();
    if (type === 'i32' || type === 'i64') {
      if (random.oneIn(2)) {
        this.constant(type);
        w.op(`${type}.${random.pick(['add', 'xor', 'mul'])}`);
      }
    }
    w.access(name, offset);
  }

  private conditional(nesting: number): void {
    this.condition(1);
    this.w.block('if', () => this.statement(nesting), this.random.oneIn(2) ? () => this.statement(nesting) : undefined);
  }

  /** Out of a loop in the middle, if a condition holds that mostly does not at once. */
  private leave(): void {
    const { w, random } = this;
    this.rarely();
    if (random.oneIn(4) && w.results[0] === 'i64') w.block('if', () => void w.get(this.sums[0]).op('return'));
    else w.op('br_if', ...w.depth(random.pick(this.exits)));
  }

  /** A condition that holds in one iteration, perhaps. */
  private rarely(): void {
    const { w, random } = this;
    const index = this.inductions.at(-1);
    const narrow = index?.type === 'i32';
    if (!index || random.oneIn(4)) {
      this.i32(1);
      w.i32(random.pick([0xff, 0x3f, 0xfff])).op('i32.and').i32(random.below(64)).op('i32.eq');
    } else if (random.oneIn(2)) {
      w.get(index.local);
      if (narrow) w.i32(random.pick([5, 16, 100, 1000, -7])).op(random.pick(['i32.eq', 'i32.gt_u']));
      else w.i64(random.pick([5n, 16n, 1000n])).op('i64.eq');
    } else {
      w.get(index.local);
      if (!narrow) w.op('i32.wrap_i64');
      w.get(ADDRESS).i32(random.pick([64, 800])).op('i32.add').op('i32.eq');
    }
  }

  private assign(): void {
    const { w, random } = this;
    const type = random.pick(['i32', 'i64', 'f64', 'v128'] as const);
    const own = new Set([...this.inductions.map((induction) => induction.local), ...this.pointers.map((pointer) => pointer.local)]);
    const locals = this.locals(type).filter((local) => !own.has(local) || random.oneIn(20));
    if (locals.length === 0) return;
    this.value(type, 3);
    w.set(random.pick(locals));
  }

  private call(): void {
    const { w, random, program } = this;
    const kind = random.below(4);
    this.i32(1);
    if (kind === 0 || program.callees.length === 0) {
      this.i32(1);
      w.op('call', ...leb(random.pick(program.hosts)));
    } else if (kind === 1) {
      this.i32(1);
      this.i32(0);
      if (random.below(6)) w.i32(program.slots - 1).op('i32.and');
      w.op('call_indirect', ...leb(program.calleeType), 0);
    } else {
      this.i32(1);
      w.op('call', ...leb(random.pick(program.callees)));
    }
    const sum = random.pick(this.sums);
    w.op('i64.extend_i32_s').get(sum).op('i64.add').set(sum);
  }

  private setGlobal(): void {
    const { w, random, program } = this;
    const type = random.pick(['i32', 'i32', 'i64', 'f64'] as const);
    const global = leb(random.pick(program.globals[type]));
    if (type === 'i32' && random.oneIn(2)) w.op('global.get', ...global).i32(random.pick([1, -1, 4])).op('i32.add');
    else this.value(type, 2);
    w.op('global.set', ...global);
  }

  /** A division by what is zero in one iteration, perhaps, or whose result does not fit. */
  private divide(): void {
    const { w, random } = this;
    const type = random.pick(['i32', 'i64'] as const);
    const sum = random.pick(this.sums);
    this.value(type, 1);
    const index = this.inductions.at(-1);
    if (index && random.below(3)) {
      w.get(index.local);
      if (index.type !== type) w.op(type === 'i32' ? 'i32.wrap_i64' : 'i64.extend_i32_s');
      if (type === 'i32') w.i32(random.pick([0, 9, 40, 1000, -3])).op('i32.sub');
      else w.i64(random.pick([0n, 9n, 1000n])).op('i64.sub');
    } else this.value(type, 1);
    if (random.below(4)) {
      if (type === 'i32') w.i32(1).op('i32.or');
      else w.i64(1n).op('i64.or');
    }
    w.op(`${type}.${random.pick(['div_s', 'div_u', 'rem_s', 'rem_u'])}`);
    if (type === 'i32') w.op('i64.extend_i32_s');
    w.get(sum).op('i64.add').set(sum);
  }

  private truncate(): void {
    const { w, random } = this;
    const sum = random.pick(this.sums);
    this.f64(2);
    if (random.oneIn(2)) w.f64(1000).op('f64.div');
    w.op(random.pick(['i32.trunc_f64_s', 'i32.trunc_f64_u'])).op('i64.extend_i32_s').get(sum).op('i64.add').set(sum);
  }

  private unreachable(): void {
    const { w } = this;
    this.rarely();
    w.block('if', () => void w.op('unreachable'));
  }

  private memory(): void {
    const { w, random } = this;
    const sum = random.pick(this.sums);
    if (random.oneIn(2)) {
      w.op('memory.size', 0).op('i64.extend_i32_u').get(sum).op('i64.add').set(sum);
      return;
    }
    this.rarely();
    w.block('if', () => void w.i32(random.pick([0, 1, 1, 2, -1])).op('memory.grow', 0).op('i64.extend_i32_s').get(sum).op('i64.xor').set(sum));
  }

  private bulk(): void {
    const { w, random } = this;
    const lengths = [0, 1, 4, 16, 100, 1000, -1];
    this.address(16);
    if (random.oneIn(2)) this.address(16);
    else w.get(ADDRESS);
    if (random.below(4)) w.i32(random.pick(lengths));
    else w.get(COUNT);
    if (random.oneIn(2)) w.op('memory.copy', 0, 0);
    else w.op('memory.fill', 0);
  }

  /** Slots of the table change, among those that calls go through. */
  private table(nesting: number): void {
    const { w, random, program } = this;
    if (nesting > 1 || program.callees.length === 0) return this.store();
    this.i32(0);
    if (random.below(8)) w.i32(program.slots - 1).op('i32.and');
    if (random.oneIn(2)) w.i32(random.below(program.slots)).op('table.get', 0);
    else if (random.below(4)) w.op('ref.func', ...leb(random.pick(program.callees)));
    else w.op('ref.null', 0x70);
    w.op('table.set', 0);
  }

  private switch(nesting: number): void {
    const { w } = this;
    w.block('block', (outer) => {
      w.block('block', (inner) => {
        this.i32(1);
        w.i32(3).op('i32.and').op('br_table', 2, ...w.depth(inner), ...w.depth(outer), ...w.depth(inner));
      });
      this.statement(nesting);
    });
  }
}

/** The last parameter is read like any local of its type. */
export const LOOP_PARAMS: readonly ValType[] = ['i32', 'i32', 'i32', 'i64'];
export const CALLEE_PARAMS: readonly ValType[] = ['i32', 'i32'];
