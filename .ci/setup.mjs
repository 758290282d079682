/**
 * Everything that a clone needs before it can run or test: Debian packages, npm packages, the native code, the compiled TypeScript. Each step runs only when it is
 * out of date, so that a second run costs next to nothing. Uses nothing but Node: it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNodeDir } from './native.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** sysexits(3) EX_UNAVAILABLE. */
const UNAVAILABLE = 69;

/** Debian packages, and what each is for. */
const PACKAGES = {
  'g++': 'compiling the addons', make: 'compiling the addons', cmake: 'compiling llvm-bindings', python3: 'node-gyp',
  'llvm-14-dev': 'llvm-bindings', 'zlib1g-dev': 'llvm-bindings', 'llvm-22-dev': 'the code generator', 'lld-22': 'linking artifacts',
  'clang-22': 'the C programs of the tests', 'wasi-libc': 'the C programs of the tests', 'libclang-rt-22-dev-wasm32': 'the C programs of the tests',
};

/** What is only of use. */
const OPTIONAL_PACKAGES = { libjemalloc2: 'compiling faster' };

/** With `--tests`: what some tests need, which are skipped without it. */
const TEST_PACKAGES = {
  'gcc-aarch64-linux-gnu': 'the AArch64 tests', 'g++-aarch64-linux-gnu': 'the AArch64 tests', 'libc6-dev-arm64-cross': 'the AArch64 tests', 'qemu-user': 'the AArch64 tests',
  'libunwind-dev': 'the unwinding tests', gdb: 'the unwinding tests', 'linux-perf': 'the unwinding tests',
};

const say = (text) => console.log(`wasm-aot: ${text}`);

function fail(text, status = 1) {
  console.error(`wasm-aot: ${text}`);
  process.exit(status);
}

function run(command, args, options = {}) {
  const started = Date.now();
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (status !== 0) fail(`${[command, ...args].join(' ')} failed${error ? `: ${error.message}` : ''}`, status || 1);
  say(`done in ${Math.round((Date.now() - started) / 1000)} s`);
}

function missingPackages(packages) {
  const names = Object.keys(packages);
  const query = spawnSync('dpkg-query', ['-W', '-f=${Package} ${db:Status-Status}\n', ...names], { encoding: 'utf8' });
  if (query.error) {
    say(`this is not Debian; it needs what these Debian packages hold: ${names.join(' ')}`);
    return [];
  }
  const installed = new Set(query.stdout.split('\n').filter((line) => line.endsWith(' installed')).map((line) => line.split(' ')[0]));
  return names.filter((name) => !installed.has(name));
}

/** Installs what is missing; without root, says what to install, and goes on only if it is optional. */
function installPackages(packages, optional) {
  const missing = missingPackages(packages);
  if (missing.length === 0) return;
  say(`these Debian packages are missing${optional ? '; what they are for goes without' : ''}:`);
  for (const name of missing) say(`  ${name.padEnd(28)} ${packages[name]}`);
  if (process.getuid?.() !== 0) {
    console.error(`wasm-aot: install them${optional ? '' : ' and try again'}:\n\n    sudo apt-get update && sudo apt-get install -y ${missing.join(' ')}\n`);
    if (optional) return;
    process.exit(UNAVAILABLE);
  }
  say('installing them with apt-get');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  run('apt-get', ['update', '-q'], { env });
  // One that this distribution does not have (Ubuntu calls linux-perf otherwise) must not keep the others out.
  const known = missing.filter((name) => !optional || spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0);
  for (const name of missing) if (!known.includes(name)) say(`this distribution has no package ${name}; ${packages[name]} go without it`);
  if (known.length > 0) run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...known], { env });
}

