/* Artifacts: what is refused, and how it is said; opening, sharing, replacing. */
#define _GNU_SOURCE 1 /* dladdr */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fixture.h"

static void refused(const char *name, const char *path, waot_error_kind kind, const char *text) {
  waot_error error = {0};
  check_error(name, waot_artifact_verify(path, &error) != 0, &error, kind, text);
  error = (waot_error){0};
  check_error(name, waot_artifact_open(path, &error) == NULL, &error, kind, text);
}

static void valid_ones_are_accepted(void) {
  waot_error error = {0};
  CHECK("notes aligned to 4", waot_artifact_verify(build_fixture("four.so", PROVIDER, ""), &error) == 0);
  CHECK("notes aligned to 8", waot_artifact_verify(build_fixture("eight.so", PROVIDER, "-DNOTE_ALIGN=8"), &error) == 0);
  waot_artifact *artifact = waot_artifact_open(in_directory("eight.so"), &error);
  size_t length = 0;
  CHECK("opens", artifact != NULL);
  if (artifact == NULL) return;
  CHECK("manifest", strncmp(waot_artifact_manifest(artifact, &length), "{\"schema\":1}", 12) == 0 && length == 12);
  CHECK("fuel mode", waot_artifact_fuel_mode(artifact) == WAOT_FUEL_OUTBAND);
  waot_import_type type;
  CHECK("import", waot_artifact_import_count(artifact) == 1 && waot_artifact_import(artifact, 0, &type) == 0 && type.kind == WAOT_EXTERN_FUNC &&
                    type.type == waot_artifact_type(artifact, 2) && type.name_length == 6 && memcmp(type.name, "double", 6) == 0);
  CHECK("import out of range", waot_artifact_import(artifact, 1, &type) == -1);
  CHECK("exported table", waot_artifact_export(artifact, 8, &type) == 0 && type.kind == WAOT_EXTERN_TABLE && type.min == 3 && type.max == 10 && type.valtype == WAOT_VALTYPE_FUNCREF);
  CHECK("exported table without maximum", waot_artifact_export(artifact, 9, &type) == 0 && type.max == UINT64_MAX);
  CHECK("exported global", waot_artifact_export(artifact, 12, &type) == 0 && type.valtype == WAOT_VALTYPE_I64 && type.mutable_ == 1);
  CHECK("type out of range", waot_artifact_type(artifact, 3) == NULL);
  CHECK("types", waot_artifact_type(artifact, 0)->param_count == 2 && waot_artifact_type(artifact, 0)->valtypes[2] == WAOT_VALTYPE_I32);
  waot_artifact_close(artifact);
}

static void files_that_are_none(void) {
  refused("no such file", in_directory("nothing.so"), WAOT_ERROR_IO, "No such file");
  refused("a directory", in_directory("."), WAOT_ERROR_IO, "directory");
  write_bytes(in_directory("empty.so"), (const uint8_t *)"", 0);
  refused("an empty file", in_directory("empty.so"), WAOT_ERROR_FORMAT, "empty");
  write_bytes(in_directory("a\nb.so"), (const uint8_t *)"\0asm\1\0\0\0", 8);
  refused("a wasm file", in_directory("a\nb.so"), WAOT_ERROR_FORMAT, "no ELF file");
  if (mkfifo(in_directory("fifo"), 0600) != 0) die("mkfifo");
  refused("a FIFO", in_directory("fifo"), WAOT_ERROR_IO, "no regular file");
  refused("a device", "/dev/null", WAOT_ERROR_IO, "no regular file");
  refused("a program", "/proc/self/exe", WAOT_ERROR_FORMAT, "");
  Dl_info libc;
  if (dladdr((void *)(uintptr_t)fopen, &libc) == 0) die("dladdr");
  refused("another library", libc.dli_fname, WAOT_ERROR_FORMAT, "no \"wasmaot\" note");
}

