/*
 * exact_locations.cc - what a backtrace needs, which is that an instruction where execution can stop has the location of the operator that stopped it.
 *
 * LLVM keeps locations for people who step through a program. Two of its habits are wrong for us:
 *
 * 1. Equal calls on several ways are merged into one, whose location is then that of none of them: every `unreachable` of a function would be the same one. `nomerge` says no.
 * 2. On x86 an instruction that computes with a loaded value takes its operand from memory, and its location is the computation's, not the load's. If the load is out of bounds, that
 *    is the instruction which faults. The computation itself can neither trap nor call, so it takes the load's location. The same for the store that such a computation ends in,
 *    at the same address: it cannot fault when the load has not.
 *
 * Neither changes what is computed; the first costs a few bytes of code.
 */
#include "passes.h"

#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"

using namespace llvm;

static bool hasLocations(const Module &module) { return module.getNamedMetadata("llvm.dbg.cu") != nullptr; }

/* A call where execution can stop: of compiled code, of the host, of a trap. Charges and what else is inline assembly or an intrinsic cannot. */
static bool canStop(const CallBase &call) {
  if (call.isInlineAsm()) return false;
  const auto *intrinsic = dyn_cast<IntrinsicInst>(&call);
  return !intrinsic || intrinsic->getIntrinsicID() == Intrinsic::ubsantrap;
}

PreservedAnalyses KeepCallsApartPass::run(Function &function, FunctionAnalysisManager &) {
  if (!hasLocations(*function.getParent())) return PreservedAnalyses::all();
  for (BasicBlock &block : function)
    for (Instruction &instruction : block)
      if (auto *call = dyn_cast<CallBase>(&instruction); call && canStop(*call)) call->addFnAttr(Attribute::NoMerge);
  return PreservedAnalyses::all();
}

/* Whether the code generator may make one instruction of this and the load of its operand. */
static bool takesOperandFromMemory(const Instruction &user) {
  if (isa<IntrinsicInst>(user)) return true;
  return !isa<CallBase>(user) && !isa<LoadInst>(user) && !isa<StoreInst>(user) && !isa<PHINode>(user) && !user.isTerminator();
}

/* Moves the location of a load to what may become one instruction with it. */
static void spreadLocation(LoadInst &load) {
  const DebugLoc &location = load.getDebugLoc();
  bool computed = false; /* of computations the first can take the load in; conversions on the way are part of it */
  for (Instruction *value = &load; value->hasOneUse();) {
    auto *user = cast<Instruction>(value->user_back());
    if (user->getParent() != load.getParent()) return;
    if (auto *store = dyn_cast<StoreInst>(user)) {
      if (store->getValueOperand() == value && store->getPointerOperand() == load.getPointerOperand()) store->setDebugLoc(location);
      return;
    }
    if (!takesOperandFromMemory(*user) || (computed && !isa<CastInst>(user))) return;
    computed |= !isa<CastInst>(user);
    user->setDebugLoc(location);
    value = user;
  }
}

PreservedAnalyses LocateFaultsPass::run(Function &function, FunctionAnalysisManager &) {
  if (!hasLocations(*function.getParent())) return PreservedAnalyses::all();
  for (BasicBlock &block : function)
    for (Instruction &instruction : block)
      if (auto *load = dyn_cast<LoadInst>(&instruction); load && load->isVolatile() && load->getDebugLoc()) spreadLocation(*load);
  return PreservedAnalyses::all();
}
