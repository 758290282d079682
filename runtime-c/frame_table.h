/* frame_table.h - reading the table of an artifact that says which wasm functions its code is of. */
#ifndef WAOT_FRAME_TABLE_H
#define WAOT_FRAME_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "internal.h"

/* What an address stands for by the bytes of a frame table, as waot_frame_places() says it. Nothing is trusted: a table that is cut off or of another version has no places. */
uint32_t waot_frame_table_find(const uint8_t *table, size_t size, uint64_t address, waot_place *places, uint32_t max);

#endif /* WAOT_FRAME_TABLE_H */
