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
    uint64_t certain = 0;
    const auto end = find_if(*block, [](const MachineInstr &inst) { return isBarrier(inst) || mayFault(inst); });
    for (const MachineInstr &inst : make_range(block->begin(), end)) certain += markedCost(inst);
    if (end == block->end() && !block->succ_empty()) {
      uint64_t least = UINT64_MAX;
      for (const MachineBasicBlock *successor : block->successors()) least = std::min(least, summaries[successor->getNumber()].certain);
      certain += least;
    }
    summaries[block->getNumber()].certain = certain;
  }
}

unsigned OwedFlow::into(const MachineBasicBlock &block) const { return bundles[2 * block.getNumber()]; }
unsigned OwedFlow::outOf(const MachineBasicBlock &block) const { return bundles[2 * block.getNumber() + 1]; }

void OwedFlow::choose(const GuessedFrequencies *frequencies) {
  joinEdges({});
  chooseAmounts(frequencies, {}, std::vector<uint64_t>(bundles.getNumClasses(), 0));
}

void OwedFlow::chooseIdeal(const GuessedFrequencies &frequencies, ArrayRef<OwedEdge> apart) {
  findCertain();
  joinEdges(apart);
  std::vector<uint64_t> ahead(bundles.getNumClasses(), MAX_OWED);
  auto allow = [&](unsigned place, uint64_t amount) { ahead[place] = std::min(ahead[place], amount); };
  allow(into(function.front()), 0);
  for (const MachineBasicBlock &block : function) {
    allow(into(block), summaries[block.getNumber()].certain);
    if (block.succ_empty()) allow(outOf(block), 0);
  }
  for (const OwedEdge &edge : apart) allow(outOf(*edge.from), summaries[edge.to->getNumber()].certain);
  chooseAmounts(&frequencies, apart, ahead);
}

void OwedFlow::joinEdges(ArrayRef<OwedEdge> apart) {
  DenseSet<std::pair<const MachineBasicBlock *, const MachineBasicBlock *>> isApart;
  for (const OwedEdge &edge : apart) isApart.insert({edge.from, edge.to});
  bundles.clear();
  bundles.grow(2 * function.getNumBlockIDs());
  for (const MachineBasicBlock &block : function)
    for (const MachineBasicBlock *successor : block.successors())
      if (!isApart.contains({&block, successor})) bundles.join(2 * block.getNumber() + 1, 2 * successor->getNumber());
  bundles.compress();
}

void OwedFlow::chooseAmounts(const GuessedFrequencies *frequencies, ArrayRef<OwedEdge> apart, const std::vector<uint64_t> &ahead) {
  const unsigned zero = into(function.front());
  std::vector<OwedRun> runs;
  for (const MachineBasicBlock &block : function) {
    const Summary &summary = summaries[block.getNumber()];
    uint64_t frequency = frequencies ? frequencies->ofBlock(block) : 1;
    if (summary.hasBarrier) runs.push_back({into(block), zero, summary.first, frequency});
    if (!block.succ_empty()) runs.push_back({summary.hasBarrier ? zero : into(block), outOf(block), summary.last, frequency});
  }
  for (const OwedEdge &edge : apart) runs.push_back({outOf(*edge.from), into(*edge.to), 0, SaturatingMultiply(edge.frequency, UINT64_C(2))});
  owed = chooseOwedAmounts(ahead, zero, std::move(runs), MAX_OWED);
  /* A wrong bill is worse than no artifact. */
  if (owed[zero] != 0 || any_of(zip_equal(owed, ahead), [](const auto &place) { return std::get<0>(place) > MAX_OWED || std::get<0>(place) < -(int64_t)std::get<1>(place); })) report_fatal_error("no such amount can stay unpaid");
}
