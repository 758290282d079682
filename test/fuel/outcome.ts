/** How a call ended, on V8 as with us. */
import { Trap } from '../../loader/index.js';

/** A call's result as text, or that it trapped. @throws anything else that the call throws. */
export function outcome(run: () => unknown): string {
  try {
    return String(run());
  } catch (error) {
    if (error instanceof Trap || error instanceof WebAssembly.RuntimeError) return 'trap';
    throw error;
  }
}
