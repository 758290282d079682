/** Runs one spec script in this process, through the public loader: the child of `run.ts`. Arguments: folder, name, artifacts' list, file for the current line. */
import { openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CompileError } from '../../compiler/diagnostics.js';
import { resolveFeatures, VERSION_2 } from '../../compiler/wasm/features.js';
import { parseModule } from '../../compiler/wasm/parse.js';
import { validateModule } from '../../compiler/wasm/validate.js';
import { type Instance, LinkError, load, OutOfFuel, Store, Trap } from '../../loader/index.js';
import { callRaw, readGlobalRaw } from '../../loader/raw.js';
import { STATUS } from '../../runtime-c/abi.js';
import { bitsOf, describe, isTextOnly, matches, readSpecFiles, type SpecAction, type SpecCommand, type SpecValue } from './commands.js';
import { type Artifacts, moduleKey } from './compile.js';
import type { ScriptResult } from './run.js';
import { makeSpectest } from './spectest.js';

const MESSAGE = new Map<string, string>(STATUS.map((row) => [row.name, row.message]));

/** What a script has made so far. */
class Script {
  private readonly store = new Store();
  private readonly imports: Record<string, Record<string, unknown>> = { spectest: makeSpectest(this.store) };
  private readonly instances = new Map<string, Instance>();
  private readonly definitions = new Map<string, string>();
  private readonly externrefs = new Map<string, object>();
  private current: Instance | undefined;
  private latestDefinition = '';

  constructor(private readonly folder: string, private readonly artifacts: Artifacts) {}

  /** Runs one command. Throws where the outcome is not what it asks for. */
  run(command: SpecCommand): void {
    switch (command.type) {
      case 'module': this.define(command.name, this.instantiate(command.filename as string)); return;
      case 'module_definition':
        this.latestDefinition = command.filename as string;
        if (command.name) this.definitions.set(command.name, this.latestDefinition);
        return;
      case 'module_instance':
        this.define(command.instance, this.instantiate(command.module === undefined ? this.latestDefinition : this.definitions.get(command.module) as string));
        return;
      case 'register': this.imports[command.as as string] = this.instance(command.name).exports as Record<string, unknown>; return;
      case 'action': this.act(command.action as SpecAction); return;
      case 'assert_return': this.assertReturn(command.action as SpecAction, command.expected ?? []); return;
      case 'assert_trap': this.assertTrap(() => this.act(command.action as SpecAction), command.text as string); return;
      case 'assert_exhaustion': this.assertTrap(() => this.act(command.action as SpecAction), 'call stack exhausted'); return;
      case 'assert_exception': this.assertException(() => this.act(command.action as SpecAction)); return;
      case 'assert_uninstantiable': this.assertTrap(() => this.instantiate(command.filename as string), command.text as string); return;
      case 'assert_unlinkable': this.assertUnlinkable(command); return;
      case 'assert_invalid': this.assertRefused(command, 'invalid'); return;
      case 'assert_malformed': this.assertRefused(command, 'malformed'); return;
    }
  }

  private define(name: string | undefined, instance: Instance): void {
    this.current = instance;
    if (name !== undefined) this.instances.set(name, instance);
  }

  private instance(name: string | undefined): Instance {
    const instance = name === undefined ? this.current : this.instances.get(name);
    if (!instance) throw new Error(`there is no instance ${name ?? 'yet'}`);
    return instance;
  }

  private instantiate(filename: string): Instance {
    const artifact = this.artifacts[moduleKey(readFileSync(join(this.folder, filename)))];
    if (!artifact?.path) throw new Error(`not compiled: ${artifact?.error ?? filename}`);
    return load(artifact.path).instantiate(this.imports as WebAssembly.Imports, { store: this.store });
  }

  /** The host value that stands for an externref with this number. */
  private externref = (number: string): object => {
    let value = this.externrefs.get(number);
    if (!value) {
      value = { externref: number };
      this.externrefs.set(number, value);
    }
    return value;
  };

