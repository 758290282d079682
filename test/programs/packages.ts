/**
 * Programs that people know, from npm packages that ship .wasm with their own loaders. Each does some real work and returns what came out as text,
 * which must not vary. The packages' glue is used as it is: it sees whichever WebAssembly is global (see substitute.ts).
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { makeOrders, makeSourceMap, queryOrders } from './samples.js';

const require = createRequire(import.meta.url);
// Most of the packages have no types; what is called below is their documented API.
// biome-ignore lint/suspicious/noExplicitAny: untyped packages
type Untyped = any;
const load = (name: string): Untyped => require(name);
const loadModule = async (name: string): Promise<Untyped> => import(name);

const digest = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32);

/** Repeatable bytes (xorshift32), compressible: runs, and words of a small alphabet. */
function sample(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = 0x9e3779b9;
  for (let i = 0; i < length;) {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
    const run = (state >>> 8) % 20;
    for (let k = 0; k < run && i < length; k++) bytes[i++] = state & 1 ? 97 + (k * (state >>> 28)) % 26 : 32 + ((state >>> 16) & 63);
  }
  return bytes;
}

const QUERIES = [
  ...queryOrders(1, 990),
  'SELECT sqrt(avg(amount * amount) - avg(amount) * avg(amount)), typeof(1e308 * 10), 7 / -2, -7 % 3, 9223372036854775807 + 0, abs(-0.0) FROM orders',
];

async function runSqlite(): Promise<string> {
  const SQLite = await load('sql.js')({ useOldExtensionFunctions: false });
  const db = new SQLite.Database();
  db.run(makeOrders(5000));
  const out = QUERIES.map((query) => JSON.stringify(db.exec(query)[0]?.values));
  let refused = '';
  try {
    db.run('SELECT nonsense FROM nowhere');
  } catch (error) {
    refused = (error as Error).message;
  }
  const file: Uint8Array = db.export();
  db.close();
  const again = new SQLite.Database(file);
  out.push(refused, JSON.stringify(again.exec('PRAGMA integrity_check; SELECT count(*) FROM orders')), digest(file));
  again.close();
  return out.join('\n');
}

const JAVASCRIPT = `
  const memo = new Map();
  const fib = (n) => n < 2n ? n : memo.get(n) ?? (memo.set(n, fib(n - 1n) + fib(n - 2n)), memo.get(n));
  class Point { #x; constructor(x) { this.#x = x; } get x() { return this.#x; } *[Symbol.iterator]() { yield* [this.#x, this.#x ** 2]; } }
  const primes = []; for (let i = 2; primes.length < 200; i++) if (primes.every((p) => i % p)) primes.push(i);
  const text = 'the quick brown fox jumps over the lazy dog'.replace(/(\\w+) (\\w+)/g, '$2 $1').replace(/[aeiou]/g, (v) => v.toUpperCase());
  let caught = ''; try { null.x } catch (e) { caught = e.name + ': ' + e.message }
  const sorted = Array.from({ length: 500 }, (_, i) => (i * 7919) % 503).sort((a, b) => a - b);
  JSON.stringify({ fib: String(fib(200n)), points: [...new Point(3)], last: primes.at(-1), text, caught, sum: sorted.reduce((a, b, i) => a + b * i, 0),
    floats: [0.1 + 0.2, Math.sin(1), 1 / 3, -0, 1e21, Math.hypot(3, 4)], date: new Date(0).toISOString(), sci: (123.456).toExponential(3), big: String(2n ** 128n) });`;

async function runQuickjs(): Promise<string> {
  const { newQuickJSWASMModuleFromVariant } = load('quickjs-emscripten-core');
  const variant = load('@jitl/quickjs-wasmfile-release-sync');
  const quickjs = await newQuickJSWASMModuleFromVariant(variant.default ?? variant);
  const context = quickjs.newContext();
  const host = context.newFunction('triple', (value: Untyped) => context.newNumber(context.getNumber(value) * 3));
  context.setProp(context.global, 'triple', host);
  host.dispose();
  const out = [JAVASCRIPT, 'triple(14)', 'throw new RangeError("thrown inside")', 'function deep(n) { return n ? deep(n - 1) + 1 : 0 } deep(500)', 'let x = ; 1'].map((code) => {
    const result = context.evalCode(code);
    if (!result.error) return JSON.stringify(result.value.consume(context.dump));
    const { name, message } = result.error.consume(context.dump);
    return `${name}: ${message}`;
  });
  // Its own interrupt handler, called back from wasm in the midst of a loop.
  let calls = 0;
  const runtime = context.runtime;
  runtime.setInterruptHandler(() => ++calls > 5);
  const stopped = context.evalCode('for (;;) {}');
  out.push(`${stopped.error.consume(context.dump).message} after ${calls}`);
  context.dispose();
  return out.join('\n');
}

