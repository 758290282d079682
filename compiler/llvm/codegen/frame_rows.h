/* frame_rows.h - which wasm function, and which byte of the wasm file, each instruction is of. See frame_rows.cc. */
#ifndef WAOT_FRAME_ROWS_H
#define WAOT_FRAME_ROWS_H

#include <llvm-c/Types.h>

#ifdef __cplusplus
#include <memory>

namespace llvm {
class AsmPrinter;
class AsmPrinterHandler;
} // namespace llvm

/* Writes the rows of a module beside its code. */
std::unique_ptr<llvm::AsmPrinterHandler> createFrameRowsWriter(llvm::AsmPrinter &printer);

extern "C" {
#endif

/* Sees to it that a module which names no version of DWARF gets none, and keeps its locations. */
void codegen_keep_locations_only(LLVMModuleRef module);

#ifdef __cplusplus
}
#endif
#endif
