/*
 * macho.c - a bounds-checked reading of 64-bit Mach-O dynamic libraries, as far as verifying an artifact for macOS needs it. What the seal covers, and why the code signature is checked
 * besides, is told in loader/macho.ts, which does the same.
 */
#include <inttypes.h>
#include <string.h>

#include "macho_format.h"
#include "object_reader.h"
#include "sha256.h"

#if defined(__x86_64__)
#define MACHINE MACHO_CPU_X86_64
#elif defined(__aarch64__)
#define MACHINE MACHO_CPU_ARM64
#endif

/* More load commands than a linker of artifacts writes. */
#define MAX_COMMANDS 64
#define HASH_SIZE 32
/* The one library that an artifact may need: dyld insists on it, every process has it, and nothing of it is used. */
#define LIBSYSTEM "/usr/lib/libSystem.B.dylib"

struct file {
  const uint8_t *bytes;
  size_t size;
  const char *path;
  waot_error *error;
  struct macho_header header;
};

static int refuse(const struct file *file, const char *what) { return waot_error_set(file->error, WAOT_ERROR_FORMAT, 0, "%s: %s", file->path, what); }

static bool in_file(const struct file *file, uint64_t offset, uint64_t count) { return offset <= file->size && count <= file->size - offset; }
static bool named(const char name[16], const char *wanted) { return strncmp(name, wanted, 16) == 0; }

static int read_file_header(struct file *file) {
  uint32_t magic = 0;
  if (file->size >= sizeof magic) memcpy(&magic, file->bytes, sizeof magic);
  if (magic != MACHO_MAGIC_64) {
    static const uint8_t elf[4] = { 0x7f, 'E', 'L', 'F' };
    if (file->size >= sizeof elf && memcmp(file->bytes, elf, sizeof elf) == 0) return waot_error_set(file->error, WAOT_ERROR_TARGET, 0, "%s: made for Linux, not for macOS", file->path);
    return refuse(file, "not a wasm-aot artifact: it is no 64-bit Mach-O file");
  }
  if (file->size < sizeof file->header) return refuse(file, "truncated in the Mach-O header");
  memcpy(&file->header, file->bytes, sizeof file->header);
  if (file->header.cputype != MACHINE) return waot_error_set(file->error, WAOT_ERROR_TARGET, 0, "%s: made for another architecture (CPU type %#" PRIx32 ")", file->path, file->header.cputype);
  if (file->header.filetype != MACHO_FILE_DYLIB) return refuse(file, "not a wasm-aot artifact: it is no dynamic library");
  if (file->header.ncmds > MAX_COMMANDS || !in_file(file, sizeof file->header, file->header.sizeofcmds)) return refuse(file, "damaged or truncated: the load commands are not where they should be");
  return 0;
}

/* A walk over the load commands; false at the end, or with *damaged set. */
struct walk {
  size_t at, end; /* of the current command */
  uint32_t left;
  struct macho_command command;
  bool damaged;
};

static struct walk begin(const struct file *file) { return (struct walk){ .end = sizeof file->header, .left = file->header.ncmds }; }

static bool next(const struct file *file, struct walk *walk) {
  const size_t limit = sizeof file->header + file->header.sizeofcmds;
  if (walk->left == 0) return false;
  walk->left--;
  walk->at = walk->end;
  walk->damaged = limit - walk->at < sizeof walk->command;
  if (walk->damaged) return false;
  memcpy(&walk->command, file->bytes + walk->at, sizeof walk->command);
  walk->damaged = walk->command.cmdsize < sizeof walk->command || walk->command.cmdsize > limit - walk->at;
  walk->end = walk->at + (walk->damaged ? 0 : walk->command.cmdsize);
  return !walk->damaged;
}

/* Copies the current command; false when it is too short. */
static bool take(const struct file *file, const struct walk *walk, void *command, size_t size) {
  if (walk->command.cmdsize < size) return false;
  memcpy(command, file->bytes + walk->at, size);
  return true;
}