async function runZstd(): Promise<string> {
  const zstd = load('@bokuweb/zstd-wasm');
  await zstd.init();
  const input = sample(300_000);
  return [1, 3, 9].map((level) => {
    const packed: Uint8Array = zstd.compress(input, level);
    const back: Uint8Array = zstd.decompress(packed);
    return `level ${level}: ${packed.length} ${digest(packed)} ${digest(back) === digest(input)}`;
  }).join('\n');
}

async function runArgon2(): Promise<string> {
  const argon2 = load('argon2-browser');
  const out: string[] = [];
  for (const type of [argon2.ArgonType.Argon2d, argon2.ArgonType.Argon2i, argon2.ArgonType.Argon2id]) {
    const { hashHex, encoded } = await argon2.hash({ pass: 'correct horse', salt: 'battery staple', time: 2, mem: 1024, hashLen: 24, parallelism: 1, type });
    out.push(`${hashHex} ${encoded}`);
    await argon2.verify({ pass: 'correct horse', encoded });
    out.push(await argon2.verify({ pass: 'wrong', encoded }).then(() => 'accepted', (error: { message: string }) => error.message));
  }
  return out.join('\n');
}

async function runSourceMap(): Promise<string> {
  const { SourceMapConsumer } = load('source-map');
  return SourceMapConsumer.with(makeSourceMap(2000), null, (consumer: Untyped) => {
    const out: unknown[] = [];
    consumer.eachMapping((m: Untyped) => { if (m.generatedLine % 400 === 1) out.push([m.generatedLine, m.generatedColumn, m.originalLine, m.originalColumn, m.name]); });
    out.push(consumer.originalPositionFor({ line: 700, column: 3 }), consumer.allGeneratedPositionsFor({ source: 'a.ts', line: 1000, column: 0 }));
    return out.map((row) => JSON.stringify(row)).join('\n');
  });
}

async function runOniguruma(): Promise<string> {
  const oniguruma = load('vscode-oniguruma');
  const wasm = readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm'));
  await oniguruma.loadWASM({ data: wasm });
  const patterns = ['(?<year>\\d{4})-(?<month>\\d\\d)', '\\b(if|else|while)\\b', '(?<=a)b+(?!c)', '(?i)straße', '\\p{Lu}\\p{Ll}+', '(a|b)*?c\\1', '\\G\\s+', '[\\x{1F600}-\\x{1F64F}]'];
  const text = 'if 2024-05 else 1999-12 while abbbd aabbc STRASSE Straße Ünder Ärger 😀 abababcb';
  const scanner = oniguruma.createOnigScanner(patterns);
  const subject = oniguruma.createOnigString(text);
  const out: string[] = [];
  for (let at = 0; at <= text.length;) {
    const match = scanner.findNextMatchSync(subject, at);
    if (!match) break;
    out.push(JSON.stringify([match.index, match.captureIndices.map((c: Untyped) => [c.start, c.end])]));
    at = Math.max(match.captureIndices[0].end, at + 1);
  }
  try {
    oniguruma.createOnigScanner(['(unclosed']);
  } catch (error) {
    out.push(String((error as Error).message));
  }
  scanner.dispose();
  subject.dispose();
  return out.join('\n');
}

const LUA = `
  local function queens(n)
    local count, cols, d1, d2 = 0, {}, {}, {}
    local function place(r)
      if r > n then count = count + 1 return end
      for c = 1, n do
        if not (cols[c] or d1[r + c] or d2[r - c + n]) then
          cols[c], d1[r + c], d2[r - c + n] = true, true, true
          place(r + 1)
          cols[c], d1[r + c], d2[r - c + n] = nil, nil, nil
        end
      end
    end
    place(1)
    return count
  end
  local parts = {}
  for word, n in ("alpha=1, beta=22, gamma=333"):gmatch("(%a+)=(%d+)") do parts[#parts + 1] = word:rep(2) .. n + 0 end
  local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
  local ok, err = pcall(function() error({ code = 7 }) end)
  local ok2, err2 = pcall(function() local x = nil; return x.y end)
  return table.concat({ queens(7), table.concat(parts, ";"), co(), co(), tostring(ok), err.code, err2:match("attempt.*"), string.format("%.14g %5d %q %x", math.pi, 42, "a\\nb", 255),
    7 // -2, -7 % 3, 1 << 62, 3 / 2, math.tointeger(2^53), tostring(0/0 ~= 0/0), #utf8.char(8364) }, " | ")`;

