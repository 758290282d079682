/*
 * optimise.cc - the pass pipelines of the levels, each in the words of LLVM's opt, and ours.
 */
#include "optimise.h"
#include "passes.h"

#include "llvm-c/TargetMachine.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Passes/StandardInstrumentations.h"
#include "llvm/Support/CBindingWrapping.h"
#include "llvm/Support/TimeProfiler.h"
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

/* The asm of a charge, in the form that an amount needs. */
static InlineAsm *assemblyFor(const ChargeAsm &row, const Value *amount, FunctionType *type) {
  auto *constant = dyn_cast<ConstantInt>(amount);
  bool immediate = constant && constant->getValue().ule(row.maxImmediate);
  return InlineAsm::get(type, immediate ? row.text : row.registerText, immediate ? row.constraints : row.registerConstraints, true);
}

/* 2^39 charges of this size, more than two minutes of additions alone, take the register from zero round to the negative numbers. */
static constexpr uint64_t MAX_UNCHECKED = UINT64_C(1) << 24;
/* On a charge whose amount is known to be no more than that, where LLVM does not see it. */
static constexpr StringRef SMALL = "waot-small";

void emitCharge(IRBuilder<> &builder, Value *amount, const CallInst *like, uint64_t most) {
  FunctionType *type = like->getFunctionType();
  CallInst *charge = builder.CreateCall(type, assemblyFor(*chargeAsm(like), amount, type), {amount});
  charge->setAttributes(like->getAttributes());
  if (most <= MAX_UNCHECKED) charge->addFnAttr(Attribute::get(charge->getContext(), SMALL));
}

bool isSmallCharge(const CallInst *charge) {
  return charge->getAttributes().hasFnAttr(SMALL) || computeKnownBits(charge->getArgOperand(0), charge->getDataLayout()).getMaxValue().ule(MAX_UNCHECKED);
}

/* The bundle of a hidden charge: its amount. */
static constexpr StringRef HIDDEN = "waot.charge";

void hideCharge(CallInst *charge) {
  IRBuilder<> builder(charge);
  OperandBundleDef amount(HIDDEN.str(), charge->getArgOperand(0));
  CallInst *hidden = builder.CreateCall(Intrinsic::getOrInsertDeclaration(charge->getModule(), Intrinsic::sideeffect), {}, {amount});
  hidden->setAttributes(charge->getAttributes());
  charge->eraseFromParent();
}

bool isHiddenCharge(const CallInst *call) { return call->getOperandBundle(HIDDEN).has_value(); }

const ConstantInt *hiddenCost(const CallInst *call) {
  std::optional<OperandBundleUse> amount = call->getOperandBundle(HIDDEN);
  return amount ? dyn_cast<ConstantInt>(amount->Inputs[0]) : nullptr;
}

void setHiddenCost(CallInst *hidden, uint64_t cost) {
  const unsigned at = hidden->getBundleOperandsStartIndex();
  hidden->setOperand(at, ConstantInt::get(hidden->getOperand(at)->getType(), cost));
}

bool showCharge(CallInst *hidden) {
  std::optional<OperandBundleUse> amount = hidden->getOperandBundle(HIDDEN);
  if (!amount) return false;
  Value *cost = amount->Inputs[0];
  const ChargeAsm &row = CHARGES[hidden->getModule()->getTargetTriple().isX86() ? 0 : 1];
  IRBuilder<> builder(hidden);
  auto *type = FunctionType::get(builder.getVoidTy(), {cost->getType()}, false);
  builder.CreateCall(type, assemblyFor(row, cost, type), {cost})->setAttributes(hidden->getAttributes());
  hidden->eraseFromParent();
  return true;
}

/* What the plain copies of loops give to do before the vectoriser looks at them: loads and stores that no longer have to stay where they were. */
static void addMetering(FunctionPassManager &passes) {
  passes.addPass(LoopSimplifyPass());
  passes.addPass(LCSSAPass());
  passes.addPass(VersionLoopsPass());
  passes.addPass(EarlyCSEPass(true));
  passes.addPass(SimplifyCFGPass()); /* arms of branches that held nothing but a charge */
  passes.addPass(createFunctionToLoopPassAdaptor(LICMPass(LICMOptions()), true));
  passes.addPass(RerollLoopsPass());
}

#define INSTCOMBINE "instcombine<max-iterations=1;no-verify-fixpoint>"
#define SIMPLIFYCFG "simplifycfg<switch-range-to-icmp>"

