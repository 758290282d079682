/** The command line as data: every option of every command, how it is parsed, what its help says. Nothing here acts. */
import { createRequire } from 'node:module';
import type { Arguments, DetailedArguments, Options } from 'yargs-parser';
import { CompileError } from '../diagnostics.js';
import { nearestName } from '../options.js';

/** The parser of yargs alone: the rest of yargs takes 40 ms of processor time to load, which `run` has no use for. The parser takes 7, which a command without options does without. */
function loadParser(): { detailed(args: readonly string[], options: Options): DetailedArguments } {
  const { resolve } = createRequire(import.meta.url);
  return createRequire(resolve('yargs'))('yargs-parser');
}

/** One option. `value` names the argument in the help; an option without one is a switch. */
export interface OptionRow {
  readonly name: string;
  readonly alias?: string;
  readonly value?: string;
  /** May be given several times. */
  readonly many?: boolean;
  readonly help: string;
}

const BUILD_FLAGS: readonly OptionRow[] = [
  { name: 'O', value: 'LEVEL', help: 'Optimisation level, 0 to 3; default 2. E.g. -O3' },
  { name: 'g', help: 'Stacks with wasm offsets and source lines; DWARF (lines are wasm offsets). E.g. build -g prog.wasm' },
  { name: 'path-map', value: 'OLD=NEW', many: true, help: 'With -g: replace paths\' beginnings. E.g. --path-map /home/me/=' },
  { name: 'cost-table', value: 'FILE', help: 'Prices of operators as JSON: operator name -> cost. E.g. --cost-table prices.json' },
  { name: 'nan', value: 'MODE', help: 'native (default), or canonical: NaN bits that depend on no machine. E.g. --nan canonical' },
  { name: 'enable', value: 'FEATURE', many: true, help: 'Accept a feature of wasm that is off. E.g. --enable simd' },
  { name: 'disable', value: 'FEATURE', many: true, help: 'Refuse modules that use a feature. E.g. --disable simd' },
  { name: 'cpu', value: 'CPU', help: 'v2, v3 (build), v4, native (run), or several. E.g. --cpu v2,v3' },
  { name: 'jobs', alias: 'j', value: 'N', help: 'Threads that compile; default: all cores. E.g. -j 4' },
  { name: 'memory-budget', value: 'SIZE', help: 'Memory that compiling may take; default: half. E.g. --memory-budget 2G' },
];

const COMMON_FLAGS: readonly OptionRow[] = [
  { name: 'verbose', alias: 'v', help: 'Say more about what is done. E.g. -v' },
  { name: 'quiet', alias: 'q', help: 'Say nothing but errors. E.g. --quiet' },
];

const HELP_FLAG: OptionRow = { name: 'help', alias: 'h', help: 'Show this help. E.g. wasm-aot run --help' };

/** A command: its synopsis, one-line purpose, options, and the examples that end its help. */
export interface CommandRow {
  readonly name: 'build' | 'run' | 'inspect';
  readonly synopsis: string;
  readonly help: string;
  readonly options: readonly OptionRow[];
  /** Whether options end at the first operand, what follows being the guest's. */
  readonly guestArguments?: boolean;
  readonly examples: readonly (readonly [command: string, effect: string])[];
}

export const COMMANDS: readonly CommandRow[] = [
  {
    name: 'build', synopsis: 'build FILE.wasm [-o FILE.so] [options]', help: 'Compile a module into a native, metered shared object',
    options: [
      { name: 'o', alias: 'output', value: 'FILE', help: 'Where to write; - is standard output. Default: the input with .so (macOS: .dylib). E.g. -o prog.so' },
      ...BUILD_FLAGS,
      { name: 'target', value: 'TRIPLE', help: 'x86_64-unknown-linux-gnu (default), aarch64-unknown-linux-gnu, x86_64-apple-darwin or arm64-apple-darwin. E.g. --target aarch64-unknown-linux-gnu' },
      { name: 'fuel', alias: 'fuel-mode', value: 'MODE', help: 'Metering: outband (default), sync, or none. E.g. --fuel sync' },
      { name: 'emit', value: 'KIND', help: 'Stop early and write ir, bc, asm or obj. E.g. --emit=asm' },
      { name: 'profile-compile', help: 'Say where the time went. E.g. build --profile-compile prog.wasm' },
      { name: 'json', help: 'Report as JSON on standard output. E.g. build --json prog.wasm' },
      ...COMMON_FLAGS, HELP_FLAG,
    ],
    examples: [
      ['wasm-aot build prog.wasm -o prog.so', 'optimised, metered out of band'],
      ['wasm-aot build -O3 --cpu native prog.wasm', 'for this machine; writes prog.so'],
      ['wasm-aot build --emit=asm -o - prog.wasm | less', 'read the assembly'],
    ],
  },
  {
    name: 'run', synopsis: 'run [options] FILE.so|FILE.wasm [--] [ARGUMENTS...]', help: 'Run a WASI command, or call an export',
    guestArguments: true,
    options: [
      { name: 'fuel', value: 'N', help: 'Fuel limit; without it there is none. E.g. --fuel 1000000' },
      { name: 'invoke', value: 'NAME', help: 'Call this export with the arguments, print its results. E.g. --invoke add lib.so 1 2' },
      { name: 'dir', value: 'HOST[::GUEST]', many: true, help: 'Give the guest a folder, under its own name or another. E.g. --dir data::/data' },
      { name: 'env', value: 'NAME[=VALUE]', many: true, help: 'Set an environment variable, or pass ours on. E.g. --env LANG=C' },
      ...BUILD_FLAGS,
      { name: 'fuel-mode', value: 'MODE', help: 'For a .wasm: outband (default), sync, or none. E.g. --fuel-mode sync' },
      { name: 'no-cache', help: 'For a .wasm: compile anew and keep nothing. E.g. run --no-cache prog.wasm' },
      ...COMMON_FLAGS, HELP_FLAG,
    ],
    examples: [
      ['wasm-aot run prog.so -- --flag input.txt', "arguments after the file are the guest's"],
      ['wasm-aot run --fuel 1000000 --dir . prog.wasm', 'compile (cached), run, stop when the fuel is gone'],
      ['wasm-aot run --invoke add lib.so 1 2', 'call an export'],
    ],
  },
  {
    name: 'inspect', synopsis: 'inspect FILE.so [--json]', help: 'Show what an artifact is: target, imports, exports, cost table, hashes',
    options: [{ name: 'json', help: 'The whole manifest as JSON. E.g. inspect --json prog.so' }, HELP_FLAG],
    examples: [['wasm-aot inspect prog.so', 'works for artifacts of other machines too']],
  },
];

