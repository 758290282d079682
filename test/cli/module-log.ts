/** A hook for Node's loader: notes each ES module that a process loads, one URL a line, in the file that MODULE_LOG names. */
import { appendFileSync } from 'node:fs';
import type { LoadHook } from 'node:module';

export const load: LoadHook = (url, context, nextLoad) => {
  appendFileSync(process.env.MODULE_LOG as string, `${url}\n`);
  return nextLoad(url, context);
};
