/** What the compiler says when something is wrong: message, place, what to do. Exit codes are those of sysexits(3) where one fits. */

/** Process exit codes of the CLI. */
export const ExitCode = {
  ok: 0,
  /** Unknown option, missing argument. */
  usage: 64,
  /** Malformed or invalid wasm, or a bad cost table. */
  data: 65,
  /** The input cannot be read. */
  noInput: 66,
  /** The module needs a feature that is off or not supported. */
  unsupported: 67,
  /** Imports missing or mistyped. */
  link: 68,
  /** A tool or package that compiling needs is not installed. */
  unavailable: 69,
  /** A fault of wasm-aot itself. */
  internal: 70,
  /** The memory budget is too small for the module. */
  memory: 71,
  /** The output cannot be written. */
  cantCreate: 73,
  /** The artifact is truncated, foreign, tampered with, or for another machine. */
  artifact: 76,
  /** The guest trapped. */
  trap: 134,
  /** The guest ran out of fuel (128 + SIGXCPU). */
  outOfFuel: 152,
} as const;

export type DiagnosticKind = 'malformed' | 'invalid' | 'unsupported' | 'usage' | 'input' | 'output' | 'unavailable' | 'memory' | 'internal';

/** Where in the input: the byte offset in the file, and the function when inside one. */
export interface Place { readonly file?: string; readonly offset?: number; readonly func?: { readonly index: number; readonly name?: string } }

/** One message, as structured data. */
export interface Diagnostic { readonly kind: DiagnosticKind; readonly message: string; readonly place?: Place; readonly note?: string }

/** Renders `in.wasm:0x1a: func[3] "parse": type mismatch: expected i32, found f32`. */
export function formatDiagnostic(d: Diagnostic): string {
  const { file, offset, func } = d.place ?? {};
  const at = [file, offset === undefined ? undefined : `0x${offset.toString(16)}`].filter((part) => part !== undefined).join(':');
  const where = func ? `func[${func.index}]${func.name === undefined ? '' : ` ${JSON.stringify(func.name)}`}: ` : '';
  return `${at ? `${at}: ` : ''}${where}${d.message}${d.note ? `\n  note: ${d.note}` : ''}`;
}

/** Thrown by every stage of the compiler for faults of the input or the environment; `errors` holds the details. */
export class CompileError extends Error {
  readonly errors: readonly Diagnostic[];
  constructor(...errors: Diagnostic[]) {
    super(errors.map(formatDiagnostic).join('\n'));
    this.name = 'CompileError';
    this.errors = errors;
  }
  /** The exit code that fits the first error. */
  get exitCode(): number {
    switch (this.errors[0]?.kind) {
      case 'malformed': case 'invalid': return ExitCode.data;
      case 'unsupported': return ExitCode.unsupported;
      case 'usage': return ExitCode.usage;
      case 'input': return ExitCode.noInput;
      case 'output': return ExitCode.cantCreate;
      case 'unavailable': return ExitCode.unavailable;
      case 'memory': return ExitCode.memory;
      default: return ExitCode.internal;
    }
  }
}
