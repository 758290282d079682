/* compile.c - one module: parse, link the prelude into it, set attributes, verify, optimise, emit. */
#include "codegen.h"
#include "emit.h"
#include "frame_rows.h"
#include "optimise.h"
#include "profile.h"

#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Linker.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Records the first failure only: what follows it is mostly its consequence. */
static void fail(compile_job *job, const char *what, const char *detail) {
  if (!job->error) job->error = codegen_format("%s: %s", what, detail && *detail ? detail : "no reason given");
}

/* Without a handler LLVM prints errors (of inline assembly, of instruction selection, of linking) and ends the process. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *data) {
  if (LLVMGetDiagInfoSeverity(info) != LLVMDSError) return;
  char *text = LLVMGetDiagInfoDescription(info);
  fail(data, "LLVM", text);
  LLVMDisposeMessage(text);
}

static bool is_bitcode(const codegen_bytes *bytes) {
  return bytes->size >= 4 && memcmp(bytes->data, "BC\xC0\xDE", 4) == 0;
}

/* Parses bitcode or text; NULL after an error, which is recorded. Old bitcode is upgraded as it is read: typed pointers become opaque. */
static LLVMModuleRef parse(compile_job *job, LLVMContextRef context, const codegen_bytes *bytes, const char *name) {
  LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(bytes->data, bytes->size, name, true);
  LLVMModuleRef module = NULL;
  char *message = NULL;
  LLVMBool failed = is_bitcode(bytes) ? LLVMParseBitcodeInContext2(context, buffer, &module) : LLVMParseIRInContext2(context, buffer, &module, &message);
  LLVMDisposeMemoryBuffer(buffer);
  if (failed) fail(job, name, message ? message : "malformed bitcode");
  if (message) LLVMDisposeMessage(message);
  return failed ? NULL : module;
}

static LLVMTargetMachineRef make_machine(compile_job *job) {
  LLVMTargetRef target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(job->target.triple, &target, &message)) {
    fail(job, "target", message);
    LLVMDisposeMessage(message);
    return NULL;
  }
  static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelDefault, LLVMCodeGenLevelAggressive};
  LLVMTargetMachineOptionsRef options = LLVMCreateTargetMachineOptions();
  LLVMTargetMachineOptionsSetCPU(options, job->target.cpu);
  LLVMTargetMachineOptionsSetFeatures(options, job->target.features);
  LLVMTargetMachineOptionsSetCodeGenOptLevel(options, levels[job->effort == CODEGEN_PLAIN ? 0 : job->level]);
  LLVMTargetMachineOptionsSetRelocMode(options, LLVMRelocPIC);
  LLVMTargetMachineOptionsSetCodeModel(options, LLVMCodeModelSmall);
  LLVMTargetMachineRef machine = LLVMCreateTargetMachineWithOptions(target, job->target.triple, options);
  LLVMDisposeTargetMachineOptions(options);
  if (!machine) fail(job, "target", "LLVM cannot make a machine for this triple");
  return machine;
}

static void set_target(LLVMModuleRef module, LLVMTargetMachineRef machine, const char *triple) {
  LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
  LLVMSetTarget(module, triple);
  LLVMSetModuleDataLayout(module, layout);
  LLVMDisposeTargetData(layout);
}

/* Moves the prelude's helpers into the module; being linkonce_odr, only those that it refers to are moved. Takes the prelude, which may be NULL. */
static bool link_prelude(compile_job *job, LLVMModuleRef module, LLVMModuleRef prelude, LLVMTargetMachineRef machine) {
  if (!prelude) return true;
  set_target(prelude, machine, job->target.triple);
  if (LLVMLinkModules2(module, prelude)) fail(job, "prelude", "it cannot be linked into the module");
  return !job->error;
}

static void add_string_attribute(LLVMValueRef function, LLVMContextRef context, const char *key, const char *value) {
  LLVMAttributeRef attribute = LLVMCreateStringAttribute(context, key, strlen(key), value, strlen(value));
  LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, attribute);
}

/* What the runtime needs of every function: the fuel register left alone, the stack probed page by page, CFI exact at each instruction, no call of a C function
 * made up from a loop that looks like one, and a frame for every wasm call: endless recursion must exhaust the stack, and a backtrace must show who called. Declarations too: attributes of a callee count in the inliner's and the code generator's decisions. */
static void set_attributes(compile_job *job, LLVMContextRef context, LLVMModuleRef module) {
  enum { ASYNC_UNWIND_TABLES = 2 };
  LLVMAttributeRef uwtable = LLVMCreateEnumAttribute(context, LLVMGetEnumAttributeKindForName("uwtable", strlen("uwtable")), ASYNC_UNWIND_TABLES);
  for (LLVMValueRef function = LLVMGetFirstFunction(module); function; function = LLVMGetNextFunction(function)) {
    if (LLVMGetIntrinsicID(function)) continue;
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, uwtable);
    add_string_attribute(function, context, "frame-pointer", "reserved");
    add_string_attribute(function, context, "no-realign-stack", "");
    add_string_attribute(function, context, "probe-stack", "inline-asm");
    add_string_attribute(function, context, "no-builtins", "");
    add_string_attribute(function, context, "disable-tail-calls", "true");
    add_string_attribute(function, context, "target-cpu", job->target.cpu);
    if (*job->target.features) add_string_attribute(function, context, "target-features", job->target.features);
  }
}

static void hide(LLVMValueRef global, const char *exported) {
  size_t length;
  const char *name = LLVMGetValueName2(global, &length);
  LLVMLinkage linkage = LLVMGetLinkage(global);
  if (linkage == LLVMPrivateLinkage || linkage == LLVMInternalLinkage || strcmp(name, exported) == 0) return;
  LLVMSetVisibility(global, LLVMHiddenVisibility);
}

