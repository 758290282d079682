/*
 * guessed_frequencies.cc - LLVM's guesses, less sure of themselves, and one more.
 *
 * LLVM guesses that a loop goes on, at each of its exits, 31 times out of 32. In loops with many exits, as those of parsers and matchers, that makes exits so rare that they are worth any number of payments; if the guess
 * was wrong, they come each time. So no branch is taken to be surer than LEAST allows, but those of which the compiler knows that they are hardly ever taken, above all to traps.
 *
 * Where LLVM has no guess, a number is taken to differ from a constant: text is mostly none of the characters that it is searched for (Ball and Larus, "Branch prediction for free", 1993, found equality to fail mostly; LLVM keeps to
 * that for pointers, which are numbers in wasm, and for 0).
 */
#include "guessed_frequencies.h"

#include "llvm/CodeGen/MachineBasicBlock.h"
#include "llvm/CodeGen/MachineBlockFrequencyInfo.h"
#include "llvm/CodeGen/MachineBranchProbabilityInfo.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineLoopInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Instructions.h"

using namespace llvm;

static const BranchProbability LEAST(1, 8), KNOWN_TO_BE_RARE(1, 1000), EQUAL(1, 4);

namespace {

/* Changes the probabilities of branches as long as it lives. */
class OwnProbabilities {
public:
  explicit OwnProbabilities(MachineFunction &function) {
    for (MachineBasicBlock &block : function) {
      if (block.succ_size() != 2 || !block.hasSuccessorProbabilities()) continue;
      auto one = block.succ_begin(), other = std::next(one);
      Saved before = {&block, block.getSuccProbability(one), block.getSuccProbability(other)};
      const BranchProbability rarer = std::min(before.one, before.other);
      BranchProbability guess = LEAST;
      bool isFirst = before.one < before.other; /* which is rarer */
      if (before.one == before.other) {
        const std::optional<bool> isEqualFirst = findEqual(block);
        if (!isEqualFirst) continue;
        isFirst = *isEqualFirst;
        guess = EQUAL;
      } else if (rarer >= LEAST || rarer < KNOWN_TO_BE_RARE) continue;
      saved.push_back(before);
      set(block, isFirst ? guess : guess.getCompl(), isFirst ? guess.getCompl() : guess);
    }
  }
  ~OwnProbabilities() {
    for (const Saved &before : saved) set(*before.block, before.one, before.other);
  }

private:
  struct Saved {
    MachineBasicBlock *block;
    BranchProbability one, other;
  };
  std::vector<Saved> saved;

  /* Whether the first successor is the one that is reached if a number equals a constant, by the IR's branch that the block ends with; nothing if it does not end with such a branch. */
  static std::optional<bool> findEqual(const MachineBasicBlock &block) {
    const auto *branch = block.getBasicBlock() ? dyn_cast<BranchInst>(block.getBasicBlock()->getTerminator()) : nullptr;
    const auto *comparison = branch && branch->isConditional() ? dyn_cast<ICmpInst>(branch->getCondition()) : nullptr;
    if (!comparison || !comparison->isEquality() || !isa<ConstantInt>(comparison->getOperand(1))) return std::nullopt;
    const bool isFirst = comparison->getPredicate() == CmpInst::ICMP_EQ;
    const BasicBlock *equal = branch->getSuccessor(isFirst ? 0 : 1), *other = branch->getSuccessor(isFirst ? 1 : 0);
    const BasicBlock *first = (*block.succ_begin())->getBasicBlock(), *second = (*std::next(block.succ_begin()))->getBasicBlock();
    if (first == equal && second == other) return true;
    if (first == other && second == equal) return false;
    return std::nullopt;
  }

  static void set(MachineBasicBlock &block, BranchProbability one, BranchProbability other) {
    block.setSuccProbability(block.succ_begin(), one);
    block.setSuccProbability(std::next(block.succ_begin()), other);
  }
};

} // namespace

GuessedFrequencies::GuessedFrequencies(MachineFunction &function, const MachineBranchProbabilityInfo &probabilities, const MachineLoopInfo &loops)
    : blocks(function.getNumBlockIDs()), edges(function.getNumBlockIDs()) {
  OwnProbabilities own(function);
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
