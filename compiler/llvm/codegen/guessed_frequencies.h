/* guessed_frequencies.h - how often the blocks of a machine function are executed, and its edges taken, as placing charges guesses. */
#ifndef WAOT_GUESSED_FREQUENCIES_H
#define WAOT_GUESSED_FREQUENCIES_H

#include <cstdint>
#include <vector>

namespace llvm {
class MachineBasicBlock;
class MachineBranchProbabilityInfo;
class MachineFunction;
class MachineLoopInfo;
} // namespace llvm

/* Frequencies, all of one unit. See guessed_frequencies.cc. */
class GuessedFrequencies {
public:
  GuessedFrequencies(llvm::MachineFunction &function, const llvm::MachineBranchProbabilityInfo &probabilities, const llvm::MachineLoopInfo &loops);
  uint64_t ofBlock(const llvm::MachineBasicBlock &block) const;
  /* Of the edge to the successor of that index. */
  uint64_t ofEdge(const llvm::MachineBasicBlock &block, unsigned successor) const;

private:
  std::vector<uint64_t> blocks;             /* by block number, as those of edges */
  std::vector<std::vector<uint64_t>> edges; /* by index of the successor; only of blocks with several */
};

#endif