/*
 * -O2: what LLVM's pipeline of that name does, without the passes that change nothing that was to be measured, and with fewer repetitions: a fifth less of the passes' time, for the same instructions within 2 % on
 * every kernel of the benchmark, 0.01 % fewer in the mean. What looks superfluous and isn't: instcombine before the helpers are inlined (what comes later has less to do), the second early-cse (what helpers bring),
 * jump threading behind GVN (lz), combining again when loops have been unrolled (crc32), deadargelim (fib). The SLP vectoriser comes when loops have been unrolled, in which it finds more (jacobi-2d: 0.84 of the instructions,
 * atax: 0.91; the passes take a twentieth longer), and must gain more than LLVM asks of it (setup.c).
 * Three are added. sink: what is computed for the check before a loop stands where its operands are known, in the loop around, and would be computed in each turn of that, whether the inner loop is reached or not (a fifth
 * of sieve's instructions). split-addresses: a quarter of life's. unroll-charged: 4 % of coremix's.
 */
#define PIPELINE(EARLY, BEFORE_UNROLLING, UNROLLING) \
    "function<eager-inv>(" SIMPLIFYCFG ",sroa<modify-cfg>,early-cse" EARLY "),ipsccp,globalopt,function<eager-inv>(" INSTCOMBINE "," SIMPLIFYCFG "),function(hide-charges),copy-helpers,always-inline," \
    "cgscc(inline,function-attrs<skip-non-recursive-function-attrs>,function<eager-inv>(keep-frames,keep-accesses-apart," \
    "sroa<modify-cfg>,early-cse<memssa>,sink-charges," SIMPLIFYCFG "," INSTCOMBINE ",tailcallelim,reassociate," \
    "loop-mssa(loop-instsimplify,loop-simplifycfg,licm<no-allowspeculation>,loop-rotate,licm,simple-loop-unswitch<trivial>)," \
    "show-loop-charges,loop(loop-idiom,indvars,extra-simple-loop-unswitch-passes,loop-deletion,loop-unroll-full),gvn," INSTCOMBINE ",hide-loop-charges,jump-threading,correlated-propagation,adce,dse,loop-mssa(licm)," \
    "simplifycfg<switch-range-to-icmp;switch-to-arithmetic;hoist-common-insts;sink-common-insts>),function-attrs)," \
    "deadargelim,globalopt,globaldce,rpo-function-attrs," \
    "function<eager-inv>(show-charges,float2int,meter-loops," \
    "loop-vectorize," INSTCOMBINE ",simplifycfg<forward-switch-cond;switch-range-to-icmp;switch-to-arithmetic;switch-to-lookup;no-keep-loops;hoist-common-insts;sink-common-insts>," \
    BEFORE_UNROLLING "unroll-charged,hide-loop-charges,loop-unroll<" UNROLLING ">,show-charges,slp-vectorizer,vector-combine," INSTCOMBINE ",loop-simplify,split-addresses,loop-mssa(licm),loop-sink,instsimplify,div-rem-pairs,sink," \
    "simplifycfg<switch-range-to-icmp;switch-to-arithmetic;hoist-loads-stores-with-cond-faulting;speculate-unpredictables>),globaldce"
static const char STANDARD[] = PIPELINE("", "", "O2");
/*
 * -O3: of what LLVM's pipeline of that name has beyond this, what gained anything: more unrolling (0.98 of the instructions of eight kernels), the SLP vectoriser before it as well (nbody: 0.85), calls with constants of one branch
 * apart (coremix: 0.99). Left out are argument promotion, with which transpose no longer vectorises (1.8), and loops unswitched on what is not trivial: coremix 0.93, but es-module-lexer 1.05 and sqlite 1.015.
 */
static const char THOROUGH[] = PIPELINE(",callsite-splitting", "slp-vectorizer,vector-combine," INSTCOMBINE ",", "O3");
/*
 * The short pipeline: -O1. Wasm has been through an optimiser already, so what remains to be done is what the lowering itself leaves: helpers to inline, locals to make values, addresses to
 * share and to lift out of loops. Left out is what gained little on programs from npm, above all inlining between wasm functions, and what follows from it.
 */
static const char SHORT[] =
    "copy-helpers,always-inline,function<eager-inv>(sroa<modify-cfg>,keep-accesses-apart,early-cse<memssa>,simplifycfg," INSTCOMBINE ","
    "loop-mssa(loop-rotate<no-header-duplication>,licm<no-allowspeculation>),simplifycfg,loop(indvars),early-cse<memssa>,meter-loops,loop-vectorize," INSTCOMBINE ",simplifycfg)";
