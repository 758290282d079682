/*
 * reader.c - runs the runtime's reader of Mach-O artifacts on this machine: `reader FILE` prints what it found (of the frame table: for each address of the code, functions and offsets in
 * the wasm file), or why it refuses; `reader FILE STEP` changes every STEP-th byte in turn, and cuts the file there, and says how many of the damaged files were refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame_table.h"
#include "object_reader.h"
#include "unwind_table.h"

static int read_object(const uint8_t *bytes, size_t size, struct waot_object_file *object, waot_error *error) {
  return waot_macho_reader.read_notes(bytes, size, "file", object, error) != 0 || waot_macho_reader.check_segments(bytes, size, "file", object, error) != 0;
}

/* The same on a copy that ends where it ends, so that a sanitizer sees what is read beyond. */
static int is_refused(const uint8_t *bytes, size_t size, size_t flipped, uint8_t bits) {
  struct waot_object_file object;
  uint8_t *copy = malloc(size > 0 ? size : 1);
  if (!copy) abort();
  memcpy(copy, bytes, size);
  if (flipped < size) copy[flipped] ^= bits;
  int refused = read_object(copy, size, &object, NULL) != 0;
  free(copy);
  return refused;
}

/* What the frame table says of an address. */
static void print_places(const uint8_t *frames, size_t length, uint64_t address) {
  waot_place places[8];
  uint32_t count = waot_frame_table_find(frames, length, address, places, 8);
  printf("at 0x%llx:", (unsigned long long)address);
  for (uint32_t i = 0; i < count; i++) printf(" %u+%u%s", places[i].function, places[i].offset, places[i].is_inlined ? " <" : "");
  printf("\n");
}

static int damage(const uint8_t *bytes, size_t size, size_t covered, size_t step) {
  size_t tried = 0, refused = 0;
  for (size_t at = 0; at < size; at += at < 1200 ? 1 : step, tried += 2) {
    int flipped = is_refused(bytes, size, at, (uint8_t)(1u << at % 8));
    refused += (size_t)(flipped || at >= covered); /* the signature's own words are only looked at where they matter */
    refused += (size_t)is_refused(bytes, at, size, 0);
  }
  printf("%zu of %zu refused\n", refused, tried);
  return refused == tried ? 0 : 1;
}

int main(int argc, char **argv) {
  static uint8_t bytes[16 << 20];
  FILE *file = fopen(argv[1], "rb");
  if (!file) return 2;
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  struct waot_object_file object;
  waot_error error;
  if (read_object(bytes, size, &object, &error) != 0) {
    printf("%s\n", error.message);
    return 1;
  }
  if (argc > 2) return damage(bytes, size, object.sealed_size, strtoul(argv[2], NULL, 10));
  struct waot_unwind_table *table = waot_unwind_table_new(bytes + object.unwind_vaddr, object.unwind_size);
  if (!table) return 3;
  for (size_t i = 0; i < table->count; i++) printf("function 0x%zx\n", (size_t)(table->rows[i].start - (uintptr_t)bytes));
  size_t length = 0;
  const uint8_t *frames = waot_macho_reader.frames(bytes, size, &length);
  if (!frames) return 4;
  for (uint64_t address = object.text_vaddr; address < object.text_vaddr + object.text_size; address++) print_places(frames, length, address);
  printf("manifest %.*s\ntext 0x%zx 0x%zx\n", (int)object.manifest_length, (const char *)object.manifest, (size_t)object.text_vaddr, (size_t)object.text_size);
  free(table);
  return 0;
}
