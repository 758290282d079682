/*
 * merge_charges.cc - fewer charges where nobody can look in between.
 *
 * Each charge is an addition to one register, so charges form a chain, one cycle each. Lowering emits one for each line of code; optimisation then joins lines (inlining, folded branches)
 * and leaves charges side by side, or a charge at the head of both arms of a branch. Two steps, both of which keep the sum that any path has paid wherever it can be seen:
 *
 *   1. In a block, a charge is added to an earlier one if nothing between the two can trap, call, or be seen by the host.
 *   2. If every successor of a block can only be reached from it, and starts with a charge (before anything that can be seen), the smallest of these is paid before the branch
 *      already, and each arm pays the difference.
 *
 *      Not for a switch: the code generator copies small dispatch blocks into the arms of an interpreter loop, and a charge in them costs more than it saves (1.75 against 1.28
 *      of unmetered time on one).
 *
 * Blocks are visited successors first, so that a smallest charge can rise through several branches.
 */
#include "passes.h"

#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/CFG.h"
#include "llvm/IR/IntrinsicInst.h"

using namespace llvm;

namespace {

/* Whether the host could look, or the activation end, at this instruction. Plain accesses cannot trap: those that can are volatile. */
bool isBarrier(const Instruction &inst) {
  if (isa<CallBase>(inst)) return inst.mayHaveSideEffects() || !cast<CallBase>(inst).hasFnAttr(Attribute::WillReturn);
  return inst.isVolatile() || inst.isAtomic() || inst.mayThrow();
}

uint64_t costOf(const CallInst *charge) { return constantCharge(charge)->getZExtValue(); }
void setCost(CallInst *charge, uint64_t cost) { charge->setArgOperand(0, ConstantInt::get(charge->getArgOperand(0)->getType(), cost)); }

CallInst *asCharge(Instruction &inst) {
  auto *call = dyn_cast<CallInst>(&inst);
  return call && constantCharge(call) ? call : nullptr;
}

/* Step 1. */
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

/* The charge at the block's head, before which there is no barrier, or NULL. */
CallInst *leadingCharge(BasicBlock &block) {
  for (Instruction &inst : block) {
    if (CallInst *charge = asCharge(inst)) return charge;
    if (isBarrier(inst)) return nullptr;
  }
  return nullptr;
}

/* Step 2. */
bool raise(BasicBlock &block) {
  Instruction *end = block.getTerminator();
  if (!isa<BranchInst>(end) || end->getNumSuccessors() < 2) return false;
  SmallPtrSet<CallInst *, 8> arms;
  uint64_t least = UINT64_MAX;
  for (BasicBlock *successor : successors(&block)) {
    CallInst *charge = successor->getUniquePredecessor() == &block ? leadingCharge(*successor) : nullptr;
    if (!charge) return false;
    arms.insert(charge);
    least = std::min(least, costOf(charge));
  }
  IRBuilder<> builder(end);
  emitCharge(builder, builder.getInt64(least), *arms.begin());
  for (CallInst *charge : arms) {
    if (costOf(charge) == least) charge->eraseFromParent();
    else setCost(charge, costOf(charge) - least);
  }
  return true;
}

} // namespace

PreservedAnalyses MergeChargesPass::run(Function &function, FunctionAnalysisManager &) {
  bool changed = false;
  for (BasicBlock *block : post_order(&function)) {
    changed |= raise(*block);
    changed |= mergeWithin(*block);
  }
  if (!changed) return PreservedAnalyses::all();
  PreservedAnalyses preserved;
  preserved.preserveSet<CFGAnalyses>();
  return preserved;
}
