/** Writes the manifest of an artifact: see loader/manifest.ts for the schema. */
import { createHash } from 'node:crypto';
import { ABI_VERSION } from '../runtime-c/abi.js';
import type { Manifest, ManifestExtern, ManifestField, ManifestType } from '../loader/manifest.js';
import { packageVersion } from './cache.js';
import type { ModulePlan } from './emit/plan.js';
import type { DefinedType, ExternType, FieldType, Limits, WasmModule } from './wasm/module.js';
import { functionType } from './wasm/types.js';

/** What the code was generated for. */
export interface ManifestTarget { readonly triple: string; readonly cpu: string; readonly features: readonly string[]; readonly llvm: string; /** Of code for other levels. */ readonly levels: readonly { readonly cpu: string; readonly features: readonly string[] }[] }

const limits = ({ min, max }: Limits) => (max === undefined ? { min } : { min, max });

function describeExtern(module: WasmModule, desc: ExternType): ManifestExtern {
  switch (desc.kind) {
    case 'func': {
      const { params, results } = functionType(module, desc.type);
      return { kind: 'func', params: [...params], results: [...results] };
    }
    case 'table': return { kind: 'table', element: desc.type.element, ...limits(desc.type.limits) };
    case 'memory': return { kind: 'memory', ...limits(desc.type.limits) };
    case 'global': return { kind: 'global', type: desc.type.type, mutable: desc.type.mutable };
  }
}

const describeField = ({ type, mutable }: FieldType): ManifestField => ({ type, mutable });

function describeType(type: DefinedType): ManifestType {
  const place = { ...(type.final ? {} : { open: true as const }), ...(type.supertype === undefined ? {} : { supertype: type.supertype }) };
  switch (type.kind) {
    case 'func': return { params: [...type.params], results: [...type.results], ...place };
    case 'struct': return { fields: type.fields.map(describeField), ...place };
    case 'array': return { element: describeField(type.element), ...place };
  }
}

function exportedExtern(module: WasmModule, kind: ExternType['kind'], index: number): ManifestExtern {
  switch (kind) {
    case 'func': return describeExtern(module, { kind, type: module.funcs[index] });
    case 'table': return describeExtern(module, { kind, type: module.tables[index] });
    case 'memory': return describeExtern(module, { kind, type: module.memories[index] });
    case 'global': return describeExtern(module, { kind, type: module.globals[index] });
  }
}

/** Whether a type names one of the module's types by index. */
function namesType(extern: ManifestExtern): boolean {
  const types = extern.kind === 'func' ? [...extern.params, ...extern.results] : extern.kind === 'table' ? [extern.element] : extern.kind === 'global' ? [extern.type] : [];
  return types.some((type) => /\d\)$/.test(type));
}

/** The manifest, as the JSON text that goes into the artifact. The same input and options give the same text. */
export function writeManifest(plan: ModulePlan, target: ManifestTarget): string {
  const { module, options, costs } = plan;
  const imports = module.imports.map(({ module: from, name, desc }) => ({ module: from, name, ...describeExtern(module, desc) }));
  const exports = module.exports.map(({ name, kind, index }) => ({ name, ...exportedExtern(module, kind, index) }));
  const namesTypes = [...imports, ...exports].some(namesType);
  const manifest: Manifest = {
    schema: 1,
    abiVersion: ABI_VERSION,
    producer: { name: 'wasm-aot', version: packageVersion(), llvm: target.llvm },
    source: { name: options.name, sha256: createHash('sha256').update(module.bytes).digest('hex'), bytes: module.bytes.length },
    target: {
      triple: target.triple, cpu: target.cpu, features: [...target.features],
      ...(target.levels.length > 0 ? { levels: target.levels.map(({ cpu, features }) => ({ cpu, features: [...features] })) } : {}),
    },
    options: { optLevel: options.optLevel, debug: options.debug, fuel: options.fuel, nan: options.nan },
    ...(options.fuel === 'none' ? {} : { costTable: { name: costs.name, sha256: costs.sha256 } }),
    ...(namesTypes ? { types: module.types.map(describeType) } : {}),
    imports,
    exports,
    memories: module.memories.map((memory, i) => ({ ...limits(memory.limits), imported: i < module.importedMemories })),
    functions: { imported: module.importedFuncs, defined: module.bodies.length },
    start: module.start !== undefined,
  };
  return JSON.stringify(manifest);
}
