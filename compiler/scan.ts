/**
 * The object scan: no instruction but a charge touches the fuel register.
 *
 * Attributes ask LLVM to leave the register alone, but some things take it all the same and silently (a dynamic alloca, an over-aligned one,
 * `llvm.frameaddress`, assembly that clobbers the stack pointer). A wrong bill would be the mildest result; so every object is disassembled and judged.
 */
import { CompileError } from './diagnostics.js';
import { type MachineOptions, type Mention, findMentions } from './llvm/codegen.js';
import { findTarget } from './llvm/target.js';

/** An instruction that must not be there, or bytes that cannot be decoded; `offset` is that of the first of `count` equal ones in the function. */
export interface Offence extends Mention {}

export interface ScanReport {
  /** Function symbols and instructions seen. */
  readonly functions: number;
  readonly instructions: number;
  /** Instructions that add to the fuel register, and that read it for the synchronous check. */
  readonly charges: number;
  readonly reads: number;
  readonly offences: readonly Offence[];
  /** Time the disassembly took. */
  readonly milliseconds: number;
}

/** Scans an ELF object or shared library. Rejects with a CompileError of kind `internal` if it cannot be read. */
export async function scan(object: Uint8Array, machine: MachineOptions): Promise<ScanReport> {
  const target = findTarget(machine.triple);
  const { functions, instructions, milliseconds, hits } = await findMentions(object, machine);
  let charges = 0;
  let reads = 0;
  const offences: Offence[] = [];
  for (const hit of hits) {
    if (target.charges.some((pattern) => pattern.test(hit.text))) charges += hit.count;
    else if (target.reads.some((pattern) => pattern.test(hit.text))) reads += hit.count;
    else offences.push(hit.text ? hit : { ...hit, text: '(not an instruction)' });
  }
  return { functions, instructions, charges, reads, offences, milliseconds };
}

/** How many offences an error lists. */
const LISTED = 10;

/**
 * Scans an object and refuses it if there is an offence.
 * @throws {CompileError} (rejected) of kind `internal` that lists function, offset and instruction.
 */
export async function scanObject(object: Uint8Array, machine: MachineOptions): Promise<ScanReport> {
  const report = await scan(object, machine);
  if (report.offences.length === 0) return report;
  const register = findTarget(machine.triple).fuelRegister;
  const lines = report.offences.slice(0, LISTED).map(({ symbol, offset, text, count }) => {
    return `${symbol || '(outside any function)'}+0x${offset.toString(16)}: ${text}${count > 1 ? ` (${count} times)` : ''}`;
  });
  if (report.offences.length > LISTED) lines.push(`and ${report.offences.length - LISTED} more`);
  throw new CompileError({ kind: 'internal', message: `the object touches the fuel register ${register} other than by a charge:\n  ${lines.join('\n  ')}` });
}
