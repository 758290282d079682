/* emit.h - the C face of emit.cc. */
#ifndef WAOT_EMIT_H
#define WAOT_EMIT_H

#include <llvm-c/TargetMachine.h>
#include <llvm-c/Types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Generates code for an optimised module, as an object or as assembly. Returns NULL after an error, whose text (malloc'd) is then in *error. */
LLVMMemoryBufferRef codegen_emit_file(LLVMModuleRef module, LLVMTargetMachineRef machine, LLVMCodeGenFileType type, char **error);

#ifdef __cplusplus
}
#endif
#endif
