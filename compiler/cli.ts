#!/usr/bin/env node
/**
 * The program `wasm-aot`: picks the command, and turns every failure into a message and an exit code (`diagnostics.ts`).
 *
 * Commands are loaded on demand, and so is everything that a run without complaints does not need: `run` and `inspect` of an artifact must start fast and work without LLVM. A module takes
 * about 0.7 ms to load; a test (warm.test.ts) knows which those of a warm `run` are.
 */
import { COMMANDS, type CommandRow, type ParsedArguments, parseArguments, usageError } from './cli/arguments.js';
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

type Stream = 'standardOutput' | 'standardError';
const print = async (text: string, to: Stream = 'standardOutput'): Promise<void> => { (await import('./cli/output.js'))[to]().write(text); };
const printHelp = async (command?: CommandRow, to?: Stream): Promise<void> => print((await import('./cli/help.js')).helpText(command), to);

/** Runs one command line. Returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === '--version' || first === '-V') {
    const { ABI_VERSION } = await import('../runtime-c/abi.js');
    const { packageVersion } = await import('./cache.js');
    await print(`wasm-aot ${packageVersion()}, ABI ${ABI_VERSION}, Node ${process.versions.node}\n${await runtimeVersion()}\n`);
    return ExitCode.ok;
  }
  if (first === '--help' || first === '-h' || first === 'help') {
    await printHelp(COMMANDS.find((row) => row.name === rest[0]));
    return ExitCode.ok;
  }
  if (first === undefined) {
    await printHelp(undefined, 'standardError');
    return ExitCode.usage;
  }
  const command = COMMANDS.find((row) => row.name === first);
  if (!command) {
    const known = [...COMMANDS.map((row) => row.name), '--help', '--version'];
    throw usageError(`unknown ${first.startsWith('-') ? 'option' : 'command'} ${JSON.stringify(first)}`, `did you mean ${nearestName(first, known)}? wasm-aot --help lists what there is`);
  }
  const parsed = parseArguments(command, rest);
  if (parsed.options.help) {
    await printHelp(command);
    return ExitCode.ok;
  }
  try {
    return await (await ACTIONS[command.name]())(parsed);
  } catch (error) {
    if (parsed.options.json && error instanceof CompileError) {
      const { toJson } = await import('./cli/build.js');
      await print(`${JSON.stringify({ errors: error.errors.map(toJson) }, undefined, 2)}\n`);
    }
    throw error;
  }
}

/** Writes what went wrong. Returns the exit code. */
async function report(error: unknown): Promise<number> {
  const { complain } = await import('./cli/output.js');
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

main(process.argv.slice(2)).catch(report).then((code) => { process.exitCode = code; });
