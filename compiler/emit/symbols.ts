/** Symbols of compiled functions: what gdb, perf and backtraces show. */
import type { WasmModule } from '../wasm/module.js';

/**
 * Names that LLVM's code generator may call on its own account (memory functions, the soft-float and libm fallbacks), or that the artifact uses itself. A wasm
 * function of that name must not answer such a call.
 */
const RESERVED = /^(_.*|waot.*|.* \[v\d\]|llvm\..*|mem(cpy|move|set|cmp|pcpy|chr)|bcmp|bzero|str\w+|abort|(floor|ceil|trunc|rint|nearbyint|round|roundeven|fma|fmod|sqrt|fmin|fmax|l?lrint|l?lround|exp|exp2|exp10|log|log2|log10|pow|sin|cos|tan|sincos|ldexp|frexp|modf)[fl]?)$/;
/** Longer names are cut: a symbol table of megabytes helps nobody. */
const MAX_LENGTH = 512;

/** A name as far as it can be a symbol; undefined where it cannot. Half of a surrogate pair, cut off, becomes what it becomes in UTF-8: names that differ in it alone would be one. */
function plainName(name: string | undefined): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must go
  const plain = name?.replace(/[\x00-\x1f\x7f]/g, '?').slice(0, MAX_LENGTH);
  return plain && !plain.includes('@') && !plain.startsWith('func[') ? Buffer.from(plain).toString() : undefined;
}

/**
 * The symbol of every function, by index: its name from the name section, or that of an export, else `func[12]`; ` [12]` is appended where the name is taken
 * or reserved, so that symbols are unique.
 */
export function assignSymbols(module: WasmModule): string[] {
  const names = new Map(module.names.funcs);
  for (const { kind, index, name } of module.exports) if (kind === 'func' && !names.has(index)) names.set(index, name);
  const taken = new Set<string>();
  return module.funcs.map((_, index) => {
    const plain = plainName(names.get(index));
    let symbol = plain === undefined ? `func[${index}]` : RESERVED.test(plain) ? `${plain} [${index}]` : plain;
    // More than once where another function's name ends in this very index.
    while (taken.has(symbol)) symbol += ` [${index}]`;
    taken.add(symbol);
    return symbol;
  });
}

/** The symbol of a function's code for another CPU level than the artifact's least. No name of a function ends like that. */
export const levelSymbol = (symbol: string, level: string): string => `${symbol} [${level}]`;
/** The function's symbol of any level. */
export const withoutLevel = (symbol: string): string => symbol.replace(/ \[v\d\]$/, '');

/** A name as an LLVM IR identifier in text: every byte that is not plain is escaped. */
export function quoteSymbol(name: string): string {
  return `"${[...Buffer.from(name, 'utf8')].map((c) => (c < 0x20 || c > 0x7e || c === 0x22 || c === 0x5c ? `\\${c.toString(16).padStart(2, '0')}` : String.fromCharCode(c))).join('')}"`;
}
