/** Variants of the single-stepping programs. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileCommand, NATIVE, runAll } from '../c/build.js';

/** Whether libunwind can be compiled against. */
export const hasLibunwind = (): boolean => spawnSync('gcc', ['-E', '-include', 'libunwind.h', '-x', 'c', '/dev/null', '-o', '/dev/null']).status === 0;

/** Links a program that `buildPrograms` has built in the directory anew, with libunwind looking at each step too. Returns its name. */
export async function linkWithLibunwind(directory: string, program: string): Promise<string> {
  const at = (name: string) => join(directory, name);
  const check = [...compileCommand(directory, { ...NATIVE, testFlags: ['-DWITH_LIBUNWIND'] }, 'unwind_check').slice(0, -1), at('libunwind_check.t.o')];
  const runtime = readdirSync(directory).filter((name) => /\.[cS]\.o$/.test(name)).map(at);
  const name = `libunwind_${program}`;
  await runAll([check]);
  await runAll([['gcc', at(`${program}.t.o`), at('libunwind_check.t.o'), at('unwind_magic.t.o'), at('harness.t.o'), ...runtime, '-o', at(name), '-pthread', '-ldl', '-lm', '-lgcc_s', '-lunwind']]); // libgcc first: libunwind has its functions too
  return name;
}