/* An artifact exports one symbol and has no undefined ones: hidden everywhere makes calls and addresses direct. */
static void hide_symbols(LLVMModuleRef module, const char *exported) {
  for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
    if (!LLVMGetIntrinsicID(f)) hide(f, exported);
  }
  for (LLVMValueRef g = LLVMGetFirstGlobal(module); g; g = LLVMGetNextGlobal(g)) {
    if (strncmp(LLVMGetValueName(g), "llvm.", 5) != 0) hide(g, exported);
  }
  for (LLVMValueRef a = LLVMGetFirstGlobalAlias(module); a; a = LLVMGetNextGlobalAlias(a)) hide(a, exported);
}

/* Module flags: position-independent code, and the same unwind tables and frame pointer for functions that LLVM may add. */
static void set_flags(LLVMContextRef context, LLVMModuleRef module) {
  static const struct { const char *name; unsigned value; } flags[] = {{"PIC Level", 2}, {"uwtable", 2}, {"frame-pointer", 3 /* FramePointerKind::Reserved */}};
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
    size_t length = strlen(flags[i].name);
    if (LLVMGetModuleFlag(module, flags[i].name, length)) continue;
    LLVMValueRef value = LLVMConstInt(LLVMInt32TypeInContext(context), flags[i].value, false);
    LLVMAddModuleFlag(module, LLVMModuleFlagBehaviorWarning, flags[i].name, length, LLVMValueAsMetadata(value));
  }
}

static bool verify(compile_job *job, LLVMModuleRef module) {
  char *message = NULL;
  if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message)) fail(job, "invalid IR", message);
  LLVMDisposeMessage(message);
  return !job->error;
}

/* A pipeline given in words runs as it is; otherwise the level's, with the metering passes. */
static bool optimise(compile_job *job, LLVMModuleRef module, LLVMTargetMachineRef machine) {
  if (!job->passes) {
    codegen_optimise(module, machine, job->level, job->effort);
    return !job->error;
  }
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(module, job->passes, machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (error) {
    char *message = LLVMGetErrorMessage(error);
    fail(job, "passes", message);
    LLVMDisposeErrorMessage(message);
  }
  return !job->error;
}

static void take(codegen_bytes *output, const char *data, size_t size) {
  output->data = codegen_allocate(size + 1);
  memcpy(output->data, data, size);
  output->data[size] = 0;
  output->size = size;
}

static void take_buffer(codegen_bytes *output, LLVMMemoryBufferRef buffer) {
  take(output, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
  LLVMDisposeMemoryBuffer(buffer);
}

static void emit(compile_job *job, LLVMModuleRef module, LLVMTargetMachineRef machine) {
  if (job->emit == CODEGEN_IR) {
    char *text = LLVMPrintModuleToString(module);
    take(&job->output, text, strlen(text));
    LLVMDisposeMessage(text);
    return;
  }
  if (job->emit == CODEGEN_BC) {
    take_buffer(&job->output, LLVMWriteBitcodeToMemoryBuffer(module));
    return;
  }
  char *message = NULL;
  LLVMMemoryBufferRef buffer = codegen_emit_file(module, machine, job->emit == CODEGEN_OBJ ? LLVMObjectFile : LLVMAssemblyFile, &message);
  if (buffer) take_buffer(&job->output, buffer);
  else fail(job, "codegen", message);
  free(message);
}

/* CPU time of this thread, in milliseconds. */
static double cpu_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Ends a step of the job; *since is when it began, and is set to now. */
static void lap(compile_job *job, int step, double *since) {
  double now = cpu_now();
  job->cpu[step] = now - *since;
  *since = now;
}

static bool prepare(compile_job *job, LLVMContextRef context, LLVMModuleRef module, LLVMModuleRef prelude, LLVMTargetMachineRef machine) {
  set_target(module, machine, job->target.triple);
  if (!link_prelude(job, module, prelude, machine)) return false;
  set_attributes(job, context, module);
  hide_symbols(module, job->exported);
  codegen_tail_calls(module);
  set_flags(context, module);
  codegen_keep_locations_only(module);
  return verify(job, module);
}

static void compile_with(compile_job *job, LLVMContextRef context, LLVMTargetMachineRef machine) {
  double since = cpu_now();
  LLVMModuleRef prelude = job->prelude.size ? parse(job, context, &job->prelude, "prelude") : NULL;
  if (job->error) return;
  /* Names of values are for readers of IR: without them, passes don't make up new ones. Text cannot be parsed without. */
  LLVMContextSetDiscardValueNames(context, job->emit != CODEGEN_IR && is_bitcode(&job->input));
  LLVMModuleRef module = parse(job, context, &job->input, "module");
  if (!module) {
    if (prelude) LLVMDisposeModule(prelude);
    return;
  }
  bool ok = prepare(job, context, module, prelude, machine);
  lap(job, CODEGEN_READ, &since);
  ok = ok && optimise(job, module, machine);
  lap(job, CODEGEN_PASSES, &since);
  if (ok) emit(job, module, machine);
  lap(job, CODEGEN_EMIT, &since);
  LLVMDisposeModule(module);
}

void codegen_compile(compile_job *job) {
  codegen_initialise();
  LLVMTargetMachineRef machine = make_machine(job);
  if (!machine) return;
  LLVMContextRef context = LLVMContextCreate();
  LLVMContextSetDiagnosticHandler(context, on_diagnostic, job);
  if (job->profile) codegen_profile_begin();
  compile_with(job, context, machine);
  if (job->profile) codegen_profile_end(&job->trace);
  LLVMContextDispose(context);
  LLVMDisposeTargetMachine(machine);
}
