/**
 * The runtime for macOS, as far as a machine without macOS can judge it: all of it compiles for both targets against declarations of our own (test/darwin/README.md), links with no
 * symbol missing, and Node's addon with it; the trampolines have frames exact at every instruction; and the reader of Mach-O artifacts, which is compiled everywhere, is run on real ones.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { locateTool } from '../../compiler/llvm/locate.js';
import { readArtifactFile } from '../../loader/artifact.js';
import { readSymbols, type Symbols } from '../../loader/symbols.js';
import { assemble } from '../loader/wat.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const RUNTIME = join(ROOT, 'runtime-c');
const DARWIN = join(ROOT, 'test', 'darwin');
const TARGETS = [{ triple: 'x86_64-apple-macos11', arch: 'x86_64', trampolines: 'enter_x64.S' }, { triple: 'arm64-apple-macos11', arch: 'arm64', trampolines: 'enter_arm64.S' }] as const;
const FLAGS = ['-nostdlibinc', '-isystem', join(DARWIN, 'include'), `-I${RUNTIME}`, `-I${join(RUNTIME, 'include')}`, '-std=gnu11', '-O2', '-fvisibility=hidden', '-fexceptions',
  '-fasynchronous-unwind-tables', '-Wall', '-Wextra', '-Werror'];
/** What the compiler brings along on a Mac, in its own library. */
const COMPILER_RT = 'struct { unsigned vendor, type, subtype, features[1]; } __cpu_model;\n';

const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-darwin-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

function run(program: string, args: readonly string[], expected = 0): string {
  const { status, signal, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 27, timeout: 120_000 });
  assert.is(status, expected, `${basename(program)} ${args.slice(-4).join(' ')}: ${signal ?? status}\n${stdout.slice(0, 4000)}${stderr.slice(0, 4000)}`);
  return stdout;
}
const tool = (name: string, ...args: string[]): string => run(locateTool(name, 'clang-22 lld-22 llvm-22'), args);
const allSources = readdirSync(RUNTIME).filter((name) => /\.[cS]$/.test(name));
const sources = allSources.filter((name) => !name.startsWith('addon'));
const addonSources = allSources.filter((name) => name.startsWith('addon') || name === 'sha256.c');

