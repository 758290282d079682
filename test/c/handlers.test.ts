/**
 * What the signal handlers call: by reading the relocations of the objects, which misses no path, and by running them with everything else forbidden, which misses no callee.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NATIVE, buildPrograms, buildRuntime, missingTools } from './build.js';

/** Where the handlers begin. */
const HANDLERS = ['on_tick', 'on_fault'];
/** Functions of the C library that they may call: those that POSIX.1-2017 (2.4.3) lists as async-signal-safe, and the C library's way to errno, which is initial-exec. */
const SAFE = ['__errno_location', 'clock_gettime', 'getpid', 'gettid', 'memcmp', 'memcpy', 'memset', 'pthread_sigmask', 'sigaction', 'sigaddset', 'sigemptyset', 'write', 'syscall'];
/** Data of the program or the linker, not functions. */
const DATA = /^(\.|_GLOBAL_OFFSET_TABLE_$|waot_thread_current$|waot_landing$)/;

/** Calls from each section of the objects to other sections and symbols, by name, and the section that defines each function. */
function readCalls(objects: readonly string[]): { calls: Map<string, Set<string>>; sectionOf: Map<string, string> } {
  const calls = new Map<string, Set<string>>();
  const sectionOf = new Map<string, string>();
  for (const object of objects) {
    const key = (section: string) => `${object} ${section}`;
    let from: Set<string> | undefined;
    for (const line of execFileSync('objdump', ['-r', '-t', '-w', object], { encoding: 'utf8' }).split('\n')) {
      const heading = /^RELOCATION RECORDS FOR \[(.+)\]/.exec(line)?.[1];
      if (heading !== undefined) {
        from = heading.startsWith('.text') ? new Set() : undefined;
        if (from) calls.set(key(heading), from);
        continue;
      }
      const symbol = /^[0-9a-f]{16} .{7} (\.text\S*)\t[0-9a-f]+ +(?:\.hidden )?(\S+)$/.exec(line);
      // A static function's name can occur in several files.
      if (symbol && symbol[2] !== symbol[1]) for (const name of [symbol[2], key(symbol[2])]) sectionOf.set(name, key(symbol[1]));
      const target = from && /^[0-9a-f]{16} R_\S+ +([^\s+-]+)/.exec(line)?.[1];
      if (from && target !== undefined) from.add(target.startsWith('.text') ? key(target) : target);
    }
  }
  return { calls, sectionOf };
}

/** Everything outside the runtime that code reachable from the handlers refers to. */
function outsideOf(objects: readonly string[]): Set<string> {
  const { calls, sectionOf } = readCalls(objects);
  const outside = new Set<string>();
  const seen = new Set<string>();
  const queue = HANDLERS.map((name) => sectionOf.get(name) ?? `no handler ${name}`);
  for (let section = queue.pop(); section !== undefined; section = queue.pop()) {
    if (seen.has(section)) continue;
    seen.add(section);
    for (const target of calls.get(section) ?? []) {
      const [object] = section.split(' ');
      const next = calls.has(target) || target.includes(' ') ? target : sectionOf.get(`${object} ${target}`) ?? sectionOf.get(target);
      if (next === undefined) outside.add(target);
      else if (!/^waot_(landing|refused|enter)$/.test(target)) queue.push(next); // where a handler sends its thread, not what it calls
    }
  }
  assert.ok(seen.size > 6 && outside.has('pthread_sigmask'), 'passing a signal on is not among what the handlers call: the objects were misread');
  return outside;
}

const missing = missingTools([['gcc', 'g++'], ['objdump', 'binutils'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']]);
let directory = '';

if (missing) {
  console.log(`skipped: the tests of the handlers need ${missing}`);
} else {
  test.before(() => { directory = mkdtempSync(join(tmpdir(), 'wasm-aot-handlers-')); });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  test('the handlers call async-signal-safe functions only', async () => {
    const sections = join(directory, 'sections');
    mkdirSync(sections);
    const objects = await buildRuntime(sections, { ...NATIVE, runtimeFlags: ['-ffunction-sections', '-fno-pie', '-fPIC'] });
    const bad = [...outsideOf(objects)].filter((name) => !SAFE.includes(name) && !DATA.test(name));
    // Data of the runtime itself is named in other files' relocations; functions are what is wanted here.
    const own = execFileSync('nm', ['--defined-only', ...objects], { encoding: 'utf8' });
    const data = new Set([...own.matchAll(/^[0-9a-f]+ [bBdDrRcC] (\S+)$/gm)].map((match) => match[1]));
    assert.equal(bad.filter((name) => !data.has(name)), []);
    const undefinedNames = execFileSync('nm', ['-u', ...objects], { encoding: 'utf8' });
    assert.not.match(undefinedNames, /__tls_get_addr|_TLSDESC|tlsdesc/i, 'thread-local storage of the general-dynamic kind is allocated on first use');
  });

  test('nothing forbidden is called while handlers run', async () => {
    await buildPrograms(directory, { ...NATIVE, linkFlags: ['-Wl,--wrap=sigaction'] }, ['handlers_test']);
    const { status, signal, stdout, stderr } = spawnSync(join(directory, 'handlers_test'), [join(directory, 'guest.so')], { encoding: 'utf8', timeout: 60_000 });
    assert.is(status, 0, `ended with ${signal ?? status}\n${stdout}${stderr}`);
    assert.match(stdout, /^(ok .+\n)+$/);
  });
}

test.run();
