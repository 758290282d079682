/**
 * The programs of the benchmark: packages from npm that ship .wasm with their own glue, each with a piece of work that takes its time in wasm. The glue is used as it is and sees whichever
 * WebAssembly is global (test/programs/substitute.ts), so calls between JavaScript and wasm are part of what is timed. What wasm computes goes into the checksum. No work throws through
 * wasm: an exception leaves a basic block half done, and metering written into the module has charged for all of it.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { makeOrders, makeSourceMap, queryOrders } from '../programs/samples.js';

const require = createRequire(import.meta.url);
// Most of the packages have no types; what is called below is their documented API.
// biome-ignore lint/suspicious/noExplicitAny: untyped packages
type Untyped = any;

/** A package, opened: does `n` pieces of work and returns a checksum of what came of them. Each call starts from the same state. */
export type Work = (n: number) => number | Promise<number>;

/** A program; `n` is the argument of its work with which ours takes about 300 ms, warm, on the machine that this was written on. */
export interface Program { readonly name: string; readonly n: number; readonly open: () => Promise<Work> }

/** 32 bits of a hash. */
function checksum(...parts: readonly (Uint8Array | string)[]): number {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest().readInt32LE();
}

/** Repeatable text (xorshift32) of words that recur, as texts' do. */
function makeText(length: number, seed = 0x9e3779b9): string {
  let state = seed;
  const next = (limit: number) => {
    state ^= state << 13; state ^= state >>> 17; state ^= state << 5;
    return (state >>> 8) % limit;
  };
  const vocabulary = Array.from({ length: 600 }, () => Array.from({ length: 2 + next(8) }, () => String.fromCharCode(97 + next(26))).join(''));
  const marks = [' ', ' ', ' ', ' ', ', ', '. ', ' (', ') ', '\n', ' = 17; ', '" "', ' 2024-05 '];
  let text = '';
  while (text.length < length) text += vocabulary[Math.min(next(600), next(600), next(600))] + marks[next(marks.length)];
  return text.slice(0, length);
}

const QUERIES = [
  ...queryOrders(97, 900),
  'SELECT count(*) FROM orders WHERE amount * day > (SELECT avg(amount * day) FROM orders) AND substr(customer, 10) * 1 > 50',
];

async function openSqlite(): Promise<Work> {
  const SQLite = await require('sql.js')();
  return (n) => {
    const db = new SQLite.Database();
    db.run(makeOrders(4000));
    const out: string[] = [];
    for (let i = 0; i < n; i++) for (const query of QUERIES) out.push(JSON.stringify(db.exec(query)[0].values));
    out.push(JSON.stringify(db.exec('UPDATE orders SET amount = amount + 1 WHERE day % 3 = 0; DELETE FROM orders WHERE day % 5 = 1; SELECT total(amount) FROM orders')[0].values));
    db.close();
    return checksum(...out);
  };
}

const JAVASCRIPT = `
  class Item { constructor(key, weight) { this.key = key; this.weight = weight; } get heavy() { return this.weight > 500; } }
  function sieve(n) { const out = []; const flags = new Uint8Array(n); for (let i = 2; i < n; i++) { if (flags[i]) continue; out.push(i); for (let k = i * i; k < n; k += i) flags[k] = 1; } return out.length; }
  function objects(n) {
    const items = Array.from({ length: n }, (_, i) => new Item('k' + (i * 7919) % 1009, (i * 31) % 1000));
    const groups = new Map();
    for (const item of items) if (item.heavy) groups.set(item.key, (groups.get(item.key) ?? 0) + item.weight);
    return [...groups].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, 3).join();
  }
  function texts(text) { const words = text.match(/[a-z]+/g); return words.map((w) => w[0].toUpperCase() + w.slice(1)).join('').length + JSON.stringify(JSON.parse(JSON.stringify({ words }))).length; }
  function numbers(n) { let x = 0.3, big = 1n; for (let i = 1; i < n; i++) { x = 3.9 * x * (1 - x) + Math.sin(i) * 1e-9; if (i % 16 === 0) big = big * 3n + BigInt(i); } return x.toFixed(9) + big % 1000007n; }
  globalThis.work = (n, text) => { const out = []; for (let i = 0; i < n; i++) out.push(sieve(3000), objects(500), texts(text), numbers(1500)); return out.join(); };`;

