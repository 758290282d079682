/*
 * fuzz_verify.c - fuzz target: verifying a file that claims to be an artifact.
 *
 * Each input is verified as it is, and once more with size and hash entered anew, so that damage also gets past the hash. What is refused must be refused in
 * words; what is accepted must be what the loader relies on, as checked here a second way.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../runtime-c/object_reader.h"
#include "../../../runtime-c/sha256.h"

#define REQUIRE(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
      abort(); \
    } \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file without a name in the file system. */
static int scratch = -1;
static char path[64];

static void put(const uint8_t *data, size_t size) {
  if (scratch < 0) {
    scratch = memfd_create("fuzz", MFD_CLOEXEC);
    REQUIRE(scratch >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", scratch);
  }
  REQUIRE(ftruncate(scratch, 0) == 0 && pwrite(scratch, data, size, 0) == (ssize_t)size);
}

static void check_refusal(const waot_error *error) {
  REQUIRE(error->kind == WAOT_ERROR_FORMAT || error->kind == WAOT_ERROR_HASH || error->kind == WAOT_ERROR_ABI || error->kind == WAOT_ERROR_TARGET || error->kind == WAOT_ERROR_CPU);
  size_t length = strnlen(error->message, sizeof error->message);
  REQUIRE(length < sizeof error->message && length > strlen(path) + 2);
  REQUIRE(strncmp(error->message, path, strlen(path)) == 0 && strchr(error->message, '\n') == NULL);
}

/* The properties of an accepted file that loading it rests on. */
static void check_acceptance(const uint8_t *data, size_t size) {
  Elf64_Ehdr header;
  REQUIRE(size >= sizeof header);
  memcpy(&header, data, sizeof header);
  REQUIRE(memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_type == ET_DYN);
  REQUIRE(header.e_phoff < size && header.e_phnum <= (size - header.e_phoff) / sizeof(Elf64_Phdr));
  unsigned executable = 0;
  for (unsigned i = 0; i < header.e_phnum; i++) {
    Elf64_Phdr segment;
    memcpy(&segment, data + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_GNU_STACK) REQUIRE((segment.p_flags & PF_X) == 0);
    REQUIRE(segment.p_type != PT_INTERP);
    if (segment.p_type != PT_LOAD) continue;
    REQUIRE((segment.p_flags & (PF_W | PF_X)) != (PF_W | PF_X));
    REQUIRE(segment.p_offset <= size && segment.p_filesz <= size - segment.p_offset);
    executable += (segment.p_flags & PF_X) != 0;
  }
  REQUIRE(executable <= 1);
}

static void verify(const uint8_t *data, size_t size) {
  waot_error error;
  memset(&error, 0xa5, sizeof error);
  put(data, size);
  if (waot_artifact_verify(path, &error) != 0) check_refusal(&error);
  else check_acceptance(data, size);
  REQUIRE(waot_artifact_verify(path, NULL) == 0 || error.kind != WAOT_ERROR_NONE); /* without a place for the message, too */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  verify(data, size);
  struct waot_object_file elf;
  if (waot_elf_reader.read_notes(data, size, "input", &elf, NULL) != 0) return 0;
  uint8_t *sealed = malloc(size);
  uint64_t file_size = size;
  struct waot_sha256 sha;
  REQUIRE(sealed != NULL && elf.hash_offset <= size - 32);
  REQUIRE(elf.manifest >= data && elf.manifest_length <= size && (size_t)(elf.manifest - data) <= size - elf.manifest_length);
  memcpy(sealed, data, size);
  memcpy(sealed + elf.hash_offset - sizeof file_size, &file_size, sizeof file_size);
  memset(sealed + elf.hash_offset, 0, 32);
  waot_sha256_init(&sha);
  waot_sha256_update(&sha, sealed, size);
  waot_sha256_final(&sha, sealed + elf.hash_offset);
  verify(sealed, size);
  free(sealed);
  return 0;
}
