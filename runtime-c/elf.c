/* elf.c - a bounds-checked reading of ELF64 shared objects (System V gABI, chapters 4 and 5), as far as verifying an artifact needs it. */
#include "object_reader.h"

#if defined(__linux__)
#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "macho_format.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#endif

/* More program headers than a linker writes: keeps the work linear in the size of the file. */
#define MAX_PROGRAM_HEADERS 64

struct file {
  const uint8_t *bytes;
  size_t size;
  const char *path;
  waot_error *error;
  Elf64_Half count; /* of program headers */
  size_t headers;   /* offset of the first */
};

static int refuse(const struct file *file, const char *what) {
  return waot_error_set(file->error, WAOT_ERROR_FORMAT, 0, "%s: %s", file->path, what);
}

static bool in_file(const struct file *file, uint64_t offset, uint64_t count) { return offset <= file->size && count <= file->size - offset; }

/* The i-th program header, copied: its place in the file need not be aligned. */
static Elf64_Phdr program_header(const struct file *file, Elf64_Half i) {
  Elf64_Phdr header;
  memcpy(&header, file->bytes + file->headers + (size_t)i * sizeof header, sizeof header);
  return header;
}

static bool is_macho(const struct file *file) {
  uint32_t magic = 0;
  if (file->size >= sizeof magic) memcpy(&magic, file->bytes, sizeof magic);
  return magic == MACHO_MAGIC_64 || magic == MACHO_MAGIC_32 || magic == MACHO_MAGIC_FAT;
}

static int read_file_header(struct file *file) {
  Elf64_Ehdr header;
  if (is_macho(file)) return waot_error_set(file->error, WAOT_ERROR_TARGET, 0, "%s: made for macOS, not for Linux", file->path);
  if (file->size < SELFMAG || memcmp(file->bytes, ELFMAG, SELFMAG) != 0) return refuse(file, "not a wasm-aot artifact: it is no ELF file");
  if (file->size < sizeof header) return refuse(file, "truncated in the ELF header");
  memcpy(&header, file->bytes, sizeof header);
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != MACHINE) {
    return waot_error_set(file->error, WAOT_ERROR_TARGET, 0, "%s: made for another architecture (ELF class %d, data %d, machine %d)", file->path,
                          header.e_ident[EI_CLASS], header.e_ident[EI_DATA], header.e_machine);
  }
  if (header.e_ident[EI_VERSION] != EV_CURRENT || header.e_version != EV_CURRENT) return refuse(file, "damaged: unknown ELF version");
  if (header.e_type != ET_DYN) return refuse(file, "not a wasm-aot artifact: it is no shared object");
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > MAX_PROGRAM_HEADERS ||
      !in_file(file, header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr))) {
    return refuse(file, "damaged or truncated: the program headers are not where they should be");
  }
  file->count = header.e_phnum;
  file->headers = (size_t)header.e_phoff;
  return 0;
}

static uint64_t align_up(uint64_t n, uint64_t alignment) { return (n + alignment - 1) & ~(alignment - 1); }

/* Reads the notes of a PT_NOTE segment. Name and descriptor are padded to 8 bytes where the segment is aligned to 8, else to 4 (as GNU and LLVM tools do). */
static int read_note_segment(const struct file *file, const Elf64_Phdr *segment, struct waot_object_file *elf) {
  if (!in_file(file, segment->p_offset, segment->p_filesz)) return refuse(file, "truncated: the notes are missing");
  const uint64_t alignment = segment->p_align == 8 ? 8 : 4;
  uint64_t at = segment->p_offset;
  const uint64_t end = at + segment->p_filesz;
  while (end - at >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    memcpy(&note, file->bytes + at, sizeof note);
    uint64_t name = at + sizeof note;
    uint64_t desc = segment->p_offset + align_up(name + note.n_namesz - segment->p_offset, alignment);
    if (note.n_namesz > end - name || desc > end || note.n_descsz > end - desc) return refuse(file, "damaged: a note does not fit its segment");
    if (note.n_namesz == sizeof WAOT_NOTE_NAME && memcmp(file->bytes + name, WAOT_NOTE_NAME, sizeof WAOT_NOTE_NAME) == 0 &&
        waot_object_take_note(file->bytes, file->path, elf, note.n_type, (size_t)desc, note.n_descsz, file->error) != 0) {
      return -1;
    }
    at = segment->p_offset + align_up(desc + note.n_descsz - segment->p_offset, alignment);
    if (at > end) break;
  }
  return 0;
}

