/** `wasm-aot inspect`: what an artifact says of itself, for people or as JSON; no code of it is mapped. */
import { createHash } from 'node:crypto';
import { readArtifact } from '../../loader/artifact.js';
import type { Manifest, ManifestExtern } from '../../loader/manifest.js';
import { ExitCode } from '../diagnostics.js';
import { type ParsedArguments, usageError } from './arguments.js';
import { readInput } from './flags.js';
import { formatBytes, formatCount, standardOutput } from './output.js';

/** A type as text: `(i32, i64) -> f64`, `memory 2..16 pages`, `var i32`. */
export function formatExtern(extern: ManifestExtern): string {
  const range = (min: number, max?: number): string => (max === undefined ? `${min} or more` : min === max ? `${min}` : `${min}..${max}`);
  switch (extern.kind) {
    case 'func': return `func (${extern.params.join(', ')}) -> ${extern.results.length === 1 ? extern.results[0] : `(${extern.results.join(', ')})`}`;
    case 'table': return `table of ${range(extern.min, extern.max)} ${extern.element}`;
    case 'memory': return `memory of ${range(extern.min, extern.max)} pages`;
    case 'global': return `global ${extern.mutable ? 'var ' : ''}${extern.type}`;
  }
}

const section = (title: string, lines: readonly string[]): string => (lines.length ? `${title} (${formatCount(lines.length)})\n${lines.map((line) => `  ${line}\n`).join('')}` : '');

function describe(path: string, bytes: Uint8Array, sha256: string, m: Manifest): string {
  const rows: [string, string][] = [
    ['artifact', `${path}, ${formatBytes(bytes.length)}`],
    ['sha256', sha256],
    ['source', `${m.source.name}, ${formatBytes(m.source.bytes)}`],
    ['', `sha256 ${m.source.sha256}`],
    ['target', `${m.target.triple}, cpu ${m.target.cpu}`],
    ['needs', m.target.features.join(' ') || 'nothing beyond the baseline'],
    ...(m.target.levels ?? []).map(({ cpu, features }): [string, string] => ['or better', `cpu ${cpu}: ${features.filter((name) => !m.target.features.includes(name)).join(' ')} as well`]),
    ['options', `-O${m.options.optLevel}${m.options.debug ? ' -g' : ''}, fuel ${m.options.fuel}, NaN ${m.options.nan}`],
    ['cost table', m.costTable ? `${m.costTable.name}, sha256 ${m.costTable.sha256}` : 'none: not metered'],
    ['made by', `${m.producer.name} ${m.producer.version}, LLVM ${m.producer.llvm}, ABI ${m.abiVersion}`],
    ['functions', `${formatCount(m.functions.defined)} defined, ${formatCount(m.functions.imported)} imported${m.start ? '; has a start function' : ''}`],
  ];
  const memories = m.memories.map((memory, i) => `${i}: ${formatExtern({ kind: 'memory', min: memory.min, max: memory.max })}${memory.imported ? ', imported' : ''}`);
  return rows.map(([label, text]) => `${label.padEnd(12)}${text}\n`).join('')
    + section('memories', memories)
    + section('imports', m.imports.map((i) => `${JSON.stringify(i.module)} ${JSON.stringify(i.name)}: ${formatExtern(i)}`))
    + section('exports', m.exports.map((e) => `${JSON.stringify(e.name)}: ${formatExtern(e)}`));
}

/** Runs the command. Returns the exit code; throws what `cli.ts` reports. */
export async function runInspect({ options, operands }: ParsedArguments): Promise<number> {
  if (operands.length !== 1) throw usageError(operands.length ? `one artifact is wanted, not ${operands.length}` : 'which file?', 'e.g. wasm-aot inspect prog.so');
  const [path] = operands;
  const bytes = readInput(path);
  const { manifest } = readArtifact(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  standardOutput().write(options.json ? `${JSON.stringify({ file: path, bytes: bytes.length, sha256, ...manifest }, undefined, 2)}\n` : describe(path, bytes, sha256, manifest));
  return ExitCode.ok;
}
