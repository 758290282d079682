/* setup.c - what happens once a process: LLVM's targets, switches and fatal errors; memory. */
#define _GNU_SOURCE /* vasprintf */
#include "codegen.h"

#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* sysexits(3) EX_SOFTWARE: what the command line returns for faults of wasm-aot itself. */
#define EXIT_INTERNAL 70

/* LLVM calls this when it cannot go on, and would then call exit(1) from a pool thread while the main thread runs; end at once instead. The message goes out by write(2),
 * for stdio's locks may be held. */
static void on_fatal_error(const char *reason) {
  const char *parts[] = {"wasm-aot: LLVM gave up: ", reason, "\n"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0) break;
  }
  _exit(EXIT_INTERNAL);
}

static void initialise_once(void) {
  LLVMInstallFatalErrorHandler(on_fatal_error);
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser(); /* inline assembly */
  LLVMInitializeX86Disassembler();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();
  LLVMInitializeAArch64AsmPrinter();
  LLVMInitializeAArch64AsmParser();
  LLVMInitializeAArch64Disassembler();
  /* Wasm addresses are 32-bit indices added to a 64-bit base. Widening induction variables hides from the vectoriser that the accesses are consecutive; off is 1.17x
   * over 23 kernels, up to 4x on vector loops. Jump tables of four bytes an entry: Mach-O says how long they are, for the scan, in 16 bits. No section of their own for cold
   * functions: the rows of what is owed have the order of the functions in the module, and so must the text (emit.cc). Interpreters of many operations: see repeat_dispatch.cc. Blocks
   * of a charge and a jump, as chains of tests have, are two instructions, and duplicated into each other in quadratic time and space (2,000 ifs: 38 s and 1.1 GiB instead of 3 s and 0.26); one has
   * to do, which changes the instructions executed by the kernels by 0.003 % in the mean. CodeGenPrepare starts again at a function's first block whenever it has changed one, unless the function is huge; then
   * it looks at what changed. All functions count as huge: 7 % fewer instructions in LLVM for sql.js, the same instructions (1.0000) in the kernels, 0.9998 in SQLite. The SLP vectoriser has to gain two units of its costs:
   * what gained one took more instructions (lz). LLVM verifies a module that it reads from bitcode, so that it can leave out locations that are wrong; we verify it anyway, prelude included, and want to hear of those
   * (compile.c). */
  const char *const switches[] = {"wasm-aot", "-indvars-widen-indvars=false", "-max-jump-table-size=16383", "-profile-guided-section-prefix=false", "-tail-dup-pred-size=128",
                                  "-tail-dup-succ-size=128", "-tail-dup-size=1", "-cgpp-huge-func=0", "-slp-threshold=1", "-disable-auto-upgrade-debug-info"};
  LLVMParseCommandLineOptions(sizeof switches / sizeof *switches, switches, "");
}

void codegen_initialise(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, initialise_once);
}

void *codegen_allocate(size_t size) {
  void *memory = malloc(size ? size : 1);
  if (!memory) on_fatal_error("out of memory");
  return memory;
}

char *codegen_format(const char *format, ...) {
  char *text = NULL;
  va_list arguments;
  va_start(arguments, format);
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  if (length < 0) on_fatal_error("out of memory");
  return text;
}

void codegen_target_free(codegen_target *target) {
  free(target->triple);
  free(target->cpu);
  free(target->features);
}