/** Node-API's headers, where node-gyp found them when it built the addon that these tests run with: they are the same on all systems. Undefined when they are gone. */
function findNodeHeaders(): string | undefined {
  const config = JSON.parse(readFileSync(join(ROOT, 'build/config.gypi'), 'utf8').replace(/^#.*$/gm, '')) as { variables: { nodedir: string } };
  return ['include/node', 'src'].map((path) => join(config.variables.nodedir, path)).find((path) => existsSync(join(path, 'node_api.h')));
}
const nodeHeaders = findNodeHeaders();
if (!nodeHeaders) console.log('skipped: the addon for macOS needs the headers of Node-API, which are no longer where build/config.gypi has them');

for (const { triple, arch, trampolines } of TARGETS) {
  const objects = join(folder, arch);
  const object = (source: string) => join(objects, `${source}.o`);

  test(`${triple}: all of the runtime compiles, without a warning`, () => {
    mkdirSync(objects);
    for (const source of sources) tool('clang', `--target=${triple}`, ...FLAGS, '-c', join(RUNTIME, source), '-o', object(source));
    assert.ok(sources.length > 25 && sources.includes('os_darwin.c'));
  });

  test(`${triple}: it links, and exports the public functions only`, () => {
    const compilerRt = join(folder, `compiler-rt-${arch}.c`);
    writeFileSync(compilerRt, COMPILER_RT);
    tool('clang', `--target=${triple}`, '-fvisibility=hidden', '-c', compilerRt, '-o', object('compiler-rt.c'));
    const library = join(folder, `libwasm_aot.${arch}.dylib`);
    tool('ld64.lld', '-arch', arch, '-dylib', '-platform_version', 'macos', '11.0', '11.0', '-undefined', 'error', '-o', library, ...[...sources, 'compiler-rt.c'].map(object), join(DARWIN, 'libSystem.tbd'));
    const exported = tool('llvm-nm', '--extern-only', '--defined-only', '--format=just-symbols', library).split('\n').filter(Boolean);
    assert.ok(exported.includes('_waot_init') && exported.includes('_waot_call') && exported.includes('_waot_artifact_open'));
    assert.equal(exported.filter((name) => !/^_waot_/.test(name)), []);
    for (const internal of ['_waot_landing', '_waot_enter', '_waot_thread_slot']) assert.not.ok(exported.includes(internal), internal);
    // Variables of threads would be allocated by dyld on first use, in a signal handler perhaps.
    assert.not.match(tool('llvm-objdump', '--section-headers', library), /__thread/);
  });

  (nodeHeaders ? test : test.skip)(`${triple}: the addon compiles, without a warning, and needs nothing but Node-API, the runtime and the C library`, () => {
    for (const source of addonSources) tool('clang', `--target=${triple}`, ...FLAGS, '-DNAPI_VERSION=8', '-isystem', nodeHeaders as string, '-c', join(RUNTIME, source), '-o', object(source));
    assert.ok(addonSources.length > 8 && addonSources.includes('addon_call.c'));
    // As node-gyp links addons on a Mac: what is not found is looked for in the process. That must be Node's alone.
    const [addon, library] = ['addon', 'libwasm_aot'].map((name) => join(folder, `${name}.${arch}.dylib`));
    tool('ld64.lld', '-arch', arch, '-bundle', '-platform_version', 'macos', '11.0', '11.0', '-undefined', 'dynamic_lookup', '-o', addon, ...addonSources.map(object), library, join(DARWIN, 'libSystem.tbd'));
    const wanted = [...tool('llvm-objdump', '--macho', '--bind', '--lazy-bind', addon).matchAll(/ (flat-namespace|libwasm_aot\S*|libSystem\S*) +(_\w+)/g)];
    const from = (place: RegExp) => [...new Set(wanted.filter(([, library]) => place.test(library)).map(([, , name]) => name))];
    assert.ok(from(/flat/).length > 30 && from(/^libwasm_aot/).length > 30);
    assert.equal(from(/flat/).filter((name) => !/^_(napi|node_api)_/.test(name)), []);
    assert.equal(from(/^libwasm_aot/).filter((name) => !/^_waot_/.test(name)), []);
    assert.match(tool('llvm-nm', '--extern-only', '--defined-only', addon), /_napi_register_module_v1/);
    assert.not.match(tool('llvm-objdump', '--section-headers', addon), /__thread/);
  });

  test(`${triple}: every function of the trampolines has a frame description, which unwinders are sent to`, () => {
    const functions = [...tool('llvm-nm', '--defined-only', object(trampolines)).matchAll(/^[\da-f]+ T (_waot_\w+)$/gm)].map(([, name]) => name).filter((name) => !/_(landing|refused)$/.test(name));
    assert.is(functions.length, 24);
    const dump = tool('llvm-dwarfdump', '--eh-frame', object(trampolines));
    const entries = [...dump.matchAll(/FDE cie=\S+ pc=([\da-f]+)\.\.\.([\da-f]+)\n([\s\S]*?)(?=\n\n[\da-f]{8} |$)/g)];
    assert.ok(entries.length >= functions.length - 3, `${entries.length} descriptions`);
    assert.match(dump, /Augmentation: +"zPR"/); // waot_enter's personality
    const [enter] = entries.filter(([, , , rows]) => /DW_CFA_offset: (R12|W28) /.test(rows) && /R15|W27/.test(rows)).sort((a, b) => b[3].length - a[3].length);
    assert.ok(enter, 'waot_enter has no description');
    const saved = arch === 'x86_64' ? ['RBP', 'RBX', 'R12', 'R13', 'R14', 'R15'] : ['W29', 'W30', 'W19', 'W27', 'W28'];
    for (const register of saved) {
      assert.match(enter[3], new RegExp(`DW_CFA_offset: ${register} `), register);
      assert.match(enter[3], new RegExp(`DW_CFA_restore: ${register}\\b`), register);
    }
    assert.match(enter[3], /DW_CFA_remember_state[\s\S]*DW_CFA_restore_state/);
    // A compact description holds in the body of a function only; those functions that move the stack must not have one.
    const compact = [...tool('llvm-objdump', '--macho', '--unwind-info', object(trampolines)).matchAll(/start: +0x[\da-f]+ (\S+)\n[\s\S]*?compact encoding: +0x([\da-f]+)/g)];
    for (const [, name, code] of compact) {
      const moves = !/_(refuse|data_drop|elem_drop|extern_convert_any)$/.test(name);
      if (moves) assert.is(Number.parseInt(code, 16) & 0x0f000000, arch === 'x86_64' ? 0x04000000 : 0x03000000, `${name} has a compact description`);
    }
  });

  test(`${triple}: the trampolines are those of Linux, instruction by instruction, but for how the thread's record is found`, () => {
    const linux = object('linux');
    tool('clang', `--target=${arch === 'arm64' ? 'aarch64' : arch}-unknown-linux-gnu`, `-I${RUNTIME}`, '-c', join(RUNTIME, trampolines), '-o', linux);
    const mnemonics = (file: string) => tool('llvm-objdump', '-d', '--no-show-raw-insn', '--no-leading-addr', file).split('\n').filter((line) => /^\t|^ +\t/.test(line)).map((line) => line.trim().split(/\s/)[0]);
    // Where a symbol is, and jumps to symbols near by, are encoded in different lengths: kinds of instruction are compared.
    const plain = (file: string) => mnemonics(file).filter((name) => !/^(nop\w*|mrs|and|adrp|ldr|movq|data16|cs)$/.test(name));
    assert.equal(plain(object(trampolines)), plain(linux));
  });
}

const MODULE = `(module (import "env" "note" (func $note (param i32) (result i32))) (memory (export "memory") 1) (data (i32.const 0) "data")
  (func $fib (export "fib") (param i32) (result i32) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (call $note (local.get 0)))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2))))))))`;

for (const [target, machine] of [['x86_64-apple-darwin', process.arch === 'x64'], ['arm64-apple-darwin', process.arch === 'arm64']] as const) {
  test(`${target}: the runtime's reader ${machine ? 'accepts artifacts, finds their functions, and refuses each damaged one' : 'says that an artifact is for another machine'}`, async () => {
    const reader = join(folder, 'reader');
    run('gcc', ['-std=gnu11', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all', `-I${RUNTIME}`, `-I${join(RUNTIME, 'include')}`, join(DARWIN, 'reader.c'),
      ...['macho.c', 'object_reader.c', 'unwind_table.c', 'sha256.c', 'error.c', 'frame_table.c'].map((name) => join(RUNTIME, name)), '-o', reader]);
    const path = join(folder, `${target}.dylib`);
    writeFileSync(path, (await build(await assemble(MODULE), { target, debug: true })).artifact);
    if (!machine) {
      assert.match(run(reader, [path], 1), /made for another architecture/);
      return;
    }
    const found = run(reader, [path]);
    assert.match(found, new RegExp(`"triple":"${target}"`));
    const functions = [...found.matchAll(/^function 0x([\da-f]+)$/gm)].map(([, address]) => Number.parseInt(address, 16));
    const symbols = [...tool('llvm-nm', path).matchAll(/^([\da-f]+) t /gm)].map(([, address]) => Number.parseInt(address, 16)).sort((a, b) => a - b);
    assert.equal(functions, symbols);
    const [, start, size] = /^text 0x([\da-f]+) 0x([\da-f]+)$/m.exec(found) as RegExpExecArray;
    assert.is(Number.parseInt(start, 16), symbols[0]);
    assert.ok(Number.parseInt(size, 16) > 32);
    // The frame table as the loader reads it.
    const { frames, functionAt } = readSymbols(readArtifactFile(path)) as Symbols;
    const places = [...found.matchAll(/^at 0x([\da-f]+):(.*)$/gm)];
    for (const [, address, text] of places) assert.is(text, frames.find(Number.parseInt(address, 16)).map(({ name, line }, i, { length }) => ` ${name - 1}+${line || functionAt(name - 1)?.offset}${i < length - 1 ? ' <' : ''}`).join(''), address);
    assert.is(places.length, Number.parseInt(size, 16));
    assert.ok(new Set(places.map(([, , text]) => text)).size > 4);
    run(reader, [path, '97']);
  });
}

test('the runtime\'s reader says of a file for Linux that it is one', async () => {
  const path = join(folder, 'linux.so');
  writeFileSync(path, (await build(await assemble(MODULE))).artifact);
  assert.match(run(join(folder, 'reader'), [path], 1), /made for Linux, not for macOS/);
});

test.run();
