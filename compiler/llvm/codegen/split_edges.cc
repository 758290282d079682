/*
 * split_edges.cc - places to pay on edges between blocks, where that is cheaper than in the blocks.
 *
 * What is owed at a point of machine code is the same on whatever path it was reached (place_charges.cc). An edge from a block with several successors to one with several predecessors is no place to pay in, so it
 * makes one amount of those at the ends of both blocks, and of those of other blocks around: an exit that is hardly ever taken has blocks pay that are executed each time. So an edge gets a block of its own where the
 * amounts that are best if it has differ at its ends. The block is held by a mark of no cost, which changes no sum; where it lies is decided by the pass that lays out all blocks, and what it pays by the one that
 * places charges. Before that, small loops make two turns of one (repeat_turns.cc). The amounts may also ask for costs to be paid ahead, where they are certain: their marks are
 * moved (advance_charges.cc).
 */
#include "split_edges.h"
#include "advance_charges.h"
#include "guessed_frequencies.h"
#include "owed_flow.h"
#include "repeat_turns.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/CodeGen/MachineBranchProbabilityInfo.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineLoopInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;

namespace {

class SplitEdges : public MachineFunctionPass {
public:
  static char ID;
  SplitEdges() : MachineFunctionPass(ID) {}
  StringRef getPassName() const override { return "wasm-aot: split edges"; }
  void getAnalysisUsage(AnalysisUsage &usage) const override {
    usage.addRequired<MachineBranchProbabilityInfoWrapperPass>();
    usage.addRequired<MachineLoopInfoWrapperPass>();
    usage.addPreserved<MachineLoopInfoWrapperPass>();
    MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(MachineFunction &function) override {
    const MachineInstr *mark = findMark(function);
    if (!mark) return false;
    const MachineBranchProbabilityInfo &probabilities = getAnalysis<MachineBranchProbabilityInfoWrapperPass>().getMBPI();
    MachineLoopInfo &loops = getAnalysis<MachineLoopInfoWrapperPass>().getLI();
    std::optional<GuessedFrequencies> frequencies(std::in_place, function, probabilities, loops);
    bool changed = repeatTurns(function, loops, *frequencies);
    if (changed) frequencies.emplace(function, probabilities, loops);
    std::vector<OwedEdge> edges = findEdges(function, *frequencies);
    OwedFlow flow(function);
    flow.chooseIdeal(*frequencies, edges);
    std::vector<OwedAround> owed(function.getNumBlockIDs());
    for (const MachineBasicBlock &block : function) owed[block.getNumber()] = {flow.owedInto(block), flow.owedOutOf(block)};
    for (const OwedEdge &edge : edges) {
      const OwedAround around = {flow.owedOutOf(*edge.from), flow.owedInto(*edge.to)};
      if (around.into == around.outOf) continue;
      MachineBasicBlock *between = edge.from->SplitCriticalEdge(edge.to, *this);
      if (!between) continue;
      MachineInstr *place = function.CloneMachineInstr(mark);
      place->setDebugLoc(edge.from->findBranchDebugLoc());
      place->getOperand(InlineAsm::MIOp_FirstOperand + 1).setImm(0);
      between->insert(between->begin(), place);
      owed.resize(function.getNumBlockIDs());
      owed[between->getNumber()] = around;
      changed = true;
    }
    return advanceCharges(function, owed, *mark) || changed;
  }

private:
  static const MachineInstr *findMark(const MachineFunction &function) {
    for (const MachineBasicBlock &block : function)
      for (const MachineInstr &inst : block)
        if (isMark(inst)) return &inst;
    return nullptr;
  }

  /* The edges that can be split and that no block at their ends can pay for. Those of jump tables are left as they are: they may be many, and tables may be shared. */
  static std::vector<OwedEdge> findEdges(MachineFunction &function, const GuessedFrequencies &frequencies) {
    std::vector<OwedEdge> edges;
    for (MachineBasicBlock &block : function) {
      if (block.succ_size() < 2 || any_of(block.terminators(), [](const MachineInstr &inst) { return inst.isIndirectBranch(); })) continue;
      for (auto [i, successor] : enumerate(block.successors()))
        if (successor->pred_size() > 1 && block.canSplitCriticalEdge(successor)) edges.push_back({&block, successor, frequencies.ofEdge(block, (unsigned)i)});
    }
    return edges;
  }
};
char SplitEdges::ID = 0;

} // namespace

void insertSplitEdgesPass(TargetPassConfig &config) {
  if (config.getOptLevel() != CodeGenOptLevel::None) config.insertPass(&ExpandPostRAPseudosID, new SplitEdges());
}
