/* code.c - the list of an object's code sections, which a reader for each file format fills. */
#include "code.h"

#include <stdlib.h>
#include <string.h>

/* A copy of an array with room for at least one more element. */
static void *grow(void *array, size_t count, size_t *capacity, size_t element) {
  if (count < *capacity) return array;
  *capacity = *capacity ? *capacity * 2 : 16;
  void *grown = codegen_allocate(*capacity * element);
  if (count) memcpy(grown, array, count * element);
  free(array);
  return grown;
}

bool code_in_bounds(const codegen_bytes *bytes, uint64_t offset, uint64_t size) {
  return offset <= bytes->size && size <= bytes->size - offset;
}

code_section *code_add_section(code_list *list, char *bytes, uint64_t size) {
  list->sections = grow(list->sections, list->count, &list->capacity, sizeof *list->sections);
  code_section *section = &list->sections[list->count++];
  *section = (code_section){.bytes = (uint8_t *)bytes, .size = size};
  return section;
}

void code_add_function(code_section *section, const char *name, uint64_t start, uint64_t size) {
  section->functions = grow(section->functions, section->function_count, &section->function_capacity, sizeof *section->functions);
  section->functions[section->function_count++] = (code_function){name, start, size};
}

void code_add_data(code_section *section, uint64_t start, uint64_t end) {
  section->data = grow(section->data, section->data_count, &section->data_capacity, sizeof *section->data);
  section->data[section->data_count++] = (code_data){start, end};
}

static int by_start(const void *a, const void *b) {
  const code_function *x = a, *y = b;
  return x->start < y->start ? -1 : x->start > y->start;
}

static int by_data_start(const void *a, const void *b) {
  const code_data *x = a, *y = b;
  return x->start < y->start ? -1 : x->start > y->start;
}

void code_sort(code_section *section) {
  if (section->function_count) qsort(section->functions, section->function_count, sizeof *section->functions, by_start);
  if (section->data_count) qsort(section->data, section->data_count, sizeof *section->data, by_data_start);
}

bool code_read(const codegen_bytes *bytes, code_list *list) { return code_read_elf(bytes, list) || code_read_macho(bytes, list); }

void code_free(code_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    free(list->sections[i].functions);
    free(list->sections[i].data);
  }
  free(list->sections);
}
