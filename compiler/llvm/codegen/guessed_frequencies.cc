/*
 * guessed_frequencies.cc - LLVM's guesses, less sure of themselves.
 *
 * LLVM guesses that a loop goes on, at each of its exits, 31 times out of 32. In loops with many exits, as those of parsers and matchers, that makes exits so rare that they are worth any number of payments; if the guess
 * was wrong, they come each time. So no branch is taken to be surer than LEAST allows, but those of which the compiler knows that they are hardly ever taken, above all to traps.
 */
#include "guessed_frequencies.h"

#include "llvm/CodeGen/MachineBasicBlock.h"
#include "llvm/CodeGen/MachineBlockFrequencyInfo.h"
#include "llvm/CodeGen/MachineBranchProbabilityInfo.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineLoopInfo.h"

using namespace llvm;

static const BranchProbability LEAST(1, 8), KNOWN_TO_BE_RARE(1, 1000);

namespace {

/* Bounds the probabilities of branches as long as it lives. */
class BoundedProbabilities {
public:
  explicit BoundedProbabilities(MachineFunction &function) {
    for (MachineBasicBlock &block : function) {
      if (block.succ_size() != 2 || !block.hasSuccessorProbabilities()) continue;
      auto one = block.succ_begin(), other = std::next(one);
      Saved before = {&block, block.getSuccProbability(one), block.getSuccProbability(other)};
      BranchProbability rarer = std::min(before.one, before.other);
      if (rarer >= LEAST || rarer < KNOWN_TO_BE_RARE) continue;
      saved.push_back(before);
      bool isFirst = before.one < before.other;
      set(block, isFirst ? LEAST : LEAST.getCompl(), isFirst ? LEAST.getCompl() : LEAST);
    }
  }
  ~BoundedProbabilities() {
    for (const Saved &before : saved) set(*before.block, before.one, before.other);
  }

private:
  struct Saved {
    MachineBasicBlock *block;
    BranchProbability one, other;
  };
  std::vector<Saved> saved;

  static void set(MachineBasicBlock &block, BranchProbability one, BranchProbability other) {
    block.setSuccProbability(block.succ_begin(), one);
    block.setSuccProbability(std::next(block.succ_begin()), other);
  }
};

} // namespace

GuessedFrequencies::GuessedFrequencies(MachineFunction &function, const MachineBranchProbabilityInfo &probabilities, const MachineLoopInfo &loops)
    : blocks(function.getNumBlockIDs()), edges(function.getNumBlockIDs()) {
  BoundedProbabilities bounded(function);
  MachineBlockFrequencyInfo frequencies(function, probabilities, loops);
  for (const MachineBasicBlock &block : function) {
    BlockFrequency frequency = frequencies.getBlockFreq(&block);
    blocks[block.getNumber()] = frequency.getFrequency();
    if (block.succ_size() < 2) continue;
    for (auto successor = block.succ_begin(); successor != block.succ_end(); ++successor)
      edges[block.getNumber()].push_back((frequency * probabilities.getEdgeProbability(&block, successor)).getFrequency());
  }
}

uint64_t GuessedFrequencies::ofBlock(const MachineBasicBlock &block) const { return blocks[block.getNumber()]; }
uint64_t GuessedFrequencies::ofEdge(const MachineBasicBlock &block, unsigned successor) const { return edges[block.getNumber()][successor]; }
