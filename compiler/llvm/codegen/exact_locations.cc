/*
 * exact_locations.cc - what a backtrace needs, which is that an instruction where execution can stop has the location of the operator that stopped it.
 *
 * LLVM keeps locations for people who step through a program. Three of its habits are wrong for us:
 *
 * 1. Equal calls on several ways are merged into one, whose location is then that of none of them: every `unreachable` of a function would be the same one. `nomerge` says no.
 * 2. So are accesses of memory at the ends or beginnings of several ways. SimplifyCFG merges none of which the memory model's annotations (`!mmra`) differ, so each gets its own, until the last pass takes it
 *    away; no target gives ours a meaning. InstCombine does not look at them where a phi is of loads, or of the same computation with loads: there a `freeze`, which means nothing for a value
 *    from memory, stands behind each load until the end, annotated as well. The code generator's passes heed a flag of the machine instruction.
 * 3. When instructions are selected and combined, locations get lost, or are those of something else: on x86 an instruction that computes with a loaded value takes its operand from memory, at the place of the
 *    computation. What an access keeps through all that is what alias analysis knows of it. So in the end each gets an alias scope of its own, which says nothing, since nothing is said to be outside of
 *    it; by that the machine instruction finds the location again.
 *
 * None changes what is computed; the first two cost a few bytes of code.
 */
#include "exact_locations.h"
#include "passes.h"

#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineMemOperand.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
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

/* Whether an instruction accesses linear memory in a way that may fault: these alone are volatile and not aligned (compiler/llvm/prelude.ts). */
static bool mayFault(const Instruction &instruction) {
  if (auto *load = dyn_cast<LoadInst>(&instruction)) return load->isVolatile() && load->getAlign() == Align(1);
  if (auto *store = dyn_cast<StoreInst>(&instruction)) return store->isVolatile() && store->getAlign() == Align(1);
  return false;
}

/* Whether it is a `freeze` of what such an access has loaded. */
static bool isOfFaultingLoad(const Instruction &instruction) {
  auto *load = isa<FreezeInst>(instruction) ? dyn_cast<LoadInst>(instruction.getOperand(0)) : nullptr;
  return load && mayFault(*load);
}

static void annotate(Instruction &access, unsigned number) {
  LLVMContext &context = access.getContext();
  access.setMetadata(LLVMContext::MD_mmra, MDTuple::get(context, {MDString::get(context, "waot"), MDString::get(context, std::to_string(number))}));
}

/* Freezes the loads in a block that InstCombine could merge with those of other blocks, if it merged what they are operands of. */
static void freezeLoads(Value *value, const BasicBlock *block, unsigned depth = 0) {
  constexpr unsigned DEEPEST = 4;
  auto *instruction = dyn_cast<Instruction>(value);
  if (!instruction || !instruction->hasOneUse() || depth == DEEPEST) return;
  if (isa<LoadInst>(instruction)) {
    if (instruction->getParent() != block || !mayFault(*instruction)) return;
    auto *frozen = new FreezeInst(instruction, "", std::next(instruction->getIterator()));
    frozen->setDebugLoc(instruction->getDebugLoc());
    instruction->replaceUsesWithIf(frozen, [=](const Use &use) { return use.getUser() != frozen; });
  } else if (isa<CastInst>(instruction) || isa<BinaryOperator>(instruction) || isa<CmpInst>(instruction)) {
    for (Value *operand : instruction->operands()) freezeLoads(operand, block, depth + 1);
  }
}

/* Whether InstCombine may make one computation behind a phi of those before it. */
static bool isOfOneKind(const PHINode &phi) {
  auto *first = dyn_cast<Instruction>(phi.getIncomingValue(0));
  return first && phi.getNumIncomingValues() > 1 && all_of(phi.incoming_values(), [=](const Use &use) {
    auto *value = dyn_cast<Instruction>(use.get());
    return value && value->getOpcode() == first->getOpcode();
  });
}

