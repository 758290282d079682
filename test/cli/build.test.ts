/** `wasm-aot build`: its outputs and reports; bad input and bad outputs, each with its exit code and no file left behind. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readArtifact } from '../../loader/artifact.js';
import { assemble } from '../loader/wat.js';
import { list, makeFolder, put, scratch, wasmAot } from './command.js';

const bytes = await assemble(`(module (memory 1)
  (func $double (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
  (func (export "poke") (param i32) (i32.store (local.get 0) (i32.const 1)) (memory.fill (i32.const 0) (i32.const 0) (i32.const 8))))`);
const wasm = put('lib.wasm', bytes);

test('the output is called after the input by default; nothing else is left', async () => {
  const folder = makeFolder('default');
  writeFileSync(join(folder, 'prog.wasm'), bytes);
  assert.is((await wasmAot(['build', 'prog.wasm'], { cwd: folder })).status, 0);
  assert.equal(list(folder), ['prog.so', 'prog.wasm']);
  assert.is((await wasmAot(['run', '--invoke', 'double', 'prog.so', '21'], { cwd: folder })).stdout, '42\n');
});

test('the same input and options give the same bytes', async () => {
  for (const name of ['one.so', 'two.so']) assert.is((await wasmAot(['build', '-q', wasm, '-o', name])).status, 0);
  assert.ok(readFileSync(join(scratch, 'one.so')).equals(readFileSync(join(scratch, 'two.so'))));
});

test('options end up in the artifact', async () => {
  const prices = put('prices.json', '{ "name": "dear", "cost": { "i32.mul": 1000 }, "perUnit": { "memory.fill": 2 } }');
  const args = ['build', '-O3', '-g', '--nan', 'canonical', '--cpu', 'v2', '--cost-table', prices, '--disable', 'simd', wasm, '--output=options.so'];
  assert.is((await wasmAot(args)).status, 0);
  const { manifest } = readArtifact(join(scratch, 'options.so'));
  assert.equal(manifest.options, { optLevel: 3, debug: true, fuel: 'outband', nan: 'canonical' });
  assert.is(manifest.costTable?.name, 'dear');
  assert.is((await wasmAot(['run', '--fuel', '1003', '--invoke', 'double', 'options.so', '4'])).stdout, '8\n');
  assert.is((await wasmAot(['run', '--fuel', '1002', '--invoke', 'double', 'options.so', '4'])).status, 152);
  for (const mode of ['sync', 'none'] as const) {
    assert.is((await wasmAot(['build', '--fuel', mode, wasm, '-o', `${mode}.so`])).status, 0);
    assert.is(readArtifact(join(scratch, `${mode}.so`)).manifest.options.fuel, mode);
  }
  const unmetered = await wasmAot(['run', '--fuel', '10', '--invoke', 'double', 'none.so', '4']);
  assert.is(unmetered.status, 64);
  assert.match(unmetered.stderr, /not metered/);
  assert.is((await wasmAot(['run', '--fuel', '3', '--invoke', 'double', 'sync.so', '4'])).status, 152);
});

test('--emit writes each intermediate form, to a file or to standard output', async () => {
  const magic = { ir: /^define .*double/m, asm: /^"?double.*:/m, bc: /^BC\xc0\xde/, obj: /^\x7fELF/ };
  const extension = { ir: 'll', asm: 's', bc: 'bc', obj: 'o' };
  for (const [kind, wanted] of Object.entries(magic) as [keyof typeof magic, RegExp][]) {
    const folder = makeFolder(`emit-${kind}`);
    const { status, stdout } = await wasmAot(['build', '--emit', kind, wasm], { cwd: folder });
    assert.is(status, 0);
    // Text of several partitions is joined; binary files of several partitions are several, and named in the report.
    const files = list(folder);
    const text = kind === 'ir' || kind === 'asm';
    assert.equal(files, text ? [`lib.${extension[kind]}`] : files.map((_, i) => `lib.${i}.${extension[kind]}`));
    assert.ok(stdout.startsWith(`${files.join(', ')}: `), stdout);
    for (const file of files) assert.match(readFileSync(join(folder, file), 'latin1'), wanted, file);
    const out = await wasmAot(['build', `--emit=${kind}`, wasm, '-o', '-']);
    assert.is(out.status, text ? 0 : 64, out.stderr);
    if (text) assert.match(out.stdout, wanted);
    else assert.match(out.stderr, /there are 2 files/);
  }
  const artifact = await wasmAot(['build', wasm, '-o', '-']);
  writeFileSync(join(scratch, 'piped.so'), artifact.bytes);
  assert.is((await wasmAot(['run', '--invoke', 'double', 'piped.so', '4'])).stdout, '8\n');
});

test('reports: a line, more of them, none, or JSON', async () => {
  const build = (...flags: string[]) => wasmAot(['build', ...flags, wasm, '-o', 'report.so']);
  assert.match((await build()).stdout, /^report\.so: .* 2 functions, .*\n$/);
  assert.match((await build('-v')).stdout, /codegen/);
  assert.is((await build('--quiet')).stdout, '');
  const json = JSON.parse((await build('--json')).stdout);
  assert.is(json.output, 'report.so');
  assert.is(json.stats.functions, 2);
  assert.is(json.stats.inputBytes, bytes.length);
  assert.is(json.stats.outputBytes, readFileSync(join(scratch, 'report.so')).length);
  const { status, stdout } = await wasmAot(['build', '--json', put('junk.wasm', 'junk'), '-o', 'report2.so']);
  assert.is(status, 65);
  const [error] = JSON.parse(stdout).errors;
  assert.is(error.kind, 'malformed');
  assert.is(error.place.offset, 0);
  assert.match(error.text, /junk\.wasm:0x0: /);
});

/** An unfinished body: `double` with its code cut short. */
const HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const module = (...sections: number[][]): Uint8Array => Uint8Array.from([...HEAD, ...sections.flat()]);
const TYPE_I32 = [1, 5, 1, 0x60, 0, 1, 0x7f];
const ONE_FUNCTION = [3, 2, 1, 0];
const BAD: readonly (readonly [what: string, bytes: Uint8Array | string, status: number, message: RegExp])[] = [
  ['an empty file', '', 65, /:0x0: .*(?:empty|magic|unexpected end)/],
  ['text', '(module)', 65, /:0x0: .*magic/],
  ['a header only, cut', Uint8Array.from(HEAD.slice(0, 6)), 65, /unexpected end|version/],
  ['another version', Uint8Array.from([...HEAD.slice(0, 4), 2, 0, 0, 0]), 65, /:0x4: .*version/],
  ['a section that ends early', module([1, 40, 1, 0x60]), 65, /:0x[89a-f]+: /],
  ['a body of the wrong type', module(TYPE_I32, ONE_FUNCTION, [10, 6, 1, 4, 0, 0x42, 1, 0x0b]), 65, /:0x1[0-9a-f]: func\[0\]: type mismatch: expected i32, found i64/],
  ['an unknown operator', module(TYPE_I32, ONE_FUNCTION, [10, 6, 1, 4, 0, 0xff, 1, 0x0b]), 65, /:0x18: func\[0\]: .*0xff/],
  ['a component', Uint8Array.from([...HEAD.slice(0, 4), 0x0d, 0, 1, 0]), 67, /component/],
  ['a 64-bit memory', module([5, 3, 1, 4, 1]), 67, /memory64|64-bit/],
  ['a throw', module(TYPE_I32, ONE_FUNCTION, [10, 6, 1, 4, 0, 0x08, 0, 0x0b]), 67, /func\[0\]: .*exception/],
];
for (const [what, input, status, message] of BAD) {
  test(`bad input: ${what}`, async () => {
    const folder = makeFolder(`bad-${what}`);
    writeFileSync(join(folder, 'in.wasm'), input);
    const outcome = await wasmAot(['build', 'in.wasm'], { cwd: folder });
    assert.is(outcome.status, status, outcome.stderr);
    assert.match(outcome.stderr, /^wasm-aot: error: in\.wasm/);
    assert.match(outcome.stderr, message);
    assert.is(outcome.stdout, '');
    assert.equal(list(folder), ['in.wasm']);
    // `run` says the same of the same file, where the file says at all that it is wasm.
    if (Buffer.from(input).subarray(0, 4).toString('latin1') !== '\0asm') return;
    const run = await wasmAot(['run', 'in.wasm'], { cwd: folder });
    assert.is(run.status, status);
    assert.match(run.stderr, message);
  });
}

