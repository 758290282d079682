/** What `wasm-aot run FILE.wasm` loads: when the artifact is in the cache, no part of the compiler; when it is not, nothing that the cache's note of the compiler does not name. */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFolder, putText, scratch, wasmAot } from './command.js';

const DIST = fileURLToPath(new URL('../../', import.meta.url));
const HOOK = new URL('module-log.js', import.meta.url).href;
const cache = makeFolder('warm');
const wasm = await putText('command', '(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (memory (export "memory") 1) (func (export "_start") (drop (call 0))))');

/** Runs a command of that name. Returns the modules of ours that it and its children load, relative to the compiled sources. */
async function modulesOf(name: string, args: readonly string[]): Promise<string[]> {
  const log = join(scratch, `${name}.log`);
  const register = `data:text/javascript,${encodeURIComponent(`import { register } from 'node:module'; register(${JSON.stringify(HOOK)});`)}`;
  const { status, stdout, stderr } = await wasmAot(['run', ...args], { env: { XDG_CACHE_HOME: cache, MODULE_LOG: log, NODE_OPTIONS: `--import ${register}` } });
  assert.equal([status, stdout, stderr], [0, '', '']);
  const files = readFileSync(log, 'utf8').split('\n').filter((url) => url.startsWith('file:')).map((url) => relative(DIST, fileURLToPath(url)));
  return [...new Set(files)].sort();
}

test('a first run compiles: each module that has a part in it is in the note of the compiler', async () => {
  const modules = await modulesOf('cold', [wasm]);
  assert.ok(modules.includes('compiler/emit/module.js') || modules.includes('compiler/emit/function.js'), modules.join(' '));
  const { names } = JSON.parse(readFileSync(join(cache, 'wasm-aot', 'compiler.json'), 'utf8')) as { names: string[] };
  const noted = new Set(names.map((name) => relative(DIST, join(DIST, 'compiler', name))));
  assert.equal(modules.filter((name) => !noted.has(name) && !/^compiler\/cli(\.js$|\/)/.test(name)), []);
});

test('a second run loads no more of the compiler than finds the artifact, and nothing that only messages and other formats need', async () => {
  const modules = await modulesOf('warm', [wasm]);
  const command = ['compiler/cache.js', 'compiler/cli.js', ...['arguments', 'flags', 'run', 'wasi'].map((name) => `compiler/cli/${name}.js`), 'compiler/diagnostics.js', 'compiler/options.js'];
  assert.equal(modules.filter((name) => name.startsWith('compiler/')), command);
  const unused = ['artifact', 'elf', 'elf-sections', 'library', 'macho', 'notes', 'place-table', 'raw', 'symbols'].map((name) => `loader/${name}.js`);
  assert.equal(modules.filter((name) => unused.includes(name)), []);
  assert.ok(modules.includes('loader/module.js'));
});

test.run();