async function runLua(): Promise<string> {
  const { LuaFactory } = load('wasmoon');
  const lua = await new LuaFactory().createEngine();
  try {
    lua.global.set('twice', (x: number) => x * 2);
    const out = [String(await lua.doString(LUA)), String(await lua.doString('return twice(21)'))];
    out.push(await lua.doString('error("from Lua")').then(String, (error: Error) => error.message.split('\n')[0]));
    return out.join('\n');
  } finally {
    lua.global.close();
  }
}

async function runHashes(): Promise<string> {
  const hash = load('hash-wasm');
  const input = sample(100_000);
  const out: string[] = [];
  for (const name of ['md4', 'md5', 'sha1', 'sha256', 'sha512', 'sha3', 'keccak', 'ripemd160', 'blake2b', 'blake2s', 'blake3', 'crc32', 'crc64', 'adler32', 'xxhash32', 'xxhash64', 'xxhash3', 'xxhash128', 'sm3', 'whirlpool']) {
    out.push(`${name} ${await hash[name](input)}`);
  }
  const salt = sample(16);
  out.push(await hash.scrypt({ password: 'pw', salt, costFactor: 256, blockSize: 8, parallelism: 1, hashLength: 32, outputType: 'hex' }));
  out.push(await hash.bcrypt({ password: 'pw', salt, costFactor: 4, outputType: 'encoded' }));
  out.push(await hash.argon2id({ password: 'pw', salt, iterations: 2, memorySize: 64, parallelism: 2, hashLength: 32, outputType: 'hex' }));
  return out.join('\n');
}

async function runXxhash(): Promise<string> {
  const { default: xxhash } = await loadModule('xxhash-wasm');
  const { h32, h64, h32Raw, h64Raw, create64 } = await xxhash();
  const input = sample(50_000);
  const stream = create64(7n);
  for (let i = 0; i < input.length; i += 777) stream.update(input.subarray(i, i + 777));
  return [h32('wasm'), h32('wasm', 0xffffffff), h64('wasm', 0xffffffffffffffffn), h32Raw(input), h64Raw(input), stream.digest()].join('\n');
}

async function runModuleLexer(): Promise<string> {
  const { init, parse } = await loadModule('es-module-lexer');
  await init;
  const source = `import a, { b as c } from './a.js'; import json from "./x.json" with { type: "json" }; export * as ns from 'y';
    export const x = /[/]regex/.test(\`tem\${await import('dynamic' + 1)}plate\`), { y, z: [w] } = c; export default function named() { return import.meta.url }\n`;
  const [imports, exports] = parse(source.repeat(50).replaceAll('default', 'deflt'), 'sample');
  const out = [JSON.stringify(parse(source)), imports.length, exports.length];
  try {
    parse('import {', 'broken.js');
  } catch (error) {
    out.push((error as Error).message);
  }
  return out.join('\n');
}

async function runSodium(): Promise<string> {
  const sodium = load('libsodium');
  await sodium.ready;
  const buffers = (...sizes: number[]): number[] => sizes.map((size) => sodium._malloc(size) as number);
  const read = (at: number, size: number): string => Buffer.from(sodium.HEAPU8.slice(at, at + size)).toString('hex');
  const message = sample(1000);
  const [text, key, nonce, out, tag, pk, sk, seed] = buffers(1000, 32, 24, 1100, 64, 64, 64, 32);
  sodium.HEAPU8.set(message, text);
  sodium.HEAPU8.set(sample(32), key);
  sodium.HEAPU8.set(sample(24), nonce);
  sodium.HEAPU8.set(sample(32).reverse(), seed);
  const lines: string[] = [];
  sodium._crypto_generichash(out, 32, text, 1000, 0, 0, 0);
  lines.push(`generichash ${read(out, 32)}`);
  sodium._crypto_secretbox_easy(out, text, 1000, 0, nonce, key);
  lines.push(`secretbox ${digest(read(out, 1016))}`);
  lines.push(`open ${sodium._crypto_secretbox_open_easy(text, out, 1016, 0, nonce, key)} ${read(text, 32) === Buffer.from(message.subarray(0, 32)).toString('hex')}`);
  sodium._crypto_sign_seed_keypair(pk, sk, seed);
  sodium._crypto_sign_detached(tag, 0, text, 1000, 0, sk);
  lines.push(`ed25519 ${read(pk, 32)} ${read(tag, 64)}`, `verify ${sodium._crypto_sign_verify_detached(tag, text, 1000, 0, pk)}`);
  sodium.HEAPU8[tag] ^= 1;
  lines.push(`forged ${sodium._crypto_sign_verify_detached(tag, text, 1000, 0, pk)}`);
  sodium._crypto_scalarmult_base(out, seed);
  lines.push(`x25519 ${read(out, 32)}`);
  return lines.join('\n');
}

