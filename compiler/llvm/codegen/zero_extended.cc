/*
 * zero_extended.cc - an i32 that is used as an index need not be zero-extended where its register's upper half is clear already.
 *
 * On x86-64 each instruction that writes a 32-bit register clears the upper half of the 64-bit one (Intel's manual, volume 1, 3.4.1.1). LLVM's instruction selection knows that of what it selects in the same block. Of a value
 * from another block it knows nothing, so a pointer of wasm's that goes round a loop is moved to itself before each use: a move in each step along a list, in front of the load that everything waits for.
 *
 * This pass follows such moves, `SUBREG_TO_REG 0, (MOV32rr x), sub_32bit` in SSA form, to all definitions of x, through phis and copies. If each is an instruction that writes a 32-bit register, the move goes and its place
 * takes x. A definition elsewhere, as a parameter or half of a 64-bit number, is moved to itself once, where it enters a loop.
 *
 * Why the upper half is clear. Say that a register is clear if what holds it, at any time, has zeros there. Instructions define clear registers but those listed below; a phi of clear registers is clear, for what makes of it
 * are copies: coalesced, it is the same register, and else a 32-bit move, which clears. SUBREG_TO_REG itself becomes such a move where its two sides do not end in one register. All that comes between here and there, allocation
 * above all, may move, spill and compute a 32-bit register anew, always with instructions that write 32 bits. What does not keep to it is LLVM's peephole optimiser, which makes users of x read half of a sign-extended x; and the
 * conversion of conditional moves to branches, which makes a phi of an instruction: both run before this pass.
 */
#include "zero_extended.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/MachineLoopInfo.h"
#include "llvm/CodeGen/MachineRegisterInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;

