/* scan.c - disassembles the code of an object and reports each instruction that mentions the fuel register. */
#include "codegen.h"

#include <elf.h>
#include <llvm-c/Disassembler.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* The object, its section headers and its symbols, all within bounds. */
typedef struct object_view {
  const codegen_bytes *bytes;
  const Elf64_Shdr *sections;
  size_t section_count;
} object_view;

typedef struct function_symbol {
  const char *name;
  uint64_t start, size;
} function_symbol;

static bool in_bounds(const codegen_bytes *bytes, uint64_t offset, uint64_t size) {
  return offset <= bytes->size && size <= bytes->size - offset;
}

/* Reads the section headers of a relocatable or shared ELF64; the copies that LLVM and lld make are aligned, and so is a malloc'd input. */
static bool open_object(scan_job *job, object_view *view) {
  const codegen_bytes *bytes = &job->object;
  Elf64_Ehdr header;
  if (bytes->size < sizeof header) return false;
  memcpy(&header, bytes->data, sizeof header);
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) return false;
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shoff % _Alignof(Elf64_Shdr) != 0 || !in_bounds(bytes, header.e_shoff, sizeof(Elf64_Shdr))) return false;
  view->bytes = bytes;
  view->sections = (const Elf64_Shdr *)(bytes->data + header.e_shoff);
  /* More than 65,279 sections: the number is in the first header. */
  view->section_count = header.e_shnum ? header.e_shnum : view->sections[0].sh_size;
  if (view->section_count > bytes->size / sizeof(Elf64_Shdr) || !in_bounds(bytes, header.e_shoff, view->section_count * sizeof(Elf64_Shdr))) return false;
  for (size_t i = 0; i < view->section_count; i++) {
    const Elf64_Shdr *section = &view->sections[i];
    if (section->sh_type != SHT_NOBITS && section->sh_type != SHT_NULL && !in_bounds(bytes, section->sh_offset, section->sh_size)) return false;
  }
  return true;
}

static int by_start(const void *a, const void *b) {
  const function_symbol *x = a, *y = b;
  return x->start < y->start ? -1 : x->start > y->start;
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

/* The function symbols of one section, by address. The symbol's value is relative to the section in an object, an address in a shared library. */
static function_symbol *find_functions(const object_view *view, size_t section, size_t *count) {
  function_symbol *functions = NULL;
  size_t used = 0, capacity = 0;
  for (size_t t = 0; t < view->section_count; t++) {
    const Elf64_Shdr *table = &view->sections[t];
    if (table->sh_type != SHT_SYMTAB || table->sh_entsize != sizeof(Elf64_Sym)) continue;
    for (size_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); i++) {
      Elf64_Sym symbol;
      memcpy(&symbol, view->bytes->data + table->sh_offset + i * sizeof symbol, sizeof symbol);
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol_section(view, t, i, &symbol) != section) continue;
      if (used == capacity) {
        capacity = capacity ? capacity * 2 : 64;
        function_symbol *grown = codegen_allocate(capacity * sizeof *grown);
        if (used) memcpy(grown, functions, used * sizeof *grown);
        free(functions);
        functions = grown;
      }
      functions[used++] = (function_symbol){symbol_name(view, table, symbol.st_name), symbol.st_value - view->sections[section].sh_addr, symbol.st_size};
    }
  }
  if (used) qsort(functions, used, sizeof *functions, by_start);
  *count = used;
  return functions;
}

/* Records an instruction; the same text again in the same function (hits from `first` on) is counted only. */
static void add_hit(scan_job *job, size_t first, const char *symbol, uint64_t offset, const char *text) {
  for (size_t i = first; i < job->hit_count; i++) {
    if (strcmp(job->hits[i].text, text) == 0) {
      job->hits[i].count++;
      return;
    }
  }
  if (job->hit_count == job->hit_capacity) {
    job->hit_capacity = job->hit_capacity ? job->hit_capacity * 2 : 256;
    scan_hit *grown = codegen_allocate(job->hit_capacity * sizeof *grown);
    if (job->hit_count) memcpy(grown, job->hits, job->hit_count * sizeof *grown);
    free(job->hits);
    job->hits = grown;
  }
  job->hits[job->hit_count++] = (scan_hit){codegen_format("%s", symbol), codegen_format("%s", text), offset, 1};
}

/* Makes every run of blanks one space, and drops those at both ends: "\taddq\t$5, %rbp" becomes "addq $5, %rbp". */
static void collapse_blanks(char *text) {
  char *to = text;
  for (const char *from = text; *from; from++) {
    if (*from != ' ' && *from != '\t') *to++ = *from;
    else if (to > text && to[-1] != ' ') *to++ = ' ';
  }
  if (to > text && to[-1] == ' ') to--;
  *to = 0;
}

static void scan_section(scan_job *job, const object_view *view, size_t index, LLVMDisasmContextRef disassembler, const regex_t *pattern) {
  const Elf64_Shdr *section = &view->sections[index];
  uint8_t *code = (uint8_t *)view->bytes->data + section->sh_offset;
  size_t count, next = 0, first = job->hit_count;
  function_symbol *functions = find_functions(view, index, &count);
  const function_symbol *current = NULL;
  /* Bytes that are no instruction: go on with the next place where one can begin. */
  const size_t step = strncmp(job->target.triple, "aarch64", 7) == 0 ? 4 : 1;
  for (uint64_t at = 0; at < section->sh_size;) {
    while (next < count && functions[next].start <= at) {
      current = &functions[next++];
      first = job->hit_count;
    }
    if (current && current->size && at >= current->start + current->size) {
      current = NULL;
      first = job->hit_count;
    }
    char text[256];
    size_t length = LLVMDisasmInstruction(disassembler, code + at, section->sh_size - at, at, text, sizeof text);
    collapse_blanks(text);
    if (length == 0) text[0] = 0;
    else job->instructions++;
    if (length == 0 || regexec(pattern, text, 0, NULL, 0) == 0) add_hit(job, first, current ? current->name : "", current ? at - current->start : at, text);
    at += length ? length : step;
  }
  job->functions += count;
  free(functions);
}

static void scan_with(scan_job *job, LLVMDisasmContextRef disassembler, const regex_t *pattern) {
  object_view view;
  if (!open_object(job, &view)) {
    job->error = codegen_format("scan: not an ELF64 little-endian object, or damaged");
    return;
  }
  for (size_t i = 0; i < view.section_count; i++) {
    const Elf64_Shdr *section = &view.sections[i];
    if ((section->sh_flags & SHF_EXECINSTR) && section->sh_type == SHT_PROGBITS) scan_section(job, &view, i, disassembler, pattern);
  }
}

void codegen_scan(scan_job *job) {
  codegen_initialise();
  regex_t pattern;
  if (regcomp(&pattern, job->pattern, REG_EXTENDED | REG_NOSUB) != 0) {
    job->error = codegen_format("scan: bad pattern: %s", job->pattern);
    return;
  }
  LLVMDisasmContextRef disassembler = LLVMCreateDisasmCPUFeatures(job->target.triple, job->target.cpu, job->target.features, NULL, 0, NULL, NULL);
  if (disassembler) {
    scan_with(job, disassembler, &pattern);
    LLVMDisasmDispose(disassembler);
  } else {
    job->error = codegen_format("scan: LLVM has no disassembler for %s", job->target.triple);
  }
  regfree(&pattern);
}
