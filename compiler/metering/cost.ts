/** The cost model: what each operator costs (the fuel law, DESIGN.md clauses 1 and 2). */
import { createHash } from 'node:crypto';
import { CompileError } from '../diagnostics.js';
import { nearestName } from '../options.js';
import { opcodeByName, OPCODES } from '../wasm/opcodes.js';

/** A cost table, resolved for lowering: every operator of the opcode table has a price. */
export interface CostTable {
  /** Name of the table: `wasmtime-1`, or the `name` in the user's file. */
  readonly name: string;
  /** SHA-256, in hex, of the table's canonical JSON. */
  readonly sha256: string;
  /** Fuel for one execution of an operator, by its name: 0 .. 2^31-1. */
  readonly cost: ReadonlyMap<string, number>;
  /** Fuel per unit of a bulk operator (byte, element or page), by its name: 0 .. 2^20. Absent means 0. */
  readonly perUnit: ReadonlyMap<string, number>;
}

/** Name of the built-in profile: the prices that wasmtime documents for its fuel. */
export const DEFAULT_COST_TABLE = 'wasmtime-1';

/** Dearest operator: a charge for straight-line code of a whole function (2^23 operators) stays below 2^54, exact in a JS number too. */
export const MAX_COST = 2 ** 31 - 1;
/** Dearest unit: a bulk operator over 2^32 units charges 2^52 at most. */
export const MAX_COST_PER_UNIT = 2 ** 20;

/** Names of the operators, once each, sorted by code unit: the order of the canonical JSON. */
const NAMES: readonly string[] = [...new Set(OPCODES.map((op) => op.name))].sort();
const BULK_NAMES: readonly string[] = NAMES.filter((name) => opcodeByName(name)?.costPerUnit !== undefined);
/**
 * The operators that can go back to the start of a loop. At 0, `loop br 0 end` would run for ever without consuming anything, and no
 * limit could stop it (the fuel law, clause 5). Recursion needs no such rule: entering a function always costs 1.
 */
const BRANCHES: readonly string[] = ['br', 'br_if', 'br_table', 'br_on_null', 'br_on_non_null', 'br_on_cast', 'br_on_cast_fail'];

/** The profile `wasmtime-1`, as the opcode table has it. */
export function defaultCostTable(): CostTable {
  const cost = new Map(NAMES.map((name) => [name, opcodeByName(name)?.cost ?? 1]));
  const perUnit = new Map(BULK_NAMES.map((name) => [name, opcodeByName(name)?.costPerUnit?.cost ?? 0]));
  return seal(DEFAULT_COST_TABLE, cost, perUnit);
}

/**
 * Reads a user's cost table:
 * `{ "name": "...", "base": "wasmtime-1", "default": 1, "cost": { "i32.add": 2 }, "perUnit": { "memory.copy": 1 } }`.
 * Only `name` is required. What `cost` does not price costs `default` if that is given, else what it costs in `base`.
 * @param json The file's contents.
 * @param fileName Its name, for messages.
 * @throws {CompileError} of kind `usage`, with one diagnostic for each fault: a misspelt operator (with the nearest name), a price out of range,
 * a price per unit for an operator that is not a bulk operator, a branch that would cost nothing.
 */
export function parseCostTable(json: string, fileName: string): CostTable {
  const faults = new Faults(fileName);
  const file = parseObject(json, faults);
  const name = readName(file, faults);
  const base = defaultCostTable();
  if (file.base !== undefined && file.base !== DEFAULT_COST_TABLE) faults.add(`"base" cannot be ${JSON.stringify(file.base)}`, `it is ${JSON.stringify(DEFAULT_COST_TABLE)}`);
  const fallback = file.default === undefined ? undefined : readPrice(file.default, '"default"', MAX_COST, faults);
  const cost = new Map(NAMES.map((op) => [op, fallback ?? (base.cost.get(op) as number)]));
  for (const [op, price] of readPrices(file, 'cost', MAX_COST, faults)) cost.set(op, price);
  const perUnit = new Map(base.perUnit);
  for (const [op, price] of readPrices(file, 'perUnit', MAX_COST_PER_UNIT, faults)) {
    if (BULK_NAMES.includes(op)) perUnit.set(op, price);
    else faults.add(`"perUnit" cannot price ${op}, which works on no bytes, elements or pages`, `it can price ${BULK_NAMES.join(', ')}`);
  }
  for (const op of BRANCHES) {
    if (cost.get(op) === 0) faults.add(`${op} must cost at least 1: a loop that it closes could otherwise run for ever without consuming fuel`);
  }
  faults.throwIfAny();
  return seal(name, cost, perUnit);
}