static void foreign_and_unsuitable_ones(void) {
  refused("another ABI", build_fixture("abi.so", PROVIDER, "-DNOTE_ABI=99"), WAOT_ERROR_ABI, "version 99, this runtime has version");
  refused("another architecture in the note", build_fixture("arch.so", PROVIDER, "-DNOTE_ARCH=3"), WAOT_ERROR_TARGET, "architecture 3");
  refused("a CPU feature of the future", build_fixture("cpu.so", PROVIDER, "-DCPU_FEATURES=0x8000000000000001"), WAOT_ERROR_CPU, "feature 63");
  refused("an initialiser", build_fixture("init.so", PROVIDER, "-DCONSTRUCTOR"), WAOT_ERROR_FORMAT, "initialisers");
  refused("a needed library", build_fixture("needed.so", PROVIDER, "-Wl,--no-as-needed -lc"), WAOT_ERROR_FORMAT, "another library");
  refused("an executable stack", build_fixture("stack.so", PROVIDER, "-Wl,-z,execstack"), WAOT_ERROR_FORMAT, "executable stack");
  refused("text relocations or writable text", build_fixture("omagic.so", PROVIDER, "-Wl,-N"), WAOT_ERROR_FORMAT, "");
  waot_error error = {0};
  const char *path = build_fixture("descriptor.so", PROVIDER, "-DDESCRIPTOR_ABI=98");
  check_error("a descriptor that does not fit its header", waot_artifact_open(path, &error) == NULL, &error, WAOT_ERROR_FORMAT, "descriptor");
  path = build_fixture("levels.so", PROVIDER, "-DBAD_LEVELS=0");
  check_error("levels that are not in the file", waot_artifact_open(path, &error) == NULL, &error, WAOT_ERROR_FORMAT, "descriptor");
  path = build_fixture("level.so", PROVIDER, "-DBAD_LEVELS=64");
  check_error("a level whose functions are not in the file", waot_artifact_open(path, &error) == NULL, &error, WAOT_ERROR_FORMAT, "descriptor");
}

/* The table of owed fuel is read by signal handlers, without any checks. */
static void wrong_tables_of_owed_fuel(void) {
  static const struct { const char *name, *rows; } wrong[] = {
    {"rows that are not in the file", ".set owed_rows, 64; .set owed_rows_end, 72"},
    {"half a row", "owed_rows: .long enter_nothing - .; owed_rows_end:"},
    {"rows at an odd address", ".byte 0; owed_rows: .long enter_nothing - owed_rows, 0; owed_rows_end:"},
    {"an end before the start", "owed_rows_end: .long 0, 0; owed_rows:"},
    {"code before the text", "owed_rows: .long -0x1000000, 0; owed_rows_end:"},
    {"code behind the text", "owed_rows: .long 0x1000000, 0; owed_rows_end:"},
    {"rows that descend", "owed_rows: .long enter_nothing + 1 - owed_rows, 0, enter_nothing - owed_rows - 8, 0; owed_rows_end:"},
    {"entries before the file", "owed_rows: .long enter_nothing - owed_rows, -0x1000000; owed_rows_end:"},
    {"entries behind the file", "owed_rows: .long enter_nothing - owed_rows, 0x1000000; owed_rows_end:"},
  };
  char flags[300];
  waot_error error = {0};
  waot_artifact *artifact = waot_artifact_open(build_fixture("owed.so", PROVIDER, "'-DOWED=\"owed_rows: .long enter_nothing - owed_rows, 0, enter_nothing - owed_rows - 8, 0; owed_rows_end:\"'"), &error);
  CHECK("a table of owed fuel, with two rows of one place", artifact != NULL);
  waot_artifact_close(artifact);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    snprintf(flags, sizeof flags, "'-DOWED=\"%s\"'", wrong[i].rows);
    error = (waot_error){0};
    check_error(wrong[i].name, waot_artifact_open(build_fixture("owed.so", PROVIDER, flags), &error) == NULL, &error, WAOT_ERROR_FORMAT, "owed fuel does not fit");
  }
}

