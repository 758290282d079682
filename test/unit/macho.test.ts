/**
 * Artifacts for macOS, as far as they can be judged on another system: what LLVM's own tools (not our reader) say of the linked library, and that the seal holds, also when
 * somebody signs the library anew.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { build } from '../../compiler/index.js';
import { locateTool } from '../../compiler/llvm/locate.js';
import { findTarget, resolveCpuFrom } from '../../compiler/llvm/target.js';
import { scan } from '../../compiler/scan.js';
import { readArtifact } from '../../loader/artifact.js';
import { ArtifactError, load } from '../../loader/index.js';
import { assemble } from '../loader/wat.js';

const TARGETS = ['x86_64-apple-darwin', 'arm64-apple-darwin'] as const;
const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-macho-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

const text = await assemble(`(module
  (import "env" "note" (func $note (param i32) (result i32)))
  (memory (export "memory") 1 4) (table 2 funcref) (elem (i32.const 0) $fib $sum) (data (i32.const 0) "some data")
  (type $t (func (param i32) (result i32)))
  (global (mut i64) (i64.const 3))
  (func $fib (export "fib") (param i32) (result i32) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func $sum (export "sum") (param i32) (result i32) (local i32) (loop (local.set 1 (i32.add (local.get 1) (i32.load (local.get 0))))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 4))))) (local.get 1))
  (func (export "indirect") (param i32 i32) (result i32) (call_indirect (type $t) (local.get 0) (local.get 1)))
  (func (export "switch") (param i32) (result i32) (block (block (block (block (block (br_table 0 1 2 3 4 (local.get 0))) (return (i32.const 100)))
    (return (call $note (i32.const 10)))) (return (i32.const 7))) (return (call $note (i32.const 20)))) (i32.const 30))
  (func (export "vector") (param i32) (result i32) (i32x4.extract_lane 1 (i32x4.mul (i32x4.splat (local.get 0)) (v128.const i32x4 1 2 3 4))))
  (func (export "float") (param f64) (result f64) (f64.floor (f64.mul (local.get 0) (f64.const 0.3)))))`);

/** Real modules, where the tests' packages are installed. */
const REAL = ['argon2-browser/dist/argon2-simd.wasm', 'source-map/lib/mappings.wasm'].map((name) => fileURLToPath(new URL(`../../../node_modules/${name}`, import.meta.url))).filter(existsSync);

