/* code_elf.c - the code and the function symbols of a relocatable or shared ELF64. */
#include "code.h"

#include <elf.h>
#include <string.h>

/* The object, its section headers and its symbols, all within bounds. */
typedef struct object_view {
  const codegen_bytes *bytes;
  const Elf64_Shdr *sections;
  size_t section_count;
} object_view;

/* Reads the section headers of a relocatable or shared ELF64; the copies that LLVM and lld make are aligned, and so is a malloc'd input. */
static bool open_object(const codegen_bytes *bytes, object_view *view) {
  Elf64_Ehdr header;
  if (bytes->size < sizeof header) return false;
  memcpy(&header, bytes->data, sizeof header);
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) return false;
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shoff % _Alignof(Elf64_Shdr) != 0 || !code_in_bounds(bytes, header.e_shoff, sizeof(Elf64_Shdr))) return false;
  view->bytes = bytes;
  view->sections = (const Elf64_Shdr *)(bytes->data + header.e_shoff);
  /* More than 65,279 sections: the number is in the first header. */
  view->section_count = header.e_shnum ? header.e_shnum : view->sections[0].sh_size;
  if (view->section_count > bytes->size / sizeof(Elf64_Shdr) || !code_in_bounds(bytes, header.e_shoff, view->section_count * sizeof(Elf64_Shdr))) return false;
  for (size_t i = 0; i < view->section_count; i++) {
    const Elf64_Shdr *section = &view->sections[i];
    if (section->sh_type != SHT_NOBITS && section->sh_type != SHT_NULL && !code_in_bounds(bytes, section->sh_offset, section->sh_size)) return false;
  }
  return true;
}

/* The section header that holds a symbol's section index when there are too many for 16 bits. */
static uint32_t symbol_section(const object_view *view, size_t table, size_t index, const Elf64_Sym *symbol) {
  if (symbol->st_shndx != SHN_XINDEX) return symbol->st_shndx >= SHN_LORESERVE ? SHN_UNDEF : symbol->st_shndx;
  for (size_t i = 0; i < view->section_count; i++) {
    const Elf64_Shdr *section = &view->sections[i];
    if (section->sh_type != SHT_SYMTAB_SHNDX || section->sh_link != table || (index + 1) * 4 > section->sh_size) continue;
    uint32_t value;
    memcpy(&value, view->bytes->data + section->sh_offset + index * 4, sizeof value);
    return value;
  }
  return SHN_UNDEF;
}

static const char *symbol_name(const object_view *view, const Elf64_Shdr *table, uint32_t offset) {
  if (table->sh_link >= view->section_count) return "";
  const Elf64_Shdr *strings = &view->sections[table->sh_link];
  if (strings->sh_type != SHT_STRTAB || offset >= strings->sh_size) return "";
  const char *text = view->bytes->data + strings->sh_offset + offset;
  return memchr(text, 0, strings->sh_size - offset) ? text : "";
}

/* Adds the function symbols of one section. The symbol's value is relative to the section in an object, an address in a shared library. */
static void add_functions(const object_view *view, size_t index, code_section *code) {
  for (size_t t = 0; t < view->section_count; t++) {
    const Elf64_Shdr *table = &view->sections[t];
    if (table->sh_type != SHT_SYMTAB || table->sh_entsize != sizeof(Elf64_Sym)) continue;
    for (size_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); i++) {
      Elf64_Sym symbol;
      memcpy(&symbol, view->bytes->data + table->sh_offset + i * sizeof symbol, sizeof symbol);
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol_section(view, t, i, &symbol) != index) continue;
      code_add_function(code, symbol_name(view, table, symbol.st_name), symbol.st_value - view->sections[index].sh_addr, symbol.st_size);
    }
  }
}

bool code_read_elf(const codegen_bytes *bytes, code_list *list) {
  object_view view;
  if (!open_object(bytes, &view)) return false;
  for (size_t i = 0; i < view.section_count; i++) {
    const Elf64_Shdr *section = &view.sections[i];
    if ((section->sh_flags & SHF_EXECINSTR) && section->sh_type == SHT_PROGBITS) add_functions(&view, i, code_add_section(list, bytes->data + section->sh_offset, section->sh_size));
  }
  return true;
}
