/*
 * unroll_charged.cc - two turns of a small loop for one payment.
 *
 * A loop pays for its turns within them, so one of eight instructions, as those that follow a list or probe a hash table, gets a ninth. LLVM unrolls loops of which it can compute how often they turn; this pass asks it to make two turns of one in the
 * others, with all their exits. Both owe, and the second pays (place_charges.cc). What is more, values that move from one variable to the next at each turn need not be moved.
 *
 * Not where an address is affine in the turn: LLVM's strength reduction finds new values to keep, in the loop or in that around it, which cost more than a charge (lz, sieve). And not beyond a size at which a charge is little.
 */
#include "passes.h"

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/Analysis/ScalarEvolution.h"
#include "llvm/Analysis/ScalarEvolutionExpressions.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/Transforms/Utils/LoopUtils.h"

using namespace llvm;

namespace {

constexpr unsigned TURNS = 2;
/* Besides charges and phis. With twice as many sql.js's text grows by half as much again, and the benchmark's kernels are the same. */
constexpr unsigned MAX_INSTRUCTIONS = 15;

bool isAffineAddress(const Instruction &access, const Loop &loop, ScalarEvolution &evolution) {
  const Value *address = getLoadStorePointerOperand(&access);
  return address && SCEVExprContains(evolution.getSCEV(const_cast<Value *>(address)), [&](const SCEV *part) {
    auto *recurrence = dyn_cast<SCEVAddRecExpr>(part);
    return recurrence && recurrence->getLoop() == &loop;
  });
}

/* Everything must have been paid at a call. */
bool isRealCall(const Instruction &inst) {
  auto *call = dyn_cast<CallBase>(&inst);
  return call && !call->isInlineAsm() && !isa<IntrinsicInst>(call);
}

/* Whether LLVM may know how often the loop turns, and so what to do. */
bool isCounted(const Loop &loop, BasicBlock *latch, ScalarEvolution &evolution) {
  return (loop.getExitingBlock() == latch && !isa<SCEVCouldNotCompute>(evolution.getExitCount(&loop, latch))) || evolution.getSmallConstantMaxTripCount(&loop) != 0;
}

bool isWorthIt(const Loop &loop, ScalarEvolution &evolution) {
  BasicBlock *latch = loop.getLoopLatch();
  if (!loop.isInnermost() || !latch || hasUnrollTransformation(&loop) != TM_Unspecified) return false;
  unsigned size = 0;
  bool hasCharge = false;
  for (BasicBlock *block : loop.blocks())
    for (Instruction &inst : *block) {
      auto *call = dyn_cast<CallInst>(&inst);
      bool isCharge = call && chargeAmount(call);
      hasCharge |= isCharge;
      if (isCharge || isa<PHINode>(inst)) continue;
      if (++size > MAX_INSTRUCTIONS || isRealCall(inst)) return false;
    }
  if (!hasCharge || isCounted(loop, latch, evolution)) return false;
  return none_of(loop.blocks(), [&](BasicBlock *block) { return any_of(*block, [&](Instruction &inst) { return isAffineAddress(inst, loop, evolution); }); });
}

} // namespace

PreservedAnalyses UnrollChargedPass::run(Function &function, FunctionAnalysisManager &analyses) {
  LoopInfo &loops = analyses.getResult<LoopAnalysis>(function);
  if (loops.empty()) return PreservedAnalyses::all();
  ScalarEvolution &evolution = analyses.getResult<ScalarEvolutionAnalysis>(function);
  for (Loop *loop : loops.getLoopsInPreorder())
    if (isWorthIt(*loop, evolution)) addStringMetadataToLoop(loop, "llvm.loop.unroll.count", TURNS);
  return PreservedAnalyses::all();
}