function tool(name: string, ...args: string[]): string {
  const run = spawnSync(locateTool(name, 'llvm-22'), args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.is(run.status, 0, `${name} ${args.join(' ')}: ${run.stderr}`);
  return run.stdout;
}

let count = 0;
function write(bytes: Uint8Array): string {
  const path = join(folder, `${count++}.dylib`);
  writeFileSync(path, bytes);
  return path;
}

const built = new Map<string, Promise<Buffer>>();
function artifact(target: string): Promise<Buffer> {
  const made = built.get(target) ?? build(text, { target, name: 'some/text.wasm' }).then((result) => Buffer.from(result.artifact));
  built.set(target, made);
  return made;
}

/** The segments and their sections, as llvm-objdump prints them. */
function layout(path: string): { segments: { name: string; protection: string; flags: string }[]; sections: string[]; commands: string[]; headers: string } {
  const headers = tool('llvm-objdump', '--macho', '--private-headers', path);
  const segments = [...headers.matchAll(/segname (\S+)\n +vmaddr[\s\S]*?maxprot (\S+)\n initprot (\S+)\n +nsects \d+\n +flags (.*)/g)].map(([, name, , protection, flags]) => ({ name, protection, flags }));
  return {
    segments, headers,
    sections: [...headers.matchAll(/sectname (\S+)\n +segname (\S+)/g)].map(([, section, segment]) => `${segment},${section}`),
    commands: [...headers.matchAll(/^ +cmd (\S+)/gm)].map(([, command]) => command),
  };
}

function checkLibrary(path: string): void {
  const { segments, sections, commands, headers } = layout(path);
  assert.equal(segments.map((segment) => `${segment.name} ${segment.protection} ${segment.flags}`), ['__TEXT r-x (none)', '__DATA_CONST rw- SG_READ_ONLY', '__WASM_AOT r-- (none)', '__LINKEDIT r-- (none)']);
  assert.equal(sections.filter((name) => name.startsWith('__TEXT,')).sort(), ['__TEXT,__eh_frame', '__TEXT,__text', '__TEXT,__unwind_info'], 'nothing but code and its tables is executable');
  assert.ok(sections.includes('__DATA_CONST,__wasm_aot'));
  assert.not.match(sections.join(' '), /init|thread|__la_|__got/);
  assert.ok(['LC_DYLD_INFO_ONLY', 'LC_UUID', 'LC_BUILD_VERSION', 'LC_CODE_SIGNATURE'].every((command) => commands.includes(command)), commands.join(' '));
  assert.is(commands.filter((command) => command === 'LC_LOAD_DYLIB').length, 1);
  assert.match(headers, /name \/usr\/lib\/libSystem\.B\.dylib/);
  for (const table of ['bind_size', 'weak_bind_size', 'lazy_bind_size', 'nundefsym', 'nindirectsyms']) assert.match(headers, new RegExp(`\\b${table} 0\\n`), table);
  assert.is(tool('llvm-nm', '--undefined-only', path), '');
  assert.match(tool('llvm-nm', '--extern-only', path), /^[\da-f]+ S _waot_module\n$/);
  assert.match(tool('llvm-objdump', '--macho', '--exports-trie', path), /Exports trie:\n0x[\dA-F]+ +_waot_module\n$/);
}

/** By function: the operations of its DWARF frame description. The library's addresses are its symbols' values. */
function frames(path: string): Map<number, string> {
  const dump = tool('llvm-dwarfdump', '--eh-frame', path);
  return new Map([...dump.matchAll(/FDE cie=\S+ pc=([\da-f]+)\.\.\.[\s\S]*?\n\n/g)].map(([entry, pc]) => [Number.parseInt(pc, 16), [...entry.matchAll(/^ +(DW_CFA_(?!nop)[^\n]*)/gm)].map((op) => op[1].replace(/ to 0x.*/, '')).join('; ')]));
}

const symbols = (path: string): [string, number][] => [...tool('llvm-nm', path).matchAll(/^([\da-f]+) [tT] (.+)$/gm)].map(([, address, name]) => [name, Number.parseInt(address, 16)]);

for (const target of TARGETS) {
  test(`${target}: load commands, segments and symbols are those of an artifact`, async () => {
    checkLibrary(write(await artifact(target)));
  });

  test(`${target}: unwinders are sent to the DWARF tables, which describe every function`, async () => {
    const path = write(await artifact(target));
    const described = frames(path);
    const functions = symbols(path);
    assert.ok(functions.length >= 8);
    for (const [name, address] of functions) assert.ok(described.has(address), `${name} has no frame description`);
    const encodings = [...tool('llvm-objdump', '--macho', '--unwind-info', path).matchAll(/\]: function offset=\S+ encoding\[\d+\]=0x([\da-f]+)/g)].map(([, code]) => Number.parseInt(code, 16));
    assert.is(encodings.length, functions.length);
    for (const encoding of encodings) assert.is(encoding & 0x0f000000, target === 'x86_64-apple-darwin' ? 0x04000000 : 0x03000000, 'the mode that refers to DWARF');
  });

  test(`${target}: two builds give the same bytes; no path or name of this machine is in them`, async () => {
    const again = Buffer.from((await build(text, { target, name: 'some/text.wasm' })).artifact);
    assert.ok((await artifact(target)).equals(again));
    assert.not.ok(again.includes(tmpdir()) || again.includes('part-0'));
  });

  test(`${target}: code at all levels leaves the fuel register alone, in what is linked as well`, async () => {
    for (const bytes of [text, ...REAL.map((path) => readFileSync(path))]) {
      for (const optLevel of bytes === text ? [0, 1, 2] as const : [2] as const) {
        const { artifact: library } = await build(bytes, { target, optLevel });
        const path = write(library);
        checkLibrary(path);
        const report = await scan(library, { triple: target, cpu: findTarget(target).cpu ?? resolveCpuFrom('v3', '').cpu, features: '' });
        assert.equal(report.offences, []);
        assert.is(report.functions, symbols(path).length);
        assert.ok(report.charges >= report.functions / 2, `${report.charges} charges in ${report.functions} functions`);
      }
    }
  });

  test(`${target}: it is readable here, and refused with the reason by what would run it`, async () => {
    const path = write(await artifact(target));
    const { header, manifest } = readArtifact(path);
    assert.equal([header.os, header.arch, manifest.target.triple], ['darwin', findTarget(target).arch === 1 ? 'x86_64' : 'aarch64', target]);
    assert.throws(() => load(path), (error: unknown) => error instanceof ArtifactError && error.kind === 'target' && /made for macOS/.test(error.message));
  });

  test(`${target}: no byte before the signature, and no hash in it, can change`, async () => {
    const bytes = await artifact(target);
    const refused = (copy: Buffer, what: string) => assert.throws(() => readArtifact(write(copy)), (error: unknown) => error instanceof ArtifactError, what);
    for (let at = 0; at < bytes.length; at += at < 1200 ? 7 : 193) {
      const copy = Buffer.from(bytes);
      copy[at] ^= 1 << (at % 8);
      if (at < signatureAt(bytes).start + 8) refused(copy, `byte ${at}`);
    }
    for (let length = 0; length < bytes.length; length += length < 1200 ? 61 : 997) refused(bytes.subarray(0, length), `${length} bytes`);
    const last = Buffer.from(bytes);
    last[lastHash(bytes)] ^= 1;
    refused(last, 'the last hash');
    refused(Buffer.concat([bytes, Buffer.from('more')]), 'more bytes');
  });

  test(`${target}: signing it anew leaves it an artifact`, async () => {
    const bytes = resign(await artifact(target));
    assert.is(readArtifact(write(bytes)).manifest.target.triple, target);
    bytes[signatureAt(bytes).start - 1] ^= 1;
    assert.throws(() => readArtifact(write(bytes)), /hash/);
    const unhashed = resign(await artifact(target));
    unhashed[commandsOf(unhashed).get(0x19)?.at(-1) as number + 33] ^= 1; // a size that the seal does not cover
    assert.throws(() => readArtifact(write(unhashed)), /code signature/);
  });
}

