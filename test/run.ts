/**
 * Runs the tests: every `*.test.js` below this folder, each in a process of its own, one after another. `npm test -- loader fuel/law` runs those whose path contains
 * one of the words. The last line is `N passed, N failed`, with `, N skipped` when there are any.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A file that takes longer is stuck: it is ended, and counts as a failure. */
const TIMEOUT_MS = 8 * 60_000;
const ROOT = fileURLToPath(new URL('.', import.meta.url));

interface Result { passed: number; failed: number; skipped: number; output: string }

/** uvu's summary; without one the process died, or was no test. */
function readSummary(output: string, code: number | null, signal: string | null): Result {
  const count = (name: string) => Number(new RegExp(`^ *${name}: +(\\d+)`, 'm').exec(output)?.[1] ?? Number.NaN);
  const [total, passed, skipped] = ['Total', 'Passed', 'Skipped'].map(count);
  if (Number.isNaN(total)) return { passed: 0, failed: 1, skipped: 0, output: `${output}\nno summary: ended by ${signal ?? `exit code ${code}`}` };
  const failed = total - passed; // uvu's total is without the skipped ones
  // A process that fails after its tests passed, in a handler or at its exit, is a failure too.
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, skipped, output };
}

function runFile(file: string): Promise<Result> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--expose-gc', file], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, FORCE_COLOR: '0' } });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve(readSummary(Buffer.concat(chunks).toString(), code, signal));
    });
  });
}

const words = process.argv.slice(2);
const files = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js') && (words.length === 0 || words.some((word) => name.includes(word))))
  .sort();
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const name of files) {
  const started = performance.now();
  const result = await runFile(join(ROOT, name));
  sum.passed += result.passed;
  sum.failed += result.failed;
  sum.skipped += result.skipped;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${result.failed ? 'FAIL' : 'ok  '} ${relative('', name).padEnd(40)} ${String(result.passed).padStart(4)} passed${result.skipped ? `, ${result.skipped} skipped` : ''}  ${seconds} s`);
  if (result.failed) console.log(result.output.trimEnd().replace(/^/gm, '     '));
}
if (files.length === 0) console.log(`no test matches ${words.join(' ')}`);
console.log(`${sum.passed} passed, ${sum.failed} failed${sum.skipped ? `, ${sum.skipped} skipped` : ''}`);
process.exitCode = sum.failed > 0 || files.length === 0 ? 1 : 0;
