/** Charging: the fuel law's clause 1, in code. */
import type { ModuleBuilder, Value } from '../llvm/builder.js';
import { findTarget } from '../llvm/target.js';
import type { ModulePlan } from './plan.js';

export interface Fuel {
  /** Adds a cost to what the current straight line of code owes. Nothing is emitted yet. */
  add(cost: number): void;
  /**
   * Emits what is owed. Called before anything at which the host could look or control could leave the line: a trap, a call, a branch, a label, a return.
   * Until then costs gather, so that a line without such points has one charge.
   */
  flush(): void;
  /** As `flush`, but leaves the last part, or all, to the caller, who must charge it. Returns how much that is, 0 for nothing. */
  take(): number;
  /** Charges a bulk operator by its unit, and stops at once when that exhausts the limit: before the work (clause 5). */
  chargeUnits(count: Value, costPerUnit: number): void;
  /** `--fuel sync`: compares the register here, at a function's entry or a loop's header. */
  check(): void;
}

export function createFuel(plan: ModulePlan, b: ModuleBuilder): Fuel {
  const { fuel } = plan.options;
  if (fuel === 'none') return { add() {}, flush() {}, take: () => 0, chargeUnits() {}, check() {} };
  const { maxCharge } = findTarget(plan.options.target);
  let owed = 0;
  const charge = (amount: number): void => {
    b.callHelper('charge', 'void', ['i64'], [b.i64(BigInt(amount))]);
  };
  const take = (): number => {
    for (; owed > maxCharge; owed -= maxCharge) charge(maxCharge);
    const rest = owed;
    owed = 0;
    return rest;
  };
  return {
    take,
    add(cost) {
      owed += cost;
    },
    flush() {
      const rest = take();
      if (rest > 0) charge(rest);
    },
    chargeUnits(count, costPerUnit) {
      if (costPerUnit === 0) return;
      b.callHelper('charge_units', 'void', ['i64', 'i64'], [count, b.i64(BigInt(costPerUnit))]);
      b.callHelper('check', 'void', [], []);
    },
    check() {
      if (fuel === 'sync') b.callHelper('check', 'void', [], []);
    },
  };
}
