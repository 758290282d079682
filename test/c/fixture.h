/*
 * fixture.h - builds the artifacts of fixture_module.c with the system's C compiler, into a directory that is removed at exit; and the tests' bookkeeping.
 *
 * The sources are found beside this file: by the macro WAOT_TEST_DIR, else by the path by which this file was included.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../runtime-c/object_reader.h"
#include "../../runtime-c/sha256.h"
#include "../../runtime-c/include/wasm_aot.h"
#include "emulated.h"

static int failures;
static char fixture_directory[] = "/tmp/wasm-aot-test-XXXXXX";

/* Prints "ok name", or "not ok name" with the place. */
#define CHECK(name, condition) check((name), (condition), #condition, __LINE__)
static inline void check(const char *name, bool condition, const char *text, int line) {
  if (condition) printf("ok %s\n", name);
  else printf("not ok %s: line %d: %s\n", name, line, text);
  failures += !condition;
  fflush(stdout);
}

/* Checks that a call failed with this kind, and with a message that contains this text. */
static inline void check_error(const char *name, bool failed, const waot_error *error, waot_error_kind kind, const char *text) {
  bool right = failed && error->kind == kind && strstr(error->message, text) != NULL && strchr(error->message, '\n') == NULL;
  if (!right) printf("# %s, kind %d: %s\n", failed ? "failed" : "succeeded", error->kind, error->message);
  check(name, right, text, 0);
}

static inline void die(const char *what) {
  printf("not ok %s\n", what);
  perror(what);
  exit(2);
}

static inline void remove_directory(void) {
  char command[200];
  snprintf(command, sizeof command, "rm -rf '%s'", fixture_directory);
  if (system(command) != 0) perror(command);
}

/* The path of a file in the directory; lives until four later calls. */
static inline const char *in_directory(const char *name) {
  static char paths[4][200];
  static unsigned next;
  char *path = paths[next++ % 4];
  if (strstr(fixture_directory, "XXXXXX") != NULL) {
    if (mkdtemp(fixture_directory) == NULL) die("mkdtemp");
    atexit(remove_directory);
  }
  snprintf(path, sizeof paths[0], "%s/%s", fixture_directory, name);
  return path;
}

struct bytes {
  uint8_t *at;
  size_t size;
};

static inline struct bytes read_bytes(const char *path) {
  struct stat stat_of;
  int fd = open(path, O_RDONLY);
  if (fd < 0 || fstat(fd, &stat_of) != 0) die(path);
  struct bytes bytes = {malloc((size_t)stat_of.st_size + 1), (size_t)stat_of.st_size};
  if (read(fd, bytes.at, bytes.size) != (ssize_t)bytes.size) die(path);
  close(fd);
  return bytes;
}

/* Replaces a file, by renaming as the compiler does. */
static inline void write_bytes(const char *path, const uint8_t *at, size_t size) {
  const char *beside = in_directory("beside");
  int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC, 0700);
  if (fd < 0 || write(fd, at, size) != (ssize_t)size) die(path);
  close(fd);
  if (rename(beside, path) != 0) die(path);
}

/* Enters size and hash into the header note of an artifact, wherever its place. */
static inline void seal(struct bytes bytes) {
  struct waot_object_file elf;
  waot_error error = {0};
  if (waot_elf_reader.read_notes(bytes.at, bytes.size, "fixture", &elf, &error) != 0) {
    if (error.kind == WAOT_ERROR_ABI || error.kind == WAOT_ERROR_TARGET) return; /* wrong on purpose */
    die(error.message);
  }
  uint64_t size = bytes.size;
  memcpy(bytes.at + elf.hash_offset - sizeof size, &size, sizeof size);
  memset(bytes.at + elf.hash_offset, 0, 32);
  struct waot_sha256 sha;
  uint8_t digest[32];
  waot_sha256_init(&sha);
  waot_sha256_update(&sha, bytes.at, bytes.size);
  waot_sha256_final(&sha, digest);
  memcpy(bytes.at + elf.hash_offset, digest, 32);
}

/* What keeps the compiler's hands off the fuel register. */
#if defined(__x86_64__)
#define FIXED_REGISTER "-ffixed-rbp -fcf-protection=none"
#else
#define FIXED_REGISTER "-ffixed-x28"
#endif

/* Builds module `module` of fixture_module.c with more compiler flags, as the file `name`; returns its path. */
static inline const char *build_fixture(const char *name, int module, const char *flags) {
#ifdef WAOT_TEST_DIR
  const char *directory = WAOT_TEST_DIR;
#else
  static char directory[400];
  const char *slash = strrchr(__FILE__, '/');
  snprintf(directory, sizeof directory, "%.*s", slash == NULL ? 1 : (int)(slash - __FILE__), slash == NULL ? "." : __FILE__);
#endif
  const char *cc = getenv("CC");
  const char *path = in_directory(name);
  char command[2000];
  snprintf(command, sizeof command,
           "%s -std=gnu11 -shared -fPIC -O2 -nostdlib -fomit-frame-pointer " FIXED_REGISTER " -fno-stack-protector -fvisibility=hidden "
           "-Wl,-z,now -Wl,-z,relro -Wl,-z,separate-code -Wl,--build-id=none -Wl,-z,noexecstack -I '%s/../../runtime-c' -DMODULE=%d -o '%s' '%s/fixture_module.c' %s",
           cc == NULL ? "cc" : cc, directory, module, path, directory, flags);
  if (system(command) != 0) die(command);
  struct bytes bytes = read_bytes(path);
  seal(bytes);
  write_bytes(path, bytes.at, bytes.size);
  free(bytes.at);
  return path;
}

enum { PROVIDER = 1, CONSUMER, ESCAPE, TABLE_TRAP, BAD_START }; /* of fixture_module.c */

#endif /* FIXTURE_H */
