/** The text of `--help`, made of the rows in arguments.ts. */
import { COMMANDS, type CommandRow, dashed, type OptionRow } from './arguments.js';
import { standardOutput } from './output.js';

const width = (): number => Math.min(standardOutput().columns ?? 100, 120);
const helpLabel = (row: OptionRow): string =>
  [row.alias, row.name].filter((n): n is string => n !== undefined).sort((a, b) => a.length - b.length).map(dashed).join(', ') + (row.value ? ` ${row.value}` : '');

/** Lines of two columns, the second wrapped to the terminal. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.max(...rows.map(([a]) => a.length)) + 4;
  const room = Math.max(width() - left, 30);
  return rows.map(([a, b]) => {
    const lines = [''];
    for (const word of b.split(' ')) {
      const last = lines[lines.length - 1];
      if (last && last.length + word.length + 1 > room) lines.push(word);
      else lines[lines.length - 1] = last ? `${last} ${word}` : word;
    }
    return `  ${a.padEnd(left - 2)}${lines.join(`\n${' '.repeat(left)}`)}`;
  }).join('\n');
}

/** The help of one command, or of the program: one screen, ending in examples. */
export function helpText(command?: CommandRow): string {
  if (command) {
    return `${command.help}.\n\nUsage: wasm-aot ${command.synopsis}\n\nOptions:\n${columns(command.options.map((row) => [helpLabel(row), row.help] as const))}\n\n`
      + `Examples:\n${columns(command.examples)}\n`;
  }
  return 'wasm-aot compiles WebAssembly ahead of time into native code that is metered, and runs it.\n\n'
    + `Usage:\n${columns(COMMANDS.map((row) => [`wasm-aot ${row.synopsis}`, row.help] as const))}\n\n`
    + `Options:\n${columns([['--help, COMMAND --help', 'Show help, of a command with all its options. E.g. wasm-aot run --help'], ['--version', 'Show versions. E.g. wasm-aot --version']])}\n\n`
    + `Examples:\n${columns(COMMANDS.flatMap((row) => row.examples.slice(0, row.name === 'run' ? 3 : 1)))}\n`;
}