/* Copies a segment and says whether its sections fit the command. */
static bool take_segment(const struct file *file, const struct walk *walk, struct macho_segment *segment) {
  return take(file, walk, segment, sizeof *segment) && segment->nsects <= (walk->command.cmdsize - sizeof *segment) / sizeof(struct macho_section);
}

static struct macho_section section_at(const struct file *file, const struct walk *walk, uint32_t i) {
  struct macho_section section;
  memcpy(&section, file->bytes + walk->at + sizeof(struct macho_segment) + i * sizeof section, sizeof section);
  return section;
}

/* --- notes -------------------------------------------------------------------------------------------------------- */

static uint32_t u32_at(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* Reads the notes of a section: as in ELF, padded to 4 bytes. */
static int read_notes_in(const struct file *file, const struct macho_section *section, struct waot_object_file *object) {
  if (!in_file(file, section->offset, section->size)) return refuse(file, "truncated: the notes are missing");
  uint64_t at = section->offset;
  const uint64_t end = at + section->size;
  while (end - at >= 12) {
    uint64_t name_size = u32_at(file->bytes + at), size = u32_at(file->bytes + at + 4), name = at + 12;
    uint64_t desc = name + ((name_size + 3) & ~UINT64_C(3));
    if (name_size > end - name || desc > end || size > end - desc) return refuse(file, "damaged: a note does not fit its section");
    if (name_size == sizeof WAOT_NOTE_NAME && memcmp(file->bytes + name, WAOT_NOTE_NAME, sizeof WAOT_NOTE_NAME) == 0 &&
        waot_object_take_note(file->bytes, file->path, object, u32_at(file->bytes + at + 8), (size_t)desc, (uint32_t)size, file->error) != 0) {
      return -1;
    }
    at = desc + ((size + 3) & ~UINT64_C(3));
    if (at > end) break;
  }
  return 0;
}

static void mask(struct waot_object_file *object, size_t start, size_t size) { object->masked[object->masked_count++] = (struct waot_file_range){ start, size }; }

static int read_segment_notes(const struct file *file, const struct walk *walk, struct waot_object_file *object) {
  struct macho_segment segment;
  if (!take_segment(file, walk, &segment)) return refuse(file, "damaged: a segment has an impossible size");
  if (named(segment.segname, "__LINKEDIT")) {
    if (object->masked_count > WAOT_MASKED_MAX - 2 || object->sealed_size != 0) return refuse(file, "damaged: its load commands are not in the usual order");
    mask(object, walk->at + offsetof(struct macho_segment, vmsize), sizeof segment.vmsize);
    mask(object, walk->at + offsetof(struct macho_segment, filesize), sizeof segment.filesize);
  }
  for (uint32_t i = 0; i < segment.nsects; i++) {
    struct macho_section section = section_at(file, walk, i);
    if (named(section.sectname, WAOT_MACHO_NOTES) && read_notes_in(file, &section, object) != 0) return -1;
  }
  return 0;
}

static int read_signature(const struct file *file, const struct walk *walk, struct waot_object_file *object) {
  struct macho_linkedit_data command;
  if (!take(file, walk, &command, sizeof command) || object->sealed_size != 0 || command.dataoff == 0) return refuse(file, "damaged: its code signature is not well-formed");
  if (!in_file(file, command.dataoff, command.datasize) || (uint64_t)command.dataoff + command.datasize != file->size) {
    return refuse(file, "truncated, or something was added to it: the code signature is not its end");
  }
  object->sealed_size = command.dataoff;
  mask(object, walk->at + offsetof(struct macho_linkedit_data, datasize), sizeof command.datasize);
  return 0;
}

static int read_notes(const uint8_t *bytes, size_t size, const char *path, struct waot_object_file *object, waot_error *error) {
  struct file file = { .bytes = bytes, .size = size, .path = path, .error = error };
  memset(object, 0, sizeof *object);
  if (size == 0) return refuse(&file, "not a wasm-aot artifact: the file is empty");
  if (read_file_header(&file) != 0) return -1;
  struct walk walk = begin(&file);
  while (next(&file, &walk)) {
    if (walk.command.cmd == MACHO_LC_SEGMENT_64 && read_segment_notes(&file, &walk, object) != 0) return -1;
    if (walk.command.cmd == MACHO_LC_CODE_SIGNATURE && read_signature(&file, &walk, object) != 0) return -1;
  }
  if (walk.damaged) return refuse(&file, "damaged: a load command has an impossible size");
  if (object->hash_offset == 0) return refuse(&file, "not a wasm-aot artifact: it has no \"" WAOT_NOTE_NAME "\" note");
  if (object->manifest == NULL) return refuse(&file, "damaged: it has no manifest");
  if (object->sealed_size == 0) return refuse(&file, "it has no code signature, which every artifact for macOS has");
  if (object->masked_count != WAOT_MASKED_MAX) return refuse(&file, "damaged: it has no segment for the linker's tables");
  const struct waot_file_range *last = &object->masked[WAOT_MASKED_MAX - 1];
  if (last->start + last->size > object->hash_offset || object->hash_offset + HASH_SIZE > object->sealed_size) return refuse(&file, "damaged: its header note is not where it should be");
  return 0;
}

/* --- signature ---------------------------------------------------------------------------------------------------- */

static uint32_t big_endian(uint32_t value) { return __builtin_bswap32(value); }

/* Checks a code directory with SHA-256 hashes: each page of the file before the signature must have the hash that is written there. */
static int check_directory(const struct file *file, size_t limit, size_t at, size_t room) {
  struct macho_cs_directory directory;
  memcpy(&directory, file->bytes + at, sizeof directory);
  const uint64_t length = big_endian(directory.length), hashes = big_endian(directory.hash_offset), pages = big_endian(directory.code_slots);
  if (directory.hash_size != HASH_SIZE || directory.page_size < 12 || directory.page_size > 16 || big_endian(directory.code_limit) != limit) return refuse(file, "damaged: its code signature is not of this file");
  const size_t page = (size_t)1 << directory.page_size;
  if (length > room || pages != (limit + page - 1) / page || hashes > length || pages * HASH_SIZE > length - hashes) return refuse(file, "damaged: its code signature is not well-formed");
  for (size_t i = 0; i < pages; i++) {
    struct waot_sha256 sha;
    uint8_t digest[HASH_SIZE];
    waot_sha256_init(&sha);
    waot_sha256_update(&sha, file->bytes + i * page, limit - i * page < page ? limit - i * page : page);
    waot_sha256_final(&sha, digest);
    if (memcmp(digest, file->bytes + at + hashes + i * HASH_SIZE, HASH_SIZE) != 0) {
      return waot_error_set(file->error, WAOT_ERROR_HASH, 0, "%s: its contents do not match its code signature: damaged or tampered with", file->path);
    }
  }
  return 0;
}

static int check_signature(const struct file *file, size_t limit) {
  struct macho_cs_superblob head;
  const size_t size = file->size - limit;
  if (size < sizeof head) return refuse(file, "damaged: its code signature is not well-formed");
  memcpy(&head, file->bytes + limit, sizeof head);
  const uint64_t count = big_endian(head.count);
  if (big_endian(head.magic) != MACHO_CS_SUPERBLOB || count * 8 > size - sizeof head) return refuse(file, "damaged: its code signature is not well-formed");
  bool checked = false;
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t offset = big_endian(u32_at(file->bytes + limit + sizeof head + i * 8 + 4));
    if (offset > size - 8) return refuse(file, "damaged: its code signature is not well-formed");
    if (big_endian(u32_at(file->bytes + limit + offset)) != MACHO_CS_DIRECTORY) continue;
    struct macho_cs_directory directory;
    if (size - offset < sizeof directory) return refuse(file, "damaged: its code signature is not well-formed");
    memcpy(&directory, file->bytes + limit + offset, sizeof directory);
    if (directory.hash_type != MACHO_CS_HASH_SHA256) continue;
    if (check_directory(file, limit, limit + offset, size - offset) != 0) return -1;
    checked = true;
  }
  return checked ? 0 : refuse(file, "its code signature has no SHA-256 hashes");
}

