/* object_reader.h - what the runtime needs to know of an artifact's file, read without mapping it executable: from ELF in elf.c, from Mach-O in macho.c. */
#ifndef WAOT_OBJECT_READER_H
#define WAOT_OBJECT_READER_H

#include <stddef.h>
#include <stdint.h>

#include "internal.h"

/* Parts of the file that the seal takes as zero, beside the hash: what signing a Mach-O file changes. */
#define WAOT_MASKED_MAX 3
struct waot_file_range {
  size_t start, size;
};

struct waot_object_file {
  struct waot_note_header header;
  size_t hash_offset; /* of header.hash0 in the file */
  size_t sealed_size; /* bytes that the seal covers, from the file's start */
  struct waot_file_range masked[WAOT_MASKED_MAX]; /* ascending; the hash is in none */
  size_t masked_count;
  const uint8_t *manifest;
  size_t manifest_length;
  uint64_t text_vaddr, text_size; /* of the compiled code; size 0 when there is none */
  uint64_t unwind_vaddr, unwind_size; /* of .eh_frame_hdr, or of Mach-O's __eh_frame; address 0 when there is none */
  uint64_t span;                  /* end of the highest segment: the bytes of address space from the load address on */
};

/* A reader of a format. */
struct waot_object_reader {
  /* Finds the notes in the bytes of a file: fills header, hash_offset, sealed_size, masked, manifest. Nothing is trusted: every offset is checked. 0, or -1 with *error (FORMAT,
   * or TARGET for a file of another machine), whose message begins with path. */
  int (*read_notes)(const uint8_t *bytes, size_t size, const char *path, struct waot_object_file *object, waot_error *error);
  /* Checks that the segments are those of an artifact, which runs no code by being loaded and needs no library that the process does not have: fills the rest of *object.
   * Afterwards every segment lies in the file. 0, or -1 with *error (FORMAT, or HASH for a signature that does not fit). */
  int (*check_segments)(const uint8_t *bytes, size_t size, const char *path, struct waot_object_file *object, waot_error *error);
  /* The frame table (abi.ts, SECTION_FRAMES) and its length; NULL when there is none, or where the section headers cannot be. For files that read_notes() has passed. */
  const uint8_t *(*frames)(const uint8_t *bytes, size_t size, size_t *length);
  /* Whether the read-only data, in which the notes with the hash lie, is as mapped at this load address what it is in the file. The text is not compared: a debugger may
   * have put breakpoints there. For files that check_segments() has passed. */
  bool (*is_mapped)(const uint8_t *bytes, uintptr_t load_address);
};

extern const struct waot_object_reader waot_elf_reader, waot_macho_reader;

/* Takes note of one note of an artifact, whose descriptor lies in the file. 0, or -1 with *error. For the readers. */
int waot_object_take_note(const uint8_t *bytes, const char *path, struct waot_object_file *object, uint32_t type, size_t offset, uint32_t length, waot_error *error);

#endif /* WAOT_OBJECT_READER_H */
