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
#include "llvm/IR/InstIterator.h"

using namespace llvm;

/* Applies a change to all calls of a function. Control flow stays as it is. */
static PreservedAnalyses changeCalls(Function &function, function_ref<bool(CallInst *)> change) {
  bool changed = false;
  for (Instruction &inst : make_early_inc_range(instructions(function)))
    if (auto *call = dyn_cast<CallInst>(&inst)) changed |= change(call);
  if (!changed) return PreservedAnalyses::all();
  PreservedAnalyses preserved;
  preserved.preserveSet<CFGAnalyses>();
  return preserved;
}

static bool hideIfCharge(CallInst *call) {
  if (!chargeAmount(call)) return false;
  hideCharge(call);
  return true;
}

PreservedAnalyses HideChargesPass::run(Function &function, FunctionAnalysisManager &analyses) {
  LoopInfo &loops = analyses.getResult<LoopAnalysis>(function);
  return changeCalls(function, [&loops](CallInst *call) { return loops.getLoopFor(call->getParent()) && hideIfCharge(call); });
}

PreservedAnalyses HideAllChargesPass::run(Function &function, FunctionAnalysisManager &) { return changeCalls(function, hideIfCharge); }
PreservedAnalyses ShowChargesPass::run(Function &function, FunctionAnalysisManager &) { return changeCalls(function, showCharge); }
