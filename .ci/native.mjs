/**
 * Builds the native code with node-gyp: package.json's `install` script, and a step of setup.mjs. Needs nothing but Node and node-gyp.
 *
 * `--llvm-config` and `--sources DIR PATTERN` answer questions of binding.gyp instead.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Path of LLVM 22's llvm-config, or undefined: where Debian puts it, else on the PATH. The headers must be there too, for the runtime package alone has none. */
export function findLlvmConfig() {
  const candidates = [
    '/usr/lib/llvm-22/bin/llvm-config',
    ...(process.env.PATH ?? '').split(delimiter).flatMap((dir) => [join(dir, 'llvm-config-22'), join(dir, 'llvm-config')]),
  ];
  return candidates.find((path) => {
    if (!existsSync(path)) return false;
    const run = spawnSync(path, ['--version', '--includedir'], { encoding: 'utf8' });
    const [version, includes] = (run.stdout ?? '').split('\n');
    return run.status === 0 && version.startsWith('22.') && existsSync(join(includes, 'llvm-c', 'Core.h'));
  });
}

/** The prefix whose include/node holds the headers of this very Node, or undefined; node-gyp would otherwise download them. */
export function findNodeDir() {
  const prefix = dirname(dirname(process.execPath));
  const header = join(prefix, 'include', 'node', 'node_version.h');
  if (!existsSync(header) || !existsSync(join(prefix, 'include', 'node', 'node_api.h'))) return undefined;
  const text = readFileSync(header, 'utf8');
  const [major, minor] = ['MAJOR', 'MINOR'].map((part) => text.match(new RegExp(`define NODE_${part}_VERSION (\\d+)`))?.[1]);
  return process.version.startsWith(`v${major}.${minor}.`) ? prefix : undefined;
}

/** The command line of node-gyp: the package's own, as a dependency or hoisted. */
function findNodeGyp() {
  return join(dirname(createRequire(import.meta.url).resolve('node-gyp/package.json')), 'bin', 'node-gyp.js');
}

/** Configures and builds what is out of date. Returns node-gyp's exit status. */
export function buildNative() {
  const llvm = findLlvmConfig();
  console.log(`wasm-aot: building the runtime and its addon${llvm ? ' and the LLVM 22 codegen addon' : ''} with node-gyp`);
  if (!llvm) console.log('wasm-aot: no LLVM 22 here: artifacts can be loaded and run, but not compiled (to compile: apt-get install llvm-22-dev lld-22)');
  const nodeDir = process.env.npm_config_nodedir ? undefined : findNodeDir();
  const args = ['configure', 'build', '--silent', ...(nodeDir ? [`--nodedir=${nodeDir}`] : [])];
  const run = spawnSync(process.execPath, [findNodeGyp(), ...args], { cwd: ROOT, stdio: 'inherit', env: { ...process.env, MAKEFLAGS: process.env.MAKEFLAGS ?? `-j${availableParallelism()}` } });
  if (run.status !== 0) console.error('wasm-aot: the native build failed; it needs gcc, make and python3 (apt-get install g++ make python3)');
  return run.status ?? 1;
}

/** Answers a question of binding.gyp, or builds; unless setup.mjs, which has a step of its own for this, runs npm. */
function main(question, directory, pattern) {
  if (question === '--llvm-config') {
    console.log(findLlvmConfig() ?? '');
  } else if (question === '--sources') {
    const names = readdirSync(join(ROOT, directory)).filter((name) => new RegExp(pattern).test(name));
    console.log(names.sort().map((name) => `${directory}/${name}`).join('\n'));
  } else if (process.env.WASM_AOT_SKIP_NATIVE !== '1') {
    process.exitCode = buildNative();
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main(...process.argv.slice(2));
