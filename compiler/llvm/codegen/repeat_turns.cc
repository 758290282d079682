/*
 * repeat_turns.cc - two turns of a small loop for one payment, in machine code.
 *
 * A loop pays for its turns within them (place_charges.cc), so one of eight instructions gets a ninth. Here the blocks of a turn are copied: from its end control goes to the copy of the loop's header, and from the end of
 * the copied turn back to the header. Then both turns owe, and one of them pays. Nothing is computed otherwise, unlike where LLVM unrolls (unroll_charged.cc).
 *
 * A copy has the instructions of its original, marks of charges and all, and its jumps lead to where those of the original lead, or to copies of that. So whatever way control takes, it passes the same instructions as before, in
 * the same order; and what is owed where is found out afterwards.
 *
 * Copied are the blocks on ways from the header back to it, but for those of inner loops and those where all must be paid. A turn that goes there comes back to where it came back before: in the sieve of Eratosthenes a number
 * that is none of the primes takes a turn in the copy or not, and what follows a prime is there once.
 */
#include "repeat_turns.h"
#include "guessed_frequencies.h"
#include "owed_flow.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/CodeGen/MachineDominators.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineLoopInfo.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"

using namespace llvm;

namespace {

/* Of a turn, without marks. In longer ones a payment matters little. */
constexpr unsigned MAX_INSTRUCTIONS = 16;
/* Turns in a call of the function, as guessed: a loop takes 8, at most (guessed_frequencies.cc), each time it is reached. If all loops had copies, sql.js's text would grow by 3.6 %, with those that are reached this often it does
 * by 0.3 %, and the kernels execute as few instructions. */
constexpr uint64_t MIN_TURNS = 6;

/* How a block ends. */
struct Ending {
  MachineBasicBlock *taken = nullptr, *other = nullptr; /* where its only jump leads, or where its condition does; where control goes without it */
  SmallVector<MachineOperand, 4> condition;
};

class Repeater {
public:
  Repeater(MachineFunction &function, const MachineLoopInfo &loops) : function(function), loops(loops), instructions(*function.getSubtarget().getInstrInfo()) {}

  bool repeat(const MachineLoop &loop) {
    header = loop.getHeader();
    if (!findTurn(loop)) return false;
    copyBlocks();
    for (const auto &[block, ending] : turn) connect(*block, ending);
    return true;
  }

private:
  using Blocks = SmallPtrSet<const MachineBasicBlock *, 8>;

  MachineFunction &function;
  const MachineLoopInfo &loops;
  const TargetInstrInfo &instructions;
  MachineBasicBlock *header = nullptr;
  MapVector<MachineBasicBlock *, Ending> turn;
  DenseMap<MachineBasicBlock *, MachineBasicBlock *> copies;

  bool findTurn(const MachineLoop &loop) {
    turn.clear();
    Blocks reached = walk(loop, [](MachineBasicBlock *block) { return block->successors(); }), back = walk(loop, [](MachineBasicBlock *block) { return block->predecessors(); });
    unsigned size = 0;
    uint64_t cost = 0;
    for (MachineBasicBlock *block : loop.blocks()) {
      if (!reached.contains(block) || !back.contains(block)) continue;
      if (!canCopy(*block, size, cost) || !findEnding(*block, turn[block])) return false;
    }
    return cost > 0 && any_of(turn, [&](const auto &one) { return one.first->isSuccessor(header); });
  }

  /* Blocks of the loop that are connected with the header by way of others in which nothing has to be paid, and of no inner loop. */
  template <typename Next> Blocks walk(const MachineLoop &loop, Next next) const {
    Blocks found;
    SmallVector<MachineBasicBlock *, 8> work = {header};
    while (!work.empty()) {
      MachineBasicBlock *block = work.pop_back_val();
      if (loops.getLoopFor(block) == &loop && none_of(*block, isBarrier) && found.insert(block).second) append_range(work, next(block));
    }
    return found;
  }

  /* Adds up the block's instructions and costs. */
  static bool canCopy(const MachineBasicBlock &block, unsigned &size, uint64_t &cost) {
    for (const MachineInstr &inst : block) {
      if (inst.isPosition() || inst.isNotDuplicable() || inst.isConvergent() || inst.isBundled() || inst.getPreInstrSymbol() || inst.getPostInstrSymbol()) return false;
      cost += markedCost(inst);
      if (!isMark(inst) && !inst.isMetaInstruction() && ++size > MAX_INSTRUCTIONS) return false;
    }
    return true;
  }

  bool findEnding(MachineBasicBlock &block, Ending &ending) const {
    if (instructions.analyzeBranch(block, ending.taken, ending.other, ending.condition)) return false;
    if (!ending.taken) ending.taken = block.getFallThrough();
    else if (!ending.condition.empty() && !ending.other) ending.other = block.getFallThrough();
    return ending.taken && (ending.condition.empty() || ending.other);
  }

  void copyBlocks() {
    copies.clear();
    for (const auto &[block, ending] : turn) {
      MachineBasicBlock *copy = copies[block] = function.CreateMachineBasicBlock(block->getBasicBlock());
      function.push_back(copy);
      for (const MachineInstr &inst : *block)
        if (!inst.isTerminator()) copy->push_back(function.CloneMachineInstr(&inst));
      for (const MachineBasicBlock::RegisterMaskPair &in : block->liveins()) copy->addLiveIn(in);
    }
  }

  /* Where a jump of a copy leads. */
  MachineBasicBlock *inCopy(MachineBasicBlock *to) const {
    auto copy = copies.find(to);
    return to == header || copy == copies.end() ? to : copy->second;
  }

  /* Gives the copy of a block its jumps, and lets a jump back from the block itself lead to the copied header. */
  void connect(MachineBasicBlock &block, const Ending &ending) {
    MachineBasicBlock *copy = copies[&block], *other = copies[header];
    DebugLoc where = block.findBranchDebugLoc();
    for (auto successor = block.succ_begin(); successor != block.succ_end(); ++successor) copy->addSuccessor(inCopy(*successor), block.getSuccProbability(successor));
    insertEnding(*copy, ending, [&](MachineBasicBlock *to) { return inCopy(to); }, where);
    if (!block.isSuccessor(header)) return;
    block.replaceSuccessor(header, other);
    instructions.removeBranch(block);
    insertEnding(block, ending, [&](MachineBasicBlock *to) { return to == header ? other : to; }, where);
  }

  void insertEnding(MachineBasicBlock &block, const Ending &ending, function_ref<MachineBasicBlock *(MachineBasicBlock *)> lead, const DebugLoc &where) const {
    instructions.insertBranch(block, lead(ending.taken), ending.condition.empty() ? nullptr : lead(ending.other), ending.condition, where);
  }
};

} // namespace

bool repeatTurns(MachineFunction &function, MachineLoopInfo &loops, const GuessedFrequencies &frequencies) {
  Repeater repeater(function, loops);
  const uint64_t calls = frequencies.ofBlock(function.front());
  bool changed = false;
  for (const MachineLoop *loop : loops.getLoopsInPreorder())
    if (frequencies.ofBlock(*loop->getHeader()) / MIN_TURNS >= calls) changed |= repeater.repeat(*loop);
  if (!changed) return false;
  MachineDominatorTree dominators(function);
  loops.calculate(dominators);
  return true;
}
