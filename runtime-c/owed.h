/* owed.h - fuel that compiled code has consumed and not charged yet. */
#ifndef WAOT_OWED_H
#define WAOT_OWED_H

#include "code_map.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * What an activation that is interrupted at pc owes: fuel for the operators that have run, or are about to fault at pc, which the fuel register does not contain yet. Compiled code pays
 * for many operators at once, after them (compiler/llvm/codegen/place_charges.cc), and says in a table what is owed at each instruction. 0 where pc is not in compiled code. For signal handlers: neither locks nor allocates,
 * and takes about a thousand instructions, however long the function is.
 */
uint64_t waot_owed(const void *pc);

/* Addresses: [start, end). */
struct waot_span {
  uintptr_t start, end;
};

/* Whether the rows are what the lookup relies on: in the mapped file, as their entries are; of code in the text, ascending. A linker that moved functions apart from their rows would make bills wrong. */
bool waot_owed_is_sane(const struct waot_code_tables *tables, struct waot_span text, struct waot_span file);

#endif /* WAOT_OWED_H */
