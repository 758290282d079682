/* owed_flow.cc - see owed_flow.h; what the amounts mean, and why any would be right, is said in place_charges.cc. */
#include "owed_flow.h"
#include "guessed_frequencies.h"
#include "owed_amounts.h"
#include "passes.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;

/* Owed on an edge at most, and paid ahead at most. */
static constexpr int64_t MAX_OWED = INT64_C(1) << 20;

static const MachineOperand &chargedAmount(const MachineInstr &charge) { return charge.getOperand(InlineAsm::MIOp_FirstOperand + 1); }

bool isMark(const MachineInstr &inst) { return inst.isInlineAsm() && isChargeText(inst.getOperand(InlineAsm::MIOp_AsmString).getSymbolName()) && chargedAmount(inst).isImm(); }
uint64_t markedCost(const MachineInstr &inst) { return isMark(inst) ? static_cast<uint64_t>(chargedAmount(inst).getImm()) : 0; }
bool isEmptyAsm(const MachineInstr &inst) { return inst.isInlineAsm() && StringRef(inst.getOperand(InlineAsm::MIOp_AsmString).getSymbolName()).empty(); }
bool isBarrier(const MachineInstr &inst) { return inst.isCall() || inst.isReturn() || (inst.isInlineAsm() && inst.hasUnmodeledSideEffects() && !isMark(inst) && !isEmptyAsm(inst)); }

bool mayFault(const MachineInstr &inst) {
  if (inst.isMetaInstruction() || isMark(inst) || isEmptyAsm(inst)) return false;
  if (inst.isCall() || inst.hasUnmodeledSideEffects()) return true;
  if (!inst.mayLoadOrStore()) return false;
  return inst.memoperands_empty() || any_of(inst.memoperands(), [](const MachineMemOperand *access) { return access->isVolatile() || access->isAtomic(); });
}

LeadingMarks leadingMarks(const MachineBasicBlock &block) {
  LeadingMarks marks;
  const auto end = find_if(block, [](const MachineInstr &inst) { return isBarrier(inst) || mayFault(inst); });
  for (const MachineInstr &inst : make_range(block.begin(), end)) marks.cost += markedCost(inst);
  marks.isAll = end == block.end();
  return marks;
}

OwedBundles::OwedBundles(const MachineFunction &function, ArrayRef<OwedEdge> apart) {
  DenseSet<std::pair<const MachineBasicBlock *, const MachineBasicBlock *>> isApart;
  for (const OwedEdge &edge : apart) isApart.insert({edge.from, edge.to});
  classes.grow(2 * function.getNumBlockIDs());
  for (const MachineBasicBlock &block : function)
    for (const MachineBasicBlock *successor : block.successors())
      if (!isApart.contains({&block, successor})) classes.join(2 * block.getNumber() + 1, 2 * successor->getNumber());
  classes.compress();
}

unsigned OwedBundles::into(const MachineBasicBlock &block) const { return classes[2 * block.getNumber()]; }
unsigned OwedBundles::outOf(const MachineBasicBlock &block) const { return classes[2 * block.getNumber() + 1]; }

OwedFlow::OwedFlow(const MachineFunction &function) : function(function), summaries(function.getNumBlockIDs()) {
  for (const MachineBasicBlock &block : function) {
    Summary &summary = summaries[block.getNumber()];
    for (const MachineInstr &inst : block) {
      if (isMark(inst)) {
        anyMark = true;
        summary.last += markedCost(inst);
      } else if (isBarrier(inst)) {
        if (!summary.hasBarrier) summary.first = summary.last;
        summary.hasBarrier = true;
        summary.last = 0;
      }
    }
    if (!summary.hasBarrier) summary.first = summary.last;
  }
}

/* Successors first; of those that are not known yet, round a loop, nothing is certain. */
void OwedFlow::findCertain() {
  for (const MachineBasicBlock *block : post_order(&function)) {
    LeadingMarks marks = leadingMarks(*block);
    if (marks.isAll && !block->succ_empty()) {
      uint64_t least = UINT64_MAX;
      for (const MachineBasicBlock *successor : block->successors()) least = std::min(least, summaries[successor->getNumber()].certain);
      marks.cost += least;
    }
    summaries[block->getNumber()].certain = marks.cost;
  }
}

void OwedFlow::choose(const GuessedFrequencies *frequencies) {
  bundles.emplace(function);
  chooseAmounts(frequencies, {}, std::vector<uint64_t>(bundles->count(), 0));
}

void OwedFlow::chooseIdeal(const GuessedFrequencies &frequencies, ArrayRef<OwedEdge> apart) {
  findCertain();
  bundles.emplace(function, apart);
  std::vector<uint64_t> ahead(bundles->count(), MAX_OWED);
  auto allow = [&](unsigned place, uint64_t amount) { ahead[place] = std::min(ahead[place], amount); };
  allow(bundles->into(function.front()), 0);
  for (const MachineBasicBlock &block : function) {
    allow(bundles->into(block), summaries[block.getNumber()].certain);
    if (block.succ_empty()) allow(bundles->outOf(block), 0);
  }
  for (const OwedEdge &edge : apart) allow(bundles->outOf(*edge.from), summaries[edge.to->getNumber()].certain);
  chooseAmounts(&frequencies, apart, ahead);
}

void OwedFlow::chooseAmounts(const GuessedFrequencies *frequencies, ArrayRef<OwedEdge> apart, const std::vector<uint64_t> &ahead) {
  const unsigned zero = bundles->into(function.front());
  std::vector<OwedRun> runs;
  for (const MachineBasicBlock &block : function) {
    const Summary &summary = summaries[block.getNumber()];
    uint64_t frequency = frequencies ? frequencies->ofBlock(block) : 1;
    if (summary.hasBarrier) runs.push_back({bundles->into(block), zero, summary.first, frequency});
    if (!block.succ_empty()) runs.push_back({summary.hasBarrier ? zero : bundles->into(block), bundles->outOf(block), summary.last, frequency});
  }
  for (const OwedEdge &edge : apart) runs.push_back({bundles->outOf(*edge.from), bundles->into(*edge.to), 0, SaturatingMultiply(edge.frequency, UINT64_C(2))});
  owed = chooseOwedAmounts(ahead, zero, std::move(runs), MAX_OWED);
  /* A wrong bill is worse than no artifact. */
  if (owed[zero] != 0 || any_of(zip_equal(owed, ahead), [](const auto &place) { return std::get<0>(place) > MAX_OWED || std::get<0>(place) < -(int64_t)std::get<1>(place); })) report_fatal_error("no such amount can stay unpaid");
}
