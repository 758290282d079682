/** Paths of sources, as a stack shows them. */
import type { LineTable } from './dwarf-lines.js';

/** Replaces the beginning of a path. Where several replacements fit, the last given counts, as for compilers' -ffile-prefix-map. */
export function mapPath(path: string, maps: readonly (readonly [from: string, to: string])[]): string {
  const fit = [...maps].reverse().find(([from]) => path.startsWith(from));
  return fit ? fit[1] + path.slice(fit[0].length) : path;
}

const isAbsolute = (path: string): boolean => /^(\/|\\|[A-Za-z]:[\\/]|[A-Za-z][A-Za-z0-9+.-]+:\/\/)/.test(path);
const join = (directory: string, name: string): string => (directory === '' || isAbsolute(name) ? name : `${directory.replace(/\/$/, '')}/${name}`);

/** The path of a file of a line table: as the producer wrote it, below its directory, below the compilation's. */
export function pathOf(table: LineTable, file: number, compDir: string): string | undefined {
  const entry = table.files[file];
  if (!entry) return undefined;
  return join(compDir, join(table.directories[entry.directory] ?? '', entry.name));
}
