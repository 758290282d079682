/*
 * unwind_table.h - a search table for the frame descriptions of an artifact whose file has none that the runtime reads: a Mach-O file has __eh_frame, but not ELF's .eh_frame_hdr.
 */
#ifndef WAOT_UNWIND_TABLE_H
#define WAOT_UNWIND_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* What a table begins with, where .eh_frame_hdr has its version, 1. */
#define WAOT_UNWIND_TABLE 2

struct waot_unwind_row {
  uintptr_t start;      /* of a function */
  const uint8_t *entry; /* its FDE */
};

struct waot_unwind_table {
  uint8_t kind; /* WAOT_UNWIND_TABLE */
  size_t count;
  struct waot_unwind_row rows[]; /* ascending */
};

/* The address that an FDE begins with, and the bytes of code that it describes, as an encoding has them: relative to their place, in 4 bytes (0x1b) or 8 (0x10). Returns
 * what follows in the FDE, or NULL for another encoding. */
const uint8_t *waot_unwind_range(const uint8_t *entry, uint8_t encoding, uintptr_t *start, uintptr_t *length);
/* The encoding of addresses that a CIE of LLVM without a personality states; 0 for any other CIE. */
uint8_t waot_unwind_encoding(const uint8_t *cie);
/* Makes the table of a mapped __eh_frame section; to be freed. NULL when out of memory, or where a description is of another kind. */
struct waot_unwind_table *waot_unwind_table_new(const uint8_t *section, size_t size);

#endif /* WAOT_UNWIND_TABLE_H */
