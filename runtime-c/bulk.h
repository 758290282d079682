/* bulk.h - what the bulk operators on memories, tables and arrays share; in builtins.c. */
#ifndef WAOT_BULK_H
#define WAOT_BULK_H

#include <stdbool.h>
#include <stdint.h>

/* Whether [start, start + count) lies in an array of this length. */
static inline bool waot_bulk_fits(uint64_t length, uint64_t start, uint64_t count) { return start <= length && count <= length - start; }
/* Counts work that has been done, also that of many short operators. Returns whether the activation is to end. */
bool waot_bulk_is_stopped_after(uint64_t bytes);
/* memset and memmove, which stop in the middle when the activation is to end. */
void waot_bulk_fill(uint8_t *at, int byte, uint64_t count);
void waot_bulk_copy(uint8_t *to, const uint8_t *from, uint64_t count);

#endif /* WAOT_BULK_H */
