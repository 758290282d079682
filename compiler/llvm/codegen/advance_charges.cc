/*
 * advance_charges.cc - what is certain to be passed is paid earlier.
 *
 * A block in which several ways out of a function meet, and all that it does costs, pays at each return; each of the ways may have paid just before. If the mark of what is passed after an edge is moved to before it, then one
 * payment does for both, and the block pays nothing. A mark moves back over instructions that cannot fault and are no barrier, to the ends of all blocks that lead there, and away from all blocks that these lead to: so on each way
 * from one point where somebody may look at the register to the next there are the same costs as before. The handler of a tick may see some too early: those that no trap can come before. The amounts that
 * split_edges.cc finds best say how much goes over which edges.
 */
#include "advance_charges.h"
#include "owed_flow.h"

#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/IR/InlineAsm.h"

using namespace llvm;

namespace {

class Advancer {
public:
  Advancer(MachineFunction &function, ArrayRef<OwedAround> owed, const MachineInstr &mark)
      : function(function), like(function.CloneMachineInstr(&mark)), leading(function.getNumBlockIDs()), bundles(function), moved(bundles.count(), UINT64_MAX) {
    auto allow = [&](unsigned bundle, int64_t amount) { moved[bundle] = std::min(moved[bundle], (uint64_t)std::max(-amount, INT64_C(0))); };
    allow(bundles.into(function.front()), 0);
    for (const MachineBasicBlock &block : function) {
      allow(bundles.into(block), owed[block.getNumber()].into);
      allow(bundles.outOf(block), block.succ_empty() ? 0 : owed[block.getNumber()].outOf);
      leading[block.getNumber()] = leadingMarks(block);
    }
  }

  ~Advancer() { function.deleteMachineInstr(like); }

  bool advance() {
    if (none_of(moved, [](uint64_t amount) { return amount > 0; })) return false;
    restrict();
    for (MachineBasicBlock &block : function) {
      uint64_t take = moved[bundles.into(block)], put = moved[bundles.outOf(block)], own = std::min(take, leading[block.getNumber()].cost);
      if (own > 0) takeFrom(block, own);
      if (put > take - own) putInto(block, put - (take - own));
    }
    return true;
  }

private:
  MachineFunction &function;
  MachineInstr *like; /* a mark that cannot be erased */
  std::vector<LeadingMarks> leading; /* by block number */
  OwedBundles bundles;
  std::vector<uint64_t> moved; /* by bundle */

  /* A block can give away what it has, and what it is given. The amounts fall, and settle at what is least on some way: in as many rounds as there are blocks, if not before. */
  void restrict() {
    for (bool changed = true; changed;) {
      changed = false;
      for (const MachineBasicBlock *block : post_order(&function)) {
        const LeadingMarks &own = leading[block->getNumber()];
        uint64_t most = own.cost + (own.isAll ? moved[bundles.outOf(*block)] : 0);
        if (moved[bundles.into(*block)] <= most) continue;
        moved[bundles.into(*block)] = most;
        changed = true;
      }
    }
  }

  static MachineOperand &cost(MachineInstr &inst) { return inst.getOperand(InlineAsm::MIOp_FirstOperand + 1); }

  static void takeFrom(MachineBasicBlock &block, uint64_t amount) {
    for (MachineInstr &inst : make_early_inc_range(block)) {
      uint64_t part = std::min(amount, markedCost(inst));
      if (part == 0) continue;
      if (part == markedCost(inst)) inst.eraseFromParent();
      else cost(inst).setImm((int64_t)(markedCost(inst) - part));
      if ((amount -= part) == 0) return;
    }
  }

  /* To the last mark, if nothing that may fault comes after it. */
  void putInto(MachineBasicBlock &block, uint64_t amount) const {
    for (MachineInstr &inst : reverse(block)) {
      if (isBarrier(inst) || mayFault(inst)) break;
      if (!isMark(inst)) continue;
      cost(inst).setImm((int64_t)(markedCost(inst) + amount));
      return;
    }
    MachineInstr *added = function.CloneMachineInstr(like);
    added->setDebugLoc(block.findBranchDebugLoc());
    cost(*added).setImm((int64_t)amount);
    block.insert(block.getFirstTerminator(), added);
  }
};

} // namespace

bool advanceCharges(MachineFunction &function, ArrayRef<OwedAround> owed, const MachineInstr &mark) { return Advancer(function, owed, mark).advance(); }