PreservedAnalyses KeepAccessesApartPass::run(Function &function, FunctionAnalysisManager &) {
  if (!hasLocations(*function.getParent())) return PreservedAnalyses::all();
  for (BasicBlock &block : function) {
    for (PHINode &phi : block.phis())
      if (isOfOneKind(phi))
        for (unsigned i = 0; i < phi.getNumIncomingValues(); i++) freezeLoads(phi.getIncomingValue(i), phi.getIncomingBlock(i));
    if (auto *end = dyn_cast<ReturnInst>(block.getTerminator()); end && end->getReturnValue()) freezeLoads(end->getReturnValue(), &block); /* SimplifyCFG makes one `ret` of several, of a phi */
  }
  unsigned number = 0;
  for (BasicBlock &block : function)
    for (Instruction &instruction : block)
      if (mayFault(instruction) || isOfFaultingLoad(instruction)) annotate(instruction, number++);
  if (number == 0) return PreservedAnalyses::all();
  PreservedAnalyses kept;
  kept.preserveSet<CFGAnalyses>();
  return kept;
}

/* Takes away what has kept an access apart. */
static void release(Instruction &access) {
  access.setMetadata(LLVMContext::MD_mmra, nullptr);
  if (!isa<LoadInst>(access)) return;
  for (User *user : make_early_inc_range(access.users()))
    if (auto *frozen = dyn_cast<FreezeInst>(user)) {
      frozen->replaceAllUsesWith(&access);
      frozen->eraseFromParent();
    }
}

/* Gives an access an alias scope of its own: the same for those of one number in different functions. */
static void setScope(Instruction &access, unsigned number) {
  LLVMContext &context = access.getContext();
  auto name = [&](StringRef text) { return MDString::get(context, text); };
  auto *scope = MDTuple::get(context, {name(std::to_string(number)), MDTuple::get(context, {name("waot")})});
  access.setMetadata(LLVMContext::MD_alias_scope, MDTuple::get(context, {scope}));
}

PreservedAnalyses LocateFaultsPass::run(Function &function, FunctionAnalysisManager &) {
  if (!hasLocations(*function.getParent())) return PreservedAnalyses::all();
  SmallVector<Instruction *, 0> accesses;
  for (BasicBlock &block : function)
    for (Instruction &instruction : block)
      if (mayFault(instruction)) accesses.push_back(&instruction);
  unsigned number = 0;
  for (Instruction *access : accesses) release(*access), setScope(*access, number++);
  return PreservedAnalyses::all();
}

namespace {

/* Over machine code, when no instruction will be combined any more, and before any are merged. */
struct LocateMachineFaultsPass : MachineFunctionPass {
  static char ID;
  LocateMachineFaultsPass() : MachineFunctionPass(ID) {}

  bool runOnMachineFunction(MachineFunction &machineFunction) override {
    const Function &function = machineFunction.getFunction();
    if (!function.getSubprogram()) return false;
    DenseMap<const MDNode *, DebugLoc> locations;
    for (const BasicBlock &block : function)
      for (const Instruction &instruction : block)
        if (mayFault(instruction)) locations[instruction.getMetadata(LLVMContext::MD_alias_scope)] = instruction.getDebugLoc();
    for (MachineBasicBlock &block : machineFunction)
      for (MachineInstr &inst : block)
        if (const MDNode *scope = scopeOf(inst)) {
          inst.setFlag(MachineInstr::NoMerge);
          if (const DebugLoc location = locations.lookup(scope)) inst.setDebugLoc(location);
        }
    return false;
  }

private:
  /* The scope of the access that faults, if one does: of a load and a store at the same address the load. */
  static const MDNode *scopeOf(const MachineInstr &inst) {
    const MDNode *scope = nullptr;
    for (const MachineMemOperand *access : inst.memoperands())
      if (access->isVolatile() && (!scope || access->isLoad())) scope = access->getAAInfo().Scope;
    return scope;
  }
};
char LocateMachineFaultsPass::ID = 0;

} // namespace

void insertExactLocationPasses(TargetPassConfig &config) { config.insertPass(&FixupStatepointCallerSavedID, new LocateMachineFaultsPass()); }
