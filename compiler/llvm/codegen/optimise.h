/* optimise.h - the C face of optimise.cc. */
#ifndef WAOT_OPTIMISE_H
#define WAOT_OPTIMISE_H

#include "codegen.h"

#include <llvm-c/TargetMachine.h>
#include <llvm-c/Types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs the pipeline of a level, 0 to 3, or what the effort allows of it. The module must be verified. */
void codegen_optimise(LLVMModuleRef module, LLVMTargetMachineRef machine, int level, codegen_effort effort);

#ifdef __cplusplus
}
#endif
#endif
