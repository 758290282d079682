/**
 * compiler/emit/simd.md: each vector operator and the instructions that it becomes, from what the compiler really emits. `node dist/test/simd/table.js` writes it; table.test.ts checks
 * that it is up to date.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCompiler } from '../../compiler/index.js';
import type { BuildOptions } from '../../compiler/options.js';
import type { Opcode } from '../../compiler/wasm/module.js';
import { OPCODES, prefixedCode } from '../../compiler/wasm/opcodes.js';
import { PREFIX_SIMD } from '../../compiler/wasm/opcodes-simd.js';
import { ValType } from '../../runtime-c/abi.js';
import { body, END, funcType, leb, module, name, section, vec } from '../unit/module-bytes.js';

/** The file that holds the table. */
export const FILE = fileURLToPath(new URL('../../../compiler/emit/simd.md', import.meta.url));

const COLUMNS: readonly { readonly title: string; readonly options: BuildOptions }[] = [
  { title: 'SSE4.1 (`--cpu v2`)', options: { cpu: 'v2' } },
  { title: 'AVX2 (`--cpu v3`)', options: { cpu: 'v3' } },
  { title: 'NEON (`--target aarch64-unknown-linux-gnu`)', options: { target: 'aarch64-unknown-linux-gnu' } as BuildOptions },
];

/** Some shuffle that is no simpler operator's. */
const SHUFFLE = [0, 17, 5, 30, 2, 9, 9, 21, 31, 4, 16, 8, 12, 25, 3, 7];

function immediatesOf({ immediates }: Opcode): number[] {
  switch (immediates) {
    case 'lane': return [1];
    case 'memarg': return [0, 0];
    case 'memarg_lane': return [0, 0, 1];
    case 'shuffle': return SHUFFLE;
    case 'v128': return SHUFFLE;
    default: return [];
  }
}

const codeOf = (type: string): number => ValType[type as keyof typeof ValType];

/** A module with a function for each operator, exported under the operator's name, whose parameters are the operands. */
function moduleOf(ops: readonly Opcode[]): Uint8Array {
  const code = (op: Opcode) => {
    const sub = op.code - prefixedCode(PREFIX_SIMD, 0) < 0x100 ? op.code & 0xff : op.code & 0xffff;
    return body([...(op.signature?.params ?? []).flatMap((_, i) => [0x20, i]), PREFIX_SIMD, ...leb(sub), ...immediatesOf(op), END]);
  };
  return module(
    section(1, vec(ops.map((op) => funcType(op.signature?.params.map(codeOf) ?? [], op.signature?.results.map(codeOf) ?? [])))),
    section(3, vec(ops.map((_, i) => leb(i)))), section(5, vec([[0, 1]])), section(7, vec(ops.map((op, i) => [...name(op.name), 0, ...leb(i)]))), section(10, vec(ops.map(code))),
  );
}

/** Mnemonics of each function, in order, without the return; repeated ones are counted. */
function mnemonics(assembly: string): Map<string, string> {
  const found = new Map<string, string>();
  let current: string[] | undefined;
  for (const line of assembly.split('\n')) {
    const label = /^"?([\w.]+)"?:/.exec(line)?.[1];
    if (label?.includes('.') && !label.startsWith('.')) {
      current = [];
      found.set(label, '');
    } else if (/^\s*\.size/.test(line)) {
      current = undefined;
    } else if (current) {
      const mnemonic = /^\t([a-z][\w.]*)/.exec(line)?.[1];
      if (mnemonic && !/^ret/.test(mnemonic)) current.push(mnemonic);
      found.set([...found.keys()].at(-1) as string, summary(current));
    }
  }
  return found;
}

function summary(list: readonly string[]): string {
  const runs: { name: string; times: number }[] = [];
  for (const name of list) {
    const last = runs.at(-1);
    if (last?.name === name) last.times++;
    else runs.push({ name, times: 1 });
  }
  const text = runs.map(({ name, times }) => (times > 1 ? `${name} ×${times}` : name)).join(', ');
  return list.length > 3 ? `**${list.length}:** ${text}` : text;
}

const NATIVE = fileURLToPath(new URL('../../../.ci/native.mjs', import.meta.url));
const run = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: 'utf8' }).trim();
/** The version of the LLVM that the compiler is built with: another one may choose other instructions. */
const llvmVersion = (): string => run(run(process.execPath, NATIVE, '--llvm-config'), '--version');
const versionLine = (version: string): string => `LLVM ${version}.`;
/** Whether a table was made with the LLVM that is installed. */
export const isOfThisLlvm = (text: string): boolean => text.includes(versionLine(llvmVersion()));

/** The table, as Markdown. */
export async function makeTable(): Promise<string> {
  const ops = OPCODES.filter((op) => op.feature === 'simd' || op.feature === 'relaxed-simd');
  const bytes = moduleOf(ops);
  const compiler = await openCompiler({ workers: 1 });
  try {
    const columns: Map<string, string>[] = [];
    for (const { options } of COLUMNS) columns.push(mnemonics(Buffer.from((await compiler.build(bytes, { ...options, fuel: 'none', emit: 'asm' })).artifact).toString()));
    for (const op of ops) for (const column of columns) if (!column.has(op.name)) throw new Error(`no code for ${op.name}`);
    const rows = ops.map((op) => `| \`${op.name}\` | ${columns.map((column) => column.get(op.name)).join(' | ')} |`);
    return [
      '# Vector operators and the instructions they become', '',
      'Generated by `node dist/test/simd/table.js` from what `build -O2 --fuel none` emits for a function that does nothing else, its operands in registers: moves that the calling',
      'convention needs, constants loaded from memory and, of loads and stores, the address are part of it. More than three instructions are counted, so that slow operators show.',
      versionLine(llvmVersion()), '',
      `| operator | ${COLUMNS.map((column) => column.title).join(' | ')} |`, `|---|${COLUMNS.map(() => '---|').join('')}`, ...rows, '',
    ].join('\n');
  } finally {
    await compiler.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(FILE, await makeTable());