/* --- segments ----------------------------------------------------------------------------------------------------- */

static int check_section(const struct file *file, const struct macho_segment *segment, const struct macho_section *section, struct waot_object_file *object) {
  const uint32_t type = section->flags & MACHO_SECTION_TYPE;
  if (section->addr < segment->vmaddr || section->addr - segment->vmaddr > segment->filesize || section->size > segment->filesize - (section->addr - segment->vmaddr) ||
      section->offset != segment->fileoff + (section->addr - segment->vmaddr)) {
    return refuse(file, "damaged: a section is not in its segment");
  }
  if (type == MACHO_SECTION_MOD_INIT || type == MACHO_SECTION_MOD_TERM || type == MACHO_SECTION_INIT_OFFSETS) return refuse(file, "it has initialisers, which no artifact has");
  if (type >= MACHO_SECTION_FIRST_THREAD_LOCAL && type < MACHO_SECTION_INIT_OFFSETS) return refuse(file, "it has variables of threads, which no artifact has");
  if (named(section->sectname, "__eh_frame")) {
    object->unwind_vaddr = section->addr;
    object->unwind_size = section->size;
  }
  if ((section->flags & (MACHO_SECTION_PURE_INSTRUCTIONS | MACHO_SECTION_SOME_INSTRUCTIONS)) == 0) return 0;
  if ((segment->initprot & MACHO_PROT_EXECUTE) == 0) return refuse(file, "damaged: its code is in a segment without code");
  if (object->text_size != 0) return refuse(file, "it has two sections of code");
  object->text_vaddr = section->addr;
  object->text_size = section->size;
  return 0;
}

