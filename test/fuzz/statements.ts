/** Statements for the generator of loops: accesses of memory, and everything that may end or cut an iteration. */
import type { FuncType, ValType } from '../../compiler/wasm/module.js';
import { OPCODES } from '../../compiler/wasm/opcodes.js';
import { leb } from '../unit/module-bytes.js';
import { ADDRESS, AddressWriter, COUNT } from './addresses.js';
import type { Label } from './assembler.js';

const LOADS: readonly (readonly [name: string, type: ValType, width: number])[] = [
  ['i32.load', 'i32', 4], ['i32.load8_u', 'i32', 1], ['i32.load8_s', 'i32', 1], ['i32.load16_u', 'i32', 2], ['i32.load16_s', 'i32', 2], ['i64.load', 'i64', 8], ['i64.load32_u', 'i64', 4],
  ['i64.load32_s', 'i64', 4], ['i64.load8_s', 'i64', 1], ['i64.load16_u', 'i64', 2], ['f64.load', 'f64', 8], ['v128.load', 'v128', 16], ['v128.load32x2_s', 'v128', 8], ['v128.load8_splat', 'v128', 1],
];
const STORES: readonly (readonly [name: string, type: ValType, width: number])[] = [
  ['i32.store', 'i32', 4], ['i32.store', 'i32', 4], ['i32.store8', 'i32', 1], ['i32.store16', 'i32', 2], ['i64.store', 'i64', 8], ['i64.store', 'i64', 8], ['i64.store32', 'i64', 4], ['i64.store8', 'i64', 1],
  ['f64.store', 'f64', 8], ['f32.store', 'f32', 4], ['v128.store', 'v128', 16],
];

/** Every load and store of the table, and those of single lanes. */
const accesses = (lower: 'load' | 'store', immediates: string) => OPCODES.filter((op) => op.lower === lower && op.immediates === immediates).map((op) => {
  const { params, results } = op.signature as FuncType;
  return [op.name, lower === 'load' ? results[0] : params[1], op.width as number] as const;
});
const ALL_LOADS = accesses('load', 'memarg').filter(([, type]) => type !== 'f32');
const ALL_STORES = accesses('store', 'memarg');
const TRUNCATIONS = OPCODES.filter((op) => op.lower === 'truncate');
const LANES = OPCODES.filter((op) => op.immediates === 'memarg_lane');

export abstract class StatementWriter extends AddressWriter {
  /** Exits of the loops around, and of a block around the whole function. */
  protected readonly exits: Label[] = [];
  /** Locals in which everything that is read ends. */
  protected readonly sums: number[] = [];
  /** Statements may be written until this is used up. */
  protected statements = 0;

  /** A loop: `complexity` from 0 to 3, `nesting` loops around it. */
  protected abstract loop(complexity: number, nesting: number): void;

  protected statement(nesting: number): void {
    const { random } = this;
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
    else if (kind < 31) random.oneIn(4) ? this.init() : this.bulk();
    else if (kind < 32) this.table(nesting);
    else if (kind < 33) this.switch(nesting);
    else if (kind < 34) this.vector();
    else if (nesting < 2 && random.oneIn(2)) this.loop(0, nesting + 1);
    else this.store();
  }

  private store(): void {
    const { random } = this;
    if (random.oneIn(12)) return this.lane();
    const [name, type, width] = random.pick(random.oneIn(4) ? ALL_STORES : STORES);
    const offset = this.address(width);
    if (random.oneIn(3)) this.simple(type);
    else this.value(type, 2);
    this.w.access(name, offset);
  }

  /** A vector that several operators made. */
  private vector(): void {
    const offset = this.address(16);
    this.v128(4);
    this.w.op('nop').access('v128.store', offset);
  }

  /** One lane of a vector, from or to memory. */
  private lane(): void {
    const { w, random } = this;
    const op = random.pick(LANES);
    const width = op.width as number;
    const offset = this.address(width);
    const kept = random.pick([w.local('v128'), ...this.locals('v128')]);
    this.v128(1);
    w.access(op.name, offset, random.below(16 / width));
    if (op.signature?.results.length) w.set(kept);
  }

  private simple(type: ValType): void {
    if (type === 'f32') this.value(type, 0);
    else this.constant(type as 'i32');
  }

  private load(): ValType {
    const [name, type, width] = this.random.pick(this.random.oneIn(4) ? ALL_LOADS : LOADS);
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
    const op = random.pick(TRUNCATIONS);
    if (op.signature?.params[0] === 'f32') w.op('f32.demote_f64');
    w.op(op.name);
    if (op.signature?.results[0] === 'i32') w.op('i64.extend_i32_s');
    w.get(sum).op('i64.add').set(sum);
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
      w.memoryOp('memory.size').op('i64.extend_i32_u').get(sum).op('i64.add').set(sum);
      return;
    }
    this.rarely();
    w.block('if', () => void w.i32(random.pick([0, 1, 1, 2, -1])).memoryOp('memory.grow').op('i64.extend_i32_s').get(sum).op('i64.xor').set(sum));
  }

  private bulk(): void {
    const { w, random } = this;
    const lengths = [0, 1, 4, 16, 100, 1000, -1];
    this.address(16);
    if (random.oneIn(2)) this.address(16);
    else w.get(ADDRESS);
    if (random.below(4)) w.i32(random.pick(lengths));
    else w.get(COUNT);
    w.memoryOp(random.pick(['memory.copy', 'memory.fill']));
  }

  /** From a passive segment. */
  private init(): void {
    const { w, random } = this;
    this.address(16);
    w.i32(random.pick([0, 8, 60])).i32(random.pick([0, 1, 4, 4, 32, 65])).memoryOp('memory.init', 0);
  }

  /** Slots of the table change, among those that calls go through; and the whole of it. */
  private table(nesting: number): void {
    const { w, random, program } = this;
    if (nesting > 1 || program.callees.length === 0) return this.store();
    if (random.oneIn(3)) return this.wholeTable();
    this.i32(0);
    if (random.below(8)) w.i32(program.slots - 1).op('i32.and');
    if (random.oneIn(2)) w.i32(random.below(program.slots)).op('table.get', 0);
    else this.reference();
    w.op('table.set', 0);
  }

  private reference(): void {
    const { w, random, program } = this;
    if (random.below(4)) w.op('ref.func', ...leb(random.pick(program.callees)));
    else w.op('ref.null', 0x70);
  }

  private wholeTable(): void {
    const { w, random, program } = this;
    const sum = random.pick(this.sums);
    const small = () => (random.below(6) ? w.i32(random.below(program.slots)) : this.i32(1));
    const kind = random.below(5);
    if (kind < 2) {
      if (kind === 1) {
        this.reference();
        w.i32(random.pick([0, 1, 2])).op('table.grow', 0);
      } else w.op('table.size', 0);
      w.op('i64.extend_i32_s').get(sum).op('i64.add').set(sum);
      return;
    }
    small();
    if (kind === 2) this.reference();
    else small();
    w.i32(random.pick([0, 1, 2, 3]));
    if (kind === 2) w.op('table.fill', 0);
    else if (kind === 3) w.op('table.copy', 0, 0);
    else w.op('table.init', ...leb(program.elements), 0);
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
