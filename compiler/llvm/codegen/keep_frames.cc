/*
 * keep_frames.cc - no frame of a wasm call is lost to the tail call of a function that was inlined there.
 *
 * Where f calls g, which tail-calls h, and g is inlined, h runs in the place of g, on top of f. LLVM may make that a tail call of f's, if it is the last thing that f does and f has tail calls of its own:
 * f's frame would be gone, and with h = f an endless recursion would be an endless loop. So it is told not to. What a function that f tail-calls has brought stays a tail call.
 */
#include "passes.h"
#include "tail_locations.h"

using namespace llvm;

PreservedAnalyses KeepFramesPass::run(Function &function, FunctionAnalysisManager &) {
  for (BasicBlock &block : function)
    for (Instruction &instruction : block) {
      auto *call = dyn_cast<CallInst>(&instruction);
      const DILocation *location = call ? call->getDebugLoc().get() : nullptr;
      if (location && location->getColumn() != 0 && callWithFrame(location)) call->setTailCallKind(CallInst::TCK_NoTail);
    }
  return PreservedAnalyses::all();
}
