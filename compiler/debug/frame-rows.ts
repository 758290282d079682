/** Reads what the code generator says of an object's code beside it: which wasm functions it is of. The format is described in compiler/llvm/codegen/frame_rows.cc. */
import { readSections } from '../../loader/elf-sections.js';
import { isMachO, readMachOObject } from '../../loader/macho.js';
import { FRAME_ROWS_SECTION } from '../../runtime-c/abi.js';
import { CompileError } from '../diagnostics.js';

/** Code of the wasm function whose body is at an offset of the wasm file: called by the operator at `call` of a parent into which it was inlined, if it has one. Numbered from 1; a parent comes before. */
export interface CodeScope { readonly parent: number; readonly body: number; readonly call: number }
/** From `distance` bytes behind the function's start up to the next: a scope, 0 for none, and the operator's offset in the wasm file, 0 where it is not known. */
export interface CodeRow { readonly distance: number; readonly scope: number; readonly offset: number }
export interface FrameRows { readonly scopes: readonly CodeScope[]; readonly functions: readonly { readonly symbol: string; readonly rows: readonly CodeRow[] }[] }

/** Refuses what the code generator has not written like that. */
export function refuseCode(what: string): never {
  throw new CompileError({ kind: 'internal', message: `the code that was generated cannot be read: ${what}` });
}

/** The section's bytes; none in an object without wasm functions. */
function findRows(object: Buffer): Buffer | undefined {
  if (!isMachO(object)) return readSections(object).find(({ name }) => name === FRAME_ROWS_SECTION)?.bytes;
  const found = readMachOObject(object, refuseCode).sections.find(({ name }) => name === `__${FRAME_ROWS_SECTION}`);
  return found && object.subarray(found.start, found.end);
}

/** The rows of an object. */
export function readFrameRows(object: Uint8Array): FrameRows {
  const bytes = findRows(Buffer.from(object.buffer, object.byteOffset, object.length));
  if (!bytes) return { scopes: [], functions: [] };
  let at = 0;
  const number = (): number => {
    if (at + 4 > bytes.length) refuseCode('its frame rows end too early');
    at += 4;
    return bytes.readUInt32LE(at - 4);
  };
  const list = <T>(read: () => T): T[] => Array.from({ length: number() }, read);
  const text = (): string => {
    const size = number();
    at += size;
    return bytes.toString('utf8', at - size, at);
  };
  const scopes = list(() => ({ parent: number(), body: number(), call: number() }));
  return { scopes, functions: list(() => ({ symbol: text(), rows: list(() => ({ distance: number(), scope: number(), offset: number() })) })) };
}
