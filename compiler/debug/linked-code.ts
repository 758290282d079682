/** What the frame table is made of: where the functions of a linked file are, and what LLVM's DWARF says of their code. */
import { readFunctionSymbols, readSections } from '../../loader/elf-sections.js';
import { readMachO, readMachOFunctions, readMachOObject } from '../../loader/macho.js';
import { CompileError } from '../diagnostics.js';
import type { DwarfSections } from './dwarf-reader.js';

/** A function of a linked file: its code is at [start, end). */
export interface FunctionSymbol { readonly name: string; readonly start: number; readonly end: number }

/** DWARF, and what is to be added to its addresses. */
export interface ObjectDebug { readonly sections: DwarfSections; readonly shift: number }

export interface LinkedCode { readonly functions: readonly FunctionSymbol[]; /** Empty without -g. */ readonly debug: readonly ObjectDebug[] }

const refuse = (what: string): never => {
  throw new CompileError({ kind: 'internal', message: `the linked code cannot be read: ${what}` });
};

/** Reads an ELF file, into which the linker has put the DWARF of all objects. */
export function readElfCode(linked: Buffer, debug: boolean): LinkedCode {
  const sections = readSections(linked);
  const dwarf = new Map(sections.filter(({ name }) => name.startsWith('.debug_')).map(({ name, bytes }) => [name, bytes]));
  return { functions: readFunctionSymbols(sections), debug: debug ? [{ sections: dwarf, shift: 0 }] : [] };
}

/**
 * By how much the linker has moved the code of an object. It puts the code of objects one after the other, as it is; that no function has been moved differently is checked.
 * @param starts the functions of the linked file.
 */
function shiftOf(functions: readonly FunctionSymbol[], starts: ReadonlyMap<string, number>): number {
  const shifts = new Set(functions.map(({ name, start }) => (starts.get(name) ?? Number.NaN) - start));
  const [shift] = shifts;
  return shifts.size === 1 && !Number.isNaN(shift) ? shift : refuse('the linker has moved functions of one object differently');
}

/** Reads a Mach-O file, which never has DWARF: that stays in the objects, whose addresses begin at 0. */
export function readMachOCode(linked: Buffer, objects: readonly Uint8Array[], debug: boolean): LinkedCode {
  const functions = readMachOFunctions(linked, readMachO(linked, refuse));
  const starts = new Map(functions.map(({ name, start }) => [name, start]));
  const read = (object: Uint8Array): ObjectDebug[] => {
    const bytes = Buffer.from(object.buffer, object.byteOffset, object.length);
    const file = readMachOObject(bytes, refuse);
    const own = readMachOFunctions(bytes, file);
    if (own.length === 0) return []; // the descriptor
    const dwarf = file.sections.filter(({ segment }) => segment === '__DWARF').map(({ name, start, end }) => [`.${name.slice(2)}`, bytes.subarray(start, end)] as const);
    return [{ sections: new Map(dwarf), shift: shiftOf(own, starts) }];
  };
  return { functions, debug: debug ? objects.flatMap(read) : [] };
}
