/*
 * optimise.cc - the pass pipeline: LLVM's default for the level, with our own passes at the vectoriser's start and at the end.
 */
#include "optimise.h"
#include "passes.h"

#include "llvm-c/TargetMachine.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/CBindingWrapping.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Scalar/EarlyCSE.h"
#include "llvm/Transforms/Scalar/LICM.h"
#include "llvm/Transforms/Scalar/LoopPassManager.h"
#include "llvm/Transforms/Scalar/SimplifyCFG.h"
#include "llvm/Transforms/Utils/LCSSA.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"

using namespace llvm;

/* The charge's asm as the prelude spells it (compiler/llvm/prelude.ts), the same with the amount in a register, reading the fuel, and the largest amount that the first can add.
 * One row an architecture. */
static const struct ChargeAsm {
  StringRef text, constraints, registerText, registerConstraints, readText;
  uint64_t maxImmediate;
} CHARGES[] = {
    {"leaq ${0:c}(%rbp), %rbp", "i", "leaq (%rbp,$0), %rbp", "r", "movq %rbp, $0", (UINT64_C(1) << 31) - 1},
    {".if ${0:c} & 0xfff\nadd x28, x28, #(${0:c} & 0xfff)\n.endif\n.if ${0:c} >> 12\nadd x28, x28, #(${0:c} >> 12), lsl #12\n.endif", "i", "add x28, x28, $0", "r", "mov $0, x28",
     (UINT64_C(1) << 24) - 1},
};

static bool isAsm(const CallInst *call, StringRef text, StringRef constraints) {
  auto *assembly = dyn_cast<InlineAsm>(call->getCalledOperand());
  return assembly && assembly->getAsmString() == text && assembly->getConstraintString() == constraints;
}

/* The row of a charge, of either form; NULL for any other call. */
static const ChargeAsm *chargeAsm(const CallInst *call) {
  for (const ChargeAsm &row : CHARGES)
    if (isAsm(call, row.text, row.constraints) || isAsm(call, row.registerText, row.registerConstraints)) return &row;
  return nullptr;
}

bool isChargeText(StringRef text) {
  return any_of(CHARGES, [text](const ChargeAsm &row) { return row.text == text; });
}

const Value *chargeAmount(const CallInst *call) { return chargeAsm(call) ? call->getArgOperand(0) : nullptr; }

const ConstantInt *constantCharge(const CallInst *call) {
  const ChargeAsm *row = chargeAsm(call);
  return row && isAsm(call, row->text, row->constraints) ? dyn_cast<ConstantInt>(call->getArgOperand(0)) : nullptr;
}

bool isFuelRead(const CallInst *call) {
  return any_of(CHARGES, [&](const ChargeAsm &row) { return isAsm(call, row.readText, "=r"); });
}

Value *emitFuelRead(IRBuilder<> &builder, const CallInst *charge) {
  auto *type = FunctionType::get(builder.getInt64Ty(), false);
  CallInst *read = builder.CreateCall(type, InlineAsm::get(type, chargeAsm(charge)->readText, "=r", true), {}, "fuel");
  read->setAttributes(charge->getAttributes().removeParamAttributes(builder.getContext(), 0));
  return read;
}

uint64_t maxCharge(const CallInst *charge) { return chargeAsm(charge)->maxImmediate; }

void emitCharge(IRBuilder<> &builder, Value *amount, const CallInst *like) {
  const ChargeAsm *row = chargeAsm(like);
  auto *constant = dyn_cast<ConstantInt>(amount);
  bool immediate = constant && constant->getValue().ule(row->maxImmediate);
  auto *assembly = InlineAsm::get(like->getFunctionType(), immediate ? row->text : row->registerText, immediate ? row->constraints : row->registerConstraints, true);
  builder.CreateCall(like->getFunctionType(), assembly, {amount})->setAttributes(like->getAttributes());
}

/* What the plain copies of loops give to do before the vectoriser looks at them: loads and stores that no longer have to stay where they were. */
static void addMetering(FunctionPassManager &passes, OptimizationLevel level) {
  if (level.getSpeedupLevel() < 2) return;
  passes.addPass(LoopSimplifyPass());
  passes.addPass(LCSSAPass());
  passes.addPass(VersionLoopsPass());
  passes.addPass(EarlyCSEPass(true));
  passes.addPass(SimplifyCFGPass()); /* arms of branches that held nothing but a charge */
  passes.addPass(createFunctionToLoopPassAdaptor(LICMPass(LICMOptions()), true));
  passes.addPass(RerollLoopsPass());
}

void codegen_optimise(LLVMModuleRef moduleRef, LLVMTargetMachineRef machineRef, int level) {
  static const OptimizationLevel levels[] = {OptimizationLevel::O0, OptimizationLevel::O1, OptimizationLevel::O2, OptimizationLevel::O3};
  Module &module = *unwrap(moduleRef);
  auto *machine = reinterpret_cast<TargetMachine *>(machineRef);
  PipelineTuningOptions tuning;
  tuning.LoopVectorization = tuning.SLPVectorization = level >= 2; /* as clang; LLVM's own default for SLP is off */
  PassBuilder builder(machine, tuning);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager callGraph;
  ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  builder.registerVectorizerStartEPCallback(addMetering);
  builder.registerPipelineStartEPCallback([](ModulePassManager &passes, OptimizationLevel) { passes.addPass(createModuleToFunctionPassAdaptor(KeepCallsApartPass())); });
  builder.registerOptimizerLastEPCallback([](ModulePassManager &passes, OptimizationLevel reached, ThinOrFullLTOPhase) {
    if (reached != OptimizationLevel::O0) passes.addPass(createModuleToFunctionPassAdaptor(MergeChargesPass()));
    passes.addPass(createModuleToFunctionPassAdaptor(LocateFaultsPass()));
    passes.addPass(createModuleToFunctionPassAdaptor(CheckChargesPass()));
  });
  ModulePassManager passes = level == 0 ? builder.buildO0DefaultPipeline(levels[0]) : builder.buildPerModuleDefaultPipeline(levels[level]);
  passes.run(module, modules);
}
