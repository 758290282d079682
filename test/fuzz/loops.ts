/**
 * Random functions made of counted loops, written for what the compiler does with such loops (compiler/llvm/codegen/version_loops.cc, merge_charges.cc): trip counts of every form, addresses
 * that are affine in the iteration and some that are not, streams that alias, and everything that may end or cut an iteration. Functions are `(i32, i32, i32, i64) -> i64`:
 * an address, a count, a step and a number; see `argumentOf` (session.ts) for what they are called with. Loops may well be endless: whoever runs them limits their fuel.
 */
import type { ValType } from '../../compiler/wasm/module.js';
import { leb } from '../unit/module-bytes.js';
import { ADDRESS, COUNT, PAGE, STEP } from './addresses.js';
import type { Label } from './assembler.js';
import { StatementWriter } from './statements.js';
import type { Induction } from './values.js';

/** How a loop's counter moves, and the condition, left on the stack, under which it goes on. */
interface Advance { readonly step: () => void; readonly goOn: () => void }

export class LoopWriter extends StatementWriter {
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
        if (random.oneIn(5)) this.rows(complexity > 1 ? 2 : 1);
        else this.loop(complexity, 0);
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
    for (const local of this.locals('v128')) w.get(local).op('i64x2.extract_lane', 1).op('i64.add');
  }

  protected override loop(complexity: number, nesting: number): void {
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

  /** A nest of loops over rows and columns, with nothing in it that would keep the compiler from asking once for all of it. `inside`: how many loops deep at most. */
  private rows(inside: number): void {
    const { w, random } = this;
    const induction: Induction = { local: w.local('i32'), type: 'i32' };
    const advance = this.count(induction);
    const again = (header: Label) => {
      this.inductions.push(induction);
      if (random.oneIn(2)) this.cell();
      if (inside > 0) this.rows(inside - 1);
      else this.cell();
      if (random.oneIn(3)) w.get(induction.local).i32(random.pick([1, 3])).op('i32.and').block('if', () => this.cell());
      advance.step();
      advance.goOn();
      w.op('br_if', ...w.depth(header));
      this.inductions.pop();
    };
    if (random.oneIn(3)) return void w.block('loop', again);
    advance.goOn();
    w.block('if', () => void w.block('loop', again));
  }

  /** Reads or writes at a sum of the counters around, each times something. */
  private cell(): void {
    const { w, random, program } = this;
    const [width, load, store] = random.pick([[1, 'i64.load8_u', 'i64.store8'], [4, 'i64.load32_s', 'i64.store32'], [8, 'i64.load', 'i64.store']] as const);
    const sum = random.pick(this.sums);
    const reads = random.oneIn(2);
    if (reads) w.get(sum);
    if (random.below(3)) w.get(ADDRESS);
    else w.i32(program.pages * PAGE - random.pick([64, 1000, 8192, 40_000]));
    for (const { local } of this.inductions.filter((one) => one.type === 'i32')) {
      if (random.oneIn(6)) continue;
      w.get(local);
      if (random.oneIn(3)) w.get(STEP);
      else w.i32(random.pick([1, width, width, 40, 100, -1, -width]));
      w.op('i32.mul').op('i32.add');
    }
    if (!reads) w.get(sum);
    w.access(reads ? load : store, random.pick([0, 0, 1, 8, 100]));
    if (reads) w.op('i64.add').set(sum);
  }

  /** A counter that runs from 0 to the count, or back, or to a constant; or by a parameter, to what it divides or jumps over. One end may follow the counter of a loop around: a triangle. */
  private count({ local, type }: Induction): Advance {
    const { w, random } = this;
    const number = (value: number) => (type === 'i32' ? w.i32(value) : w.i64(BigInt(value)));
    const size = random.pick([1, 1, 1, 1, 2, 4, 3, 12]);
    const byParameter = random.oneIn(5) && w.params.length > 2;
    const parameter = (index: number) => (type === 'i32' ? w.get(index) : w.get(index).op('i64.extend_i32_s'));
    const distance = () => (byParameter ? parameter(STEP) : number(size));
    const single = size === 1 && !byParameter;
    const divisible = !single && random.oneIn(2);
    const bound = random.oneIn(6) ? random.pick([7, 8, 9, 64, 300]) : 0;
    const around = this.inductions.filter((one) => one.type === type);
    const sloping = around.length > 0 && random.oneIn(2) ? random.pick(['first', 'last']) : '';
    const near = random.pick([-1, 0, 0, 1, 2]);
    const rounded = random.oneIn(4) ? random.pick<[string, number]>([['and', -2], ['shr_u', 1]]) : undefined;
    const besideOther = (one: Induction) => {
      w.get(one.local);
      if (near !== 0) number(near).op(`${type}.add`);
      if (rounded) number(rounded[1]).op(`${type}.${rounded[0]}`);
    };
    const other = sloping ? random.pick(around) : undefined;
    const first = () => void (other && sloping === 'first' ? besideOther(other) : number(0));
    const last = () => {
      if (other && sloping === 'last') return besideOther(other);
      if (bound > 0) number(bound);
      else parameter(COUNT);
      if (!divisible) return;
      distance();
      w.op(`${type}.mul`);
    };
    const down = random.oneIn(3);
    if (down) last();
    else first();
    w.set(local);
    const equality = single || divisible ? ['ne'] : [];
    const compare = random.pick(down ? [...equality, 'gt_s', ...(single ? ['gt_u'] : [])] : [...equality, 'lt_s', 'lt_u', 'le_s', ...(single ? [] : ['le_u'])]);
    return {
      step: () => {
        w.get(local);
        distance();
        w.op(`${type}.${down ? 'sub' : 'add'}`).set(local);
      },
      goOn: () => {
        w.get(local);
        if (down) first();
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
}

/** The last parameter is read like any local of its type. */
export const LOOP_PARAMS: readonly ValType[] = ['i32', 'i32', 'i32', 'i64'];
export const CALLEE_PARAMS: readonly ValType[] = ['i32', 'i32'];
