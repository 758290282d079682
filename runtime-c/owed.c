/* owed.c - looks up what is owed in the tables of an artifact: abi.ts, OWED_ROWS_SECTION, describes them. */
#include "owed.h"
#include "abi.h"
#include "code_map.h"

#include <stdbool.h>
#include <stddef.h>

static uint64_t read_uleb(const uint8_t **at) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = *(*at)++;
    if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
}

static uintptr_t start_of(const struct waot_owed_row *row) { return (uintptr_t)row + (uintptr_t)(intptr_t)row->code; }
static uintptr_t entries_of(const struct waot_owed_row *row) { return (uintptr_t)row + (uintptr_t)(intptr_t)row->entries; }

/* The last row of a piece that starts at pc or before; NULL when there is none. */
static const struct waot_owed_row *find_row(const struct waot_owed_row *rows, size_t count, uintptr_t pc) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (start_of(&rows[middle]) <= pc) low = middle + 1;
    else high = middle;
  }
  return low == 0 ? NULL : &rows[low - 1];
}

bool waot_owed_is_sane(const struct waot_code_tables *tables, struct waot_span text, struct waot_span file) {
  if (tables->owed == tables->owed_end) return true; /* there are none */
  const uintptr_t rows = (uintptr_t)tables->owed, rows_end = (uintptr_t)tables->owed_end;
  if (rows < file.start || rows_end > file.end || rows > rows_end || rows % _Alignof(struct waot_owed_row) != 0 || (rows_end - rows) % sizeof(struct waot_owed_row) != 0) return false;
  uintptr_t last = text.start;
  for (const struct waot_owed_row *row = tables->owed; row < tables->owed_end; row++) {
    if (start_of(row) < last || start_of(row) >= text.end || entries_of(row) < file.start || entries_of(row) >= file.end) return false;
    last = start_of(row);
  }
  return true;
}

uint64_t waot_owed(const void *pc) {
  struct waot_code_tables tables = waot_code_tables_at(pc);
  if (tables.owed == NULL) return 0;
  const struct waot_owed_row *row = find_row(tables.owed, (size_t)(tables.owed_end - tables.owed), (uintptr_t)pc);
  if (row == NULL) return 0;
  const uint8_t *entry = (const uint8_t *)entries_of(row);
  uintptr_t from = start_of(row);
  uint64_t owed = 0;
  for (uint64_t left = read_uleb(&entry); left > 0; left--) {
    from += read_uleb(&entry);
    if (from > (uintptr_t)pc) break;
    owed = read_uleb(&entry);
  }
  return owed;
}