/** The newest modification time below some paths, in milliseconds; 0 when there is nothing. */
function newest(paths, wanted) {
  let latest = 0;
  for (const path of paths) {
    const found = statSync(join(ROOT, path), { throwIfNoEntry: false });
    if (!found) continue;
    if (!found.isDirectory()) {
      if (wanted.test(path)) latest = Math.max(latest, found.mtimeMs);
      continue;
    }
    latest = Math.max(latest, newest(readdirSync(join(ROOT, path)).filter((name) => name !== 'node_modules').map((name) => join(path, name)), wanted));
  }
  return latest;
}

/**
 * Does a step if a source is newer than its last run, or an output is missing. The stamp lies with the outputs, so that whoever deletes them deletes it too, and its
 * time is that of the step's beginning: what is edited meanwhile counts as newer.
 */
function step({ stamp, sources, wanted, outputs, work }) {
  const path = join(ROOT, stamp);
  const done = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (done > newest(sources, wanted) && outputs.every((output) => existsSync(join(ROOT, output)))) return;
  const started = new Date();
  work();
  const missing = outputs.filter((output) => !existsSync(join(ROOT, output)));
  if (missing.length > 0) fail(`${missing.join(', ')} should be there now, and is not`);
  writeFileSync(path, '');
  utimesSync(path, started, started);
}

/** What npm must know: the cores; the headers of this Node, which some packages would otherwise download; our own install script is left to the next step, with a message of its own. */
function npmEnvironment() {
  const nodeDir = process.env.npm_config_nodedir ?? findNodeDir();
  const jobs = String(availableParallelism());
  return { ...process.env, WASM_AOT_SKIP_NATIVE: '1', JOBS: jobs, CMAKE_BUILD_PARALLEL_LEVEL: jobs, ...(nodeDir && { npm_config_nodedir: nodeDir }) };
}

/** Packages that npm compiles, those that others need first. An install that was interrupted leaves them unbuilt, and the next one does not notice. */
const COMPILED = ['@2060.io/ref-napi', 'ffi-napi', 'llvm-bindings'];

function installNpmPackages() {
  say('installing npm packages; llvm-bindings is compiled, which takes some minutes');
  // All kinds of dependency, whatever NODE_ENV or a user's .npmrc says; the lock file stays as it is.
  run('npm', ['install', '--no-save', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--foreground-scripts'], { env: npmEnvironment() });
  const broken = COMPILED.filter((name) => spawnSync(process.execPath, ['-e', `require('${name}')`], { cwd: ROOT, stdio: 'ignore' }).status !== 0);
  if (broken.length === 0) return;
  say(`compiling ${broken.join(', ')}`);
  run('npm', ['rebuild', '--foreground-scripts', ...broken], { env: npmEnvironment() });
}

if (Number(process.versions.node.split('.')[0]) < 20) fail(`Node.js 20 or newer is needed; this is ${process.version}`, UNAVAILABLE);
installPackages(PACKAGES, false);
installPackages({ ...OPTIONAL_PACKAGES, ...(process.argv.includes('--tests') ? TEST_PACKAGES : {}) }, true);
step({
  stamp: 'node_modules/.wasm-aot-npm', sources: ['package-lock.json'], wanted: /./,
  outputs: ['node_modules/llvm-bindings/build/Release/llvm-bindings.node', 'node_modules/typescript/bin/tsc'],
  work: installNpmPackages,
});
step({
  stamp: 'build/.wasm-aot-native', sources: ['binding.gyp', '.ci/native.mjs', 'runtime-c', 'compiler/llvm/codegen'], wanted: /(\.(c|cc|h|S|mjs)|binding\.gyp)$/,
  outputs: ['build/Release/addon.node', 'build/Release/codegen.node', 'build/Release/libwasm_aot.so'],
  work: () => run(process.execPath, ['.ci/native.mjs']),
});
step({
  stamp: 'dist/.wasm-aot-tsc', sources: ['tsconfig.json', 'compiler', 'loader', 'runtime-c', 'examples', 'test'], wanted: /(\.ts|tsconfig\.json)$/,
  outputs: ['dist/compiler/cli.js', 'dist/test/run.js'],
  work: () => {
    say('compiling TypeScript');
    run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']);
  },
});