test('features can be refused, by name', async () => {
  const refused = await wasmAot(['build', '--disable', 'bulk-memory', wasm, '-o', 'never.so']);
  assert.is(refused.status, 67, refused.stderr);
  assert.match(refused.stderr, /lib\.wasm:0x[0-9a-f]+: func\[1\]: bulk memory operations are switched off/);
  const unknown = await wasmAot(['build', '--enable', 'simmd', wasm, '-o', 'never.so']);
  assert.is(unknown.status, 64);
  assert.match(unknown.stderr, /did you mean "simd"/);
  assert.not(existsSync(join(scratch, 'never.so')));
});

test('an unreadable input: missing, a folder, a path through a file', async () => {
  for (const [path, message] of [['missing.wasm', /no such file/], [scratch, /it is a directory/], [join(wasm, 'x'), /not a directory/]] as const) {
    for (const command of ['build', 'run', 'inspect']) {
      const outcome = await wasmAot([command, path]);
      assert.is(outcome.status, 66, `${command} ${path}: ${outcome.stderr}`);
      assert.match(outcome.stderr, message);
    }
  }
});

test('a bad cost table: which entry, exit code 65 (66 when it cannot be read)', async () => {
  const attempt = (text: string) => wasmAot(['build', '--cost-table', put('bad.json', text), wasm, '-o', 'never.so']);
  for (const [text, message] of [['{', /JSON/], ['{ "name": "x", "cost": { "i32.foo": 1 } }', /i32\.foo/], ['{ "name": "x", "cost": { "i32.add": -1 } }', /i32\.add/],
    ['{ "name": "x", "cost": { "br": 0 } }', /br/], ['[]', /object/]] as const) {
    const { status, stderr } = await attempt(text);
    assert.is(status, 65, `${text}: ${stderr}`);
    assert.match(stderr, message);
  }
  assert.is((await wasmAot(['build', '--cost-table', 'absent.json', wasm, '-o', 'never.so'])).status, 66);
  assert.not(existsSync(join(scratch, 'never.so')));
});