/* For large functions: without the vectoriser, and without instcombine, whose time grows with the square of the number of branches. */
static const char LARGE[] = "copy-helpers,always-inline,function<eager-inv>(sroa<modify-cfg>,early-cse<memssa>,simplifycfg,instsimplify,loop-mssa(licm<no-allowspeculation>))";
/* For functions of any size: helpers inlined, locals made values. */
static const char PLAIN[] = "copy-helpers,always-inline,function(sroa,early-cse)";
/* -O0: helpers inlined. */
static const char NONE[] = "copy-helpers,always-inline,function(keep-frames,keep-accesses-apart)";

/* What every pipeline ends with. */
static void addLast(ModulePassManager &passes, bool merge) {
  if (merge) passes.addPass(createModuleToFunctionPassAdaptor(MergeChargesPass()));
  if (merge) passes.addPass(createModuleToFunctionPassAdaptor(RepeatDispatchPass()));
  passes.addPass(createModuleToFunctionPassAdaptor(LocateFaultsPass()));
  passes.addPass(createModuleToFunctionPassAdaptor(CheckChargesPass()));
}

/* What every pipeline begins with. */
static void addFirst(ModulePassManager &passes) { passes.addPass(createModuleToFunctionPassAdaptor(KeepCallsApartPass())); }

/* Add what has a name of ours in the pipelines above. */
static bool addNamedModulePass(StringRef name, ModulePassManager &passes) {
  if (name == "copy-helpers") passes.addPass(CopyHelpersPass());
  else return false;
  return true;
}

static bool addNamed(StringRef name, FunctionPassManager &passes) {
  if (name == "keep-frames") passes.addPass(KeepFramesPass());
  else if (name == "keep-accesses-apart") passes.addPass(KeepAccessesApartPass());
  else if (name == "split-addresses") passes.addPass(SplitAddressesPass());
  else if (name == "sink-charges") passes.addPass(SinkChargesPass());
  else if (name == "unroll-charged") passes.addPass(UnrollChargedPass());
  else if (name == "hide-charges") passes.addPass(HideChargesPass());
  else if (name == "hide-loop-charges") passes.addPass(HideLoopChargesPass());
  else if (name == "show-loop-charges") passes.addPass(ShowLoopChargesPass());
  else if (name == "show-charges") passes.addPass(ShowChargesPass());
  else if (name == "meter-loops") addMetering(passes);
  else return false;
  return true;
}

static ModulePassManager textPipeline(PassBuilder &builder, StringRef text, bool merge) {
  ModulePassManager passes;
  addFirst(passes);
  cantFail(builder.parsePassPipeline(passes, text));
  addLast(passes, merge);
  return passes;
}

static ModulePassManager pipeline(PassBuilder &builder, int level, codegen_effort effort) {
  if (level == 0) return textPipeline(builder, NONE, false);
  if (effort == CODEGEN_PLAIN) return textPipeline(builder, PLAIN, false);
  if (effort == CODEGEN_LEAN) return textPipeline(builder, LARGE, true);
  if (level == 1) return textPipeline(builder, SHORT, true);
  return textPipeline(builder, level == 2 ? STANDARD : THOROUGH, true);
}

void codegen_optimise(LLVMModuleRef moduleRef, LLVMTargetMachineRef machineRef, int level, codegen_effort effort) {
  Module &module = *unwrap(moduleRef);
  auto *machine = reinterpret_cast<TargetMachine *>(machineRef);
  PassInstrumentationCallbacks callbacks;
  TimeProfilingPassesHandler profiler;
  if (timeTraceProfilerEnabled()) profiler.registerCallbacks(callbacks);
  PassBuilder builder(machine, PipelineTuningOptions(), std::nullopt, &callbacks);
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager callGraph;
  ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  builder.registerPipelineParsingCallback([](StringRef name, ModulePassManager &passes, ArrayRef<PassBuilder::PipelineElement>) { return addNamedModulePass(name, passes); });
  builder.registerPipelineParsingCallback([](StringRef name, FunctionPassManager &passes, ArrayRef<PassBuilder::PipelineElement>) { return addNamed(name, passes); });
  ModulePassManager passes = pipeline(builder, level, effort);
  passes.run(module, modules);
}
