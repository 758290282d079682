/* scan.c - disassembles the code of an object and reports each instruction that mentions the fuel register. */
#include "code.h"

#include <llvm-c/Disassembler.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

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

static void scan_section(scan_job *job, code_section *section, LLVMDisasmContextRef disassembler, const regex_t *pattern) {
  code_sort(section);
  size_t next = 0, next_data = 0, first = job->hit_count;
  const code_function *current = NULL;
  /* Bytes that are no instruction: go on with the next place where one can begin. */
  const size_t step = strncmp(job->target.triple, "aarch64", 7) == 0 ? 4 : 1;
  for (uint64_t at = 0; at < section->size;) {
    while (next < section->function_count && section->functions[next].start <= at) {
      current = &section->functions[next++];
      first = job->hit_count;
    }
    if (current && current->size && at >= current->start + current->size) {
      current = NULL;
      first = job->hit_count;
    }
    /* Data is passed over, but only where the code before it ends at its start: what is left of it otherwise is looked at as code. */
    while (next_data < section->data_count && section->data[next_data].start < at) next_data++;
    if (next_data < section->data_count && section->data[next_data].start == at) {
      at = section->data[next_data++].end;
      continue;
    }
    char text[256];
    size_t length = LLVMDisasmInstruction(disassembler, section->bytes + at, section->size - at, at, text, sizeof text);
    collapse_blanks(text);
    if (length == 0) text[0] = 0;
    else job->instructions++;
    if (length == 0 || regexec(pattern, text, 0, NULL, 0) == 0) add_hit(job, first, current ? current->name : "", current ? at - current->start : at, text);
    at += length ? length : step;
  }
  job->functions += section->function_count;
}

static void scan_with(scan_job *job, LLVMDisasmContextRef disassembler, const regex_t *pattern) {
  code_list list = {0};
  if (code_read(&job->object, &list)) {
    for (size_t i = 0; i < list.count; i++) scan_section(job, &list.sections[i], disassembler, pattern);
  } else {
    job->error = codegen_format("scan: neither an ELF64 nor a 64-bit Mach-O object, little-endian, or damaged");
  }
  code_free(&list);
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
