/* place_charges.h - the pass over machine code that pays charges together, and the tables of what is owed at each instruction. */
#ifndef WAOT_PLACE_CHARGES_H
#define WAOT_PLACE_CHARGES_H

#include "llvm/ADT/MapVector.h"

#include <cstdint>
#include <vector>

namespace llvm {
class Function;
class FunctionPass;
class MCSymbol;
} // namespace llvm

/* From a symbol on, until the next one of the function's table: so much has not been paid yet. Before the first: nothing. */
struct OwedFrom {
  llvm::MCSymbol *symbol;
  uint64_t owed;
};
using OwedTable = std::vector<OwedFrom>;
/* Of the functions that have any, in the order of their text. */
using OwedTables = llvm::MapVector<const llvm::Function *, OwedTable>;

/* To run after all other passes over machine code; `optimise`: where the code is executed less often. See place_charges.cc. */
llvm::FunctionPass *createPlaceChargesPass(OwedTables &tables, bool optimise);

#endif
