/*
 * macho_format.h - the parts of the Mach-O file format that wasm-aot reads (Apple, "OS X ABI Mach-O File Format Reference", and the LLVM project's description of it), under
 * names of our own, so that files for macOS can be read, and the reader tested, on every system. All numbers are little-endian but for those of a code signature.
 */
#ifndef WAOT_MACHO_FORMAT_H
#define WAOT_MACHO_FORMAT_H

#include <stdint.h>

#define MACHO_MAGIC_64 0xfeedfacfu
#define MACHO_MAGIC_32 0xfeedfaceu
#define MACHO_MAGIC_FAT 0xbebafecau /* cafebabe as its first four bytes read little-endian: a file with several architectures */
#define MACHO_CPU_X86_64 0x01000007u
#define MACHO_CPU_ARM64 0x0100000cu
#define MACHO_FILE_DYLIB 6

struct macho_header {
  uint32_t magic, cputype, cpusubtype, filetype, ncmds, sizeofcmds, flags, reserved;
};

/* What every load command begins with. */
struct macho_command {
  uint32_t cmd, cmdsize; /* bytes, this head included; a multiple of 8 */
};

/* A command that dyld must know, or refuse the file. */
#define MACHO_LC_REQUIRED 0x80000000u
#define MACHO_LC_SYMTAB 0x2
#define MACHO_LC_DYSYMTAB 0xb
#define MACHO_LC_LOAD_DYLIB 0xc
#define MACHO_LC_ID_DYLIB 0xd
#define MACHO_LC_SEGMENT_64 0x19
#define MACHO_LC_UUID 0x1b
#define MACHO_LC_CODE_SIGNATURE 0x1d
#define MACHO_LC_DYLD_INFO_ONLY (0x22 | MACHO_LC_REQUIRED)
#define MACHO_LC_FUNCTION_STARTS 0x26
#define MACHO_LC_DATA_IN_CODE 0x29
#define MACHO_LC_SOURCE_VERSION 0x2a
#define MACHO_LC_BUILD_VERSION 0x32

#define MACHO_PROT_READ 1
#define MACHO_PROT_WRITE 2
#define MACHO_PROT_EXECUTE 4
#define MACHO_SEGMENT_READ_ONLY 0x10 /* flag: dyld takes the right to write away once addresses are filled in */

struct macho_segment {
  uint32_t cmd, cmdsize;
  char segname[16]; /* filled up with zeros, which need not end it */
  uint64_t vmaddr, vmsize, fileoff, filesize;
  int32_t maxprot, initprot;
  uint32_t nsects, flags;
};

#define MACHO_SECTION_PURE_INSTRUCTIONS 0x80000000u
#define MACHO_SECTION_SOME_INSTRUCTIONS 0x400u
#define MACHO_SECTION_TYPE 0xffu
/* Types of sections that hold functions for dyld to run, or variables that each thread has. */
#define MACHO_SECTION_MOD_INIT 0x9
#define MACHO_SECTION_MOD_TERM 0xa
#define MACHO_SECTION_FIRST_THREAD_LOCAL 0x11
#define MACHO_SECTION_INIT_OFFSETS 0x16

struct macho_section {
  char sectname[16], segname[16];
  uint64_t addr, size;
  uint32_t offset, align, reloff, nreloc, flags, reserved1, reserved2, reserved3;
};

struct macho_symtab {
  uint32_t cmd, cmdsize, symoff, nsyms, stroff, strsize;
};

struct macho_dysymtab {
  uint32_t cmd, cmdsize, ilocalsym, nlocalsym, iextdefsym, nextdefsym, iundefsym, nundefsym, tocoff, ntoc, modtaboff, nmodtab, extrefsymoff, nextrefsyms, indirectsymoff,
      nindirectsyms, extreloff, nextrel, locreloff, nlocrel;
};

#define MACHO_SYMBOL_STAB 0xe0
#define MACHO_SYMBOL_TYPE 0x0e
#define MACHO_SYMBOL_SECTION 0x0e /* of the types: defined in a section */
struct macho_symbol {
  uint32_t strx;
  uint8_t type, section; /* section: counted from 1 over all segments */
  uint16_t desc;
  uint64_t value;
};

struct macho_dyld_info {
  uint32_t cmd, cmdsize, rebase_off, rebase_size, bind_off, bind_size, weak_bind_off, weak_bind_size, lazy_bind_off, lazy_bind_size, export_off, export_size;
};

struct macho_dylib {
  uint32_t cmd, cmdsize, name, timestamp, current_version, compatibility_version; /* name: offset in the command of a string */
};

/* A command that says where in the file something is. */
struct macho_linkedit_data {
  uint32_t cmd, cmdsize, dataoff, datasize;
};

/* An entry of the table that MACHO_LC_DATA_IN_CODE refers to. */
struct macho_data_in_code {
  uint32_t offset; /* of its address, from the image's first */
  uint16_t length, kind;
};

/* A code signature: big-endian blobs, of which the code directory holds a hash of each page (Apple, "TN3126: Inside Code Signing: Hashes"; XNU's cs_blobs.h). */
#define MACHO_CS_SUPERBLOB 0xfade0cc0u
#define MACHO_CS_DIRECTORY 0xfade0c02u
#define MACHO_CS_HASH_SHA256 2

struct macho_cs_superblob {
  uint32_t magic, length, count; /* then count times: u32 type, u32 offset of a blob */
};

struct macho_cs_directory {
  uint32_t magic, length, version, flags;
  uint32_t hash_offset, ident_offset; /* hash_offset: of page 0 */
  uint32_t special_slots, code_slots, code_limit;
  uint8_t hash_size, hash_type, platform, page_size; /* page_size: its logarithm */
  uint32_t spare2;
};

#endif /* WAOT_MACHO_FORMAT_H */