namespace {

class ZeroExtended : public MachineFunctionPass {
public:
  static char ID;
  ZeroExtended() : MachineFunctionPass(ID) {}
  StringRef getPassName() const override { return "wasm-aot: what is zero-extended"; }
  void getAnalysisUsage(AnalysisUsage &usage) const override {
    usage.setPreservesCFG();
    usage.addRequired<MachineLoopInfoWrapperPass>();
    usage.addPreserved<MachineLoopInfoWrapperPass>();
    MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(MachineFunction &function) override {
    registers = &function.getRegInfo();
    names = function.getSubtarget().getInstrInfo();
    loops = &getAnalysis<MachineLoopInfoWrapperPass>().getLI();
    while (names->getName(moveOpcode) != "MOV32rr") moveOpcode++; /* LLVM's numbers of opcodes are in a header that is not installed; found once */
    SmallVector<MachineInstr *, 16> moves;
    for (MachineBasicBlock &block : function)
      for (MachineInstr &inst : block)
        if (isExtendingMove(inst)) moves.push_back(&inst);
    if (moves.empty()) return false;
    findUnclear(moves);
    entered.clear();
    bool changed = false;
    for (MachineInstr *move : moves) {
      Register source = move->getOperand(1).getReg();
      if (unclear.contains(source)) continue;
      clearEntries(source);
      registers->replaceRegWith(move->getOperand(0).getReg(), source);
      registers->clearKillFlags(source);
      move->eraseFromParent();
      changed = true;
    }
    return changed;
  }

private:
  MachineRegisterInfo *registers = nullptr;
  const TargetInstrInfo *names = nullptr;
  const MachineLoopInfo *loops = nullptr;
  unsigned moveOpcode = 0;
  /* Of the function at hand. */
  SmallDenseSet<Register, 16> unclear; /* of the registers looked at */
  SmallDenseSet<Register, 16> entered; /* of which what enters loops on the way to them has been made clear */

  /* A move of all of a register, of which only SUBREG_TO_REG takes the result. */
  bool isExtendingMove(const MachineInstr &inst) const {
    if (inst.getOpcode() != moveOpcode || !inst.getOperand(0).getReg().isVirtual() || !inst.getOperand(1).getReg().isVirtual() || inst.getOperand(1).getSubReg() || inst.getOperand(1).isUndef()) return false;
    Register result = inst.getOperand(0).getReg();
    return !registers->use_nodbg_empty(result) && registers->getRegClass(inst.getOperand(1).getReg())->hasSuperClassEq(registers->getRegClass(result)) &&
           all_of(registers->use_nodbg_instructions(result), [](const MachineInstr &use) { return use.isSubregToReg() && use.getOperand(1).getImm() == 0; });
  }

  /* Whether what an instruction writes is clear. Scans for a bit leave their result as it was where there is none. */
  bool isClearing(const MachineInstr &inst) const {
    StringRef name = names->getName(inst.getOpcode());
    return isTargetSpecificOpcode(inst.getOpcode()) && !inst.isCall() && !inst.usesCustomInsertionHook() && !name.starts_with("BSF") && !name.starts_with("BSR");
  }

  /* The registers that a phi or copy takes its value from. */
  static SmallVector<MachineOperand *, 4> inputs(MachineInstr &inst) {
    SmallVector<MachineOperand *, 4> all;
    if (inst.isCopy()) return {&inst.getOperand(1)};
    for (unsigned i = 1; i < inst.getNumOperands(); i += 2) all.push_back(&inst.getOperand(i));
    return all;
  }

  /* All of a virtual register of 32 bits, whose definition can be followed. */
  bool isWhole(const MachineOperand &operand, const TargetRegisterClass *like) const {
    return operand.isReg() && operand.getReg().isVirtual() && operand.getSubReg() == 0 && !operand.isUndef() && registers->getRegClass(operand.getReg())->hasSuperClassEq(like);
  }

  /* Where an input of a phi comes from, if that is outside the phi's loop: there it can be moved to itself. */
  MachineBasicBlock *entryOf(const MachineOperand &input) const {
    const MachineInstr &phi = *input.getParent();
    if (!phi.isPHI()) return nullptr;
    MachineBasicBlock *from = phi.getOperand(input.getOperandNo() + 1).getMBB();
    const MachineLoop *loop = loops->getLoopFor(phi.getParent());
    return loop && !loop->contains(from) && loops->getLoopDepth(from) < loop->getLoopDepth() ? from : nullptr;
  }

  /* Finds which registers, of those that the moves take and that these are made of, are not known to be clear: what is not by itself, and then, step by step, what is made of it. */
  void findUnclear(ArrayRef<MachineInstr *> moves) {
    unclear.clear();
    SmallVector<Register, 16> made, ahead, found; /* by phis and copies; to be looked at; of which what is made of them has not been looked at */
    SmallDenseSet<Register, 16> seen;
    auto note = [&](Register one) {
      if (unclear.insert(one).second) found.push_back(one);
    };
    for (const MachineInstr *move : moves) ahead.push_back(move->getOperand(1).getReg());
    while (!ahead.empty()) {
      Register one = ahead.pop_back_val();
      if (!seen.insert(one).second) continue;
      MachineOperand *written = registers->getOneDef(one);
      MachineInstr *definition = written && written->getSubReg() == 0 ? written->getParent() : nullptr;
      if (definition && (definition->isPHI() || definition->isCopy())) {
        made.push_back(one);
        for (const MachineOperand *input : inputs(*definition))
          if (isWhole(*input, registers->getRegClass(one))) ahead.push_back(input->getReg());
      } else if (!definition || !isClearing(*definition)) note(one);
    }
    for (Register one : made)
      if (!all_of(inputs(*registers->getVRegDef(one)), [&](const MachineOperand *input) { return canBeClear(*input, one); })) note(one);
    while (!found.empty()) {
      for (const MachineOperand &use : registers->use_nodbg_operands(found.pop_back_val())) {
        const MachineInstr &user = *use.getParent();
        if (!user.isPHI() && !user.isCopy()) continue;
        Register one = user.getOperand(0).getReg();
        if (seen.contains(one) && !canBeClear(use, one)) note(one);
      }
    }
  }

  bool canBeClear(const MachineOperand &input, Register of) const {
    if (!isWhole(input, registers->getRegClass(of))) return false;
    return !unclear.contains(input.getReg()) || entryOf(input);
  }

  /* Makes clear what enters loops on its way to a register. */
  void clearEntries(Register to) {
    SmallVector<Register, 16> ahead{to};
    while (!ahead.empty()) {
      Register one = ahead.pop_back_val();
      MachineInstr *definition = registers->getVRegDef(one);
      if (!entered.insert(one).second || !(definition->isPHI() || definition->isCopy())) continue;
      for (MachineOperand *input : inputs(*definition)) {
        if (unclear.contains(input->getReg())) moveToItself(*input);
        else ahead.push_back(input->getReg());
      }
    }
  }

  void moveToItself(MachineOperand &input) {
    MachineBasicBlock *from = entryOf(input);
    MachineBasicBlock::iterator end = from->getFirstTerminator();
    Register clear = registers->createVirtualRegister(registers->getRegClass(input.getReg()));
    BuildMI(*from, end, from->findDebugLoc(end), names->get(moveOpcode), clear).addReg(input.getReg());
    registers->clearKillFlags(input.getReg());
    input.setReg(clear);
  }
};
char ZeroExtended::ID = 0;

} // namespace

void insertZeroExtendedPass(TargetPassConfig &config) {
  const Triple &triple = config.getTM<TargetMachine>().getTargetTriple();
  if (triple.getArch() == Triple::x86_64 && config.getOptLevel() != CodeGenOptLevel::None) config.insertPass(&PeepholeOptimizerLegacyID, new ZeroExtended());
}
