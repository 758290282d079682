/** Relaxed vector operators for random modules: binaryen's generator makes none, so some of a module's vector operators become relaxed ones of the same type. */
import type { Opcode } from '../../compiler/wasm/module.js';
import { OPCODES } from '../../compiler/wasm/opcodes.js';
import { PREFIX_SIMD } from '../../compiler/wasm/opcodes-simd.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { readOperator } from '../../compiler/wasm/read-operator.js';
import { Reader } from '../../compiler/wasm/reader.js';
import { replaceBodies } from '../fuel/inject.js';
import { leb } from '../unit/module-bytes.js';
import type { Random } from './random.js';

const typeOf = ({ signature }: Opcode): string => (signature ? `${signature.params.join(' ')} -> ${signature.results.join(' ')}` : '');

/** The bytes of the relaxed operators, by their type. None has an immediate, and the numbers of all are above 0xff (see `prefixedCode`). */
const RELAXED = new Map<string, number[][]>();
for (const op of OPCODES.filter(({ feature }) => feature === 'relaxed-simd')) {
  RELAXED.set(typeOf(op), [...(RELAXED.get(typeOf(op)) ?? []), [PREFIX_SIMD, ...leb(op.code - PREFIX_SIMD * 0x10000)]]);
}

const V128_CONST = [PREFIX_SIMD, 0x0c];

/** A relaxed operator on the vector on top of the stack; its other operands are constants. */
function relaxedOperator(random: Random): number[] {
  const [type, candidates] = random.pick([...RELAXED]);
  const operands = type.split(' -> ')[0].split(' ').slice(1).flatMap(() => [...V128_CONST, ...random.bytes(16)]);
  return [...operands, ...random.pick(candidates)];
}

/**
 * The module with relaxed vector operators: some in place of others of their type, some on results of other vector operators.
 * @returns it, and how many there are.
 */
export function relaxModule(bytes: Uint8Array, random: Random): { bytes: Uint8Array; relaxed: number } {
  let relaxed = 0;
  const bodies = parseModule(bytes, { name: 'relax' }).bodies.map((body) => {
    const out = [...bytes.subarray(body.offset, body.codeStart)];
    const reader = new Reader(bytes, body.codeStart, body.codeEnd);
    while (reader.pos < body.codeEnd) {
      const { op, offset } = readOperator(reader);
      const twins = op.feature === 'simd' && op.immediates === 'none' ? RELAXED.get(typeOf(op)) : undefined;
      const replaced = twins !== undefined && random.below(2) === 1;
      out.push(...(replaced ? random.pick(twins) : bytes.subarray(offset, reader.pos)));
      const extended = op.signature?.results[0] === 'v128' && random.below(2) === 1;
      if (extended) out.push(...relaxedOperator(random));
      relaxed += Number(replaced) + Number(extended);
    }
    return Uint8Array.from(out);
  });
  return { bytes: replaceBodies(bytes, bodies), relaxed };
}
