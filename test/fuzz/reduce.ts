/**
 * The reducer: makes a module smaller for as long as something holds of it, which is asked after every step. Functions go first, then stretches of operators, then what is left gets simpler
 * operands. It works on operators as they are in the file, so that nothing else about the code changes; V8 says which of the attempts are valid.
 */
import { parseModule } from '../../compiler/wasm/parse.js';
import { readOperator } from '../../compiler/wasm/read-operator.js';
import { Reader } from '../../compiler/wasm/reader.js';
import { replaceBodies } from '../fuel/inject.js';
import { sleb } from './assembler.js';

/** Whether what is looked for is still there. */
export type Predicate = (bytes: Uint8Array) => Promise<boolean>;

/** A body: its locals as they are in the file, and its operators, each with its immediates; the last is the final `end`. */
interface Body { readonly locals: Uint8Array; readonly operators: readonly Uint8Array[] }

const UNREACHABLE = Uint8Array.of(0x00);
const END = Uint8Array.of(0x0b);
const NO_LOCALS = Uint8Array.of(0);
/** What may stand for a stretch of operators: nothing, something that is dropped, a value of each type. */
const SUBSTITUTES: readonly Uint8Array[][] = [
  [], [Uint8Array.of(0x1a)], [Uint8Array.of(0x1a), Uint8Array.of(0x1a)], [Uint8Array.of(0x41, 0)], [Uint8Array.of(0x42, 0)], [Uint8Array.of(0x43, 0, 0, 0, 0)], [Uint8Array.of(0x44, 0, 0, 0, 0, 0, 0, 0, 0)],
  [Uint8Array.of(0xd0, 0x70)], [UNREACHABLE],
];
/** Lengths of the stretches that are tried, longest first. */
const LENGTHS = [256, 128, 64, 48, 32, 24, 16, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1];

const bytesOf = ({ locals, operators }: Body): Uint8Array => Buffer.concat([locals, ...operators]);
const spliced = <T>(list: readonly T[], at: number, count: number, ...items: readonly T[]): T[] => [...list.slice(0, at), ...items, ...list.slice(at + count)];
const isValid = (bytes: Uint8Array): boolean => WebAssembly.validate(bytes as BufferSource);

function readBodies(bytes: Uint8Array): Body[] {
  return parseModule(bytes, { name: 'reduce' }).bodies.map((body) => {
    const operators: Uint8Array[] = [];
    const reader = new Reader(bytes, body.codeStart, body.codeEnd);
    while (reader.pos < body.codeEnd) {
      const { offset } = readOperator(reader);
      operators.push(bytes.slice(offset, reader.pos));
    }
    return { locals: bytes.slice(body.offset, body.codeStart), operators };
  });
}

/** Makes a module smaller step by step. */
class Reducer {
  private bodies: Body[];
  constructor(private bytes: Uint8Array, private readonly holds: Predicate, private readonly deadline: number) {
    this.bodies = readBodies(bytes);
  }

  async run(): Promise<Uint8Array> {
    let before: number;
    do {
      before = this.bytes.length;
      await this.emptyFunctions();
      for (let i = 0; i < this.bodies.length; i++) await this.shortenBody(i);
      for (let i = 0; i < this.bodies.length; i++) await this.simplifyOperands(i);
    } while (this.bytes.length < before && !this.late());
    return this.bytes;
  }

  private late(): boolean {
    return Date.now() > this.deadline;
  }

  /** Takes a body in place of another if what is looked for is still there. */
  private async attempt(index: number, body: Body): Promise<boolean> {
    if (this.late()) return false;
    const bodies = this.bodies.map((old, i) => (i === index ? body : old));
    const bytes = replaceBodies(this.bytes, bodies.map(bytesOf));
    if (!isValid(bytes) || !(await this.holds(bytes))) return false;
    this.bytes = bytes;
    this.bodies = bodies;
    return true;
  }

