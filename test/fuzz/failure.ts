/**
 * What is known of a module that was found to differ: how to make it differ again, as lines `key value`. They are in a .txt beside the .wasm, or, as comments `;; key value`, at the head of a
 * .wat (test/fuzz/corpus).
 *
 *     seed 17            of the host's values and of memory's contents
 *     style each         see `Plan`
 *     oracle ours        our own -O0 instead of V8
 *     level -O2          a level by name; several lines for several; none: those that follow from the seed
 *     fuel 100000        of a session at most
 *     limit 812          the limit of the session, when only one is to be run
 *     session            begins a session, the first of which need not be begun; none: those that follow from the seed
 *     call f(1, 2n)      a call in the session
 */
import { ALL_LEVELS, type Difference, type Plan, planOf } from './compare.js';
import { type Call, type Session, SOME_OBJECT, showCall } from './session.js';

/** The lines that describe a plan; of one under which something differed, where. */
export function describe(plan: Plan, difference?: Difference): string {
  const { levels, sessions = [], limit } = difference ? { levels: [difference.level], sessions: [difference.session], limit: difference.limit } : plan;
  const lines = [`seed ${plan.seed}`, `style ${plan.style}`, `oracle ${plan.oracle}`, `fuel ${plan.fuel}`, ...levels.map(({ name }) => `level ${name}`)];
  if (limit !== undefined) lines.push(`limit ${limit}`);
  for (const session of sessions) lines.push('session', ...session.map((call) => `call ${showCall(call)}`));
  if (difference) lines.push(...difference.text.split('\n').map((line) => `# ${line}`));
  return `${lines.join('\n')}\n`;
}

/** The plan that such lines describe. @throws {Error} for a line that is none of them. */
export function parsePlan(text: string): Plan {
  const fields = new Map<string, string[]>();
  const sessions: Call[][] = [];
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const [key, ...rest] = line.split(' ');
    const value = rest.join(' ');
    if (key === 'session' || (key === 'call' && sessions.length === 0)) sessions.push([]);
    if (key === 'call') sessions[sessions.length - 1].push(parseCall(value));
    else if (['seed', 'style', 'oracle', 'fuel', 'level', 'limit', 'session'].includes(key)) fields.set(key, [...(fields.get(key) ?? []), value]);
    else throw new Error(`a description of a failure has no line ${JSON.stringify(line)}`);
  }
  const one = (key: string) => fields.get(key)?.[0];
  const style = one('style') === 'row' ? 'row' : 'each';
  const made = planOf(Number(one('seed') ?? 1), style);
  const levels = fields.get('level')?.map((name) => ALL_LEVELS.find((level) => level.name === name) ?? unknownLevel(name)) ?? made.levels;
  return { ...made, levels, oracle: one('oracle') === 'ours' ? 'ours' : 'v8', fuel: BigInt(one('fuel') ?? made.fuel), ...(one('limit') === undefined ? {} : { limit: BigInt(one('limit') as string) }), ...(sessions.length > 0 ? { sessions: sessions as Session[] } : {}) };
}

function unknownLevel(name: string): never {
  throw new Error(`no level is called ${name}`);
}

function parseCall(text: string): Call {
  const [, name, list] = /^(.*?)\((.*)\)$/.exec(text) ?? [];
  if (name === undefined) throw new Error(`not a call: ${text}`);
  return { name, args: list === '' ? [] : list.split(', ').map(parseValue) };
}

function parseValue(text: string): unknown {
  if (text === 'null') return null;
  if (text === 'object') return SOME_OBJECT;
  return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
}