  private argument(value: SpecValue): unknown {
    switch (value.type) {
      case 'i32': case 'i64': case 'f32': case 'f64': case 'v128': return bitsOf(value);
      case 'either': throw new Error('an argument cannot be one of several');
      default: return value.value === 'null' || value.type === 'refnull' || value.type === 'nullref' ? null : this.externref(value.value as string);
    }
  }

  private act(action: SpecAction): readonly unknown[] {
    const exported = (this.instance(action.module).exports as Record<string, unknown>)[action.field];
    if (exported === undefined) throw new Error(`there is no export ${JSON.stringify(action.field)}`);
    if (action.type === 'get') return [readGlobalRaw(exported as never)];
    return callRaw(exported as never, (action.args ?? []).map((value) => this.argument(value)) as never);
  }

  private assertReturn(action: SpecAction, expected: readonly SpecValue[]): void {
    const results = this.act(action);
    const wrong = results.length !== expected.length || results.some((result, i) => !matches(result, expected[i], this.externref));
    if (wrong) throw new Error(`${action.field}: expected ${expected.map((value) => JSON.stringify(value)).join(', ') || 'nothing'}, got ${results.map(describe).join(', ') || 'nothing'}`);
  }

  private assertTrap(run: () => unknown, text: string): void {
    let result: unknown;
    try {
      result = run();
    } catch (error) {
      if (!(error instanceof Trap)) throw new Error(`expected a trap (${text}), got ${String(error)}`);
      const message = MESSAGE.get(error.code) as string;
      // The tests add operands to some messages: "uninitialized element 2".
      if (text === message || text.startsWith(`${message} `)) return;
      throw new Error(`expected a trap (${text}), got the trap ${message}`);
    }
    throw new Error(`expected a trap (${text}), got ${Array.isArray(result) ? result.map(describe).join(', ') || 'a return' : 'an instance'}`);
  }

  private assertException(run: () => unknown): void {
    try {
      run();
    } catch (error) {
      if (error instanceof Trap || error instanceof OutOfFuel || error instanceof LinkError) throw new Error(`expected an exception, got ${String(error)}`);
      return;
    }
    throw new Error('expected an exception, got a return');
  }

  private assertUnlinkable(command: SpecCommand): void {
    try {
      this.instantiate(command.filename as string);
    } catch (error) {
      if (error instanceof LinkError) return;
      throw new Error(`expected a link error (${command.text}), got ${String(error)}`);
    }
    throw new Error(`expected a link error (${command.text}), but it linked`);
  }

  /** What `build` does first, without the rest of it. */
  private assertRefused(command: SpecCommand, kind: 'invalid' | 'malformed'): void {
    const bytes = readFileSync(join(this.folder, command.filename as string));
    try {
      const features = resolveFeatures(/wasm-2\.0/.test(this.folder) ? VERSION_2 : {});
      validateModule(parseModule(bytes, { name: command.filename as string, features }), { features });
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      if (error.errors[0].kind === kind) return;
      throw new Error(`expected ${kind} (${command.text}), got ${error.errors[0].kind}: ${error.message}`);
    }
    throw new Error(`expected ${kind} (${command.text}), but it was accepted`);
  }
}

function main([folder, name, list, place]: readonly string[]): ScriptResult {
  const [file] = readSpecFiles(folder, [name]);
  const script = new Script(folder, JSON.parse(readFileSync(list, 'utf8')) as Artifacts);
  const placeFile = openSync(place, 'r+');
  const failures: { line: number; message: string }[] = [];
  let passed = 0;
  for (const command of file.commands) {
    if (isTextOnly(command)) continue;
    // Should the process die, its parent reads here how far it came.
    writeSync(placeFile, String(command.line).padEnd(12), 0);
    try {
      script.run(command);
      passed++;
    } catch (error) {
      failures.push({ line: command.line, message: `${command.type}: ${error instanceof Error ? error.message : String(error)}` });
    }
  }
  return { passed, failures };
}

process.send?.(main(process.argv.slice(2)), () => process.exit(0));
