/** Runs a WASI command on V8: `v8-wasi.js FILE.wasm FOLDER NAME=VALUE... -- ARGUMENTS...`, FOLDER being the guest's /data. The exit code is the guest's. */
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const [file, folder, ...rest] = process.argv.slice(2);
const cut = rest.indexOf('--');
const env = Object.fromEntries(rest.slice(0, cut).map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]));
const wasi = new WASI({ version: 'preview1', args: [file, ...rest.slice(cut + 1)], env, preopens: { '/data': folder }, returnOnExit: true });
const instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), wasi.getImportObject() as WebAssembly.Imports);
process.exitCode = wasi.start(instance) as unknown as number;