  private async emptyFunctions(): Promise<void> {
    for (const [i, { operators }] of this.bodies.entries()) {
      if (operators.length > 2) await this.attempt(i, { locals: NO_LOCALS, operators: [UNREACHABLE, END] });
    }
  }

  private async shortenBody(index: number): Promise<void> {
    for (const length of LENGTHS) {
      // From the end: what is computed last is needed least.
      for (let at = this.bodies[index].operators.length - 1 - length; at >= 0; at--) {
        const { locals, operators } = this.bodies[index];
        for (const substitute of SUBSTITUTES) {
          if (substitute.length >= length && !(length === 1 && isSimpler(substitute, operators[at]))) continue;
          if (!(await this.attempt(index, { locals, operators: spliced(operators, at, length, ...substitute) }))) continue;
          at = Math.min(at, this.bodies[index].operators.length - length);
          break;
        }
      }
    }
    await this.unwrap(index);
  }

  /** Takes away a construct around what stays. */
  private async unwrap(index: number): Promise<void> {
    for (let at = 0; at < this.bodies[index].operators.length - 1; at++) {
      const { locals, operators } = this.bodies[index];
      if (![0x02, 0x03, 0x04].includes(operators[at][0])) continue;
      const end = endOf(operators, at);
      await this.attempt(index, { locals, operators: spliced(spliced(operators, end, 1), at, 1) });
    }
  }

  /** Smaller constants, offsets of zero. */
  private async simplifyOperands(index: number): Promise<void> {
    for (let at = 0; at < this.bodies[index].operators.length; at++) {
      for (const simpler of simplerOperators(this.bodies[index].operators[at])) {
        const { locals, operators } = this.bodies[index];
        if (simpler.length <= operators[at].length && (await this.attempt(index, { locals, operators: spliced(operators, at, 1, simpler) }))) break;
      }
    }
  }
}

/** A constant is simpler than what is none; nothing needs to become `unreachable` but what is no constant. */
const isSimpler = (substitute: readonly Uint8Array[], operator: Uint8Array): boolean => substitute.length === 1 && substitute[0][0] !== operator[0] && (operator[0] < 0x41 || operator[0] > 0x44) && operator[0] > 0x00;

/** The index of the `end` of the construct that an operator opens. */
function endOf(operators: readonly Uint8Array[], from: number): number {
  let depth = 0;
  for (let i = from; i < operators.length; i++) {
    if ([0x02, 0x03, 0x04].includes(operators[i][0])) depth++;
    if (operators[i][0] === 0x0b && --depth === 0) return i;
  }
  return operators.length - 1;
}

function simplerOperators(operator: Uint8Array): Uint8Array[] {
  const [code] = operator;
  if (code === 0x41 || code === 0x42) {
    const value = signed(operator);
    const candidates = [0n, 1n, value / 256n, value / 2n].filter((candidate) => candidate !== value);
    return candidates.map((candidate) => Uint8Array.of(code, ...sleb(candidate)));
  }
  // Loads and stores of the first version: alignment and offset.
  if (code >= 0x28 && code <= 0x3e && operator.length > 3) return [Uint8Array.of(code, 0, 0)];
  if (code >= 0x28 && code <= 0x3e && operator[2] !== 0) return [Uint8Array.of(code, 0, 0)];
  return [];
}

/** The value of an i32.const or i64.const. */
function signed(operator: Uint8Array): bigint {
  let value = 0n;
  for (let i = 1; i < operator.length; i++) value |= BigInt(operator[i] & 0x7f) << BigInt(7 * (i - 1));
  return BigInt.asIntN(Math.min(64, 7 * (operator.length - 1)), value);
}

/** Makes a module that `holds` as small as it gets in `minutes`; `holds` is only asked of valid modules. */
export async function reduceModule(bytes: Uint8Array, holds: Predicate, minutes = 10): Promise<Uint8Array> {
  return new Reducer(bytes, holds, Date.now() + minutes * 60_000).run();
}
