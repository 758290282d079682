/* code_macho.c - the code and the function symbols of a 64-bit Mach-O object or dynamic library. */
#include "code.h"

#include <string.h>

#include "../../../runtime-c/macho_format.h"

/* The symbol table, and the table of data in code, within bounds. */
typedef struct symbols {
  const char *entries, *strings, *data;
  uint32_t count, strings_size, data_count;
} symbols;

static bool read_symbols(const codegen_bytes *bytes, uint64_t at, uint32_t size, symbols *table) {
  struct macho_symtab command;
  if (size < sizeof command) return false;
  memcpy(&command, bytes->data + at, sizeof command);
  if (!code_in_bounds(bytes, command.symoff, (uint64_t)command.nsyms * sizeof(struct macho_symbol)) || !code_in_bounds(bytes, command.stroff, command.strsize)) return false;
  table->entries = bytes->data + command.symoff;
  table->strings = bytes->data + command.stroff;
  table->count = command.nsyms;
  table->strings_size = command.strsize;
  return true;
}

static bool read_data(const codegen_bytes *bytes, uint64_t at, uint32_t size, symbols *table) {
  struct macho_linkedit_data command;
  if (size < sizeof command) return false;
  memcpy(&command, bytes->data + at, sizeof command);
  if (!code_in_bounds(bytes, command.dataoff, command.datasize)) return false;
  table->data = bytes->data + command.dataoff;
  table->data_count = command.datasize / sizeof(struct macho_data_in_code);
  return true;
}

/* Adds the data in a section. The table has addresses, from the start of the image; an object and a library begin at 0. */
static void add_data(const symbols *table, const struct macho_section *section, code_section *code) {
  for (uint32_t i = 0; i < table->data_count; i++) {
    struct macho_data_in_code data;
    memcpy(&data, table->data + i * sizeof data, sizeof data);
    if (data.offset < section->addr || data.offset - section->addr > section->size || data.length > section->size - (data.offset - section->addr)) continue;
    code_add_data(code, data.offset - section->addr, data.offset - section->addr + data.length);
  }
}

/* The name without the underscore that the format puts before it. */
static const char *symbol_name(const symbols *table, uint32_t offset) {
  if (offset >= table->strings_size) return "";
  const char *text = table->strings + offset;
  if (!memchr(text, 0, table->strings_size - offset)) return "";
  return *text == '_' ? text + 1 : text;
}

/* Adds the symbols that are defined in a section (counted from 1), but for the assembler's labels. A value is an address, in an object as well. */
static void add_functions(const symbols *table, uint32_t number, const struct macho_section *section, code_section *code) {
  for (uint32_t i = 0; i < table->count; i++) {
    struct macho_symbol symbol;
    memcpy(&symbol, table->entries + i * sizeof symbol, sizeof symbol);
    if ((symbol.type & MACHO_SYMBOL_STAB) || (symbol.type & MACHO_SYMBOL_TYPE) != MACHO_SYMBOL_SECTION || symbol.section != number) continue;
    if (symbol.strx < table->strings_size && table->strings[symbol.strx] != '_') continue;
    code_add_function(code, symbol_name(table, symbol.strx), symbol.value - section->addr, 0);
  }
}

/* Adds the code sections of a segment; *number counts the sections of the file. */
static bool read_segment(const codegen_bytes *bytes, uint64_t at, uint32_t size, const symbols *table, uint32_t *number, code_list *list) {
  struct macho_segment segment;
  if (size < sizeof segment) return false;
  memcpy(&segment, bytes->data + at, sizeof segment);
  if (segment.nsects > (size - sizeof segment) / sizeof(struct macho_section)) return false;
  for (uint32_t i = 0; i < segment.nsects; i++) {
    struct macho_section section;
    memcpy(&section, bytes->data + at + sizeof segment + i * sizeof section, sizeof section);
    ++*number;
    if (!(section.flags & (MACHO_SECTION_PURE_INSTRUCTIONS | MACHO_SECTION_SOME_INSTRUCTIONS))) continue;
    if (!code_in_bounds(bytes, section.offset, section.size)) return false;
    code_section *code = code_add_section(list, bytes->data + section.offset, section.size);
    add_functions(table, *number, &section, code);
    add_data(table, &section, code);
  }
  return true;
}

/* Reads the load commands: first the tables, then the segments, to whose sections the tables refer. */
static bool read_commands(const codegen_bytes *bytes, bool segments, symbols *table, code_list *list) {
  struct macho_header header;
  memcpy(&header, bytes->data, sizeof header);
  uint64_t at = sizeof header;
  uint32_t number = 0;
  for (uint32_t i = 0; i < header.ncmds; i++) {
    struct macho_command command;
    if (!code_in_bounds(bytes, at, sizeof command)) return false;
    memcpy(&command, bytes->data + at, sizeof command);
    if (command.cmdsize < sizeof command || !code_in_bounds(bytes, at, command.cmdsize)) return false;
    if (!segments && command.cmd == MACHO_LC_SYMTAB && !read_symbols(bytes, at, command.cmdsize, table)) return false;
    if (!segments && command.cmd == MACHO_LC_DATA_IN_CODE && !read_data(bytes, at, command.cmdsize, table)) return false;
    if (segments && command.cmd == MACHO_LC_SEGMENT_64 && !read_segment(bytes, at, command.cmdsize, table, &number, list)) return false;
    at += command.cmdsize;
  }
  return true;
}

bool code_read_macho(const codegen_bytes *bytes, code_list *list) {
  symbols table = {0};
  uint32_t magic;
  if (bytes->size < sizeof(struct macho_header)) return false;
  memcpy(&magic, bytes->data, sizeof magic);
  return magic == MACHO_MAGIC_64 && read_commands(bytes, false, &table, list) && read_commands(bytes, true, &table, list);
}
