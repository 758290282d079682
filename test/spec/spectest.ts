/** The host module that the spec tests import: `spectest`, as the reference interpreter defines it (interpreter/host/spectest.ml). */
import { Global, type Store, Table } from '../../loader/index.js';

/** Makes a `spectest` for one script. Its print functions take anything and say nothing. */
export function makeSpectest(store: Store): Record<string, unknown> {
  const print = (): void => undefined;
  return {
    print, print_i32: print, print_i64: print, print_f32: print, print_f64: print, print_i32_f32: print, print_f64_f64: print,
    global_i32: new Global({ value: 'i32', mutable: false, store }, 666),
    global_i64: new Global({ value: 'i64', mutable: false, store }, 666n),
    global_f32: new Global({ value: 'f32', mutable: false, store }, 666.6),
    global_f64: new Global({ value: 'f64', mutable: false, store }, 666.6),
    table: new Table({ element: 'funcref', initial: 10, maximum: 20, store }),
    memory: new WebAssembly.Memory({ initial: 1, maximum: 2 }),
  };
}
