/*
 * split_addresses.cc - the part of an address that does not change in a loop is added to the memory's base before it.
 *
 * An index `row | column` is one of 32 bits, made anew for each access: a copy, an `or` and an access of base + index. Where the two have no bit in common, or their sum cannot wrap, it is row + column in 64 bits
 * as well, and what is the same in each turn goes into the pointer: an access of (base + row) + column, with nothing to do before it. The address is the same number, so what faults does so as before. LLVM does
 * this for indices of 64 bits alone.
 */
#include "passes.h"

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/PatternMatch.h"

using namespace llvm;
using namespace llvm::PatternMatch;

namespace {

/* Whether a value is a sum of 32 bits that is the same sum in 64 bits. */
bool isExactSum(Value *value, Value *&one, Value *&other) {
  return value->hasOneUse() && (match(value, m_DisjointOr(m_Value(one), m_Value(other))) || match(value, m_NUWAdd(m_Value(one), m_Value(other))));
}

class Splitter {
public:
  explicit Splitter(LoopInfo &loops) : loops(loops) {}

  /* Splits an address in the innermost loop around it, if a part of the index is invariant there. */
  bool split(GetElementPtrInst &address) {
    Loop *loop = loops.getLoopFor(address.getParent());
    Value *sum, *fixed, *moving;
    if (!loop || !loop->getLoopPreheader() || address.getNumIndices() != 1 || !address.getSourceElementType()->isIntegerTy(8) || !loop->isLoopInvariant(address.getPointerOperand())) return false;
    if (!address.getOperand(1)->getType()->isIntegerTy(64) || !match(address.getOperand(1), m_ZExt(m_Value(sum))) || !isExactSum(sum, fixed, moving)) return false;
    if (loop->isLoopInvariant(moving)) std::swap(fixed, moving);
    if (!loop->isLoopInvariant(fixed) || loop->isLoopInvariant(moving) || isa<Constant>(fixed)) return false;
    IRBuilder<> builder(&address);
    Value *rest = builder.CreateZExt(moving, builder.getInt64Ty());
    address.setOperand(0, start(*loop, address.getPointerOperand(), fixed));
    address.setOperand(1, rest);
    address.setNoWrapFlags(GEPNoWrapFlags::none());
    return true;
  }

private:
  LoopInfo &loops;
  DenseMap<std::pair<Loop *, std::pair<Value *, Value *>>, Value *> starts;

  /* base + fixed, before the loop. */
  Value *start(Loop &loop, Value *base, Value *fixed) {
    Value *&made = starts[{&loop, {base, fixed}}];
    if (!made) {
      IRBuilder<> builder(loop.getLoopPreheader()->getTerminator());
      made = builder.CreateGEP(builder.getInt8Ty(), base, builder.CreateZExt(fixed, builder.getInt64Ty()));
    }
    return made;
  }
};

} // namespace

PreservedAnalyses SplitAddressesPass::run(Function &function, FunctionAnalysisManager &analyses) {
  Splitter splitter(analyses.getResult<LoopAnalysis>(function));
  bool changed = false;
  for (BasicBlock &block : function)
    for (Instruction &instruction : block)
      if (auto *address = dyn_cast<GetElementPtrInst>(&instruction)) changed |= splitter.split(*address);
  if (!changed) return PreservedAnalyses::all();
  PreservedAnalyses kept;
  kept.preserveSet<CFGAnalyses>();
  return kept;
}