async function runYoga(): Promise<string> {
  const { default: Yoga } = await loadModule('yoga-layout');
  const root = Yoga.Node.create();
  root.setWidth(500);
  root.setFlexDirection(Yoga.FLEX_DIRECTION_ROW);
  root.setFlexWrap(Yoga.WRAP_WRAP);
  root.setPadding(Yoga.EDGE_ALL, 7.5);
  root.setGap(Yoga.GUTTER_ALL, 3);
  for (let i = 0; i < 20; i++) {
    const child = Yoga.Node.create();
    child.setFlexGrow(i % 3);
    child.setFlexShrink(1);
    child.setMargin(Yoga.EDGE_LEFT, i);
    if (i % 4 === 0) child.setMeasureFunc((width: number) => ({ width: Math.min(width, 33.3 + i), height: 10 + i }));
    else {
      child.setWidthPercent(5 + i);
      child.setMinHeight(i * 2.25);
    }
    root.insertChild(child, i);
  }
  root.calculateLayout(undefined, undefined, Yoga.DIRECTION_LTR);
  const lines = [JSON.stringify(root.getComputedLayout())];
  for (let i = 0; i < 20; i++) lines.push(JSON.stringify(root.getChild(i).getComputedLayout()));
  root.freeRecursive();
  return lines.join('\n');
}

async function runHttpParser(): Promise<string> {
  const events: string[] = [];
  let memory: WebAssembly.Memory;
  const text = (at: number, length: number): string => Buffer.from(memory.buffer, at, length).toString('latin1');
  const mark = (name: string) => (_parser: number, at: number, length: number): number => { events.push(`${name} ${JSON.stringify(text(at, length))}`); return 0; };
  const note = (name: string) => (): number => { events.push(name); return 0; };
  const { instance } = await WebAssembly.instantiate(load('undici/lib/llhttp/llhttp-wasm.js') as Uint8Array, { env: {
    wasm_on_url: mark('url'), wasm_on_status: mark('status'), wasm_on_header_field: mark('field'), wasm_on_header_value: mark('value'), wasm_on_body: mark('body'),
    wasm_on_message_begin: note('begin'), wasm_on_message_complete: note('complete'),
    wasm_on_headers_complete: (_parser: number, status: number, upgrade: number, keepAlive: number): number => { events.push(`headers ${status} ${upgrade} ${keepAlive}`); return 0; },
  } }) as unknown as WebAssembly.WebAssemblyInstantiatedSource;
  const llhttp = instance.exports as Record<string, Untyped>;
  memory = llhttp.memory as WebAssembly.Memory;
  const parser = llhttp.llhttp_alloc(load('undici/lib/llhttp/constants.js').TYPE.RESPONSE) as number;
  const feed = (part: string): number => {
    const at = llhttp.malloc(part.length) as number;
    new Uint8Array(memory.buffer, at, part.length).set(Buffer.from(part, 'latin1'));
    const code = llhttp.llhttp_execute(parser, at, part.length) as number;
    llhttp.free(at);
    return code;
  };
  const response = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n';
  const codes = [response.slice(0, 31), response.slice(31, 90), response.slice(90)].map(feed);
  codes.push(feed('garbage'));
  return [...events, codes.join(' ')].join('\n');
}

/** How a program is tested. */
export interface PackageProgram {
  readonly run: () => Promise<string>;
  /** What its modules are compiled with: lower for the big ones, for the sake of time. */
  readonly optLevel: 0 | 1 | 2 | 3;
  /** Whether to compile it at -O0 as well, and ask that both runs consume the same fuel: not the biggest one, for the sake of time. */
  readonly twice?: boolean;
}

/** The programs, by what they are known as. */
export const PACKAGES: Readonly<Record<string, PackageProgram>> = {
  'sql.js': { run: runSqlite, optLevel: 0 },
  quickjs: { run: runQuickjs, optLevel: 1, twice: true },
  zstd: { run: runZstd, optLevel: 1, twice: true },
  argon2: { run: runArgon2, optLevel: 3, twice: true },
  'source-map': { run: runSourceMap, optLevel: 1, twice: true },
  oniguruma: { run: runOniguruma, optLevel: 1, twice: true },
  lua: { run: runLua, optLevel: 1, twice: true },
  'hash-wasm': { run: runHashes, optLevel: 1, twice: true },
  xxhash: { run: runXxhash, optLevel: 3, twice: true },
  'es-module-lexer': { run: runModuleLexer, optLevel: 2, twice: true },
  libsodium: { run: runSodium, optLevel: 1, twice: true },
  'yoga-layout': { run: runYoga, optLevel: 2, twice: true },
  llhttp: { run: runHttpParser, optLevel: 2, twice: true },
};