/* Every single bit flipped, every length shorter, and one byte more: all refused; no crash (the sanitizers would say). */
static void damaged_ones(void) {
  struct bytes good = read_bytes(in_directory("four.so"));
  const char *path = in_directory("damaged.so");
  uint8_t *bad = malloc(good.size + 1);
  size_t flips = 0, accepted = 0, step = good.size / (size_t)repeats(1500) + 1;
  waot_error error;
  memcpy(bad, good.at, good.size);
  for (size_t i = 0; i < good.size; i += i < 1024 && repeats(2) == 2 ? 1 : step) { /* the headers whole, the rest by samples */
    bad[i] ^= (uint8_t)(1 << i % 8);
    write_bytes(path, bad, good.size);
    accepted += waot_artifact_verify(path, &error) == 0;
    bad[i] = good.at[i];
    flips++;
  }
  for (size_t size = 0; size < good.size; size += repeats(2) < 2 ? 499 : size < 1024 ? 1 : 41) {
    write_bytes(path, good.at, size);
    accepted += waot_artifact_verify(path, &error) == 0 || error.kind != WAOT_ERROR_FORMAT;
  }
  bad[good.size] = 0;
  write_bytes(path, bad, good.size + 1);
  refused("one byte more", path, WAOT_ERROR_FORMAT, "added");
  write_bytes(path, good.at, good.size - 1);
  refused("one byte less", path, WAOT_ERROR_FORMAT, "truncated");
  memcpy(bad, good.at, good.size);
  bad[good.size - 1] ^= 1;
  write_bytes(path, bad, good.size);
  refused("the last bit", path, WAOT_ERROR_HASH, "hash");
  CHECK("thousands of bit flips and truncations", accepted == 0 && flips > (size_t)repeats(2000) / 2);
  free(bad);
  free(good.at);
}

/* Damage that is sealed again, so that the hash is right, gets as far as the parser: it may be accepted or refused, but never read out of bounds (the sanitizers would say). */
static void sealed_damage(void) {
  struct bytes good = read_bytes(in_directory("four.so"));
  uint8_t *bad = malloc(good.size);
  struct waot_object_file elf;
  uint64_t random = 88172645463325252u;
  size_t refusals = 0;
  for (int round = 0; round < repeats(200000); round++) {
    memcpy(bad, good.at, round % 8 == 0 ? good.size : 1024);
    size_t size = round % 16 == 0 ? round / 16 % good.size : good.size;
    for (int i = 0; i < 3; i++) {
      random ^= random << 13, random ^= random >> 7, random ^= random << 17;
      size_t at = random % 4 == 0 ? 64 + random / 4 % 512 : random / 4 % good.size;
      bad[at] = (uint8_t)(random >> 40);
    }
    uint8_t *exact = malloc(size > 0 ? size : 1); /* so that a sanitizer sees its end */
    memcpy(exact, bad, size);
    refusals += waot_elf_reader.read_notes(exact, size, "x", &elf, NULL) != 0 || waot_elf_reader.check_segments(exact, size, "x", &elf, NULL) != 0;
    free(exact);
  }
  CHECK("damage behind a right hash", refusals > (size_t)repeats(1000));
  free(bad);
  free(good.at);
}

static void opening_twice_and_replacing(void) {
  waot_error error = {0};
  const char *path = build_fixture("program.so", PROVIDER, "");
  waot_artifact *first = waot_artifact_open(path, &error), *second = waot_artifact_open(path, &error);
  CHECK("opened twice, shared", first != NULL && first == second);
  build_fixture("program.so", CONSUMER, "");
  waot_artifact *replaced = waot_artifact_open(in_directory("program.so"), &error);
  CHECK("replaced while open: the new one", replaced != NULL && replaced != first && waot_artifact_import_count(replaced) == 5 && waot_artifact_import_count(first) == 1);
  build_fixture("program.so", ESCAPE, "");
  waot_artifact *again = waot_artifact_open(in_directory("program.so"), &error);
  CHECK("and again", again != NULL && waot_artifact_import_count(again) == 2);
  waot_artifact_close(second);
  CHECK("still mapped", waot_artifact_import_count(first) == 1);
  waot_artifact_close(first);
  waot_artifact_close(replaced);
  waot_artifact_close(again);
  int here = open(".", O_RDONLY);
  if (here < 0 || chdir(fixture_directory) != 0) die("chdir");
  waot_artifact *relative = waot_artifact_open("program.so", &error);
  CHECK("a relative path is not looked for in the library path", relative != NULL);
  if (fchdir(here) != 0) die("fchdir");
  close(here);
  waot_artifact_close(relative);
}

