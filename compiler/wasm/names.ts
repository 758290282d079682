/** The custom section "name" (spec 2.0, appendix "Name Section"): names for messages, symbols and debug information. */
import { CompileError } from '../diagnostics.js';
import { Reader } from './reader.js';

const SUBSECTION_MODULE = 0;
const SUBSECTION_FUNCTIONS = 1;

export interface ModuleNames { module?: string; readonly funcs: Map<number, string> }

/**
 * Decodes the contents of a name section (after the section's own name). Returns undefined when it is ill-formed: the spec wants such
 * a section to be ignored. Subsections other than those of the module and the functions are skipped.
 */
export function readNameSection(bytes: Uint8Array, start: number, end: number): ModuleNames | undefined {
  const names: ModuleNames = { funcs: new Map() };
  const reader = new Reader(bytes, start, end);
  try {
    while (reader.pos < reader.end) {
      const id = reader.u8();
      const subsection = reader.sub(reader.u32(), 'name subsection');
      if (id === SUBSECTION_MODULE) names.module = subsection.name();
      else if (id === SUBSECTION_FUNCTIONS) readNameMap(subsection, names.funcs);
    }
  } catch (error) {
    if (error instanceof CompileError) return undefined;
    throw error;
  }
  return names;
}

/** Where an index is named twice, the first name counts. */
function readNameMap(reader: Reader, names: Map<number, string>): void {
  for (let count = reader.u32(); count > 0; count--) {
    const index = reader.u32();
    const name = reader.name();
    if (!names.has(index)) names.set(index, name);
  }
}
