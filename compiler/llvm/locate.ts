/** Where LLVM 22's tools are on this machine, and what to install when they are not. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CompileError } from '../diagnostics.js';

/** Where Debian's packages of LLVM 22 put their programs under unversioned names. */
const DEBIAN_BIN = '/usr/lib/llvm-22/bin';

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * The path of a program of LLVM 22: `name-22` on the PATH, else `name` where Debian keeps it.
 * @param name as LLVM calls it, without a version: `ld.lld`.
 * @param aptPackage the Debian package that has it.
 * @throws {CompileError} of kind `unavailable`, saying what to install.
 */
export function locateTool(name: string, aptPackage: string): string {
  const candidates = [...(process.env.PATH ?? '').split(delimiter).filter(Boolean).map((dir) => join(dir, `${name}-22`)), join(DEBIAN_BIN, name)];
  const found = candidates.find(isProgram);
  if (found) return found;
  throw new CompileError({ kind: 'unavailable', message: `${name}-22 is not installed`, note: `on Debian: sudo apt-get install ${aptPackage}` });
}

/** The linker: lld's driver for ELF or Mach-O. Errors as `locateTool`. */
export function locateLinker(driver: 'ld.lld' | 'ld64.lld'): string {
  return locateTool(driver, 'lld-22');
}
