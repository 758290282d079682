/* optimise.h - the C face of optimise.cc. */
#ifndef WAOT_OPTIMISE_H
#define WAOT_OPTIMISE_H

#include <llvm-c/TargetMachine.h>
#include <llvm-c/Types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Runs the default pipeline of a level, 0 to 3, with the metering passes from level 2 on. The module must be verified. */
void codegen_optimise(LLVMModuleRef module, LLVMTargetMachineRef machine, int level);

#ifdef __cplusplus
}
#endif
#endif
