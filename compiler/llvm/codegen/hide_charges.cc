/*
 * hide_charges.cc - charges as intrinsics, as long as LLVM inlines functions, threads jumps or unrolls loops.
 *
 * Jump threading copies a short block into those ways to it that have decided the branch at its end, and counts a charge as four instructions of the six it may have. Targets advise against unrolling loops with
 * calls, since those hide what unrolling gains, and take inline assembly for one. The inliner counts two instructions for an asm. So none was done with charges in the way, where it is done to the same code without metering.
 * An intrinsic that is not lowered to a call does not count; llvm.sideeffect has the effects that a charge is said to have, on memory that nothing else can see. Between the two passes it is copied with its block or loop, and
 * stays otherwise where it is, as any instruction with side effects. What the copies of a loop's body owe is paid together where their ways allow it (place_charges.cc). Charges outside loops stay as they are for threading and unrolling: unrolling does
 * not look at them, and jumps threaded there gain little. For the inliner all are hidden, and shown as soon as it is done with a function.
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
