/* passes.h - the passes of our own, and what they share. C++: LLVM's pass interface has no C face. */
#ifndef WAOT_PASSES_H
#define WAOT_PASSES_H

#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/PassManager.h"

/* The amount of a charge with a constant cost (the prelude's waot.charge, inlined), or NULL when the call is anything else. */
const llvm::ConstantInt *constantCharge(const llvm::CallInst *call);
/* The amount of a charge of either form, constant or not, or NULL when the call is anything else. */
const llvm::Value *chargeAmount(const llvm::CallInst *call);
/* Whether the call reads the fuel register, and emitting one, for the architecture of a charge. */
bool isFuelRead(const llvm::CallInst *call);
llvm::Value *emitFuelRead(llvm::IRBuilder<> &builder, const llvm::CallInst *charge);
/* Whether the text of an asm is that of a charge with a constant cost, its only operand. */
bool isChargeText(llvm::StringRef text);
/* The largest amount that a charge shaped like this one can add as a constant. */
uint64_t maxCharge(const llvm::CallInst *charge);
/* Emits a charge of an amount, shaped like an existing one of the same function. `most`: the amount is no more than that. */
void emitCharge(llvm::IRBuilder<> &builder, llvm::Value *amount, const llvm::CallInst *like, uint64_t most);
/* Whether a charge is so small that check_charges.cc need not look at it: it takes minutes of nothing else to add 2^63. */
bool isSmallCharge(const llvm::CallInst *charge);
/* Puts an intrinsic in a charge's place, and the charge back in the place of such an intrinsic; false when the call is anything else. See hide_charges.cc. */
void hideCharge(llvm::CallInst *charge);
bool showCharge(llvm::CallInst *hidden);
bool isHiddenCharge(const llvm::CallInst *call);
/* The cost of a hidden charge, NULL if it is no constant or the call anything else; and another cost for it. */
const llvm::ConstantInt *hiddenCost(const llvm::CallInst *call);
void setHiddenCost(llvm::CallInst *hidden, uint64_t cost);
/* Emits `number * factor`, by a power of two as a shift: where LLVM 22's vectoriser has to make a shift of a multiplication, it does so for all lanes at once, and takes each out again for its address. */
llvm::Value *emitMultiple(llvm::IRBuilder<> &builder, llvm::Value *number, llvm::Value *factor, bool nuw, bool nsw);

/* See copy_helpers.cc. Runs before LLVM's pass that inlines what it leaves. */
struct CopyHelpersPass : llvm::PassInfoMixin<CopyHelpersPass> {
  llvm::PreservedAnalyses run(llvm::Module &module, llvm::ModuleAnalysisManager &analyses);
};

/* See version_loops.cc. Needs loop-simplify and LCSSA form. */
struct VersionLoopsPass : llvm::PassInfoMixin<VersionLoopsPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See reroll_loops.cc. Needs loop-simplify and LCSSA form. */
struct RerollLoopsPass : llvm::PassInfoMixin<RerollLoopsPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See merge_charges.cc. */
struct MergeChargesPass : llvm::PassInfoMixin<MergeChargesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See exact_locations.cc. The first runs before all other passes, the second when helpers and functions have been inlined and before what merges, the third after all others. */
struct KeepCallsApartPass : llvm::PassInfoMixin<KeepCallsApartPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};
struct KeepAccessesApartPass : llvm::PassInfoMixin<KeepAccessesApartPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};
struct LocateFaultsPass : llvm::PassInfoMixin<LocateFaultsPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See keep_frames.cc. Runs wherever functions have been inlined, before what looks for tail calls. */
struct KeepFramesPass : llvm::PassInfoMixin<KeepFramesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See repeat_dispatch.cc. */
struct RepeatDispatchPass : llvm::PassInfoMixin<RepeatDispatchPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See split_addresses.cc. Needs loop-simplify form. */
struct SplitAddressesPass : llvm::PassInfoMixin<SplitAddressesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See sink_charges.cc. Runs before SimplifyCFG, while charges are hidden. */
struct SinkChargesPass : llvm::PassInfoMixin<SinkChargesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See unroll_charged.cc. Runs before what hides charges. */
struct UnrollChargedPass : llvm::PassInfoMixin<UnrollChargedPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See hide_charges.cc. Between one that hides charges and one that shows them no pass may run that drops llvm.sideeffect: LLVM's vectorisers do. */
struct HideChargesPass : llvm::PassInfoMixin<HideChargesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};
struct ShowChargesPass : llvm::PassInfoMixin<ShowChargesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};
/* The same, of those in loops only. What was in a loop may be outside when it has been unrolled. */
struct HideLoopChargesPass : llvm::PassInfoMixin<HideLoopChargesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};
struct ShowLoopChargesPass : llvm::PassInfoMixin<ShowLoopChargesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

/* See check_charges.cc. The last that changes charges. */
struct CheckChargesPass : llvm::PassInfoMixin<CheckChargesPass> {
  llvm::PreservedAnalyses run(llvm::Function &function, llvm::FunctionAnalysisManager &analyses);
};

#endif