static int read_notes(const uint8_t *bytes, size_t size, const char *path, struct waot_object_file *elf, waot_error *error) {
  struct file file = {.bytes = bytes, .size = size, .path = path, .error = error};
  memset(elf, 0, sizeof *elf);
  if (size == 0) return refuse(&file, "not a wasm-aot artifact: the file is empty");
  if (read_file_header(&file) != 0) return -1;
  for (Elf64_Half i = 0; i < file.count; i++) {
    Elf64_Phdr segment = program_header(&file, i);
    if (segment.p_type == PT_NOTE && read_note_segment(&file, &segment, elf) != 0) return -1;
  }
  elf->sealed_size = size;
  if (elf->hash_offset == 0) return refuse(&file, "not a wasm-aot artifact: it has no \"" WAOT_NOTE_NAME "\" note");
  if (elf->manifest == NULL) return refuse(&file, "damaged: it has no manifest");
  return 0;
}

/* One PT_LOAD: in the file, in order, and never both writable and executable. */
static int check_load(const struct file *file, const Elf64_Phdr *segment, struct waot_object_file *elf) {
  if (!in_file(file, segment->p_offset, segment->p_filesz)) return refuse(file, "truncated: a segment is not in the file");
  if (segment->p_filesz > segment->p_memsz || segment->p_memsz > UINT64_MAX / 4 || segment->p_vaddr > UINT64_MAX / 4) return refuse(file, "damaged: a segment has an impossible size");
  if (segment->p_vaddr < elf->span) return refuse(file, "damaged: segments overlap");
  if (segment->p_align < 4096 || (segment->p_align & (segment->p_align - 1)) != 0 || (segment->p_vaddr - segment->p_offset) % segment->p_align != 0) {
    return refuse(file, "damaged: a segment has an impossible alignment");
  }
  elf->span = segment->p_vaddr + segment->p_memsz;
  if ((segment->p_flags & PF_X) == 0) return 0;
  if ((segment->p_flags & PF_W) != 0) return refuse(file, "a segment is both writable and executable");
  if (elf->text_size != 0) return refuse(file, "it has two executable segments");
  elf->text_vaddr = segment->p_vaddr;
  elf->text_size = segment->p_memsz;
  return 0;
}

/* Whether the file's bytes of a segment are those that the dynamic linker will see at its address. */
static bool is_mapped_by_load(const struct file *file, const Elf64_Phdr *segment) {
  for (Elf64_Half i = 0; i < file->count; i++) {
    Elf64_Phdr load = program_header(file, i);
    if (load.p_type == PT_LOAD && segment->p_vaddr >= load.p_vaddr && segment->p_vaddr - load.p_vaddr <= load.p_filesz &&
        segment->p_filesz <= load.p_filesz - (segment->p_vaddr - load.p_vaddr) && segment->p_vaddr - load.p_vaddr == segment->p_offset - load.p_offset) {
      return true;
    }
  }
  return false;
}

/* The dynamic section: nothing that runs code, loads another file, or writes to the text. */
static int check_dynamic(const struct file *file, const Elf64_Phdr *segment) {
  if (!in_file(file, segment->p_offset, segment->p_filesz) || !is_mapped_by_load(file, segment)) return refuse(file, "damaged: the dynamic section is not in a segment");
  for (uint64_t at = 0; segment->p_filesz - at >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    memcpy(&entry, file->bytes + segment->p_offset + at, sizeof entry);
    switch (entry.d_tag) {
      case DT_NULL: return 0;
      case DT_NEEDED: case DT_AUXILIARY: case DT_FILTER: case DT_AUDIT: case DT_DEPAUDIT:
        return refuse(file, "it needs another library, which no artifact does");
      case DT_INIT: case DT_FINI: case DT_INIT_ARRAY: case DT_FINI_ARRAY: case DT_PREINIT_ARRAY:
        return refuse(file, "it has initialisers, which no artifact has");
      case DT_TEXTREL: return refuse(file, "it has relocations in its text, which no artifact has");
      case DT_FLAGS:
        if ((entry.d_un.d_val & DF_TEXTREL) != 0) return refuse(file, "it has relocations in its text, which no artifact has");
        break;
      default: break;
    }
  }
  return refuse(file, "damaged: the dynamic section has no end");
}

