/*
 * codegen.h - what the files of the codegen addon share.
 *
 * The addon puts libLLVM-22 (through its C API) behind three slow operations that run on libuv's thread pool: compile a module to an object, and disassemble an object
 * to look for the fuel register. Each job owns its LLVMContext, so jobs run in parallel. addon.c speaks Node-API; the other files know nothing of Node.
 */
#ifndef WAOT_CODEGEN_H
#define WAOT_CODEGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <llvm-c/Types.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes with a NUL after them (not counted), owned by whoever holds the struct. */
typedef struct codegen_bytes {
  char *data;
  size_t size;
} codegen_bytes;

typedef enum codegen_emit { CODEGEN_OBJ, CODEGEN_ASM, CODEGEN_IR, CODEGEN_BC } codegen_emit;

/* How much work a module is worth: see effort.ts, which decides. FULL is the level's own pipeline; LEAN a short one whose passes are linear; PLAIN neither
 * optimises nor allocates registers beyond a block, whatever the level. */
typedef enum codegen_effort { CODEGEN_FULL, CODEGEN_LEAN, CODEGEN_PLAIN } codegen_effort;

/* The steps of a compile job: parse, link and verify; passes; code. */
enum { CODEGEN_READ, CODEGEN_PASSES, CODEGEN_EMIT, CODEGEN_STEPS };

/* What to generate code for; strings as LLVM spells them, features as "+a,-b". */
typedef struct codegen_target {
  char *triple, *cpu, *features;
} codegen_target;

typedef struct compile_job {
  codegen_bytes input;   /* LLVM bitcode (of any version up to 22) or IR text */
  codegen_bytes prelude; /* IR text; may be empty */
  codegen_target target;
  char *exported; /* the one symbol that keeps default visibility */
  char *passes;   /* a pipeline as for opt -passes, or NULL for default<On> */
  int level;      /* 0..3 */
  codegen_effort effort;
  bool profile; /* whether to write `trace` */
  codegen_emit emit;
  codegen_bytes output; /* set on success */
  double cpu[CODEGEN_STEPS]; /* milliseconds of CPU time in each step */
  codegen_bytes trace;  /* where the time went: see profile.h */
  char *error;          /* set on failure */
} compile_job;

/* One distinct instruction of a function that mentions the register, or bytes that are no instruction. */
typedef struct scan_hit {
  char *symbol; /* the function's name, or "" outside any function */
  char *text;   /* as the disassembler prints it, blanks collapsed; "" when the bytes cannot be decoded */
  uint64_t offset; /* of the first occurrence, from the symbol's start (from the section's when there is no symbol) */
  uint64_t count;
} scan_hit;

typedef struct scan_job {
  codegen_bytes object; /* ELF64, little-endian */
  codegen_target target;
  char *pattern; /* extended regular expression (POSIX) that matches every instruction to be looked at */
  uint64_t functions, instructions;
  scan_hit *hits;
  size_t hit_count, hit_capacity;
  char *error;
} scan_job;

/* Prepares LLVM: targets, switches, fatal error handler. Once a process; further calls do nothing. */
void codegen_initialise(void);
/* Runs the job; sets output or error. Any thread. */
void codegen_compile(compile_job *job);
/* Gives the functions of a module with tail calls their convention: see tail_calls.c. */
void codegen_tail_calls(LLVMModuleRef module);
/* Runs the job; sets the results or error. Any thread. */
void codegen_scan(scan_job *job);
/* A new string, printf style; ends the process when memory is gone. */
char *codegen_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* malloc that ends the process, with a message, when memory is gone (as LLVM itself does). */
void *codegen_allocate(size_t size);
void codegen_target_free(codegen_target *target);

#ifdef __cplusplus
}
#endif

#endif
