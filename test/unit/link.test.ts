/** Linking, sealing and writing of artifacts. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DESCRIPTOR_STRUCTS, NOTE_NAME, layoutStruct } from '../../runtime-c/abi.js';
import { CompileError } from '../../compiler/diagnostics.js';
import { linkObjects, sealArtifact, writeArtifact } from '../../compiler/link.js';
import { compile } from '../../compiler/llvm/codegen.js';

const [HEADER] = DESCRIPTOR_STRUCTS.filter((row) => row.name === 'note_header').map(layoutStruct);

/** An object with a descriptor and notes: each given as name, type, descriptor. */
async function makeObject(notes: readonly (readonly [string, number, Buffer])[], extra = ''): Promise<Buffer> {
  const bytes = Buffer.concat(notes.map(([name, type, desc]) => {
    const head = Buffer.alloc(12 + Math.ceil((name.length + 1) / 4) * 4);
    head.writeUInt32LE(name.length + 1, 0);
    head.writeUInt32LE(desc.length, 4);
    head.writeUInt32LE(type, 8);
    head.write(name, 12);
    return Buffer.concat([head, desc, Buffer.alloc((4 - (desc.length % 4)) % 4)]);
  }));
  const literal = [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('');
  const note = bytes.length === 0 ? '' : `@note = private constant [${bytes.length} x i8] c"${literal}", section ".note.test", align 4\n@llvm.used = appending global [1 x ptr] [ptr @note]`;
  const ir = `@waot_module = constant i32 7\ndefine void @f() { ret void }\n${note}\n${extra}`;
  return (await compile(Buffer.from(ir), { triple: 'x86_64-unknown-linux-gnu', cpu: 'x86-64', features: '', prelude: '', optLevel: 0, emit: 'obj' })).output;
}

const headerNote = [NOTE_NAME, 1, Buffer.alloc(HEADER.size, 0xaa)] as const;
const manifestNote = [NOTE_NAME, 2, Buffer.from('{"odd":1}')] as const;
const link = (...objects: Buffer[]) => linkObjects(objects, { soname: 'x.so' });

async function failure(promise: Promise<unknown>): Promise<CompileError> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason);
  assert.instance(error, CompileError);
  return error as CompileError;
}

/** Runs with these environment variables. */
async function withEnvironment<T>(variables: Record<string, string>, run: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    return await run();
  } finally {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'wasm-aot-test-'));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('links parts into a shared object, the same each time', async () => {
  const parts = [await makeObject([headerNote]), (await compile(Buffer.from('define void @g() { ret void }'), {
    triple: 'x86_64-unknown-linux-gnu', cpu: 'x86-64', features: '', prelude: '', optLevel: 0, emit: 'obj' })).output];
  const first = Buffer.from(await link(...parts));
  assert.is(first.readUInt16LE(16), 3); // ET_DYN
  assert.ok(first.includes('waot_module\0') && first.includes('x.so\0'));
  assert.not.ok(first.includes(`${tmpdir()}/`));
  assert.ok(first.equals(Buffer.from(await link(...parts))));
});

test('an undefined symbol is an error that names it, and the temporary directory goes', async () => {
  await inDirectory(async (directory) => {
    const object = await makeObject([], 'declare void @missing()\ndefine void @h() { call void @missing()\n ret void }');
    const error = await withEnvironment({ TMPDIR: directory }, () => failure(link(object)));
    assert.is(error.errors[0].kind, 'internal');
    assert.match(error.message, 'missing');
    assert.equal(readdirSync(directory), []);
    await withEnvironment({ TMPDIR: directory }, async () => await link(await makeObject([])));
    assert.equal(readdirSync(directory), []);
  });
});

test('no room for temporary files is an output error', async () => {
  const object = await makeObject([]);
  const error = await withEnvironment({ TMPDIR: '/nonexistent' }, () => failure(link(object)));
  assert.is(error.errors[0].kind, 'output');
});