static int check_segments(const uint8_t *bytes, size_t size, const char *path, struct waot_object_file *elf, waot_error *error) {
  struct file file = {.bytes = bytes, .size = size, .path = path, .error = error};
  bool dynamic = false, stack = false;
  if (read_file_header(&file) != 0) return -1;
  for (Elf64_Half i = 0; i < file.count; i++) {
    Elf64_Phdr segment = program_header(&file, i);
    switch (segment.p_type) {
      case PT_LOAD:
        if (check_load(&file, &segment, elf) != 0) return -1;
        break;
      case PT_DYNAMIC:
        if (check_dynamic(&file, &segment) != 0) return -1;
        dynamic = true;
        break;
      case PT_GNU_STACK: /* without it, or with PF_X, the dynamic linker would make all stacks executable */
        stack = (segment.p_flags & PF_X) == 0;
        break;
      case PT_GNU_EH_FRAME:
        if (segment.p_memsz < 12 || !in_file(&file, segment.p_offset, segment.p_filesz) || !is_mapped_by_load(&file, &segment)) return refuse(&file, "damaged: the unwind tables are not in a segment");
        elf->unwind_vaddr = segment.p_vaddr;
        elf->unwind_size = segment.p_memsz;
        break;
      case PT_INTERP: return refuse(&file, "not a wasm-aot artifact: it is a program");
      default: break;
    }
  }
  if (!dynamic) return refuse(&file, "damaged: it has no dynamic section");
  if (!stack) return refuse(&file, "it wants an executable stack");
  return 0;
}

static bool is_mapped(const uint8_t *bytes, uintptr_t load_address) {
  struct file file = {.bytes = bytes, .size = SIZE_MAX};
  if (read_file_header(&file) != 0) return false;
  for (Elf64_Half i = 0; i < file.count; i++) {
    Elf64_Phdr segment = program_header(&file, i);
    if (segment.p_type == PT_LOAD && (segment.p_flags & (PF_W | PF_X)) == 0 &&
        memcmp((const void *)(load_address + segment.p_vaddr), bytes + segment.p_offset, segment.p_filesz) != 0) {
      return false;
    }
  }
  return true;
}

/* The i-th section header, copied. */
static Elf64_Shdr section_header(const struct file *file, const Elf64_Ehdr *header, Elf64_Half i) {
  Elf64_Shdr section;
  memcpy(&section, file->bytes + header->e_shoff + (size_t)i * sizeof section, sizeof section);
  return section;
}

static const uint8_t *find_frames(const uint8_t *bytes, size_t size, size_t *length) {
  static const char name[] = WAOT_SECTION_FRAMES;
  const struct file file = {.bytes = bytes, .size = size};
  Elf64_Ehdr header;
  if (size < sizeof header) return NULL;
  memcpy(&header, bytes, sizeof header);
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum || !in_file(&file, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr))) return NULL;
  const Elf64_Shdr names = section_header(&file, &header, header.e_shstrndx);
  if (!in_file(&file, names.sh_offset, names.sh_size)) return NULL;
  for (Elf64_Half i = 0; i < header.e_shnum; i++) {
    const Elf64_Shdr section = section_header(&file, &header, i);
    if (section.sh_name >= names.sh_size || names.sh_size - section.sh_name < sizeof name) continue;
    if (memcmp(bytes + names.sh_offset + section.sh_name, name, sizeof name) != 0 || section.sh_type == SHT_NOBITS) continue;
    if (!in_file(&file, section.sh_offset, section.sh_size)) return NULL;
    *length = section.sh_size;
    return bytes + section.sh_offset;
  }
  return NULL;
}

const struct waot_object_reader waot_elf_reader = { read_notes, check_segments, find_frames, is_mapped };
#else
typedef int waot_elf_is_empty_here;
#endif
