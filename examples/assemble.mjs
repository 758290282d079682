// What the examples share: their guests are written in WebAssembly's text format, so that you see all of it. wabt turns text into wasm, wasm-aot compiles that.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'wasm-aot/compiler';
import initialiseWabt from 'wabt';

const wabt = await initialiseWabt();
const folder = mkdtempSync(join(tmpdir(), 'wasm-aot-examples-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
let count = 0;

/** Compiles a module in the text format. Returns the path of the artifact. */
export async function compile(text, options = {}) {
  const { buffer } = wabt.parseWat('guest.wat', text, { multi_value: true, bulk_memory: true }).toBinary({});
  const { artifact } = await build(buffer, options);
  const path = join(folder, `${count++}.so`);
  writeFileSync(path, artifact);
  return path;
}