/* One segment: in the file, in order, and not writable but for what dyld takes back after filling in addresses. */
static int check_segment(const struct file *file, const struct walk *walk, struct waot_object_file *object) {
  struct macho_segment segment;
  if (!take_segment(file, walk, &segment)) return refuse(file, "damaged: a segment has an impossible size");
  if (!in_file(file, segment.fileoff, segment.filesize)) return refuse(file, "truncated: a segment is not in the file");
  if (segment.filesize > segment.vmsize || segment.vmsize > UINT64_MAX / 4 || segment.vmaddr > UINT64_MAX / 4) return refuse(file, "damaged: a segment has an impossible size");
  if (object->span == 0 && (segment.vmaddr != 0 || segment.fileoff != 0)) return refuse(file, "damaged: its first segment does not begin at its header");
  if (segment.vmaddr < object->span) return refuse(file, "damaged: segments overlap");
  object->span = segment.vmaddr + segment.vmsize;
  if ((segment.maxprot & MACHO_PROT_EXECUTE) != 0 && ((segment.maxprot | segment.initprot) & MACHO_PROT_WRITE) != 0) return refuse(file, "a segment is both writable and executable");
  if (((segment.maxprot | segment.initprot) & MACHO_PROT_WRITE) != 0 && (segment.flags & MACHO_SEGMENT_READ_ONLY) == 0) return refuse(file, "it has writable data, which no artifact has");
  for (uint32_t i = 0; i < segment.nsects; i++) {
    struct macho_section section = section_at(file, walk, i);
    if (check_section(file, &segment, &section, object) != 0) return -1;
  }
  return 0;
}

static int check_dylib(const struct file *file, const struct walk *walk) {
  struct macho_dylib command;
  const size_t length = sizeof LIBSYSTEM;
  if (!take(file, walk, &command, sizeof command) || command.name > walk->command.cmdsize || walk->command.cmdsize - command.name < length ||
      memcmp(file->bytes + walk->at + command.name, LIBSYSTEM, length) != 0) {
    return refuse(file, "it needs another library than libSystem, which no artifact does");
  }
  return 0;
}

/* What dyld does when it loads: it may fill in addresses of the library itself, and nothing else. */
static int check_fixups(const struct file *file, const struct walk *walk) {
  struct macho_dyld_info info;
  if (!take(file, walk, &info, sizeof info) || !in_file(file, info.rebase_off, info.rebase_size) || !in_file(file, info.export_off, info.export_size)) {
    return refuse(file, "damaged: dyld's tables are not in the file");
  }
  if (info.bind_size != 0 || info.weak_bind_size != 0 || info.lazy_bind_size != 0) return refuse(file, "it needs symbols of other libraries, which no artifact does");
  return 0;
}

