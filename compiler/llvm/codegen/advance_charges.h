/* advance_charges.h - marks of charges moved to before the edges where it is better to pay them. */
#ifndef WAOT_ADVANCE_CHARGES_H
#define WAOT_ADVANCE_CHARGES_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>

namespace llvm {
class MachineFunction;
class MachineInstr;
} // namespace llvm

/* What is owed on the edges into a block and out of it; a negative amount has been paid ahead. */
struct OwedAround {
  int64_t into = 0, outOf = 0;
};

/* Moves marks so that nothing needs to be paid ahead: where `owed`, by block number, wants -n on edges, costs of n go from the blocks after them to those before them, or as many as may. New marks are made like `mark`, one of the
 * function's, which may go. Returns whether there were any. See advance_charges.cc. */
bool advanceCharges(llvm::MachineFunction &function, llvm::ArrayRef<OwedAround> owed, const llvm::MachineInstr &mark);

#endif