test('x86_64-apple-darwin: the frame descriptions are those of the same code for Linux', async () => {
  const darwin = write(await artifact('x86_64-apple-darwin'));
  const linux = write((await build(text, { name: 'some/text.wasm' })).artifact);
  const byName = (path: string) => {
    const described = frames(path);
    return new Map(symbols(path).map(([name, address]) => [name.replace(/^_/, ''), described.get(address)]));
  };
  const [there, here] = [byName(darwin), byName(linux)];
  assert.ok(there.size >= 8);
  // Where a function's last instruction is no return, the rest of the padding is described or not; the rows are otherwise the same.
  for (const [name, rows] of there) assert.is(rows, here.get(name), name);
});

test('with -g as well, nothing names an object, and the code is that of the artifact without', async () => {
  for (const target of TARGETS) {
    const [plain, debug] = [await artifact(target), Buffer.from((await build(text, { target, debug: true, optLevel: 0 })).artifact)];
    checkLibrary(write(plain));
    const path = write(debug);
    checkLibrary(path);
    assert.not.ok(debug.includes('part-0') || debug.includes(tmpdir()));
    const disassemble = (file: string) => tool('llvm-objdump', '-d', '--no-show-raw-insn', '--no-leading-addr', file).replace(/^.*file format.*$/m, '');
    assert.is(disassemble(path), disassemble(write((await build(text, { target, optLevel: 0 })).artifact)));
    const again = Buffer.from((await build(text, { target, debug: true, optLevel: 0 })).artifact);
    assert.ok(again.equals(debug));
  }
});

/** Offsets of the load commands, by their number. */
function commandsOf(bytes: Buffer): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let i = 0, at = 32; i < bytes.readUInt32LE(16); i++, at += bytes.readUInt32LE(at + 4)) found.set(bytes.readUInt32LE(at), [...(found.get(bytes.readUInt32LE(at)) ?? []), at]);
  return found;
}

function signatureAt(bytes: Buffer): { command: number; start: number; size: number } {
  const [command] = commandsOf(bytes).get(0x1d) as number[];
  return { command, start: bytes.readUInt32LE(command + 8), size: bytes.readUInt32LE(command + 12) };
}

/** Offset of the last hash of a page in the signature as lld lays it out: one blob, whose hashes end it. */
function lastHash(bytes: Buffer): number {
  const { start } = signatureAt(bytes);
  const directory = start + bytes.readUInt32BE(start + 16);
  return directory + bytes.readUInt32BE(directory + 4) - 32;
}

/** What `codesign --force` does to a library, as far as the seal can see it: another signature of another size, and the places that state its size. */
function resign(bytes: Buffer): Buffer {
  const { command, start } = signatureAt(bytes);
  const pages = Math.ceil(start / 4096);
  const name = Buffer.from('com.example.signer\0');
  const directory = Buffer.alloc(48 + name.length);
  const length = directory.length + pages * 32;
  [0xfade0c02, length, 0x20100, 0x10000, directory.length, 48, 0, pages, start].forEach((value, i) => directory.writeUInt32BE(value, i * 4));
  Buffer.from([32, 2, 0, 12]).copy(directory, 36);
  name.copy(directory, 48);
  const head = Buffer.alloc(12 + 16);
  const wrapper = Buffer.alloc(8 + 6000, 0x5a); // the signer's certificate, say
  [0xfade0cc0, head.length + length + wrapper.length, 2, 0, head.length, 0x10000, head.length + length].forEach((value, i) => head.writeUInt32BE(value, i * 4));
  wrapper.writeUInt32BE(0xfade0b01, 0);
  wrapper.writeUInt32BE(wrapper.length, 4);
  const content = Buffer.from(bytes.subarray(0, start));
  const size = head.length + length + wrapper.length;
  content.writeUInt32LE(size, command + 12);
  const linkedit = (commandsOf(content).get(0x19) as number[]).find((at) => content.toString('latin1', at + 8, at + 18) === '__LINKEDIT') as number;
  const filesize = BigInt(start + size) - content.readBigUInt64LE(linkedit + 40);
  content.writeBigUInt64LE(filesize, linkedit + 48);
  content.writeBigUInt64LE(((filesize + 0x3fffn) / 0x4000n) * 0x4000n, linkedit + 32);
  const hashes = Array.from({ length: pages }, (_, page) => createHash('sha256').update(content.subarray(page * 4096, (page + 1) * 4096)).digest());
  return Buffer.concat([content, head, directory, ...hashes, wrapper]);
}

test.run();