test('sealing writes size and hash', async () => {
  const linked = Buffer.from(await link(await makeObject([['other', 1, Buffer.from('xyz')], manifestNote, headerNote])));
  const sealed = Buffer.from(sealArtifact(linked));
  const at = linked.indexOf(Buffer.alloc(HEADER.size, 0xaa));
  assert.ok(at > 0);
  assert.is(sealed.readBigUInt64LE(at + HEADER.offsets.file_size), BigInt(linked.length));
  const hash = sealed.subarray(at + HEADER.offsets.hash0, at + HEADER.offsets.hash0 + 32);
  const zeroed = Buffer.from(sealed);
  zeroed.fill(0, at + HEADER.offsets.hash0, at + HEADER.offsets.hash0 + 32);
  assert.is(hash.toString('hex'), createHash('sha256').update(zeroed).digest('hex'));
  assert.is(sealed.readUInt32LE(at), 0xaaaaaaaa); // the rest is as it was
  assert.ok(sealed.equals(Buffer.from(sealArtifact(sealed))));
});

test('sealing refuses files without exactly one header note', async () => {
  const throws = (bytes: Uint8Array, pattern: RegExp) => assert.throws(() => sealArtifact(bytes), pattern);
  throws(new Uint8Array(0), /not a 64-bit/);
  throws(await link(await makeObject([manifestNote])), /no header note/);
  throws(await link(await makeObject([headerNote, headerNote])), /two header notes/);
  throws(await link(await makeObject([[NOTE_NAME, 1, Buffer.alloc(8)]])), /wrong size/);
  const good = Buffer.from(await link(await makeObject([headerNote])));
  for (let length = 64; length < good.length; length += 97) {
    try {
      sealArtifact(good.subarray(0, length));
    } catch (error) {
      assert.instance(error, CompileError);
    }
  }
  const far = Buffer.from(good);
  far.writeBigUInt64LE(0xffff_ffff_ffff_0000n, 32);
  throws(far, /out of bounds/);
});

test('writing replaces the file in one step and leaves nothing beside it', async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, 'out.so');
    await writeArtifact(path, Buffer.from('one'));
    await writeArtifact(path, Buffer.from('two'));
    assert.is(readFileSync(path, 'utf8'), 'two');
    symlinkSync('out.so', join(directory, 'link.so'));
    await writeArtifact(join(directory, 'link.so'), Buffer.from('three'));
    assert.is(readFileSync(path, 'utf8'), 'three');
    assert.equal(readdirSync(directory).sort(), ['link.so', 'out.so']);
  });
});

test('what cannot be written is an output error, and nothing is left', async () => {
  await inDirectory(async (directory) => {
    mkdirSync(join(directory, 'sub'));
    assert.match((await failure(writeArtifact(join(directory, 'sub'), Buffer.from('x')))).message, /sub: it is a directory/);
    const error = await failure(writeArtifact(join(directory, 'no', 'out.so'), Buffer.from('x')));
    assert.is(error.errors[0].kind, 'output');
    assert.match(error.message, /no such file or directory$/);
    writeFileSync(join(directory, 'file'), '');
    assert.match((await failure(writeArtifact(join(directory, 'file', 'out.so'), Buffer.from('x')))).message, /not a directory/);
    assert.match((await failure(writeArtifact('/dev/full', Buffer.from('x')))).message, /no space left on device/);
    if (process.getuid?.() !== 0) {
      chmodSync(join(directory, 'sub'), 0o555);
      assert.match((await failure(writeArtifact(join(directory, 'sub', 'out.so'), Buffer.from('x')))).message, /permission denied/);
    }
    assert.equal(readdirSync(directory).sort(), ['file', 'sub']);
    assert.equal(readdirSync(join(directory, 'sub')), []);
  });
});

test('a device is written to, not replaced', async () => {
  await writeArtifact('/dev/null', Buffer.from('x'));
  assert.is(readFileSync('/dev/null').length, 0);
});

test('a missing linker is named with its package', async () => {
  const { locateTool } = await import('../../compiler/llvm/locate.js');
  assert.throws(() => locateTool('no-such-tool', 'lld-22'), /no-such-tool-22 is not installed\n.*apt-get install lld-22/);
});

test.run();