/** The canonical JSON of a table: every operator, sorted by name, no blanks. `sha256` is the hash of these bytes. */
export function costTableJson(table: Omit<CostTable, 'sha256'>): string {
  const cost = Object.fromEntries(NAMES.map((name) => [name, table.cost.get(name) ?? 0]));
  const perUnit = Object.fromEntries(BULK_NAMES.map((name) => [name, table.perUnit.get(name) ?? 0]));
  return JSON.stringify({ name: table.name, cost, perUnit });
}

function seal(name: string, cost: ReadonlyMap<string, number>, perUnit: ReadonlyMap<string, number>): CostTable {
  const table = { name, cost, perUnit };
  return { ...table, sha256: createHash('sha256').update(costTableJson(table)).digest('hex') };
}

/** Collects what is wrong with a file, so that the user sees all of it at once. */
class Faults {
  readonly #file: string;
  readonly #errors: { kind: 'usage'; message: string; place: { file: string }; note?: string }[] = [];
  constructor(file: string) {
    this.#file = file;
  }
  add(message: string, note?: string): void {
    this.#errors.push({ kind: 'usage', message: `cost table: ${message}`, place: { file: this.#file }, note });
  }
  throwIfAny(): void {
    if (this.#errors.length > 0) throw new CompileError(...this.#errors);
  }
}

const KEYS: readonly string[] = ['name', 'base', 'default', 'cost', 'perUnit'];
type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

function parseObject(json: string, faults: Faults): Fields {
  let value: unknown;
  try {
    value = JSON.parse(json);
    if (!isObject(value)) faults.add('the file must hold one JSON object');
  } catch (error) {
    faults.add(`the file is not JSON: ${(error as Error).message}`);
  }
  faults.throwIfAny();
  const fields = value as Fields;
  for (const key of Object.keys(fields)) {
    if (!KEYS.includes(key)) faults.add(`unknown key ${JSON.stringify(key)}`, `did you mean ${JSON.stringify(nearestName(key, KEYS))}?`);
  }
  return fields;
}

function readName({ name }: Fields, faults: Faults): string {
  if (typeof name === 'string' && name !== '' && name.length <= 100 && name !== DEFAULT_COST_TABLE) return name;
  if (name === DEFAULT_COST_TABLE) faults.add(`"name" cannot be ${JSON.stringify(name)}, the built-in profile's`);
  else faults.add(name === undefined ? '"name" is missing' : `"name" must be a string of 1 to 100 characters, not ${JSON.stringify(name)}`);
  return '';
}

function readPrice(value: unknown, what: string, most: number, faults: Faults): number | undefined {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
  faults.add(`${what} must be an integer from 0 to ${most}, not ${JSON.stringify(value)}`);
  return undefined;
}

/** The prices of one key of the file, without the faulty ones. */
function readPrices(file: Fields, key: 'cost' | 'perUnit', most: number, faults: Faults): [name: string, price: number][] {
  const prices = file[key];
  if (prices === undefined) return [];
  if (!isObject(prices)) {
    faults.add(`"${key}" must be an object: operator name to price`);
    return [];
  }
  const good: [string, number][] = [];
  for (const [name, value] of Object.entries(prices)) {
    if (opcodeByName(name) === undefined) {
      faults.add(`"${key}": unknown operator ${JSON.stringify(name)}`, `did you mean ${JSON.stringify(nearestName(name, NAMES))}?`);
      continue;
    }
    const price = readPrice(value, `"${key}": ${name}`, most, faults);
    if (price !== undefined) good.push([name, price]);
  }
  return good;
}
