#!/usr/bin/env node
/**
 * The program `wasm-aot`: picks the command, and turns every failure into a message and an exit code (`diagnostics.ts`).
 *
 * Commands are loaded on demand: `run` and `inspect` of an artifact must start fast and work without LLVM.
 */
import { ABI_VERSION } from '../runtime-c/abi.js';
import { COMMANDS, type CommandRow, helpText, type ParsedArguments, parseArguments, usageError } from './cli/arguments.js';
import { complain } from './cli/output.js';
import { CompileError, ExitCode, formatDiagnostic } from './diagnostics.js';
import { nearestName } from './options.js';

const ACTIONS: Record<CommandRow['name'], () => Promise<(parsed: ParsedArguments) => Promise<number>>> = {
  build: async () => (await import('./cli/build.js')).runBuild,
  run: async () => (await import('./cli/run.js')).runRun,
  inspect: async () => (await import('./cli/inspect.js')).runInspect,
};

/** What the runtime library says of itself. */
async function runtimeVersion(): Promise<string> {
  try {
    await import('../loader/index.js'); // which has what the addon calls
    const { openLibrary } = await import('../loader/library.js');
    return openLibrary().version();
  } catch (error) {
    return `no runtime: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Runs one command line. Returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-V') {
    const { packageVersion } = await import('./cache.js');
    process.stdout.write(`wasm-aot ${packageVersion()}, ABI ${ABI_VERSION}, Node ${process.versions.node}\n${await runtimeVersion()}\n`);
    return ExitCode.ok;
  }
  if (first === '--help' || first === '-h' || first === 'help') {
    process.stdout.write(helpText(COMMANDS.find((row) => row.name === rest[0])));
    return ExitCode.ok;
  }
  if (first === undefined) {
    process.stderr.write(helpText());
    return ExitCode.usage;
  }
  const command = COMMANDS.find((row) => row.name === first);
  if (!command) {
    const known = [...COMMANDS.map((row) => row.name), '--help', '--version'];
    throw usageError(`unknown ${first.startsWith('-') ? 'option' : 'command'} ${JSON.stringify(first)}`, `did you mean ${nearestName(first, known)}? wasm-aot --help lists what there is`);
  }
  const parsed = parseArguments(command, rest);
  if (parsed.options.help) {
    process.stdout.write(helpText(command));
    return ExitCode.ok;
  }
  try {
    return await (await ACTIONS[command.name]())(parsed);
  } catch (error) {
    if (parsed.options.json && error instanceof CompileError) {
      const { toJson } = await import('./cli/build.js');
      process.stdout.write(`${JSON.stringify({ errors: error.errors.map(toJson) }, undefined, 2)}\n`);
    }
    throw error;
  }
}

/** Writes what went wrong. Returns the exit code. */
async function report(error: unknown): Promise<number> {
  if (error instanceof CompileError) {
    for (const diagnostic of error.errors) {
      complain(formatDiagnostic({ ...diagnostic, note: undefined }));
      if (diagnostic.note) complain(diagnostic.note, 'note');
    }
    return error.exitCode;
  }
  const { describeFailure } = await import('./cli/failure.js');
  const { message, exitCode } = describeFailure(error);
  complain(message);
  return exitCode;
}

for (const stream of [process.stdout, process.stderr]) {
  // Node makes a pipe non-blocking when its stream is first looked at. A guest writes to the descriptor itself, and would lose what a full pipe refuses.
  (stream as unknown as { _handle?: { setBlocking?: (on: boolean) => void } })._handle?.setBlocking?.(true);
  // A reader that went away (`wasm-aot inspect x | head -1`) is no failure of ours; 128 + SIGPIPE, as a shell would have it.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(141);
    throw error;
  });
}

main(process.argv.slice(2)).catch(report).then((code) => { process.exitCode = code; });
