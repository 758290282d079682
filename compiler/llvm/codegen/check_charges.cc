/*
 * check_charges.cc - a large charge is looked at where it is made.
 *
 * Ticks find an exhausted register only while it stays above zero: 64 bits that a guest could drive all the way round between two ticks would end below the limit again. Small charges
 * cannot: at one addition a cycle they take minutes for 2^63. But a counted loop pays for all of its iterations at once (version_loops.cc), and one that does nothing then costs no
 * time at all; and a cost table can make an operator dear. So behind every charge that is not known to be small the register is compared, as `--fuel sync` does everywhere.
 *
 * Nothing else changes: what a charge pays for is executed before anybody can look, so an exhausted register is out-of-fuel here or there (fuel law, clause 4), with the same
 * consumption, which is the limit.
 */
#include "passes.h"
#include "../../../runtime-c/abi.h"

#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/MDBuilder.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

using namespace llvm;

namespace {

/* The price of a bulk operator's units, which lowering has looked at already. */
bool isChecked(const CallInst *charge) {
  auto *next = dyn_cast_or_null<CallInst>(charge->getNextNode());
  return next && isFuelRead(next);
}

void emitCheck(CallInst *charge) {
  IRBuilder<> builder(charge->getNextNode());
  Value *exhausted = builder.CreateICmpSGT(emitFuelRead(builder, charge), builder.getInt64(0), "exhausted");
  MDNode *unlikely = MDBuilder(charge->getContext()).createUnlikelyBranchWeights();
  Instruction *end = SplitBlockAndInsertIfThen(exhausted, &*builder.GetInsertPoint(), true, unlikely);
  builder.SetInsertPoint(end);
  CallInst *trap = builder.CreateIntrinsic(Intrinsic::ubsantrap, {}, {builder.getInt8(WAOT_STATUS_OUT_OF_FUEL)});
  trap->addFnAttr(Attribute::NoMerge); /* each has a place of its own in backtraces */
  trap->setDoesNotReturn();
  trap->setDoesNotThrow();
}

} // namespace

PreservedAnalyses CheckChargesPass::run(Function &function, FunctionAnalysisManager &) {
  SmallVector<CallInst *, 16> large;
  for (Instruction &inst : instructions(function)) {
    auto *call = dyn_cast<CallInst>(&inst);
    if (call && isHiddenCharge(call)) report_fatal_error("a charge is still hidden"); /* a wrong bill is worse than no artifact */
    if (call && chargeAmount(call) && !isSmallCharge(call) && !isChecked(call)) large.push_back(call);
  }
  for (CallInst *charge : large) emitCheck(charge);
  return large.empty() ? PreservedAnalyses::all() : PreservedAnalyses::none();
}
