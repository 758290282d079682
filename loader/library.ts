/**
 * libwasm_aot.so through ffi-napi: the rare, coarse questions to the runtime library, asked without the addon: which version it is, whether a file is an artifact. Neither loading nor calling
 * comes this way: a call costs 10 to 40 microseconds, and importing ffi-napi 16 to 27 milliseconds in each thread. Where ffi-napi is missing or does not work, the addon answers the same questions.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ABI_VERSION } from '../runtime-c/abi.js';
import { nativeError } from './errors.js';
import { native, nativeDirectory } from './native.js';

/** The questions. */
export interface Library {
  /** Who answers. */
  readonly via: 'ffi-napi' | 'addon';
  /** E.g. "wasm-aot runtime 0.1.0, ABI 1". */
  version(): string;
  abiVersion(): number;
  /** Checks a file as loading does, mapping nothing. @throws {ArtifactError} */
  verify(path: string): void;
}

/** sizeof(waot_error), and the offsets of kind, status and message in it. */
const ERROR_SIZE = 508;
const ERROR_KIND = 0;
const ERROR_MESSAGE = 8;

interface Functions {
  waot_version(): string;
  waot_abi_version(): number;
  waot_artifact_verify(path: string, error: Buffer): number;
}

function openWithFfi(): Library {
  // ffi-napi is CommonJS, and takes about 20 ms to load: not before somebody asks.
  const require = createRequire(import.meta.url);
  const ffi = require('ffi-napi') as { Library(path: string, functions: Record<string, [string, string[]]>): Functions };
  // Node unloads an addon when the only worker that used it ends, and ffi-napi leaves callbacks in the worker's event loop: they would run code that is gone.
  for (const file of Object.keys(require.cache)) if (file.endsWith('.node') && /[\\/](ffi|ref)-napi[\\/]/.test(file)) native().keepLoaded(file);
  const functions = ffi.Library(join(nativeDirectory(), process.platform === 'darwin' ? 'libwasm_aot.dylib' : 'libwasm_aot.so'), {
    waot_version: ['string', []],
    waot_abi_version: ['uint32', []],
    waot_artifact_verify: ['int', ['string', 'pointer']],
  });
  return {
    via: 'ffi-napi',
    version: () => functions.waot_version(),
    abiVersion: () => functions.waot_abi_version(),
    verify(path) {
      if (path.includes('\0')) throw new TypeError('a path cannot contain a zero character');
      const error = Buffer.alloc(ERROR_SIZE);
      if (functions.waot_artifact_verify(path, error) === 0) return;
      const end = error.indexOf(0, ERROR_MESSAGE);
      throw nativeError(error.readUInt32LE(ERROR_KIND), error.toString('utf8', ERROR_MESSAGE, end < 0 ? ERROR_SIZE : end));
    },
  };
}

function openWithAddon(): Library {
  return { via: 'addon', version: () => native().version, abiVersion: () => native().abiVersion, verify: (path) => native().artifactVerify(path) };
}

let library: Library | undefined;

/**
 * The library, opened and asked for its ABI version once in each thread.
 * @throws {Error} when the library is of another ABI version than this loader.
 */
export function openLibrary(): Library {
  if (library) return library;
  let opened: Library;
  try {
    opened = openWithFfi();
  } catch {
    opened = openWithAddon();
  }
  const abi = opened.abiVersion();
  if (abi !== ABI_VERSION) throw new Error(`wasm-aot: the runtime library has ABI version ${abi}, this loader ${ABI_VERSION}: build it again ("npm run build")`);
  library = opened;
  return opened;
}
