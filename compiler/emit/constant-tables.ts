/**
 * Tables of which the elements are known when the module is compiled, so that call_indirect has less to check.
 *
 * Such a table is defined in the module and not exported, so that no other module and no host reaches it; no operator writes to it; and active element segments alone say what it holds. Functions of the module run only when
 * all segments have been written: the start function and exports do, and those that a failed instantiation has left in an imported table, but then no active element segment may be the one that fails. (Functions of
 * a segment are on view only when it has been written as a whole.)
 */
import type { ConstExpr, FuncBody, Operator, WasmModule } from '../wasm/module.js';
import type { TypeRelation } from '../wasm/types.js';

/** Indices from `from` up to and without `to`. */
export interface IndexRange { readonly from: number; readonly to: number }

/** A table that never changes. */
export class ConstantTable {
  readonly #ranges = new Map<number, IndexRange | undefined>();

  /** @param elements function indices; undefined for null. */
  constructor(private readonly module: WasmModule, readonly elements: readonly (number | undefined)[]) {}

  /**
   * Where the elements are that `call_indirect` with a type may call.
   * @returns undefined where there are none, or others are between them.
   */
  callable(type: number, relation: TypeRelation): IndexRange | undefined {
    if (!this.#ranges.has(type)) this.#ranges.set(type, this.#find(type, relation));
    return this.#ranges.get(type);
  }

  #find(type: number, relation: TypeRelation): IndexRange | undefined {
    const matches = this.elements.map((index) => index !== undefined && relation.heapMatches(this.module.funcs[index], type));
    const from = matches.indexOf(true);
    const to = matches.lastIndexOf(true) + 1;
    return from >= 0 && matches.slice(from, to).every((match) => match) ? { from, to } : undefined;
  }

  /** Whether all elements of a range are functions that the module defines itself. */
  isOwn({ from, to }: IndexRange): boolean {
    return this.elements.slice(from, to).every((index) => index !== undefined && index >= this.module.importedFuncs);
  }
}

/** Larger tables are not looked at: they would be read into memory here. */
const MOST_ELEMENTS = 1 << 16;

/** Operators that write to a table: the table's index. */
const WRITES: Readonly<Record<string, (operator: Operator) => number>> = {
  'table.set': ({ a }) => a, 'table.grow': ({ a }) => a, 'table.fill': ({ a }) => a, 'table.copy': ({ a }) => a, 'table.init': ({ b }) => b,
};
/** The first bytes of those operators: table.set has one of its own, the others a prefix. */
const FIRST_BYTES = [0x26, 0xfc];

const constantOf = (expr: ConstExpr | undefined): number | undefined => (expr?.kind === 'const' && expr.bits <= 0xffffffffn ? Number(expr.bits) : undefined);

/** Where an active segment is written to, if it is known that it fits. */
function certainOffset(module: WasmModule, { table, offsetExpr, items }: WasmModule['elems'][number]): number | undefined {
  const offset = constantOf(offsetExpr);
  return offset !== undefined && offset + items.length <= module.tables[table].limits.min ? offset : undefined;
}

/** The tables that nobody outside can reach and of which the elements are known to begin with. */
function candidates(module: WasmModule): Map<number, (number | undefined)[]> {
  const tables = new Map<number, (number | undefined)[]>();
  const active = module.elems.filter(({ mode }) => mode === 'active');
  if (active.some((segment) => certainOffset(module, segment) === undefined)) return tables;
  module.tables.forEach(({ limits }, i) => {
    const init = module.tableInits[i - module.importedTables];
    if (i < module.importedTables || limits.min > MOST_ELEMENTS || (init && init.kind !== 'null') || module.exports.some(({ kind, index }) => kind === 'table' && index === i)) return;
    tables.set(i, new Array<undefined>(limits.min).fill(undefined));
  });
  for (const segment of active) {
    const elements = tables.get(segment.table);
    if (!elements) continue;
    const at = certainOffset(module, segment) as number;
    if (segment.items.every(({ kind }) => kind === 'func' || kind === 'null')) segment.items.forEach((item, i) => { elements[at + i] = item.kind === 'func' ? item.index : undefined; });
    else tables.delete(segment.table);
  }
  return tables;
}

/** Finds the constant tables of a valid module, by table index. */
export function findConstantTables(module: WasmModule, operatorsOf: (body: FuncBody) => Iterable<Operator>): ReadonlyMap<number, ConstantTable> {
  const tables = candidates(module);
  for (const body of module.bodies) {
    if (tables.size === 0) break;
    const bytes = module.bytes.subarray(body.codeStart, body.codeEnd);
    if (!FIRST_BYTES.some((byte) => bytes.includes(byte))) continue;
    for (const operator of operatorsOf(body)) tables.delete(WRITES[operator.op.name]?.(operator) ?? -1);
  }
  return new Map([...tables].map(([index, elements]) => [index, new ConstantTable(module, elements)]));
}
