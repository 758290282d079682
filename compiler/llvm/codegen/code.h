/* code.h - the machine code in an object file, whatever its format. */
#ifndef WAOT_CODE_H
#define WAOT_CODE_H

#include "codegen.h"

/* A function symbol; size 0 where the format does not tell it: up to the next one. */
typedef struct code_function {
  const char *name;     /* in the object's bytes */
  uint64_t start, size; /* from the section's start */
} code_function;

/* A jump table between functions, [start, end) from the section's start. Mach-O says where they are; ELF's are in sections of their own. */
typedef struct code_data {
  uint64_t start, end;
} code_data;

/* A section of instructions. */
typedef struct code_section {
  uint8_t *bytes; /* in the object's bytes */
  uint64_t size;
  code_function *functions;
  size_t function_count, function_capacity;
  code_data *data;
  size_t data_count, data_capacity;
} code_section;

typedef struct code_list {
  code_section *sections;
  size_t count, capacity;
} code_list;

/* Fills an empty list. False when the bytes are no object of a known format, or damaged; the list is to be freed all the same. */
bool code_read(const codegen_bytes *bytes, code_list *list);
void code_free(code_list *list);
/* Puts functions and data in the order of their addresses. */
void code_sort(code_section *section);

/* For the readers of a format: code_elf.c, code_macho.c. */
bool code_read_elf(const codegen_bytes *bytes, code_list *list);
bool code_read_macho(const codegen_bytes *bytes, code_list *list);
bool code_in_bounds(const codegen_bytes *bytes, uint64_t offset, uint64_t size);
/* The new section; valid until the next one is added. */
code_section *code_add_section(code_list *list, char *bytes, uint64_t size);
void code_add_function(code_section *section, const char *name, uint64_t start, uint64_t size);
void code_add_data(code_section *section, uint64_t start, uint64_t end);

#endif
