/** The command line itself: help, versions, and what is said to a wrong one. Exit code 64, standard output left alone. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { COMMANDS } from '../../compiler/cli/arguments.js';
import { helpText } from '../../compiler/cli/help.js';
import { put, wasmAot } from './command.js';

const wasm = put('empty.wasm', Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));

test('help fits a screen, explains every option with an example, and ends in examples', async () => {
  const { status, stdout } = await wasmAot(['--help']);
  assert.is(status, 0);
  assert.ok(stdout.split('\n').length <= 25);
  for (const command of COMMANDS) {
    assert.match(stdout, `wasm-aot ${command.synopsis}`);
    const text = helpText(command);
    assert.ok(text.split('\n').length <= 36, command.name);
    for (const line of text.split('\n')) assert.ok(line.length <= 100, line);
    for (const option of command.options) {
      assert.match(text, new RegExp(`^ .*${option.name.length === 1 ? '-' : '--'}${option.name}\\b`, 'm'));
      assert.match(option.help, /\bE\.g\. \S/);
    }
    assert.match(text, /\nExamples:\n(?: {2}wasm-aot .*\n)+$/);
  }
});

test('help can be asked for in every way', async () => {
  const run = COMMANDS.find((row) => row.name === 'run');
  for (const args of [['run', '--help'], ['run', '-h'], ['help', 'run'], ['--help', 'run'], ['run', '--fuel', '1', '--help']]) {
    const { status, stdout } = await wasmAot(args);
    assert.is(status, 0, args.join(' '));
    assert.is(stdout, helpText(run), args.join(' '));
  }
  const none = await wasmAot([]);
  assert.is(none.status, 64);
  assert.is(none.stdout, '');
  assert.is(none.stderr, helpText());
});

test('version', async () => {
  const { status, stdout } = await wasmAot(['--version']);
  assert.is(status, 0);
  assert.match(stdout, /^wasm-aot \d+\.\d+\.\d+, ABI \d+, Node \d+\.[^\n]*\nwasm-aot runtime \d+\.\d+\.\d+, ABI \d+\n$/);
});

/** A wrong command line and what must be said of it. */
const WRONG: readonly (readonly [args: readonly string[], message: RegExp, note?: RegExp])[] = [
  [['biuld', wasm], /unknown command "biuld"/, /did you mean build\?/],
  [['--versoin'], /unknown option "--versoin"/, /did you mean --version\?/],
  [['build', '--otput', 'x', wasm], /unknown option --otput/, /did you mean --output\?/],
  [['build', '--cost-tabel=x', wasm], /unknown option --cost-tabel/, /did you mean --cost-table\?/],
  [['build', '-x', wasm], /unknown option -x/],
  [['run', '--feul', '5', wasm], /unknown option --feul/, /did you mean --fuel\?/],
  [['run', '--invokee=f', wasm], /unknown option --invokee/, /did you mean --invoke\?/],
  [['inspect', '--jsn', wasm], /unknown option --jsn/, /did you mean --json\?/],
  [['build'], /which file\?/, /wasm-aot build prog\.wasm/],
  [['run'], /which file\?/],
  [['inspect'], /which file\?/],
  [['build', wasm, wasm], /one input file is wanted, not 2/],
  [['inspect', wasm, wasm], /one artifact is wanted, not 2/],
  [['build', wasm, '-o'], /-o needs a value/],
  [['build', '-o', 'a.so', '-o', 'b.so', wasm], /-o is given more than once/],
  [['build', '-O4', wasm], /-O cannot be "4"/, /0, 1, 2, 3/],
  [['build', '-Os', wasm], /-O cannot be "s"/],
  [['build', '--fuel', 'outbound', wasm], /--fuel cannot be "outbound"/, /outband, sync, none/],
  [['build', '--fuel', '1000', wasm], /--fuel cannot be "1000"/, /wasm-aot run --fuel 1000/],
  [['build', '--emit', 'llvm', wasm], /--emit cannot be "llvm"/, /ir, bc, asm, obj/],
  [['build', '--cpu', 'v9', wasm], /--cpu cannot be "v9"/],
  [['build', '--cpu', 'v2,v9', wasm], /--cpu cannot be "v9"/],
  [['build', '--cpu', 'v2,native', wasm], /cpu cannot be \["v2","native"\]/, /of v2, v3 and v4/],
  [['build', '--nan', 'quiet', wasm], /--nan cannot be "quiet"/, /native, canonical/],
];
for (const [args, message, note] of WRONG) {
  test(`refused: ${args.map((arg) => (arg === wasm ? 'FILE' : arg)).join(' ')}`, async () => {
    const { status, stdout, stderr } = await wasmAot(args);
    assert.is(status, 64, stderr);
    assert.is(stdout, '');
    assert.match(stderr, /^wasm-aot: error: /);
    assert.match(stderr, message);
    if (note) assert.match(stderr, note);
  });
}

test.run();
