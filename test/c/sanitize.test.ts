/** The C tests again, with the runtime built for AddressSanitizer and UndefinedBehaviorSanitizer: the first report ends the program, and the test. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ASAN_OPTIONS, PROGRAMS, SANITIZED, buildPrograms, hasSanitizers, missingTools, runtimeSources } from './build.js';

const TIMEOUT_MS = 120_000;
/** Programs in which something is left behind on purpose: by threads and child processes that end in the middle of a host function. */
const LEAVES_MEMORY = ['exception_test', 'foreign_test'];
/** What AddressSanitizer itself cannot do: its allocator's locks, unlike the runtime's and libc's, stay taken in the child when another thread of the parent was in malloc. */
const SKIPPED = ['fork while other threads hold locks'];

const missing = missingTools([['gcc', 'g++'], ['g++', 'g++'], ['clang-22', 'clang-22'], ['ld.lld-22', 'lld-22']]);
let directory = '';

if (missing || !hasSanitizers()) {
  console.log(`skipped: the sanitizer tests need ${missing ?? "gcc's libasan and libubsan"}`);
} else {
  test.before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'wasm-aot-sanitize-'));
    await buildPrograms(directory, SANITIZED);
  });
  test.after(() => rmSync(directory, { recursive: true, force: true }));

  for (const name of PROGRAMS) {
    test(`${name.replace('_', ' ')} under sanitizers`, () => {
      const env = {
        ...process.env,
        ASAN_OPTIONS: `${ASAN_OPTIONS}:detect_leaks=${LEAVES_MEMORY.includes(name) ? 0 : 1}`,
        UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
        WAOT_TEST_SKIP: SKIPPED.join(';'),
      };
      const { status, signal, stdout, stderr } = spawnSync(join(directory, name), [join(directory, 'guest.so')], { encoding: 'utf8', timeout: TIMEOUT_MS, env });
      assert.is(status, 0, `${name} ended with ${signal ?? status}\n${stdout}${stderr}`);
      assert.match(stdout, /^(ok .+\n)+$/);
      assert.not.match(stderr, /ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:/);
    });
  }

  test('the sanitizers would say', () => {
    // Memory that a call through the public API reads past its end: a path that is not terminated.
    const source = '#include "wasm_aot.h"\n#include <stdlib.h>\n#include <string.h>\nint main(void) { char *path = malloc(4); memcpy(path, "/abc", 4); waot_error e; return waot_artifact_verify(path, &e); }\n';
    const file = join(directory, 'overread');
    const built = spawnSync('sh', ['-c', `gcc -fsanitize=address,undefined -I '${join(runtimeSources, 'include')}' -x c - -x none '${directory}'/*.c.o '${directory}'/*.S.o -o '${file}' -pthread -ldl -lm`], { input: source, encoding: 'utf8' });
    assert.is(built.status, 0, built.stderr);
    const { stderr } = spawnSync(file, { encoding: 'utf8', env: { ...process.env, ASAN_OPTIONS } });
    assert.match(stderr, /AddressSanitizer: heap-buffer-overflow/);
  });
}

test.run();
