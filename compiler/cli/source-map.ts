/** Source maps for `-g`: the file that a module names, beside the module. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The largest source map that is read, in bytes. */
const MAX_MAP = 256 * 1024 * 1024;

/** Reads source maps by the URLs that the module at a path names them by: relative ones, and `file:`. Nothing is fetched from elsewhere, and nothing that is no file is waited for. */
export function sourceMapReader(input: string): (url: string) => Uint8Array | undefined {
  return (url) => {
    if (/^(?!file:)[a-z][a-z0-9+.-]+:/i.test(url)) return undefined;
    const path = url.startsWith('file:') ? fileURLToPath(url) : resolve(dirname(input), decodeURIComponent(url));
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat?.isFile() && stat.size <= MAX_MAP ? readFileSync(path) : undefined;
  };
}
