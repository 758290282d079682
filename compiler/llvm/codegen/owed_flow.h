/* owed_flow.h - the charges of a machine function: which instructions mark them, and how much may stay unpaid on each edge between its blocks. */
#ifndef WAOT_OWED_FLOW_H
#define WAOT_OWED_FLOW_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/IntEqClasses.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace llvm {
class MachineBasicBlock;
class MachineFunction;
class MachineInstr;
} // namespace llvm
class GuessedFrequencies;

/* Whether an instruction marks a charge of a constant cost; and that cost, or 0 when it is no mark. A mark of 0 holds the place of a payment (split_edges.cc). An amount in a register is paid where it stands. */
bool isMark(const llvm::MachineInstr &inst);
uint64_t markedCost(const llvm::MachineInstr &inst);
/* Whether it is an asm without instructions, which only hides a value from LLVM. */
bool isEmptyAsm(const llvm::MachineInstr &inst);
/* Whether somebody looks at the register here, or control leaves the function: all must have been paid. */
bool isBarrier(const llvm::MachineInstr &inst);
/* Whether it may fault or trap. Accesses that are not volatile cannot: the frame's, and those of a loop whose bounds have been checked. */
bool mayFault(const llvm::MachineInstr &inst);

/* What is passed at a block's start before anything may fault or look at the register, and whether that is all of the block. */
struct LeadingMarks {
  uint64_t cost = 0;
  bool isAll = false;
};
LeadingMarks leadingMarks(const llvm::MachineBasicBlock &block);

/* An edge between two blocks, and how often it is taken. */
struct OwedEdge {
  llvm::MachineBasicBlock *from, *to;
  uint64_t frequency;
};

/* The edges of a machine function, in bundles: all out of a block are in one, and all into a block. */
class OwedBundles {
public:
  /* Edges of `apart` join nothing: each stands between two bundles. */
  explicit OwedBundles(const llvm::MachineFunction &function, llvm::ArrayRef<OwedEdge> apart = {});

  unsigned count() const { return classes.getNumClasses(); }
  /* The numbers of the bundles, below `count()`, of the edges into and out of a block. */
  unsigned into(const llvm::MachineBasicBlock &block) const;
  unsigned outOf(const llvm::MachineBasicBlock &block) const;

private:
  llvm::IntEqClasses classes; /* of 2 x block number (the edges into it) and 2 x block number + 1 (those out of it) */
};

/* What is owed between the blocks of a machine function. See place_charges.cc. */
class OwedFlow {
public:
  explicit OwedFlow(const llvm::MachineFunction &function);

  bool hasMarks() const { return anyMark; }
  /* Gives each edge its amount: 0 where the function is entered and, in effect, at each barrier; never negative. All edges out of a block have one, and all into a block. Without frequencies all blocks count alike. */
  void choose(const GuessedFrequencies *frequencies);
  /* As if something could be paid on each of `apart` as well: at twice the price of a payment in a block, since it would take a jump. And as if marks could be moved to before an edge if they are certain to be passed after it,
   * before anything may fault: an amount may be negative by as much. */
  void chooseIdeal(const GuessedFrequencies &frequencies, llvm::ArrayRef<OwedEdge> apart);
  int64_t owedInto(const llvm::MachineBasicBlock &block) const { return owed[bundles->into(block)]; }
  int64_t owedOutOf(const llvm::MachineBasicBlock &block) const { return owed[bundles->outOf(block)]; }

private:
  /* What the marks of a block come to: up to its first barrier, and after its last; the same where there is none. And what is certain to be passed from its start on, in it or after it, before anything may fault. */
  struct Summary {
    uint64_t first = 0, last = 0, certain = 0;
    bool hasBarrier = false;
  };

  const llvm::MachineFunction &function;
  bool anyMark = false;
  std::vector<Summary> summaries; /* by block number */
  std::optional<OwedBundles> bundles; /* since amounts were chosen */
  std::vector<int64_t> owed; /* by bundle */

  void findCertain();
  void chooseAmounts(const GuessedFrequencies *frequencies, llvm::ArrayRef<OwedEdge> apart, const std::vector<uint64_t> &ahead);
};

#endif
