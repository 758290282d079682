/* elf_reader.h - what the runtime needs to know of an artifact's file, read without mapping it executable. */
#ifndef WAOT_ELF_READER_H
#define WAOT_ELF_READER_H

#include <stddef.h>
#include <stdint.h>

#include "internal.h"

struct waot_elf {
  struct waot_note_header header;
  size_t hash_offset; /* of header.hash0 in the file */
  const uint8_t *manifest;
  size_t manifest_length;
  uint64_t text_vaddr, text_size; /* of the one executable segment; size 0 when there is none */
  uint64_t unwind_vaddr;          /* of .eh_frame_hdr; 0 when there is none */
  uint64_t span;                  /* end of the highest segment: the bytes of address space from the load address on */
};

/* Finds the notes in the bytes of a file: fills header, hash_offset, manifest. Nothing is trusted: every offset is checked. 0, or -1 with *error (FORMAT, or TARGET
 * for an ELF file of another machine), whose message begins with path. */
int waot_elf_read_notes(const uint8_t *bytes, size_t size, const char *path, struct waot_elf *elf, waot_error *error);

/* Checks that the segments are those of an artifact, which runs no code by being loaded and needs no other library: fills the rest of *elf. Afterwards
 * every PT_LOAD lies in the file. 0, or -1 with *error (FORMAT). */
int waot_elf_check_segments(const uint8_t *bytes, size_t size, const char *path, struct waot_elf *elf, waot_error *error);

/* The contents of the section with this name, and their length; NULL when there is none, or where the section headers cannot be. For files that waot_elf_read_notes() has passed. */
const uint8_t *waot_elf_section(const uint8_t *bytes, size_t size, const char *name, size_t *length);

/* Whether the read-only data, in which the notes with the hash lie, is as mapped at this load address what it is in the file. The text is not compared: a debugger may have
 * put breakpoints there. For files that waot_elf_check_segments() has passed. */
bool waot_elf_is_mapped(const uint8_t *bytes, uintptr_t load_address);

#endif /* WAOT_ELF_READER_H */
