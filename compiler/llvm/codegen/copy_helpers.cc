/*
 * copy_helpers.cc - inlines helpers of the prelude that have no branches, by copying their instructions.
 *
 * LLVM's inliner comes to the same code, by way of everything that a function may have: blocks, allocas, exceptions, a profile. There is a call for nearly every operator of wasm, and most helpers are of one to four
 * instructions. Those with branches, and those that helpers copied here call, are left to it.
 */
#include "passes.h"

#include "llvm/Analysis/InstructionSimplify.h"
#include "llvm/IR/Module.h"

using namespace llvm;

/* Whether a function is a helper that can be copied. */
static bool isStraight(const Function &function) {
  if (function.size() != 1 || !function.hasFnAttribute(Attribute::AlwaysInline) || !isa<ReturnInst>(function.front().back())) return false;
  return none_of(function.front(), [](const Instruction &inst) { return isa<AllocaInst>(inst); });
}

/* Puts the helper's instructions in the place of a call. What is constant or known there is folded; the rest has the call's location, for the prelude has none. */
static void copyTo(CallInst *call, const Function &helper, const SimplifyQuery &query) {
  SmallDenseMap<const Value *, Value *, 16> copies;
  for (auto [param, operand] : zip_equal(helper.args(), call->args())) copies[&param] = operand;
  auto here = [&copies](Value *value) {
    auto found = copies.find(value);
    return found == copies.end() ? value : found->second;
  };
  for (const Instruction &inst : helper.front()) {
    if (auto *end = dyn_cast<ReturnInst>(&inst)) {
      if (end->getReturnValue()) call->replaceAllUsesWith(here(end->getReturnValue()));
      call->eraseFromParent();
      return;
    }
    Instruction *copy = inst.clone();
    for (Use &operand : copy->operands()) operand = here(operand);
    copy->insertBefore(call->getIterator());
    copy->setDebugLoc(call->getDebugLoc());
    Value *known = isa<CallInst>(copy) ? nullptr : simplifyInstruction(copy, query.getWithInstruction(copy));
    copies[&inst] = known ? known : copy;
    if (known && !copy->mayHaveSideEffects()) copy->eraseFromParent();
  }
}

PreservedAnalyses CopyHelpersPass::run(Module &module, ModuleAnalysisManager &) {
  const SimplifyQuery query(module.getDataLayout());
  for (Function &helper : module) {
    if (helper.isDeclaration() || !isStraight(helper)) continue;
    for (User *user : make_early_inc_range(helper.users())) {
      auto *call = dyn_cast<CallInst>(user);
      if (call && call->getCalledOperand() == &helper && call->getFunctionType() == helper.getFunctionType()) copyTo(call, helper, query);
    }
  }
  return PreservedAnalyses::none();
}
