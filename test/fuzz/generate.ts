/**
 * Random modules, from binaryen's `wasm-opt -ttf` (npm), which turns random bytes into a valid module that ends. wasm-opt is a WebAssembly program in a script; it is compiled once and runs
 * in this process, since starting a process for each module took longer than all the rest.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { compileFunction } from 'node:vm';
import type { Random } from './random.js';

/** The features that we compile and V8 has, as binaryen names them; each module takes some of them. */
const ALWAYS = ['--mvp-features', '--enable-mutable-globals', '--enable-sign-ext', '--enable-nontrapping-float-to-int', '--enable-multivalue', '--enable-bulk-memory', '--enable-reference-types'];
/** Of modules with structs and arrays, which need others as well. */
export const OBJECTS = ['--enable-gc', '--enable-extended-const', '--enable-tail-call', '--enable-simd'];
export const VECTORS = ['--enable-simd'];
const SOMETIMES = [[], VECTORS, ['--enable-tail-call'], ['--enable-simd', '--enable-tail-call', '--enable-extended-const']];

/** The path of a tool in the binaryen package, or undefined when that is not installed. */
function findTool(name: string): string | undefined {
  try {
    const path = join(createRequire(import.meta.url).resolve('binaryen/package.json'), '..', 'bin', name);
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

export const findWasmOpt = (): string | undefined => findTool('wasm-opt');

/** How emscripten's scripts are told what to do. */
interface EmscriptenModule {
  readonly arguments: string[];
  readonly print: (line: string) => void;
  readonly printErr: (line: string) => void;
  instantiateWasm?: (imports: WebAssembly.Imports, received: (instance: WebAssembly.Instance) => void) => void;
}
type Script = (module: EmscriptenModule, require: NodeRequire, process: object, webAssembly: object, filename: string, dirname: string) => Promise<unknown>;

/** A command-line tool of binaryen, warm. */
class Tool {
  private readonly script: Script;
  private compiled: WebAssembly.Module | undefined;

  constructor(private readonly path: string) {
    const source = readFileSync(path, 'latin1').replace(/^#!.*/, '');
    // The script ends by starting itself; we want to know when that is over.
    const start = source.lastIndexOf('createWasm().then(');
    if (start < 0) throw new Error(`${path} is not the script that we know how to run`);
    const text = Buffer.from(`${source.slice(0, start)}return ${source.slice(start)}`, 'latin1').toString('utf8');
    this.script = compileFunction(text, ['Module', 'require', 'process', 'WebAssembly', '__filename', '__dirname'], { filename: path }) as Script;
  }

  /** Runs the tool with arguments. @returns its exit status. */
  async run(args: readonly string[]): Promise<number> {
    const settings: EmscriptenModule = { arguments: [...args], print() {}, printErr() {} };
    const { compiled } = this;
    if (compiled) settings.instantiateWasm = (imports, received) => received(new WebAssembly.Instance(compiled, imports));
    // The binary is text in the script, and slow to decode: the first run decodes it, and hands it to us in place of WebAssembly.instantiate.
    const webAssembly = Object.assign(Object.create(WebAssembly), {
      instantiate: async (binary: BufferSource, imports: WebAssembly.Imports) => {
        this.compiled = await WebAssembly.compile(binary);
        return { module: this.compiled, instance: new WebAssembly.Instance(this.compiled, imports) };
      },
    });
    // The script leaves its status where the exit code of a process goes.
    const shadow = Object.create(process, { exitCode: { value: 1, writable: true }, argv: { value: [process.execPath, this.path, ...args] } });
    try {
      await this.script(settings, createRequire(this.path), shadow, webAssembly, this.path, join(this.path, '..'));
    } catch {
      // It aborted: no module.
      return 1;
    }
    return shadow.exitCode;
  }
}

let wasmOpt: Tool | undefined;

/**
 * A random module; some are optimised, which gives denser code of other shapes. NaNs are kept out (`--denan`), since their bits are the engine's choice.
 * @param folder where to put intermediate files. @param features the switches of binaryen's features beside the usual ones; default: some.
 * @returns undefined when there is no binaryen, or it gave up.
 */
export async function generateModule(random: Random, folder: string, features?: readonly string[]): Promise<Uint8Array | undefined> {
  const path = findWasmOpt();
  if (path === undefined) return undefined;
  wasmOpt ??= new Tool(path);
  const input = join(folder, 'seed.bin');
  const output = join(folder, 'generated.wasm');
  writeFileSync(input, random.bytes(500 + random.below(12_000)));
  rmSync(output, { force: true });
  const passes = ['--denan', ...(random.below(2) ? [random.pick(features === OBJECTS ? ['-O1', '-O3'] : ['-O1', '-O3', '--flatten'])] : [])];
  const status = await wasmOpt.run(['-ttf', input, '-o', output, ...ALWAYS, ...(features ?? random.pick(SOMETIMES)), ...passes]);
  return status === 0 && existsSync(output) ? readFileSync(output) : undefined;
}