test('an unwritable output: 73, before any compiling', async () => {
  for (const [output, message] of [[scratch, /it is a directory/], ['absent/out.so', /no such file/], [join(wasm, 'out.so'), /directory/]] as const) {
    const { status, stdout, stderr } = await wasmAot(['build', wasm, '-o', output]);
    assert.is(status, 73, stderr);
    assert.is(stdout, '');
    assert.match(stderr, message);
  }
});

test('a full device: 73, and the device is still one', async () => {
  const { status, stderr } = await wasmAot(['build', wasm, '-o', '/dev/full']);
  assert.is(status, 73, stderr);
  assert.match(stderr, /no space left on device/);
  assert.ok(lstatSync('/dev/full').isCharacterDevice());
});

test('the old output survives a failed build', async () => {
  const folder = makeFolder('old');
  writeFileSync(join(folder, 'out.so'), 'old');
  writeFileSync(join(folder, 'bad.wasm'), 'junk');
  assert.is((await wasmAot(['build', 'bad.wasm', '-o', 'out.so'], { cwd: folder })).status, 65);
  assert.is(readFileSync(join(folder, 'out.so'), 'utf8'), 'old');
  assert.equal(list(folder), ['bad.wasm', 'out.so']);
});

test('an output that is a link: what it leads to is replaced', async () => {
  const folder = makeFolder('link');
  writeFileSync(join(folder, 'real.so'), 'old');
  symlinkSync('real.so', join(folder, 'out.so'));
  assert.is((await wasmAot(['build', wasm, '-o', 'out.so'], { cwd: folder })).status, 0);
  assert.ok(lstatSync(join(folder, 'out.so')).isSymbolicLink());
  assert.is(readArtifact(join(folder, 'real.so')).manifest.functions.defined, 2);
  assert.equal(list(folder), ['out.so', 'real.so']);
});

/** A file system of 16 KiB, where the machine lets us have one. */
function mountSmall(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', folder]).status === 0;
}

test('a full disk: 73, and nothing is left on it', async () => {
  const folder = makeFolder('small');
  if (!mountSmall(folder)) {
    console.log('  not tried: mounting takes privileges');
    return;
  }
  try {
    // A quarter of a MiB of data does not fit.
    const big = put('big.wasm', await assemble(`(module (memory 16) (data (i32.const 0) "${'0123456789abcdef'.repeat(16384)}"))`));
    const { status, stderr } = await wasmAot(['build', big, '-o', join(folder, 'out.so')]);
    assert.is(status, 73, stderr);
    assert.match(stderr, /no space left on device/);
    assert.equal(list(folder), []);
  } finally {
    spawnSync('umount', [folder]);
  }
});

test('a folder that may not be written: 73', async () => {
  if (process.getuid?.() === 0) {
    console.log('  not tried: root may write everywhere');
    return;
  }
  const folder = makeFolder('closed');
  chmodSync(folder, 0o500);
  assert.is((await wasmAot(['build', wasm, '-o', join(folder, 'out.so')])).status, 73);
});

test.run();
