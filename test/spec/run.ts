/**
 * Runs the official WebAssembly tests: `npm run spec -- [GROUP...] [-O0..-O3] [--fuel MODE] [--file NAME]... [--jobs N] [--all]`.
 *
 * A group is a folder of SPEC_DIR (default: ../shared/spec beside the repository), e.g. wasm-2.0/core. All modules are compiled first, then each
 * script runs in a child process of its own through the public loader, so that a crash fails that script and no other. Prints a line per script;
 * the last line is `N passed, N failed, N skipped` (skipped: what needs the text format). Exit code 1 when anything failed.
 */
import { fork } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildOptions, OptLevel } from '../../compiler/options.js';
import { VERSION_2 } from '../../compiler/wasm/features.js';
import { isTextOnly, readSpecFiles, type SpecFile } from './commands.js';
import { type Artifacts, compileModules } from './compile.js';

/** What a child says about one script. */
export interface ScriptResult { readonly passed: number; readonly failures: readonly { readonly line: number; readonly message: string }[] }

/** A script that runs longer than this, in milliseconds, is ended and fails. */
const SCRIPT_TIMEOUT = 180_000;
/** Failures of a script that are shown without `--all`. */
const SHOWN = 5;

interface Settings { groups: string[]; options: BuildOptions; files: string[]; jobs: number; all: boolean }

function readSettings(args: readonly string[]): Settings {
  const settings: Settings = { groups: [], options: {}, files: [], jobs: availableParallelism(), all: false };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    const value = (): string => {
      if (args[i + 1] === undefined) throw new Error(`${arg} needs a value`);
      return args[++i];
    };
    if (/^-O[0-3]$/.test(arg)) settings.options = { ...settings.options, optLevel: Number(arg[2]) as OptLevel };
    else if (arg === '--fuel') settings.options = { ...settings.options, fuel: value() as BuildOptions['fuel'] };
    else if (arg === '--file') settings.files.push(value());
    else if (arg === '--jobs') settings.jobs = Math.max(1, Number(value()) || 1);
    else if (arg === '--all') settings.all = true;
    else if (arg.startsWith('-')) throw new Error(`unknown option ${arg}; there are -O0..-O3, --fuel MODE, --file NAME, --jobs N, --all`);
    else settings.groups.push(arg);
  }
  if (settings.groups.length === 0) settings.groups.push('wasm-2.0/core');
  return settings;
}

/** Runs one script in a child process. Commands that a dead child did not report have failed. */
function runScript(file: SpecFile, scratch: string, artifacts: string): Promise<ScriptResult> {
  const total = file.commands.filter((command) => !isTextOnly(command)).length;
  const place = join(scratch, `${file.name}.line`);
  writeFileSync(place, ''.padEnd(12));
  return new Promise((resolve) => {
    const child = fork(fileURLToPath(new URL('./script.js', import.meta.url)), [file.folder, file.name, artifacts, place], { serialization: 'advanced' });
    let result: ScriptResult | undefined;
    const timer = setTimeout(() => child.kill('SIGKILL'), SCRIPT_TIMEOUT);
    child.on('message', (message) => { result = message as ScriptResult; });
    // The last message can arrive after the exit; the channel's end comes after both.
    let end: { code: number | null; signal: NodeJS.Signals | null } | undefined;
    const finish = (): void => {
      if (!end || child.connected) return;
      const { code, signal } = end;
      clearTimeout(timer);
      if (result && code === 0) return resolve(result);
      const line = Number(readFileSync(place, 'utf8')) || 0;
      const death = { line, message: `the process ended with ${signal ?? `exit code ${code}`} (limit ${SCRIPT_TIMEOUT / 1000} s); the rest of the script counts as failed` };
      const known = result ?? { passed: 0, failures: [] };
      resolve({ passed: 0, failures: [...known.failures, ...Array.from({ length: total - known.failures.length }, () => death)] });
    };
    child.on('exit', (code, signal) => { end = { code, signal }; finish(); });
    child.on('disconnect', finish);
  });
}

function printScript(group: string, file: SpecFile, result: ScriptResult, all: boolean): void {
  const failed = result.failures.length;
  console.log(`${failed ? 'FAIL' : 'ok  '} ${group}/${file.name}: ${result.passed} passed${failed ? `, ${failed} failed` : ''}`);
  const lines = [...new Set(result.failures.map((failure) => `line ${failure.line}: ${failure.message}`))];
  for (const line of lines.slice(0, all ? undefined : SHOWN)) console.log(`       ${line}`);
  if (lines.length > SHOWN && !all) console.log(`       ... ${lines.length - SHOWN} more (--all shows them)`);
}

/** Runs a group and prints a line per script. */
async function runGroup(group: string, folder: string, settings: Settings, scratch: string): Promise<{ passed: number; failed: number; skipped: number }> {
  const files = readSpecFiles(folder, settings.files);
  const missing = settings.files.find((name) => !files.some((file) => file.name === name));
  if (missing !== undefined) throw new Error(`there is no script ${missing} in ${folder}`);
  const began = Date.now();
  // The negative tests of 2.0 name as wrong what later versions allow.
  const options = group.startsWith('wasm-2.0/') ? { ...settings.options, features: VERSION_2 } : settings.options;
  const artifacts: Artifacts = await compileModules(files, scratch, options, (done, total) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kcompiling ${group}: ${done} of ${total} modules`);
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  console.log(`${group}: ${Object.keys(artifacts).length} modules compiled in ${((Date.now() - began) / 1000).toFixed(1)} s`);
  const list = join(scratch, 'artifacts.json');
  writeFileSync(list, JSON.stringify(artifacts));
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const results = new Map<SpecFile, ScriptResult>();
  const queue = [...files];
  let printed = 0;
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      results.set(file, await runScript(file, scratch, list));
      // In order of name, whichever ends first.
      for (; results.has(files[printed]); printed++) printScript(group, files[printed], results.get(files[printed]) as ScriptResult, settings.all);
    }
  };
  await Promise.all(Array.from({ length: settings.jobs }, work));
  for (const file of files) {
    const result = results.get(file) as ScriptResult;
    totals.passed += result.passed;
    totals.failed += result.failures.length;
    totals.skipped += file.commands.filter(isTextOnly).length;
  }
  return totals;
}

async function main(): Promise<number> {
  const settings = readSettings(process.argv.slice(2));
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const specDir = process.env.SPEC_DIR ?? join(root, '../shared/spec');
  const totals = { passed: 0, failed: 0, skipped: 0 };
  if (!existsSync(specDir)) {
    console.log(`the spec tests are not at ${specDir} (set SPEC_DIR): nothing was run`);
    console.log('0 passed, 0 failed, 0 skipped');
    return 0;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'wasm-aot-spec-'));
  try {
    for (const [i, group] of settings.groups.entries()) {
      const folder = join(specDir, group);
      if (!existsSync(folder)) throw new Error(`there is no group ${group} in ${specDir}`);
      const place = join(scratch, String(i));
      mkdirSync(place);
      const { passed, failed, skipped } = await runGroup(group, folder, settings, place);
      totals.passed += passed;
      totals.failed += failed;
      totals.skipped += skipped;
      rmSync(place, { recursive: true, force: true });
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  return totals.failed ? 1 : 0;
}

main().then((code) => { process.exitCode = code; }, (error: Error) => {
  console.error(`spec: ${error.message}`);
  process.exitCode = 2;
});
