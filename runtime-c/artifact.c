/*
 * artifact.c - artifacts: verified first, then mapped by the dynamic linker, then checked to be what was verified.
 *
 * Verifying guards against accidents (another machine's file, a truncated download, a damaged disk), not against malice: an artifact is native code,
 * and who can write one can compute its hash.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "code_map.h"
#include "owed.h"
#include "cpu.h"
#include "frame_table.h"
#include "internal.h"
#include "object_reader.h"
#include "os.h"
#include "sha256.h"
#include "unwind_table.h"

#if defined(__x86_64__)
#define ARCH WAOT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH WAOT_ARCH_AARCH64
#endif
#if defined(__APPLE__)
#define OS WAOT_OS_DARWIN
#define READER waot_macho_reader
#else
#define OS WAOT_OS_LINUX
#define READER waot_elf_reader
#endif

/* A file, read whole. */
struct image {
  uint8_t *bytes;
  size_t size;
  struct stat stat;
  struct waot_object_file object;
};

/* How often an artifact is opened anew because the file was replaced between its verifying and its mapping. Builders that share a cache do that to each other, once each; somebody who never
 * stops replacing it gets the error. */
#define MAX_ATTEMPTS 100

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list, the counts in it, and the dynamic linker's view of it */
static struct waot_artifact *artifacts;

/* --- verifying ---------------------------------------------------------------------------------------------------- */

static int read_open_file(int fd, const char *name, struct image *image, waot_error *error) {
  if (fstat(fd, &image->stat) != 0) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: cannot be examined: %s", name, strerror(errno));
  if (S_ISDIR(image->stat.st_mode)) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: is a directory, not an artifact", name);
  if (!S_ISREG(image->stat.st_mode)) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: is no regular file", name);
  image->size = (size_t)image->stat.st_size;
  image->bytes = malloc(image->size > 0 ? image->size : 1);
  if (image->bytes == NULL) return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "%s: out of memory for its %zu bytes", name, image->size);
  for (size_t at = 0; at < image->size;) {
    ssize_t got = read(fd, image->bytes + at, image->size - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: cannot be read: %s", name, strerror(errno));
    if (got == 0) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: became shorter while it was read", name);
    at += (size_t)got;
  }
  return 0;
}

