/** wasm-3.0/bulk-memory and multi-memory at -O0, gc, and at -O2 the scripts of wasm-3.0/core for tail calls and typed references. */
import { test } from 'uvu';
import { readList, runScripts, specTest } from './version-3.js';

for (const group of ['wasm-3.0/bulk-memory', 'wasm-3.0/multi-memory']) specTest(`${group} at -O0`, () => runScripts(group, '-O0', Object.keys(readList()[group])));

specTest('wasm-3.0/gc at -O2', () => runScripts('wasm-3.0/gc', '-O2', Object.keys(readList()['wasm-3.0/gc'])));

specTest('tail calls and typed references at -O2', () => {
  const scripts = Object.entries(readList()['wasm-3.0/core']).filter(([, { features, unsupported }]) => unsupported.length === 0 && features.some((name) => ['tail-call', 'function-references'].includes(name)));
  runScripts('wasm-3.0/core', '-O2', scripts.map(([name]) => name));
});

test.run();
