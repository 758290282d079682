/** Takes the rules of the trampolines' unwind tables away, one at a time: the single-stepping program must notice. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { BUILTINS } from '../../runtime-c/abi.js';
import { type Rule, readRules, withoutRule } from './frame-table.js';

/** DWARF's numbers. */
const RBP = 6;
const RSP = 7;

/** Rules without which nothing is lost, and why. */
const REDUNDANT: readonly { readonly is: (rule: Rule) => boolean; readonly why: string }[] = [
  {
    is: ({ text, before }) => /^restore \d+$/.test(text) && text !== `restore ${RBP}` && /^def_cfa_offset /.test(before),
    why: 'a register that has just been popped is still where it was saved: below the stack pointer, in the red zone',
  },
  { is: ({ text, symbol }) => text === `restore ${RBP}` && symbol === 'waot_enter', why: 'the same' },
  { is: ({ text, symbol }) => text === `restore ${RBP}` && symbol !== 'waot_enter', why: 'the fuel before the call is still in its slot: only the fuel that a debugger shows would be that of before' },
  { is: ({ text, before }) => text.startsWith(`def_cfa ${RSP} `) && before.startsWith('def_cfa 11 '), why: 'at the one instruction that it holds for, r11 still has what the stack pointer has' },
];

/** A tick can come in the way of what a run wants to see, rarely: what survives unexpectedly is tried again. */
const TRIES = 3;
const TIMEOUT_MS = 30_000;

function survives(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  return new Promise((resolve) => { execFile(program, args, { timeout: TIMEOUT_MS, env: { ...process.env, ...env } }, (error) => { resolve(error === null); }); });
}

/** The cases of the program that step through a function. */
function casesFor(symbol: string): { cases: string[]; env: NodeJS.ProcessEnv } {
  const number = BUILTINS.findIndex(({ name }) => symbol === `waot_builtin_enter_${name}`);
  if (number >= 0) return { cases: ["every instruction of the builtins' trampolines"], env: { WAOT_TEST_BUILTIN: String(number) } };
  return { cases: ['every instruction', 'every instruction of the slow paths'], env: {} };
}

export interface Mutations { readonly tried: number; readonly noticed: number; readonly wrong: readonly string[] }

/**
 * Runs `unwind_test` of the directory without each rule in turn, or without every `stride`th. `wrong` has a line for each rule that is neither missed nor listed as redundant, and for each
 * that is listed and is missed.
 */
export async function mutateTrampolines(directory: string, stride: number): Promise<Mutations> {
  const file = readFileSync(join(directory, 'unwind_test'));
  const rules = readRules(file, (symbol) => /^waot_(enter|exit|refuse|builtin_enter_\w+)$/.test(symbol)).filter((_, i) => i % stride === 0);
  const wrong: string[] = [];
  let noticed = 0;
  const queue = [...rules];
  const worker = async (_: unknown, lane: number) => {
    const mutant = join(directory, `mutant-${lane}`);
    for (let rule = queue.shift(); rule; rule = queue.shift()) {
      writeFileSync(mutant, withoutRule(file, rule), { mode: 0o755 });
      const known = REDUNDANT.find(({ is }) => is(rule as Rule));
      const { cases, env } = casesFor(rule.symbol);
      let survived = true;
      for (let tries = known ? 1 : TRIES; survived && tries > 0; tries--) survived = await survives(mutant, [join(directory, 'guest.so'), ...cases], env);
      if (!survived) noticed++;
      const place = `${rule.symbol}+0x${rule.at.toString(16)}: ${rule.text}`;
      if (survived && !known) wrong.push(`nobody misses ${place}`);
      if (!survived && known) wrong.push(`is listed as redundant (${known.why}) and is not: ${place}`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return { tried: rules.length, noticed, wrong };
}