/** Parsed options: switches are `true`, values strings (arrays for repeatable options), under the option's main name. */
export interface ParsedArguments {
  readonly options: Readonly<Record<string, string | readonly string[] | true | undefined>>;
  /** The operands; for a command with guest arguments, the file and then the guest's arguments, without the `--` between. */
  readonly operands: readonly string[];
}

/** The complaint for a wrong command line. */
export function usageError(message: string, note?: string): CompileError {
  return new CompileError({ kind: 'usage', message, note });
}

/** An option as it is written. */
export const dashed = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`);

/** Parses the arguments after the command's name. @throws {CompileError} of kind `usage`, naming the nearest known option. */
export function parseArguments(command: CommandRow, args: readonly string[]): ParsedArguments {
  const cut = command.guestArguments ? indexOfFile(command, args) : args.length;
  const guest = args.slice(cut + 1);
  if (guest[0] === '--') guest.shift();
  // `-O3` is one option with its value, as for clang, not a group of single letters.
  const own = args.slice(0, cut).map((arg) => arg.replace(/^-O(?=[^=])/, '-O='));
  const parsed = parse(command, own);
  const known = command.options.flatMap((row) => (row.alias ? [row.name, row.alias] : [row.name]));
  const options: Record<string, string | string[] | true | undefined> = {};
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '_' || name === '$0' || name === '--' || value === undefined || value === false) continue;
    if (!known.includes(name)) throw usageError(`unknown option ${dashed(name)}`, `did you mean ${dashed(nearestName(name, known))}?`);
    const row = command.options.find((r) => r.name === name);
    if (row) options[name] = checkValue(row, value);
  }
  const operands = [...parsed._, ...(parsed['--'] ?? [])].map(String);
  return { options, operands: command.guestArguments && cut < args.length ? [...operands, args[cut], ...guest] : operands };
}

/** What yargs makes of the options. @throws {CompileError} for one at the end that lacks its value: the parser has no other complaint. */
function parse(command: CommandRow, args: readonly string[]): Arguments {
  if (args.length === 0) return { _: [] };
  const rows = command.options;
  const names = (wanted: (row: OptionRow) => boolean): string[] => rows.filter(wanted).map((row) => row.name);
  const withValue = names((row) => row.value !== undefined);
  const { argv, error } = loadParser().detailed(args, {
    alias: Object.fromEntries(rows.flatMap((row) => (row.alias ? [[row.name, [row.alias]]] : []))),
    string: withValue,
    boolean: names((row) => row.value === undefined),
    narg: Object.fromEntries(withValue.map((name) => [name, 1])),
    configuration: {
      'camel-case-expansion': false, 'boolean-negation': false, 'parse-numbers': false, 'parse-positional-numbers': false, 'dot-notation': false,
      'strip-aliased': true, 'greedy-arrays': false, 'populate--': true, 'short-option-groups': true,
    },
  });
  if (!error) return argv;
  const name = /^Not enough arguments following: (\S+)$/.exec(error.message)?.[1];
  const row = rows.find((r) => r.name === name || r.alias === name);
  throw row ? usageError(`${dashed(row.name)} needs a value`, row.help) : usageError(error.message);
}

function checkValue(row: OptionRow, value: unknown): string | string[] | true {
  if (!row.value) return true;
  const values = (Array.isArray(value) ? value : [value]).map(String);
  if (values.length > 1 && !row.many) throw usageError(`${dashed(row.name)} is given more than once`);
  if (values.some((v) => v === '')) throw usageError(`${dashed(row.name)} needs a value`, row.help);
  return row.many ? values : values[0];
}

/** Index of the first operand: options before it are ours, what follows is the guest's. */
function indexOfFile(command: CommandRow, args: readonly string[]): number {
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--') return i + 1;
    if (!args[i].startsWith('-') || args[i] === '-') return i;
    const name = args[i].replace(/^--?/, '');
    const row = command.options.find((r) => r.name === name || r.alias === name);
    if (row?.value) i++;
  }
  return args.length;
}