async function openQuickjs(): Promise<Work> {
  const { newQuickJSWASMModuleFromVariant } = require('quickjs-emscripten-core');
  const variant = require('@jitl/quickjs-wasmfile-release-sync');
  const quickjs = await newQuickJSWASMModuleFromVariant(variant.default ?? variant);
  const text = JSON.stringify(makeText(3000));
  return (n) => {
    const context = quickjs.newContext();
    context.unwrapResult(context.evalCode(JAVASCRIPT)).dispose();
    const result: string = context.unwrapResult(context.evalCode(`work(${n}, ${text})`)).consume(context.dump);
    context.dispose();
    return checksum(result);
  };
}

async function openZstd(): Promise<Work> {
  const zstd = require('@bokuweb/zstd-wasm');
  await zstd.init();
  const input = Buffer.from(makeText(400_000));
  return (n) => {
    const out: Uint8Array[] = [];
    for (let i = 0; i < n; i++) {
      for (const level of [1, 6]) {
        const packed: Uint8Array = zstd.compress(input.subarray(i), level);
        out.push(packed, zstd.decompress(packed));
      }
    }
    return checksum(...out);
  };
}

async function openArgon2(): Promise<Work> {
  const argon2 = require('argon2-browser');
  return async (n) => {
    const { hashHex } = await argon2.hash({ pass: 'correct horse', salt: 'battery staple', time: n, mem: 4096, hashLen: 24, parallelism: 1, type: argon2.ArgonType.Argon2id });
    return checksum(hashHex as string);
  };
}

async function openSourceMap(): Promise<Work> {
  const { SourceMapConsumer } = require('source-map');
  const map = makeSourceMap(40_000);
  return async (n) => {
    const out: string[] = [];
    for (let i = 0; i < n; i++) {
      await SourceMapConsumer.with(map, null, (consumer: Untyped) => {
        for (let line = 1; line < 40_000; line += 4_001) out.push(JSON.stringify([consumer.originalPositionFor({ line, column: 3 }), consumer.allGeneratedPositionsFor({ source: 'a.ts', line, column: 0 })]));
      });
    }
    return checksum(...out);
  };
}

/** What a grammar of an editor looks for, several patterns at a time. */
const PATTERNS = ['(?<year>\\d{4})-(?<month>\\d\\d)', '\\b(if|else|while|return)\\b', '(?<=a)b+(?!c)', '(?i)([aeiou])\\1[a-z]*', '"(?:[^"\\\\]|\\\\.)*"', '\\b[a-z]*(?:ing|tion|ed)\\b', '[a-z]+(?=\\s*\\()', '^\\s+|\\s+$'];

