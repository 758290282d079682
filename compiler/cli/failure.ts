/** How runs end badly: the message and the exit code for each error of the loader, and for everything that nobody foresaw. */
import { ArtifactError, LinkError, OutOfFuel, Trap } from '../../loader/errors.js';
import { ExitCode } from '../diagnostics.js';
import { formatCount } from './output.js';

export interface Failure { readonly message: string; readonly exitCode: number }

/** The message and exit code for an error that is no CompileError. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof OutOfFuel) {
    return { message: `out of fuel: consumed ${formatCount(error.consumed)}, limit ${formatCount(error.limit)}; run --fuel N sets the limit`, exitCode: ExitCode.outOfFuel };
  }
  if (error instanceof Trap) return { message: `trap: ${error.message} (${error.code})`, exitCode: ExitCode.trap };
  if (error instanceof LinkError) return { message: error.message, exitCode: ExitCode.link };
  if (error instanceof ArtifactError) return { message: error.message, exitCode: error.kind === 'io' ? ExitCode.noInput : ExitCode.artifact };
  if (isMissingPackage(error)) return { message: `${(error as Error).message.split('\n')[0]}; is the package installed in full?`, exitCode: ExitCode.unavailable };
  // Anything else is a fault of ours (or of the host): the stack is what a report needs.
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { message: `unexpected: ${text}`, exitCode: ExitCode.internal };
}

function isMissingPackage(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND' || code === 'ERR_DLOPEN_FAILED';
}
