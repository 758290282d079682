/*
 * hide_charges.cc - charges as intrinsics, as long as LLVM inlines functions, simplifies them or unrolls loops.
 *
 * LLVM counts the size of what it may copy: the inliner takes a charge for two instructions, jump threading for four of the six that a block may have, and targets advise against unrolling loops with calls, since those hide what
 * unrolling gains, and take inline assembly for one. So much was not done with charges in the way that is done to the same code without metering.
 * An intrinsic that is not lowered to a call does not count. llvm.sideeffect has the effects that a charge is said to have, on memory that nothing else can see: it is copied with its block, loop or function, and
 * stays otherwise where it is, as any instruction with side effects. Its purpose is to keep what has no other effect, so passes leave it alone; but the vectorisers, which take it for nothing, must not see it. What copies owe is
 * paid together where their ways allow it (place_charges.cc).
 *
 * All charges are hidden from the inliner on, but for unrolling whole loops of few turns: those may have a copy that vectorises (version_loops.cc). Later only those in loops are, for unrolling, which does not look at others.
 */
#include "passes.h"

#include "llvm/Analysis/LoopInfo.h"

using namespace llvm;

using Change = bool (*)(CallInst *);

static bool hideIfCharge(CallInst *call) {
  if (!chargeAmount(call)) return false;
  hideCharge(call);
  return true;
}

/* Applies a change to the calls of a function, or to those in `loops`. Control flow stays as it is. */
static PreservedAnalyses changeCalls(Function &function, Change change, const LoopInfo *loops = nullptr) {
  bool changed = false;
  for (BasicBlock &block : function) {
    if (loops && !loops->getLoopFor(&block)) continue;
    for (Instruction &inst : make_early_inc_range(block))
      if (auto *call = dyn_cast<CallInst>(&inst)) changed |= change(call);
  }
  if (!changed) return PreservedAnalyses::all();
  PreservedAnalyses preserved;
  preserved.preserveSet<CFGAnalyses>();
  return preserved;
}

PreservedAnalyses HideChargesPass::run(Function &function, FunctionAnalysisManager &) { return changeCalls(function, hideIfCharge); }
PreservedAnalyses ShowChargesPass::run(Function &function, FunctionAnalysisManager &) { return changeCalls(function, showCharge); }
PreservedAnalyses HideLoopChargesPass::run(Function &function, FunctionAnalysisManager &analyses) { return changeCalls(function, hideIfCharge, &analyses.getResult<LoopAnalysis>(function)); }
PreservedAnalyses ShowLoopChargesPass::run(Function &function, FunctionAnalysisManager &analyses) { return changeCalls(function, showCharge, &analyses.getResult<LoopAnalysis>(function)); }