async function openOniguruma(): Promise<Work> {
  const oniguruma = require('vscode-oniguruma');
  await oniguruma.loadWASM({ data: readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm')) });
  const lines = makeText(6000).split('\n');
  return (n) => {
    const scanner = oniguruma.createOnigScanner(PATTERNS);
    const out: number[] = [];
    for (let i = 0; i < n; i++) {
      for (const line of lines) {
        const subject = oniguruma.createOnigString(line);
        for (let at = 0; at <= line.length;) {
          const match = scanner.findNextMatchSync(subject, at);
          if (!match) break;
          const { start, end } = match.captureIndices[0];
          out.push(match.index, start, end);
          at = Math.max(end, at + 1);
        }
        subject.dispose();
      }
    }
    scanner.dispose();
    return checksum(out.join());
  };
}

async function openModuleLexer(): Promise<Work> {
  const { init, parse } = await import('es-module-lexer');
  await init;
  const statement = `import a, { b as c } from './a.js'; export const x = /[/]regex/.test(\`tem\${await import('dynamic' + 1)}plate\`), { y, z: [w] } = c;
    function body(first, second) { if (first) { return second.map((item) => item / 2 + "a string with a \\" quote"); } /* a comment */ return [first, 'another', 0x17]; } // the end\n`;
  return (n) => {
    const out: string[] = [];
    for (let i = 0; i < n; i++) {
      const [imports, exports] = parse(statement.repeat(1000 + i % 7), 'sample');
      out.push(JSON.stringify([imports.length, exports.length, imports.slice(-2), exports.slice(-2)]));
    }
    return checksum(...out);
  };
}

async function openSodium(): Promise<Work> {
  const sodium: Untyped = require('libsodium');
  await sodium.ready;
  const SIZE = 100_000;
  const [text, key, nonce, out, tag, pk, sk] = [SIZE, 32, 24, SIZE + 16, 64, 64, 64].map((size) => sodium._malloc(size) as number);
  const read = (at: number, size: number): Uint8Array => sodium.HEAPU8.slice(at, at + size);
  return (n) => {
    sodium.HEAPU8.set(Buffer.from(makeText(SIZE)), text);
    for (const [at, size] of [[key, 32], [nonce, 24]]) sodium.HEAPU8.fill(size, at, at + size);
    const parts: Uint8Array[] = [];
    for (let i = 0; i < n; i++) {
      sodium.HEAPU8[key] = i;
      sodium._crypto_generichash(out, 32, text, SIZE, 0, 0, 0);
      parts.push(read(out, 32));
      sodium._crypto_secretbox_easy(out, text, SIZE, 0, nonce, key);
      parts.push(read(out + SIZE, 16));
      sodium._crypto_sign_seed_keypair(pk, sk, key);
      sodium._crypto_sign_detached(tag, 0, text, 1000, 0, sk);
      parts.push(read(tag, 64), Uint8Array.of(sodium._crypto_sign_verify_detached(tag, text, 1000, 0, pk)));
      sodium._crypto_scalarmult_base(out, key);
      parts.push(read(out, 32));
    }
    return checksum(...parts);
  };
}

async function openYoga(): Promise<Work> {
  const { default: Yoga } = await import('yoga-layout');
  const build = (depth: number, index: number): ReturnType<typeof Yoga.Node.create> => {
    const node = Yoga.Node.create();
    node.setFlexDirection(depth % 2 === 0 ? Yoga.FLEX_DIRECTION_ROW : Yoga.FLEX_DIRECTION_COLUMN);
    node.setFlexWrap(Yoga.WRAP_WRAP);
    node.setFlexGrow(index % 3);
    node.setFlexShrink(1);
    node.setMargin(Yoga.EDGE_LEFT, index);
    node.setPadding(Yoga.EDGE_ALL, 1.5);
    if (depth === 0) {
      node.setWidthPercent(5 + index);
      node.setMinHeight(index * 2.25);
    } else for (let i = 0; i < 6; i++) node.insertChild(build(depth - 1, i), i);
    return node;
  };
  return (n) => {
    const root = build(3, 0);
    const out: string[] = [];
    for (let i = 0; i < n; i++) {
      root.setWidth(300 + i * 10);
      root.calculateLayout(undefined, undefined, Yoga.DIRECTION_LTR);
      out.push(JSON.stringify([root.getComputedLayout(), root.getChild(5).getChild(3).getComputedLayout()]));
    }
    root.freeRecursive();
    return checksum(...out);
  };
}

/** All programs, by name. */
export const PROGRAMS: readonly Program[] = [
  { name: 'argon2', n: 50, open: openArgon2 },
  { name: 'es-module-lexer', n: 100, open: openModuleLexer },
  { name: 'libsodium', n: 250, open: openSodium },
  { name: 'oniguruma', n: 90, open: openOniguruma },
  { name: 'quickjs', n: 80, open: openQuickjs },
  { name: 'source-map', n: 25, open: openSourceMap },
  { name: 'sqlite', n: 30, open: openSqlite },
  { name: 'yoga', n: 120, open: openYoga },
  { name: 'zstd', n: 14, open: openZstd },
];