/* Renames one artifact after the other over a path, until it is told to stop. */
static void *keep_replacing(void *stop) {
  const char *sources[] = {"first.so", "second.so"};
  char from[2][512], to[512], beside[512];
  for (int i = 0; i < 2; i++) snprintf(from[i], sizeof from[i], "%s", in_directory(sources[i]));
  snprintf(to, sizeof to, "%s", in_directory("busy.so"));
  snprintf(beside, sizeof beside, "%s", in_directory("busy.tmp"));
  for (unsigned i = 0; !atomic_load((atomic_bool *)stop); i++) {
    if (link(from[i % 2], beside) != 0 || rename(beside, to) != 0) die("replace");
    if (unlink(beside) != 0 && errno != ENOENT) die("unlink"); /* rename leaves it where both are one file already */
    usleep(i % 16 * 500); /* sometimes longer than an opening takes, wherever that is */
  }
  return NULL;
}

/* What builders that share a cache do to each other. */
static void replacing_all_the_time(void) {
  waot_error error = {0};
  build_fixture("first.so", PROVIDER, "");
  build_fixture("second.so", CONSUMER, "");
  if (link(in_directory("first.so"), in_directory("busy.so")) != 0) die("link");
  atomic_bool stop = false;
  pthread_t thread;
  if (pthread_create(&thread, NULL, keep_replacing, &stop) != 0) die("pthread_create");
  int opened = 0, whole = 0;
  for (int i = 0; i < 1000; i++) {
    waot_artifact *artifact = waot_artifact_open(in_directory("busy.so"), &error);
    if (artifact == NULL) continue;
    uint32_t imports = waot_artifact_import_count(artifact);
    size_t length = 0;
    waot_artifact_manifest(artifact, &length);
    opened++;
    whole += length > 0 && (imports == 1 || imports == 5);
    waot_artifact_close(artifact);
  }
  atomic_store(&stop, true);
  pthread_join(thread, NULL);
  CHECK("replaced all the time: opened", opened == 1000);
  CHECK("and each time one of the two", whole == 1000);
}

/* Overwriting in place changes what other processes have mapped; here it is noticed. */
static void overwriting_in_place(void) {
  waot_error error = {0};
  const char *path = build_fixture("inplace.so", PROVIDER, "");
  waot_artifact *first = waot_artifact_open(path, &error);
  CHECK("opened, to be overwritten", first != NULL);
  build_fixture("other.so", PROVIDER, "-DNOTE_ALIGN=8 -O1");
  struct bytes other = read_bytes(in_directory("other.so"));
  int fd = open(in_directory("inplace.so"), O_WRONLY);
  if (fd < 0 || write(fd, other.at, other.size) != (ssize_t)other.size) die("overwrite");
  if (ftruncate(fd, (off_t)other.size) != 0) die("truncate");
  close(fd);
  free(other.at);
  check_error("overwritten in place", waot_artifact_open(in_directory("inplace.so"), &error) == NULL, &error, WAOT_ERROR_IO, "overwritten while it is loaded");
  waot_artifact_close(first);
}

int main(void) {
  valid_ones_are_accepted();
  files_that_are_none();
  foreign_and_unsuitable_ones();
  wrong_tables_of_owed_fuel();
  damaged_ones();
  sealed_damage();
  opening_twice_and_replacing();
  replacing_all_the_time();
  overwriting_in_place();
  return failures != 0;
}