static int check_command(const struct file *file, const struct walk *walk, struct waot_object_file *object) {
  struct macho_dysymtab symbols;
  switch (walk->command.cmd) {
    case MACHO_LC_SEGMENT_64: return check_segment(file, walk, object);
    case MACHO_LC_LOAD_DYLIB: return check_dylib(file, walk);
    case MACHO_LC_DYLD_INFO_ONLY: return check_fixups(file, walk);
    case MACHO_LC_DYSYMTAB:
      if (!take(file, walk, &symbols, sizeof symbols) || symbols.nundefsym != 0 || symbols.nextrel != 0 || symbols.nlocrel != 0) return refuse(file, "it has undefined symbols or old relocations, which no artifact has");
      return 0;
    case MACHO_LC_SYMTAB: case MACHO_LC_ID_DYLIB: case MACHO_LC_UUID: case MACHO_LC_CODE_SIGNATURE: case MACHO_LC_FUNCTION_STARTS: case MACHO_LC_DATA_IN_CODE:
    case MACHO_LC_SOURCE_VERSION: case MACHO_LC_BUILD_VERSION:
      return 0;
    default: return waot_error_set(file->error, WAOT_ERROR_FORMAT, 0, "%s: it has a load command that no artifact has: %#" PRIx32, file->path, walk->command.cmd);
  }
}

static int check_segments(const uint8_t *bytes, size_t size, const char *path, struct waot_object_file *object, waot_error *error) {
  struct file file = { .bytes = bytes, .size = size, .path = path, .error = error };
  if (read_file_header(&file) != 0 || check_signature(&file, object->sealed_size) != 0) return -1;
  struct walk walk = begin(&file);
  while (next(&file, &walk)) {
    if (check_command(&file, &walk, object) != 0) return -1;
  }
  if (walk.damaged) return refuse(&file, "damaged: a load command has an impossible size");
  return object->span != 0 ? 0 : refuse(&file, "damaged: it has no segments");
}

/* Sections of constants without addresses: the notes, the unwind tables. */
static bool is_mapped(const uint8_t *bytes, uintptr_t load_address) {
  struct file file = { .bytes = bytes, .size = SIZE_MAX };
  struct macho_segment segment;
  if (read_file_header(&file) != 0) return false;
  struct walk walk = begin(&file);
  while (next(&file, &walk)) {
    if (walk.command.cmd != MACHO_LC_SEGMENT_64 || !take_segment(&file, &walk, &segment)) continue;
    for (uint32_t i = 0; i < segment.nsects; i++) {
      struct macho_section section = section_at(&file, &walk, i);
      if (!named(section.sectname, WAOT_MACHO_NOTES) && !named(section.sectname, "__eh_frame") && !named(section.sectname, "__rodata")) continue;
      if (memcmp((const void *)(load_address + section.addr), bytes + section.offset, section.size) != 0) return false;
    }
  }
  return !walk.damaged;
}

static const uint8_t *find_frames(const uint8_t *bytes, size_t size, size_t *length) {
  struct file file = { .bytes = bytes, .size = size };
  struct macho_segment segment;
  if (read_file_header(&file) != 0) return NULL;
  struct walk walk = begin(&file);
  while (next(&file, &walk)) {
    if (walk.command.cmd != MACHO_LC_SEGMENT_64 || !take_segment(&file, &walk, &segment)) continue;
    for (uint32_t i = 0; i < segment.nsects; i++) {
      struct macho_section section = section_at(&file, &walk, i);
      if (!named(section.sectname, WAOT_MACHO_FRAMES) || !in_file(&file, section.offset, section.size)) continue;
      *length = section.size;
      return bytes + section.offset;
    }
  }
  return NULL;
}

const struct waot_object_reader waot_macho_reader = { read_notes, check_segments, find_frames, is_mapped };