static int read_file(const char *path, const char *name, struct image *image, waot_error *error) {
  /* O_NONBLOCK: a FIFO must be refused, not waited for. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: cannot be opened: %s", name, strerror(errno));
  int result = read_open_file(fd, name, image, error);
  close(fd);
  return result;
}

static int check_target(const struct waot_note_header *header, const char *path, waot_error *error) {
  if (header->arch != ARCH || header->os != OS) {
    return waot_error_set(error, WAOT_ERROR_TARGET, 0, "%s: made for another target (architecture %" PRIu32 ", system %" PRIu32 ")", path, header->arch, header->os);
  }
  if (!waot_cpu_limit_is_known()) return waot_error_set(error, WAOT_ERROR_ARGUMENT, 0, "the environment variable WASM_AOT_CPU must be v2, v3 or v4");
  uint64_t missing = header->cpu_features & ~waot_cpu_features();
  if (missing == 0) return 0;
  char names[300] = "";
  for (unsigned bit = 0; bit < 64; bit++) {
    const char *name = waot_cpu_feature_name(bit);
    size_t used = strlen(names);
    if ((missing & UINT64_C(1) << bit) == 0) continue;
    if (name != NULL) snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", name);
    else snprintf(names + used, sizeof names - used, "%sfeature %u", used > 0 ? ", " : "", bit);
  }
  return waot_error_set(error, WAOT_ERROR_CPU, 0, "%s: needs CPU features that this machine lacks%s: %s", path, getenv("WASM_AOT_CPU") ? ", or that WASM_AOT_CPU forbids" : "", names);
}

static void hash_zeros(struct waot_sha256 *sha, size_t count) {
  static const uint8_t zeros[32];
  waot_sha256_update(sha, zeros, count);
}

/* Compares the hash with that of what the seal covers: the masked places, which all come before the hash, and the hash itself taken as zero. */
static int check_hash(const struct image *image, const char *path, waot_error *error) {
  const struct waot_object_file *object = &image->object;
  struct waot_sha256 sha;
  uint8_t digest[32];
  size_t at = 0;
  waot_sha256_init(&sha);
  for (size_t i = 0; i < object->masked_count; i++) {
    const struct waot_file_range *masked = &object->masked[i];
    waot_sha256_update(&sha, image->bytes + at, masked->start - at);
    hash_zeros(&sha, masked->size);
    at = masked->start + masked->size;
  }
  waot_sha256_update(&sha, image->bytes + at, object->hash_offset - at);
  hash_zeros(&sha, sizeof digest);
  at = object->hash_offset + sizeof digest;
  waot_sha256_update(&sha, image->bytes + at, object->sealed_size - at);
  waot_sha256_final(&sha, digest);
  if (memcmp(digest, image->bytes + object->hash_offset, sizeof digest) == 0) return 0;
  return waot_error_set(error, WAOT_ERROR_HASH, 0, "%s: its contents do not match its hash: damaged or tampered with", path);
}

/* Reads a file and checks it; names it `name` in messages. The caller frees image->bytes, whatever the result. */
static int verify(const char *path, const char *name, struct image *image, waot_error *error) {
  memset(image, 0, sizeof *image);
  if (read_file(path, name, image, error) != 0 || READER.read_notes(image->bytes, image->size, name, &image->object, error) != 0) return -1;
  if (check_target(&image->object.header, name, error) != 0) return -1;
  const size_t sealed = image->object.sealed_size;
  if (image->object.header.file_size != sealed) {
    return waot_error_set(error, WAOT_ERROR_FORMAT, 0, "%s: %s: it has %zu bytes and should have %" PRIu64, name, sealed < image->object.header.file_size ? "truncated" : "something was added to it", sealed,
                          image->object.header.file_size);
  }
  if (check_hash(image, name, error) != 0) return -1;
  return READER.check_segments(image->bytes, image->size, name, &image->object, error);
}

int waot_artifact_verify(const char *path, waot_error *error) {
  struct image image;
  int result = verify(path, path, &image, error);
  free(image.bytes);
  return result;
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* Whether an array of the descriptor's lies in the mapped file. */
static bool is_inside(const void *array, uint64_t count, size_t size, const struct waot_object_file *object, uintptr_t load_address) {
  uintptr_t at = (uintptr_t)array - load_address;
  return at <= object->span && (object->span - at) / size >= count && (uintptr_t)array % 8 == 0;
}

static bool are_levels_sane(const struct waot_module_desc *desc, const struct waot_object_file *object, uintptr_t load_address) {
  const struct waot_level_desc *levels = desc->levels;
  if (desc->level_count > 0 && !is_inside(levels, desc->level_count, sizeof *levels, object, load_address)) return false;
  for (uint32_t i = 0; i < desc->level_count; i++) {
    if (desc->funcref_count > 0 && !is_inside(levels[i].funcrefs, desc->funcref_count, sizeof(struct waot_funcref_desc), object, load_address)) return false;
  }
  return true;
}

/* Whether the descriptor is one that the rest of the runtime can rely on. */
static bool is_sane(const struct waot_module_desc *desc, const struct waot_object_file *object, uintptr_t load_address) {
  uintptr_t at = (uintptr_t)desc - load_address;
  if (at > object->span || sizeof *desc > object->span - at || (uintptr_t)desc % _Alignof(struct waot_module_desc) != 0) return false;
  if (desc->abi_version != WAOT_ABI_VERSION || desc->fuel_mode != object->header.fuel_mode) return false;
  if (desc->imported_func_count > desc->func_count || desc->imported_func_count > desc->funcref_count || desc->imported_table_count > desc->table_count ||
      desc->imported_memory_count > desc->memory_count || desc->imported_global_count > desc->global_count) {
    return false;
  }
  if ((desc->start != UINT32_MAX && desc->start >= desc->funcref_count) || !are_levels_sane(desc, object, load_address)) return false;
  return desc->memories_offset >= sizeof(struct waot_vmctx) && desc->globals_offset % WAOT_VALUE_SIZE == 0 &&
         desc->memories_offset + desc->memory_count * sizeof(struct waot_vm_memory) <= desc->vmctx_size &&
         desc->tables_offset + desc->table_count * sizeof(void *) <= desc->vmctx_size &&
         desc->globals_offset + (uint64_t)desc->global_count * WAOT_VALUE_SIZE <= desc->vmctx_size &&
         desc->imports_offset + desc->imported_func_count * sizeof(struct waot_vm_import) <= desc->vmctx_size;
}

static int intern_types(struct waot_artifact *artifact) {
  artifact->types = calloc(artifact->desc->type_count + 1u, sizeof *artifact->types);
  return artifact->types == NULL ? -1 : waot_types_intern(artifact->desc->types, artifact->desc->type_count, artifact->types);
}

static void destroy(struct waot_artifact *artifact) {
  if (artifact->text_end != artifact->text_start) waot_code_unregister((void *)artifact->text_start, (void *)artifact->text_end);
  if (artifact->handle != NULL) dlclose(artifact->handle);
  free(artifact->unwind_table);
  free(artifact->types);
  free(artifact->manifest);
  free(artifact->frames);
  free(artifact->path);
  free(artifact);
}

/*
 * The path to give to the dynamic linker. It recognises a library that it has by the spelling of its path before it looks at the file: after an artifact has
 * been replaced (compiled again) it would return the old one. So a path under which an artifact is loaded gets another "/." before the name.
 */
static char *fresh_path(const char *real_path) {
  const char *name = strrchr(real_path, '/');
  for (int dots = 0;; dots++) {
    char *path = malloc(strlen(real_path) + 2 * (size_t)dots + 1);
    if (path == NULL) return NULL;
    char *end = path + sprintf(path, "%.*s", (int)(name - real_path), real_path);
    for (int i = 0; i < dots; i++) end += sprintf(end, "/.");
    strcpy(end, name);
    const struct waot_artifact *loaded = artifacts;
    while (loaded != NULL && strcmp(loaded->path, path) != 0) loaded = loaded->next;
    if (loaded == NULL) return path;
    free(path);
  }
}

/* Whether the file at a path is still, as far as stat tells, the one that was read. */
static bool is_unchanged(const char *path, const struct stat *before) {
  struct stat now;
  return stat(path, &now) == 0 && now.st_dev == before->st_dev && now.st_ino == before->st_ino && now.st_size == before->st_size &&
         waot_os_mtime(&now).tv_sec == waot_os_mtime(before).tv_sec && waot_os_mtime(&now).tv_nsec == waot_os_mtime(before).tv_nsec;
}

/* Loads the verified file into artifact->handle and makes sure that it is what was loaded; *changed says that it was not. */
static int load(struct waot_artifact *artifact, const struct image *image, const char *name, bool *changed, waot_error *error) {
  void *handle = dlopen(artifact->path, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: cannot be loaded: %s", name, dlerror());
  artifact->handle = handle; /* destroy() closes it */
  for (const struct waot_artifact *at = artifacts; at != NULL; at = at->next) {
    if (at->handle == handle) {
      return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: was overwritten while it is loaded: replace an artifact by renaming a new file over it", name);
    }
  }
  artifact->desc = dlsym(handle, WAOT_DESCRIPTOR_SYMBOL);
  const uintptr_t load_address = waot_os_load_address(handle, artifact->desc);
  if (load_address == 0) return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: cannot be examined", name);
  if (!is_unchanged(artifact->path, &image->stat) || !READER.is_mapped(image->bytes, load_address)) {
    *changed = true;
    return waot_error_set(error, WAOT_ERROR_IO, 0, "%s: changed while it was opened", name);
  }
  if (artifact->desc == NULL || !is_sane(artifact->desc, &image->object, load_address)) {
    return waot_error_set(error, WAOT_ERROR_FORMAT, 0, "%s: damaged: its descriptor is missing or does not fit its header", name);
  }
  if (image->object.text_size == 0) return 0;
  uintptr_t start = load_address + image->object.text_vaddr, end = start + image->object.text_size;
  struct waot_code_tables tables = {
    .unwind = image->object.unwind_vaddr != 0 ? (const void *)(load_address + image->object.unwind_vaddr) : NULL, .owed = artifact->desc->owed_rows, .owed_end = artifact->desc->owed_rows_end,
  };
#if defined(__APPLE__)
  artifact->unwind_table = tables.unwind != NULL ? waot_unwind_table_new(tables.unwind, image->object.unwind_size) : NULL;
  tables.unwind = artifact->unwind_table;
#endif
  if (!waot_owed_is_sane(&tables, (struct waot_span){start, end}, (struct waot_span){load_address, load_address + image->object.span})) return waot_error_set(error, WAOT_ERROR_FORMAT, 0, "%s: damaged: its table of owed fuel does not fit its code", name);
  artifact->load_address = load_address;
  if (waot_code_register_tables((void *)start, (void *)end, &tables) != 0) return waot_error_set(error, WAOT_ERROR_MEMORY, 0, "%s: out of memory", name);
  artifact->text_start = start;
  artifact->text_end = end;
  return 0;
}

/* Chooses the best code that this CPU can run. The least of it can run: that has been checked before anything was mapped. */
static void choose_level(struct waot_artifact *artifact, const struct waot_note_header *header) {
  const uint64_t features = waot_cpu_features();
  const struct waot_level_desc *levels = artifact->desc->levels;
  artifact->cpu_features = header->cpu_features;
  artifact->funcrefs = artifact->desc->funcrefs;
  for (uint32_t i = 0; i < artifact->desc->level_count; i++) {
    if ((levels[i].cpu_features & ~features) != 0) continue;
    artifact->cpu_features = levels[i].cpu_features;
    artifact->funcrefs = levels[i].funcrefs;
  }
}

/* Keeps the frame table. Without it, or without memory for it, frames have no names. */
static void keep_frames(struct waot_artifact *artifact, const struct image *image) {
  size_t length = 0;
  const uint8_t *frames = READER.frames(image->bytes, image->size, &length);
  if (frames == NULL || (artifact->frames = malloc(length + 1)) == NULL) return;
  memcpy(artifact->frames, frames, length);
  artifact->frames_length = length;
}

static struct waot_artifact *open_locked(const char *real_path, const struct image *image, const char *name, bool *changed, waot_error *error) {
  const uint8_t *hash = image->bytes + image->object.hash_offset;
  for (struct waot_artifact *at = artifacts; at != NULL; at = at->next) {
    if (memcmp(at->hash, hash, sizeof at->hash) == 0) {
      at->references++;
      return at;
    }
  }
  struct waot_artifact *artifact = calloc(1, sizeof *artifact);
  if (artifact != NULL) {
    artifact->path = fresh_path(real_path);
    artifact->manifest_length = image->object.manifest_length;
    artifact->manifest = malloc(artifact->manifest_length + 1);
  }
  if (artifact == NULL || artifact->path == NULL || artifact->manifest == NULL) {
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "%s: out of memory", name);
  } else if (load(artifact, image, name, changed, error) == 0) {
    memcpy(artifact->manifest, image->object.manifest, artifact->manifest_length);
    memcpy(artifact->hash, hash, sizeof artifact->hash);
    artifact->references = 1;
    choose_level(artifact, &image->object.header);
    keep_frames(artifact, image);
    if (intern_types(artifact) == 0) {
      artifact->next = artifacts;
      artifacts = artifact;
      return artifact;
    }
    waot_error_set(error, WAOT_ERROR_MEMORY, 0, "%s: out of memory", name);
  }
  if (artifact != NULL) destroy(artifact);
  return NULL;
}

waot_artifact *waot_artifact_open(const char *path, waot_error *error) {
  if (waot_init(NULL, error) != 0) return NULL;
  char *real_path = realpath(path, NULL); /* absolute: the dynamic linker would look for a bare name elsewhere */
  if (real_path == NULL) {
    waot_error_set(error, WAOT_ERROR_IO, 0, "%s: cannot be opened: %s", path, strerror(errno));
    return NULL;
  }
  struct waot_artifact *artifact = NULL;
  bool again = true;
  for (int attempt = 0; again && attempt < MAX_ATTEMPTS; attempt++) {
    struct image image;
    again = false;
    if (verify(real_path, path, &image, error) == 0) {
      pthread_mutex_lock(&lock);
      artifact = open_locked(real_path, &image, path, &again, error);
      pthread_mutex_unlock(&lock);
      if (artifact == NULL && !is_unchanged(real_path, &image.stat)) again = true;
    }
    free(image.bytes);
  }
  free(real_path);
  return artifact;
}

void waot_artifact_retain(waot_artifact *artifact) {
  pthread_mutex_lock(&lock);
  artifact->references++;
  pthread_mutex_unlock(&lock);
}

void waot_artifact_close(waot_artifact *artifact) {
  if (artifact == NULL) return;
  pthread_mutex_lock(&lock);
  if (--artifact->references == 0) {
    struct waot_artifact **link = &artifacts;
    while (*link != artifact) link = &(*link)->next;
    *link = artifact->next;
    destroy(artifact);
  }
  pthread_mutex_unlock(&lock);
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

const char *waot_artifact_manifest(const waot_artifact *artifact, size_t *length) {
  *length = artifact->manifest_length;
  return artifact->manifest;
}

const waot_type *waot_artifact_type(const waot_artifact *artifact, uint32_t type_index) {
  return type_index < artifact->desc->type_count ? artifact->types[type_index] : NULL;
}

const waot_artifact *waot_artifact_at(uintptr_t pc, uint64_t *address) {
  pthread_mutex_lock(&lock);
  const struct waot_artifact *at = artifacts;
  while (at != NULL && (pc < at->text_start || pc >= at->text_end)) at = at->next;
  pthread_mutex_unlock(&lock);
  if (at != NULL) *address = pc - at->load_address;
  return at;
}

uint32_t waot_frame_places(const waot_frame *frame, waot_place *places, uint32_t max) {
  return waot_frame_table_find(frame->artifact->frames, frame->artifact->frames_length, frame->address, places, max);
}

const uint8_t *waot_artifact_hash(const waot_artifact *artifact) { return artifact->hash; }
const char *waot_artifact_path(const waot_artifact *artifact) { return artifact->path; }

uint64_t waot_artifact_cpu_features(const waot_artifact *artifact) { return artifact->cpu_features; }

uint32_t waot_artifact_fuel_mode(const waot_artifact *artifact) { return artifact->desc->fuel_mode; }
uint32_t waot_artifact_import_count(const waot_artifact *artifact) { return artifact->desc->import_count; }
uint32_t waot_artifact_export_count(const waot_artifact *artifact) { return artifact->desc->export_count; }

/* The type that a reference type's `heap` names; NULL for types that name none. */
static const waot_type *referred_type(const waot_artifact *artifact, uint32_t valtype, uint32_t heap) {
  return (valtype | WAOT_VALTYPE_NULLABLE) == WAOT_VALTYPE_REF_NULL_TYPE ? waot_artifact_type(artifact, heap) : NULL;
}

const waot_type *waot_artifact_table_ref(const waot_artifact *artifact, uint32_t table) {
  const struct waot_limits_desc *desc = (const struct waot_limits_desc *)artifact->desc->tables + table;
  return referred_type(artifact, desc->valtype, desc->heap);
}

const waot_type *waot_artifact_global_ref(const waot_artifact *artifact, uint32_t global) {
  const struct waot_global_desc *desc = (const struct waot_global_desc *)artifact->desc->globals + global;
  return referred_type(artifact, desc->valtype, desc->heap);
}

/* Fills in the type of what out->kind and out->index name; functions by funcref slot. */
static void describe(const waot_artifact *artifact, waot_import_type *out) {
  const struct waot_module_desc *desc = artifact->desc;
  if (out->kind == WAOT_EXTERN_FUNC) {
    out->type = artifact->types[((const struct waot_funcref_desc *)desc->funcrefs)[out->index].type];
  } else if (out->kind == WAOT_EXTERN_GLOBAL) {
    const struct waot_global_desc *global = (const struct waot_global_desc *)desc->globals + out->index;
    out->valtype = global->valtype;
    out->mutable_ = global->is_mutable;
    out->ref = waot_artifact_global_ref(artifact, out->index);
  } else {
    const struct waot_limits_desc *limits = (const struct waot_limits_desc *)(out->kind == WAOT_EXTERN_TABLE ? desc->tables : desc->memories) + out->index;
    out->valtype = out->kind == WAOT_EXTERN_TABLE ? limits->valtype : 0;
    out->ref = out->kind == WAOT_EXTERN_TABLE ? waot_artifact_table_ref(artifact, out->index) : NULL;
    out->min = limits->min;
    out->max = (limits->flags & 1) != 0 ? limits->max : UINT64_MAX;
  }
}

int waot_artifact_import(const waot_artifact *artifact, uint32_t i, waot_import_type *out) {
  if (i >= artifact->desc->import_count) return -1;
  const struct waot_import_desc *import = (const struct waot_import_desc *)artifact->desc->imports + i;
  *out = (waot_import_type){.module = import->module, .module_length = import->module_len, .name = import->name, .name_length = import->name_len, .kind = import->kind, .index = import->index};
  describe(artifact, out);
  return 0;
}

int waot_artifact_export(const waot_artifact *artifact, uint32_t i, waot_import_type *out) {
  if (i >= artifact->desc->export_count) return -1;
  const struct waot_export_desc *export = (const struct waot_export_desc *)artifact->desc->exports + i;
  *out = (waot_import_type){.name = export->name, .name_length = export->name_len, .kind = export->kind, .index = export->index};
  describe(artifact, out);
  return 0;
}

void waot_artifact_fork_prepare(void) { pthread_mutex_lock(&lock); }
void waot_artifact_fork_parent(void) { pthread_mutex_unlock(&lock); }
void waot_artifact_fork_child(void) { pthread_mutex_init(&lock, NULL); }
