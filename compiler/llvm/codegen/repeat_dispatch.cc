/*
 * repeat_dispatch.cc - an interpreter's jump to the next operation, in each of its operations.
 *
 * An interpreter's loop has one indirect jump, by a table, which every operation comes back to. Processors predict it by its address, and how well depends on where that happens to be: the same
 * code took 1.2 or 2.4 times what V8's takes when it was moved by some bytes. With a jump at the end of each operation, there is something to tell them apart by. LLVM's code generator
 * makes such copies of a short block that ends with an indirect jump (tail duplication), and lets them share the table; but a switch first asks whether its number is in the table, and then
 * the jump has a block of its own. So this pass makes the question part of the arithmetic: numbers beyond the table become the one after its last, which leads where the others went.
 *
 * Charges in the block are copied with it: one path still passes one of each. Only for x86, since elsewhere such jumps cannot be copied.
 */
#include "passes.h"

#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/TargetParser/Triple.h"

using namespace llvm;

namespace {

/* The code generator copies up to 20 machine instructions. */
constexpr unsigned MAX_INSTRUCTIONS = 12;
/* Fewer operations are not worth a change, and fewer cases may get no table. */
constexpr unsigned MIN_OPERATIONS = 4, MIN_CASES = 8;
constexpr uint64_t MAX_ENTRIES = 1024;
/* With more operations and more cases than this there would be too many edges; setup.c tells the code generator the same. */
constexpr unsigned MAX_OPERATIONS = 128;

/* Blocks of the loop from which control comes, through blocks that do nothing. */
unsigned countSources(const BasicBlock &block, const Loop &loop) {
  unsigned count = 0;
  for (const BasicBlock *source : predecessors(&block)) {
    if (!loop.contains(source)) continue;
    const Instruction *first = &*source->getFirstNonPHIOrDbg();
    count += first == source->getTerminator() && source->getSingleSuccessor() ? pred_size(source) : 1;
  }
  return count;
}

struct Range {
  APInt least, most;
};

/* The numbers that the table would have; nothing if it would be sparse, or should be left alone. */
std::optional<Range> findTable(SwitchInst &dispatch) {
  if (dispatch.getNumCases() < MIN_CASES || isa<UnreachableInst>(dispatch.getDefaultDest()->getFirstNonPHIOrDbg())) return std::nullopt;
  Range range = {dispatch.case_begin()->getCaseValue()->getValue(), dispatch.case_begin()->getCaseValue()->getValue()};
  for (const auto &one : dispatch.cases()) {
    range.least = APIntOps::smin(range.least, one.getCaseValue()->getValue());
    range.most = APIntOps::smax(range.most, one.getCaseValue()->getValue());
  }
  APInt entries = range.most - range.least + 1; /* 0: the whole type */
  if (entries.isZero() || entries.ugt(MAX_ENTRIES) || entries.ugt(2 * dispatch.getNumCases())) return std::nullopt;
  return range;
}

bool isDispatch(SwitchInst &dispatch, LoopInfo &loops) {
  BasicBlock &block = *dispatch.getParent();
  Loop *loop = loops.getLoopFor(&block);
  if (!loop || block.sizeWithoutDebug() > MAX_INSTRUCTIONS) return false;
  unsigned operations = countSources(block, *loop);
  return operations >= MIN_OPERATIONS && (operations <= MAX_OPERATIONS || dispatch.getNumCases() < MAX_OPERATIONS);
}

/* Replaces the switch by one that has a case for every number. */
void makeTotal(SwitchInst &dispatch, const Range &range) {
  BasicBlock *block = dispatch.getParent(), *others = dispatch.getDefaultDest();
  IRBuilder<> builder(&dispatch);
  Value *number = builder.CreateSub(dispatch.getCondition(), builder.getInt(range.least));
  if (number->getType()->getIntegerBitWidth() < 32) number = builder.CreateZExt(number, builder.getInt32Ty());
  auto *type = cast<IntegerType>(number->getType());
  uint64_t entries = (range.most - range.least).getZExtValue() + 1;
  number = builder.CreateBinaryIntrinsic(Intrinsic::umin, number, ConstantInt::get(type, entries));
  BasicBlock *never = BasicBlock::Create(block->getContext(), "never", block->getParent());
  new UnreachableInst(block->getContext(), never);
  SwitchInst *total = builder.CreateSwitch(number, never, (unsigned)entries + 1);
  for (uint64_t i = 0; i <= entries; i++) {
    auto found = i == entries ? dispatch.case_default() : dispatch.findCaseValue(builder.getInt(range.least + APInt(range.least.getBitWidth(), i)));
    total->addCase(ConstantInt::get(type, i), found->getCaseSuccessor());
  }
  /* A phi has an entry for each edge: the default destination had one from the default, and now has one from each number without a case of its own. */
  auto extra = entries - dispatch.getNumCases();
  for (PHINode &phi : others->phis())
    for (uint64_t i = 0; i < extra; i++) phi.addIncoming(phi.getIncomingValueForBlock(block), block);
  dispatch.eraseFromParent();
}

} // namespace

PreservedAnalyses RepeatDispatchPass::run(Function &function, FunctionAnalysisManager &analyses) {
  if (!function.getParent()->getTargetTriple().isX86()) return PreservedAnalyses::all();
  LoopInfo &loops = analyses.getResult<LoopAnalysis>(function);
  SmallVector<std::pair<SwitchInst *, Range>, 2> found;
  for (BasicBlock &block : function) {
    auto *dispatch = dyn_cast<SwitchInst>(block.getTerminator());
    if (!dispatch) continue;
    if (std::optional<Range> table = findTable(*dispatch); table && isDispatch(*dispatch, loops)) found.push_back({dispatch, *table});
  }
  for (auto &[dispatch, table] : found) makeTotal(*dispatch, table);
  return found.empty() ? PreservedAnalyses::all() : PreservedAnalyses::none();
}
