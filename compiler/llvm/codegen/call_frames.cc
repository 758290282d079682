/*
 * call_frames.cc - unwind rules for calls whose callee pops its arguments.
 *
 * In the tail-calling convention the callee pops its arguments, and the caller takes the stack pointer down again by as much right behind the call. LLVM 22 says nothing of that in the unwind
 * table (X86FrameLowering and AArch64FrameLowering, eliminateCallFramePseudoInstr, with a reserved call frame): at the instruction behind the call an unwinder is off by the
 * arguments, and where the adjustment has been merged into the epilogue, up to the return.
 *
 * Two machine passes: before frames are laid out, each such call is marked with the bytes that are popped, which only a pseudo instruction says; at the end, rules are put behind the
 * marked calls and behind the adjustments.
 */
#include "call_frames.h"

#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetLowering.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCDwarf.h"

using namespace llvm;

/* Rules behind calls are known by their location, which is that of this text. */
static const char BEHIND_CALL[] = "behind a call";

bool isBehindCall(const MCCFIInstruction &rule) { return rule.getLoc().getPointer() == BEHIND_CALL; }

namespace {

/* The mark is metadata that an instruction carries through later passes and copies: that of "PC sections", which nothing else here uses. */
void mark(MachineFunction &function, MachineInstr &call, uint64_t popped) {
  LLVMContext &context = function.getFunction().getContext();
  Metadata *amount = ConstantAsMetadata::get(ConstantInt::get(Type::getInt64Ty(context), popped));
  call.setPCSections(function, MDNode::get(context, amount));
}

/* The bytes of a mark, which is taken away; 0 for an instruction without one. */
int64_t takeMark(MachineFunction &function, MachineInstr &inst) {
  MDNode *node = inst.getPCSections();
  if (!node) return 0;
  inst.setPCSections(function, nullptr);
  return mdconst::extract<ConstantInt>(node->getOperand(0))->getSExtValue();
}

struct MarkCallsPass : MachineFunctionPass {
  static char ID;
  MarkCallsPass() : MachineFunctionPass(ID) {}

  bool runOnMachineFunction(MachineFunction &function) override {
    const TargetInstrInfo &info = *function.getSubtarget().getInstrInfo();
    bool changed = false;
    for (MachineBasicBlock &block : function) {
      MachineInstr *call = nullptr;
      for (MachineInstr &inst : block) {
        if (inst.isCall()) call = &inst;
        /* The end of a call's frame: its size, and what of it the callee has popped. */
        if (inst.getOpcode() != info.getCallFrameDestroyOpcode() || inst.getOperand(1).getImm() == 0 || !call) continue;
        mark(function, *call, inst.getOperand(1).getImm());
        changed = true;
      }
    }
    return changed;
  }
};
char MarkCallsPass::ID = 0;

struct CallRulesPass : MachineFunctionPass {
  static char ID;
  CallRulesPass() : MachineFunctionPass(ID) {}

  bool runOnMachineFunction(MachineFunction &function) override {
    bool changed = false;
    for (MachineBasicBlock &block : function)
      for (auto at = block.begin(); at != block.end();) {
        MachineInstr &inst = *at++;
        if (int64_t popped = takeMark(function, inst)) addRules(function, block, at, popped), changed = true;
      }
    return changed;
  }

private:
  static void addRule(MachineFunction &function, MachineBasicBlock &block, MachineBasicBlock::iterator before, int64_t adjustment, SMLoc location = {}) {
    unsigned index = function.addFrameInst(MCCFIInstruction::createAdjustCfaOffset(nullptr, adjustment, location));
    BuildMI(block, before, DebugLoc(), function.getSubtarget().getInstrInfo()->get(TargetOpcode::CFI_INSTRUCTION)).addCFIIndex(index);
  }

  /* By how much an instruction takes the stack pointer down: `sub`, `lea` or `add` of a constant; 0 for others. */
  static int64_t lowersBy(const MachineInstr &inst, StringRef name) {
    for (const MachineOperand &operand : reverse(inst.explicit_operands())) {
      if (!operand.isImm() || operand.getImm() == 0) continue; /* AArch64: no shift; x86: no segment */
      return name.starts_with("SUB") ? operand.getImm() : name.starts_with("LEA") || name.starts_with("ADD") ? -operand.getImm() : 0;
    }
    return 0;
  }

  /* Behind a call that popped: until the adjustment, or until an epilogue, which has rules of its own that do not build on what was before. */
  static void addRules(MachineFunction &function, MachineBasicBlock &block, MachineBasicBlock::iterator behind, int64_t popped) {
    const TargetSubtargetInfo &target = function.getSubtarget();
    Register stack = target.getTargetLowering()->getStackPointerRegisterToSaveRestore();
    addRule(function, block, behind, -popped, SMLoc::getFromPointer(BEHIND_CALL));
    for (auto at = behind; at != block.end(); ++at) {
      if (at->isCFIInstruction() || !at->modifiesRegister(stack, target.getRegisterInfo())) continue;
      if (lowersBy(*at, target.getInstrInfo()->getName(at->getOpcode())) == popped) addRule(function, block, std::next(at), popped);
      return;
    }
  }
};
char CallRulesPass::ID = 0;

} // namespace

void insertCallFramePasses(TargetPassConfig &config) {
  config.insertPass(&FixupStatepointCallerSavedID, new MarkCallsPass());
  config.insertPass(&StackMapLivenessID, new CallRulesPass());
}
