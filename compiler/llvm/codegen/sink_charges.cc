/*
 * sink_charges.cc - chains of comparisons, out of whose way charges go.
 *
 * LLVM makes wasm of a large switch as a chain: tables where its cases are dense, and comparisons of the same number between. LLVM's SimplifyCFG makes one switch of them again, but only of blocks that hold nothing but a
 * comparison. So the charges of such a block are moved to the edges that leave it, one for each of its successors, and those of a whole chain add up along it. Every path passes what it did: a charge is moved over a
 * comparison and a branch alone, where nobody can look, and each edge gets it once.
 *
 * In such a chain, a comparison with a small range becomes a switch as well, since SimplifyCFG takes up no ranges; where it cannot follow, it makes a range of that again. Nothing is moved where all comparisons of a number
 * have fewer cases than a table needs: they would remain comparisons, and more edges pay.
 */
#include "passes.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/IR/CFG.h"
#include "llvm/IR/PatternMatch.h"
#include "llvm/Transforms/Utils/BasicBlockUtils.h"

using namespace llvm;
using namespace llvm::PatternMatch;

namespace {

/* For each of a block's different successors there is one charge more. */
constexpr unsigned MAX_SUCCESSORS = 16;
/* What LLVM makes a table of at least (TargetLowering's default). */
constexpr unsigned MIN_CASES = 4;
/* As many as SimplifyCFG itself spells out, where conditions are joined by `or`. */
constexpr unsigned MAX_RANGE = 8;

/* A branch on whether a number is at least `least`, and less than `count` beyond that. */
struct Range {
  Value *number;
  APInt least;
  unsigned count;
};

BranchInst *conditionalBranch(const BasicBlock &block) {
  auto *branch = dyn_cast<BranchInst>(block.getTerminator());
  return branch && branch->isConditional() && branch->getCondition()->hasOneUse() ? const_cast<BranchInst *>(branch) : nullptr;
}

/* The number that a block's end compares with constants, as SimplifyCFG sees it; NULL if it does anything else. */
Value *comparedAtEnd(const BasicBlock &block) {
  if (auto *dispatch = dyn_cast<SwitchInst>(block.getTerminator())) return dispatch->getCondition();
  BranchInst *branch = conditionalBranch(block);
  auto *comparison = branch ? dyn_cast<ICmpInst>(branch->getCondition()) : nullptr;
  return comparison && comparison->isEquality() && isa<ConstantInt>(comparison->getOperand(1)) ? comparison->getOperand(0) : nullptr;
}

std::optional<Range> rangeAtEnd(const BasicBlock &block) {
  BranchInst *branch = conditionalBranch(block);
  Value *number;
  const APInt *count, *offset;
  if (!branch || branch->getSuccessor(0) == branch->getSuccessor(1)) return std::nullopt;
  if (!match(branch->getCondition(), m_SpecificICmp(ICmpInst::ICMP_ULT, m_OneUse(m_Add(m_Value(number), m_APInt(offset))), m_APInt(count))) || count->isZero() || count->ugt(MAX_RANGE)) return std::nullopt;
  return Range{number, -*offset, static_cast<unsigned>(count->getZExtValue())};
}

unsigned countCases(const BasicBlock &block) {
  auto *dispatch = dyn_cast<SwitchInst>(block.getTerminator());
  return dispatch ? dispatch->getNumCases() : 1;
}

/* Whether a block before ends with a comparison of the same number, into which SimplifyCFG can fold this one. */
bool isAsked(BasicBlock &block, const Value *number) {
  return any_of(predecessors(&block), [&](BasicBlock *before) { return before != &block && comparedAtEnd(*before) == number; });
}

/* Gathers the charges, hidden as they are here, of a block that holds nothing else but its end and what only that needs; false for any other. */
bool gatherCharges(BasicBlock &block, SmallVectorImpl<CallInst *> &charges) {
  BranchInst *branch = conditionalBranch(block);
  auto *comparison = branch ? dyn_cast<ICmpInst>(branch->getCondition()) : nullptr;
  for (Instruction &inst : block) {
    bool isDifference = comparison && comparison->getOperand(0) == &inst && isa<BinaryOperator>(inst) && inst.hasOneUse();
    if (auto *call = dyn_cast<CallInst>(&inst); call && hiddenCost(call)) charges.push_back(call);
    else if (!inst.isTerminator() && &inst != comparison && !isDifference) return false;
  }
  return true;
}

/* Makes a switch of a range. */
void spellOut(BasicBlock &block, const Range &range) {
  auto *branch = cast<BranchInst>(block.getTerminator());
  BasicBlock *inside = branch->getSuccessor(0);
  for (PHINode &phi : inside->phis()) {
    Value *value = phi.getIncomingValueForBlock(&block);
    for (unsigned i = 1; i < range.count; i++) phi.addIncoming(value, &block);
  }
  IRBuilder<> builder(branch);
  SwitchInst *dispatch = builder.CreateSwitch(range.number, branch->getSuccessor(1), range.count);
  for (unsigned i = 0; i < range.count; i++) dispatch->addCase(builder.getInt(range.least + i), inside);
  auto *comparison = cast<Instruction>(branch->getCondition());
  auto *difference = cast<Instruction>(comparison->getOperand(0));
  for (Instruction *inst : {static_cast<Instruction *>(branch), comparison, difference}) inst->eraseFromParent();
}

/* Moves the charges of a block to the edges that leave it. */
bool moveCharges(BasicBlock &block) {
  SmallVector<CallInst *, 4> charges;
  if (!gatherCharges(block, charges) || charges.empty()) return false;
  uint64_t cost = 0;
  for (CallInst *charge : charges) cost += hiddenCost(charge)->getZExtValue();
  SmallSetVector<BasicBlock *, 8> after(succ_begin(&block), succ_end(&block));
  if (after.size() > MAX_SUCCESSORS || after.contains(&block)) return false;
  for (BasicBlock *successor : after) {
    BasicBlock *edge = successor->getUniquePredecessor() ? successor : SplitBlockPredecessors(successor, {&block}, ".charge");
    CallInst *copy = cast<CallInst>(charges[0]->clone());
    setHiddenCost(copy, cost);
    copy->insertBefore(edge->getFirstInsertionPt());
  }
  for (CallInst *charge : charges) charge->eraseFromParent();
  return true;
}

} // namespace

PreservedAnalyses SinkChargesPass::run(Function &function, FunctionAnalysisManager &) {
  DenseMap<const Value *, unsigned> cases;
  for (BasicBlock &block : function) {
    if (Value *number = comparedAtEnd(block)) cases[number] += countCases(block);
    else if (std::optional<Range> range = rangeAtEnd(block)) cases[range->number] += range->count;
  }
  auto mayMove = [&](BasicBlock &block, const Value *number) { return cases.lookup(number) >= MIN_CASES && isAsked(block, number); };
  bool changed = false;
  /* What is before comes first, so that all charges of a chain come to its end. */
  ReversePostOrderTraversal<Function *> order(&function);
  for (BasicBlock *block : SmallVector<BasicBlock *, 64>(order.begin(), order.end())) {
    SmallVector<CallInst *, 4> charges;
    if (std::optional<Range> range = rangeAtEnd(*block); range && mayMove(*block, range->number) && gatherCharges(*block, charges)) {
      spellOut(*block, *range);
      changed = true;
    }
    if (Value *number = comparedAtEnd(*block); number && mayMove(*block, number)) changed |= moveCharges(*block);
  }
  return changed ? PreservedAnalyses::none() : PreservedAnalyses::all();
}
