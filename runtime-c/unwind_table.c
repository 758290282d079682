/* unwind_table.c - reading the frame descriptions of a section one after the other (DWARF 4, 6.4; the LSB's "DWARF Extensions"). */
#include "unwind_table.h"

#include <stdlib.h>
#include <string.h>

#define PCREL_ABSOLUTE 0x10
#define PCREL_SDATA4 0x1b

static uint32_t read_u32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

const uint8_t *waot_unwind_range(const uint8_t *entry, uint8_t encoding, uintptr_t *start, uintptr_t *length) {
  const uint8_t *at = entry + 8; /* behind the length and the offset of the CIE */
  if (encoding == PCREL_SDATA4) {
    *start = (uintptr_t)at + (uintptr_t)(intptr_t)(int32_t)read_u32(at);
    *length = read_u32(at + 4);
    return at + 8;
  }
  if (encoding != PCREL_ABSOLUTE) return NULL;
  uint64_t values[2];
  memcpy(values, at, sizeof values);
  *start = (uintptr_t)at + values[0];
  *length = values[1];
  return at + sizeof values;
}

uint8_t waot_unwind_encoding(const uint8_t *cie) {
  const uint8_t *end = cie + 4 + read_u32(cie), *at = cie + 12;
  if (end - cie < 17 || cie[8] != 1 || memcmp(cie + 9, "zR", 3) != 0) return 0;
  for (int numbers = 0; numbers < 4 && at < end; at++) numbers += !(*at & 0x80); /* alignment of code and data, the return address, the length of what follows: the encoding */
  return at < end ? *at : 0;
}

static int by_start(const void *a, const void *b) {
  const struct waot_unwind_row *x = a, *y = b;
  return x->start < y->start ? -1 : x->start > y->start;
}

/* Visits the FDEs: counts them, and fills in rows unless that is NULL. -1 for a section that is not as expected. */
static ptrdiff_t read_entries(const uint8_t *section, size_t size, struct waot_unwind_row *rows) {
  ptrdiff_t count = 0;
  for (size_t at = 0; size - at >= 4;) {
    const uint8_t *entry = section + at;
    const size_t length = read_u32(entry);
    if (length == 0) break; /* the end, or padding before it */
    if (length < 4 || length > size - at - 4) return -1;
    const uint32_t back = read_u32(entry + 4);
    if (back != 0) { /* an FDE; its CIE lies before it */
      uintptr_t start, covered;
      if (back > at + 4 || length < 24) return -1;
      if (!waot_unwind_range(entry, waot_unwind_encoding(entry + 4 - back), &start, &covered)) return -1;
      if (rows) rows[count] = (struct waot_unwind_row){ start, entry };
      count++;
    }
    at += 4 + length;
  }
  return count;
}

struct waot_unwind_table *waot_unwind_table_new(const uint8_t *section, size_t size) {
  ptrdiff_t count = read_entries(section, size, NULL);
  if (count < 0) return NULL;
  struct waot_unwind_table *table = malloc(sizeof *table + (size_t)count * sizeof table->rows[0]);
  if (!table) return NULL;
  table->kind = WAOT_UNWIND_TABLE;
  table->count = (size_t)count;
  read_entries(section, size, table->rows);
  if (count > 0) qsort(table->rows, table->count, sizeof table->rows[0], by_start);
  return table;
}
