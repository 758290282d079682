/*
 * merge_charges.cc - fewer charges where nobody can look in between.
 *
 * Lowering emits one charge for each line of code; optimisation then joins lines (inlining, folded branches) and leaves charges side by side. In a block, a charge is added to an earlier one
 * if nothing between the two can trap, call, or be seen by the host: that keeps the sum that any path has paid wherever it can be seen, and gives the code generator less to carry.
 * What remains is paid together by the last pass: place_charges.cc.
 */
#include "passes.h"

#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/IntrinsicInst.h"

using namespace llvm;

namespace {

/* Whether the host could look, or the activation end, at this instruction. Plain accesses cannot trap: those that can are volatile. */
bool isBarrier(const Instruction &inst) {
  if (auto *call = dyn_cast<CallBase>(&inst); call && call->isInlineAsm() && cast<InlineAsm>(call->getCalledOperand())->getAsmString().empty()) return false;
  if (isa<CallBase>(inst)) return inst.mayHaveSideEffects() || !cast<CallBase>(inst).hasFnAttr(Attribute::WillReturn);
  return inst.isVolatile() || inst.isAtomic() || inst.mayThrow();
}

uint64_t costOf(const CallInst *charge) { return constantCharge(charge)->getZExtValue(); }
void setCost(CallInst *charge, uint64_t cost) { charge->setArgOperand(0, ConstantInt::get(charge->getArgOperand(0)->getType(), cost)); }

CallInst *asCharge(Instruction &inst) {
  auto *call = dyn_cast<CallInst>(&inst);
  return call && constantCharge(call) ? call : nullptr;
}

bool mergeWithin(BasicBlock &block) {
  bool changed = false;
  CallInst *open = nullptr;
  for (Instruction &inst : make_early_inc_range(block)) {
    if (CallInst *charge = asCharge(inst)) {
      if (open && costOf(open) + costOf(charge) <= maxCharge(open)) {
        setCost(open, costOf(open) + costOf(charge));
        charge->eraseFromParent();
        changed = true;
      } else {
        open = charge;
      }
    } else if (isBarrier(inst)) {
      open = nullptr;
    }
  }
  return changed;
}

} // namespace

PreservedAnalyses MergeChargesPass::run(Function &function, FunctionAnalysisManager &) {
  bool changed = false;
  for (BasicBlock &block : function) changed |= mergeWithin(block);
  if (!changed) return PreservedAnalyses::all();
  PreservedAnalyses preserved;
  preserved.preserveSet<CFGAnalyses>();
  return preserved;
}
