/** Traps that are certain: the activation ends here. Traps on a condition are part of the prelude's helpers. */
import type { StatusName } from '../../runtime-c/abi.js';
import type { FunctionState } from './state.js';

/** Ends the activation with a trap. What the line of code owes must have been charged. */
export function emitTrap(s: FunctionState, name: StatusName): void {
  s.b.callHelper(`trap.${name}`, 'void', [], []);
  s.b.unreachable();
  s.skipRest();
}
