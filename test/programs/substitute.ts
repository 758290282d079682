/**
 * Puts our engine where V8's was, for packages whose glue calls the WebAssembly JS API: `WebAssembly.instantiate` and the rest of the global are replaced, so
 * that the glue, unchanged, links and runs artifacts. Compiling takes a process of its own and is asynchronous, while glue may use the synchronous
 * `new WebAssembly.Module`: so modules are first recorded under V8, compiled, and then looked up by their hash.
 */
import { createHash } from 'node:crypto';
import { Global, load, type Instance, type Module, Table } from '../../loader/index.js';

const native = globalThis.WebAssembly;

/** What a substituted or recorded run did. */
export interface Tally { modules: number; instances: number; fuel: () => bigint }

/** The name by which a module is recorded and found: the SHA-256 of its bytes. */
export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function toBytes(source: BufferSource): Uint8Array {
  return ArrayBuffer.isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source as ArrayBuffer);
}

/** What the engine behind the global does; the rest of the JS API follows from it. */
interface Engine {
  compile(bytes: Uint8Array): object;
  instantiate(module: object, imports: WebAssembly.Imports): object;
  imports(module: object): unknown[];
  exports(module: object): unknown[];
}

/** Replaces the global by one over `engine`. Errors and Memory stay V8's, which the loader's own extend or use. */
function install(engine: Engine, extra: Record<string, unknown>): void {
  const compiled = new WeakMap<object, object>();
  const moduleOf = (module: object): object => {
    const found = compiled.get(module);
    if (!found) throw new TypeError('WebAssembly.Instance: the first argument must be a WebAssembly.Module');
    return found;
  };
  class SubstituteModule {
    constructor(source: BufferSource) {
      compiled.set(this, engine.compile(toBytes(source)));
    }
    static imports(module: object): unknown[] { return engine.imports(moduleOf(module)); }
    static exports(module: object): unknown[] { return engine.exports(moduleOf(module)); }
    static customSections(): ArrayBuffer[] { return []; }
  }
  class SubstituteInstance {
    readonly exports: unknown;
    constructor(module: object, imports: WebAssembly.Imports = {}) {
      this.exports = (engine.instantiate(moduleOf(module), imports) as { exports: unknown }).exports;
    }
  }
  const instantiate = async (source: BufferSource | object, imports: WebAssembly.Imports = {}): Promise<unknown> => {
    if (source instanceof SubstituteModule) return new SubstituteInstance(source, imports);
    // Compiled before the substitution, so V8's: Node's own HTTP parser.
    if (source instanceof native.Module) return native.instantiate(source, imports);
    const module = new SubstituteModule(source as BufferSource);
    return { module, instance: new SubstituteInstance(module, imports) };
  };
  const substitute = {
    ...Object.fromEntries(['Memory', 'CompileError', 'LinkError', 'RuntimeError', 'validate', 'Table', 'Global'].map((name) => [name, (native as unknown as Record<string, unknown>)[name]])),
    Module: SubstituteModule, Instance: SubstituteInstance,
    compile: async (source: BufferSource) => new SubstituteModule(source),
    instantiate,
    // Without the streaming functions, glue falls back on the others.
    ...extra,
  };
  setGlobal(substitute);
}

function setGlobal(value: object): void {
  Object.defineProperty(globalThis, 'WebAssembly', { value, configurable: true, writable: true });
}

/** Calls the loader, which asks V8 about V8's own memories and globals, with V8's WebAssembly in place. What a start function sees is therefore V8's as well. */
function withNative<T>(call: () => T): T {
  const substitute = globalThis.WebAssembly;
  setGlobal(native);
  try {
    return call();
  } finally {
    setGlobal(substitute);
  }
}

/**
 * Leaves everything to V8 through the same substitute.
 * @param onModule is given the bytes of each module, and returns those that are to run.
 * @param consumed says what an instance has consumed, when modules can.
 */
export function recordWebAssembly(onModule: (hash: string, bytes: Uint8Array) => Uint8Array, consumed: (instance: WebAssembly.Instance) => bigint = () => 0n): Tally {
  const instances: WebAssembly.Instance[] = [];
  const tally: Tally = { modules: 0, instances: 0, fuel: () => instances.reduce((sum, instance) => sum + consumed(instance), 0n) };
  install({
    compile(bytes) {
      tally.modules++;
      return new native.Module(onModule(hashOf(bytes), bytes) as BufferSource);
    },
    instantiate(module, imports) {
      tally.instances++;
      const instance = new native.Instance(module as WebAssembly.Module, imports);
      instances.push(instance);
      return instance;
    },
    imports: (module) => native.Module.imports(module as WebAssembly.Module),
    exports: (module) => native.Module.exports(module as WebAssembly.Module),
  }, {});
  return tally;
}

/** Runs artifacts instead. @param artifacts where the artifact of a module is, by the module's hash. */
export function substituteWebAssembly(artifacts: (hash: string) => string, fuel?: bigint): Tally {
  const instances: Instance[] = [];
  const tally: Tally = { modules: 0, instances: 0, fuel: () => instances.reduce((sum, instance) => sum + instance.fuel.consumed, 0n) };
  install({
    compile(bytes) {
      tally.modules++;
      return withNative(() => load(artifacts(hashOf(bytes))));
    },
    instantiate(module, imports) {
      tally.instances++;
      const instance = withNative(() => (module as Module).instantiate(imports, fuel === undefined ? {} : { fuel }));
      instances.push(instance);
      return instance;
    },
    imports: (module) => (module as Module).imports() as unknown[],
    exports: (module) => (module as Module).exports() as unknown[],
  }, { Table, Global });
  return tally;
}
