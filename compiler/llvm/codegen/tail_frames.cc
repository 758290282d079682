/*
 * tail_frames.cc - exact unwind tables for functions that pop their arguments and take each other's place.
 *
 * An unwinder takes a frame's canonical address (CFA) for the stack pointer of its caller. LLVM puts the CFA where the stack pointer was before the call. In the tail-calling convention that is the
 * address of nothing: a function that has taken its caller's place may have more or fewer arguments on the stack, which moves the return address and its own entry, while its caller's caller knows of
 * nothing. What all of them agree on is the stack pointer after the return, when the callee's arguments are gone. So here the CFA is that:
 *
 *   callee   the CFA lies by the function's own arguments higher, from its first instruction on, and whatever is found from the CFA as much lower;
 *   caller   the row that unwinders find for a return address (they look one byte before it, inside the call) counts from the stack pointer after the return, as call_frames.cc has
 *            the row behind the call; the row before holds at the call's first byte, where a signal can come. So the change comes at the call's last byte (moveRulesIntoCalls).
 *
 * On x86-64 the return address is in memory, and the way to a tail call with another size of arguments moves it, through a register: its place is followed, and each change said. (On AArch64 it
 * is back in its register by then.)
 */
#include "tail_frames.h"
#include "call_frames.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/ADT/SmallSet.h"
#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/MachineFrameInfo.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetLowering.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCDwarf.h"
#include "llvm/MC/MCExpr.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/Target/TargetMachine.h"

#include <optional>

using namespace llvm;

namespace {

constexpr int64_t SLOT = 8;

/* Where the return address is: at distances from the CFA as LLVM has it, and in registers. */
struct Places {
  SmallSet<int64_t, 4> slots;
  SmallSet<Register, 4> registers;
  bool isUsual() const { return slots.size() == 1 && slots.contains(-SLOT) && registers.empty(); }
  static Places usual() {
    Places places;
    places.slots.insert(-SLOT);
    return places;
  }
};

/* One of the places. */
struct Place {
  Register reg; /* none: a slot */
  int64_t slot = -SLOT;
};

class TailFramesPass : public MachineFunctionPass {
public:
  static char ID;
  TailFramesPass() : MachineFunctionPass(ID) {}

  bool runOnMachineFunction(MachineFunction &mf) override {
    if (mf.getFunction().getCallingConv() != CallingConv::Tail) return false;
    function = &mf;
    info = mf.getSubtarget().getInstrInfo();
    registers = mf.getSubtarget().getRegisterInfo();
    stack = mf.getSubtarget().getTargetLowering()->getStackPointerRegisterToSaveRestore();
    onStack = mf.getTarget().getTargetTriple().isX86() ? SLOT : 0;
    popped = argumentBytes();
    checkReturns();
    if (onStack) {
      placeFrames();
      followReturnAddress();
    }
    raiseFrames();
    return true;
  }

private:
  MachineFunction *function;
  const TargetInstrInfo *info;
  const TargetRegisterInfo *registers;
  Register stack;
  int64_t onStack; /* bytes that a call itself pushes */
  int64_t popped;  /* bytes of arguments */

  /* The convention keeps the stack pointer a multiple of 16: LLVM's getAlignedArgumentStackSize. Arguments on the stack are the frame's fixed objects from offset 0 on. */
  int64_t argumentBytes() const {
    const MachineFrameInfo &frame = function->getFrameInfo();
    int64_t end = 0;
    for (int i = frame.getObjectIndexBegin(); i < 0; i++) end = std::max(end, frame.getObjectOffset(i) + frame.getObjectSize(i));
    return (int64_t)alignTo((uint64_t)(end + onStack), 16) - onStack;
  }

  void addRule(MachineBasicBlock &block, MachineBasicBlock::iterator before, const MCCFIInstruction &rule) const {
    BuildMI(block, before, DebugLoc(), info->get(TargetOpcode::CFI_INSTRUCTION)).addCFIIndex(function->addFrameInst(rule));
  }
  const MCCFIInstruction &ruleOf(const MachineInstr &inst) const { return function->getFrameInstructions()[inst.getOperand(0).getCFIIndex()]; }
  unsigned dwarf(Register reg) const { return (unsigned)registers->getDwarfRegNum(reg, true); }
  unsigned returnAddress() const { return dwarf(registers->getRARegister()); }

  /* Follows the distance of the CFA from the stack pointer through a rule; none where it is found otherwise. */
  static void applyRule(const MCCFIInstruction &rule, int64_t &distance, SmallVectorImpl<int64_t> &remembered) {
    switch (rule.getOperation()) {
      case MCCFIInstruction::OpDefCfa: case MCCFIInstruction::OpDefCfaOffset: distance = rule.getOffset(); break;
      case MCCFIInstruction::OpAdjustCfaOffset: distance += rule.getOffset(); break;
      case MCCFIInstruction::OpRememberState: remembered.push_back(distance); break;
      case MCCFIInstruction::OpRestoreState: if (!remembered.empty()) distance = remembered.pop_back_val(); break;
      default: break;
    }
  }

  /* --- callee ------------------------------------------------------------------------------------------------------- */

  void raiseFrames() {
    MachineBasicBlock &entry = function->front();
    for (MachineBasicBlock &block : *function)
      for (MachineInstr &inst : block)
        if (inst.isCFIInstruction())
          if (std::optional<MCCFIInstruction> raised = raise(ruleOf(inst))) {
            inst.removeOperand(0);
            inst.addOperand(*function, MachineOperand::CreateCFIIndex(function->addFrameInst(*raised)));
          }
    auto begin = entry.begin();
    addRule(entry, begin, MCCFIInstruction::cfiDefCfaOffset(nullptr, onStack + popped));
    if (onStack) addRule(entry, begin, MCCFIInstruction::createOffset(nullptr, returnAddress(), -SLOT - popped));
  }

  std::optional<MCCFIInstruction> raise(const MCCFIInstruction &rule) const {
    switch (rule.getOperation()) {
      case MCCFIInstruction::OpDefCfa: return MCCFIInstruction::cfiDefCfa(nullptr, rule.getRegister(), rule.getOffset() + popped);
      case MCCFIInstruction::OpDefCfaOffset: return MCCFIInstruction::cfiDefCfaOffset(nullptr, rule.getOffset() + popped);
      case MCCFIInstruction::OpOffset: return MCCFIInstruction::createOffset(nullptr, rule.getRegister(), rule.getOffset() - popped);
      default: return std::nullopt; /* relative to what is there, or to nothing */
    }
  }

  /* At a return the arguments that it pops (x86-64), or that have been popped before, must be as many as have been counted. */
  void checkReturns() const {
    int64_t distance = onStack;
    SmallVector<int64_t, 4> remembered;
    for (const MachineBasicBlock &block : *function)
      for (const MachineInstr &inst : block) {
        if (inst.isCFIInstruction()) applyRule(ruleOf(inst), distance, remembered);
        if (!inst.isReturn() || inst.isCall()) continue;
        const int64_t pops = onStack ? (inst.getNumExplicitOperands() > 0 && inst.getOperand(0).isImm() ? inst.getOperand(0).getImm() : 0) : -distance;
        if (pops != popped) function->getFunction().getContext().emitError("a function pops other arguments than its unwind table has: " + function->getName());
      }
  }

  /* --- the stack pointer (x86-64) ----------------------------------------------------------------------------------- */

  /* How far the CFA is above the stack pointer, and above another register while it is found from that: where a large frame is probed, a register holds what a loop takes the stack pointer down to. */
  struct Height {
    int64_t distance;
    std::optional<int64_t> other;
    int64_t said() const { return other.value_or(distance); }
  };

  /* A function that makes a tail call with more arguments than it has itself reserves room for them first and gives it back last, of which X86FrameLowering says nothing. So the stack pointer is followed, and
   * where the CFA is not at the distance that the rules say, it is said. */
  void placeFrames() const {
    DenseMap<const MachineBasicBlock *, Height> entries;
    entries[&function->front()] = {onStack, std::nullopt};
    for (MachineBasicBlock *block : ReversePostOrderTraversal<MachineFunction *>(function)) {
      Height height = entries.lookup(block);
      for (const MachineInstr &inst : *block) pass(inst, height);
      for (const MachineBasicBlock *next : block->successors()) entries.try_emplace(next, height);
    }
    int64_t said = onStack;
    for (MachineBasicBlock &block : *function)
      if (auto found = entries.find(&block); found != entries.end()) placeFrames(block, found->second, said);
  }

  void placeFrames(MachineBasicBlock &block, Height height, int64_t &said) const {
    SmallVector<int64_t, 4> remembered;
    for (auto at = block.begin(); ; ++at) {
      for (; at != block.end() && at->isCFIInstruction(); ++at) {
        applyRule(ruleOf(*at), said, remembered);
        pass(*at, height);
      }
      if (at == block.end()) return;
      if (said != height.said()) addRule(block, at, MCCFIInstruction::cfiDefCfaOffset(nullptr, height.said()));
      said = height.said();
      pass(*at, height);
    }
  }

  /* What an instruction changes. */
  void pass(const MachineInstr &inst, Height &height) const {
    if (inst.isCFIInstruction()) return passRule(ruleOf(inst), height);
    const bool probes = height.other && inst.getParent()->isSuccessor(inst.getParent()); /* the loop */
    if (!probes) height.distance += lowersBy(inst);
  }

  /* Before such a loop X86FrameLowering says of which register the CFA is found, and by how much that is lower than the stack pointer, which the loop takes there; some time behind it, that the
   * register no longer counts. */
  void passRule(const MCCFIInstruction &rule, Height &height) const {
    const auto operation = rule.getOperation();
    if (operation == MCCFIInstruction::OpDefCfaRegister) height.other = rule.getRegister() == dwarf(stack) ? std::nullopt : std::optional(height.distance);
    else if (operation == MCCFIInstruction::OpDefCfa && rule.getRegister() != dwarf(stack)) refuse("finds its frame in a way that was not foreseen");
    else if (isBehindCall(rule)) height.distance += rule.getOffset();
    else if (height.other && operation == MCCFIInstruction::OpAdjustCfaOffset) height.other = height.distance += rule.getOffset();
  }

  /* By how much an instruction takes the stack pointer down. Of calls, the rule behind says what has been popped. */
  int64_t lowersBy(const MachineInstr &inst) const {
    if (inst.isCall() || inst.isReturn() || !inst.modifiesRegister(stack, registers)) return 0;
    const StringRef name = info->getName(inst.getOpcode());
    if (name.starts_with("PUSH64")) return SLOT;
    if (name.starts_with("POP64")) return -SLOT;
    if (name.starts_with("SUB64ri")) return inst.getOperand(2).getImm();
    if (name.starts_with("ADD64ri")) return -inst.getOperand(2).getImm();
    if (name == "LEA64r" && inst.getOperand(1).getReg() == stack && !inst.getOperand(3).getReg()) return -inst.getOperand(4).getImm();
    refuse("moves the stack pointer in a way that was not foreseen");
    return 0;
  }

  /* No unwind table is better than a wrong one, and none cannot be: the artifact is not made. */
  void refuse(const Twine &why) const { function->getFunction().getContext().emitError("the function " + function->getName() + " " + why + ": its unwind table would be wrong"); }

  /* --- the return address on its way (x86-64) ----------------------------------------------------------------------- */

  void followReturnAddress() {
    DenseMap<const MachineBasicBlock *, Places> ends;
    Place said;
    int64_t distance = onStack;
    SmallVector<int64_t, 4> remembered;
    for (MachineBasicBlock &block : *function) {
      Places places = Places::usual();
      for (const MachineBasicBlock *before : block.predecessors())
        if (auto found = ends.find(before); found != ends.end() && !found->second.isUsual()) places = found->second;
      say(block, block.begin(), places, said);
      for (auto at = block.begin(); at != block.end();) {
        MachineInstr &inst = *at++;
        if (inst.isCFIInstruction()) applyRule(ruleOf(inst), distance, remembered);
        else if (!inst.isMetaInstruction()) {
          follow(inst, distance, places);
          say(block, at, places, said);
        }
      }
      ends[&block] = places;
    }
  }

  /* Adds a rule where the place that the last one named is no longer good, or is a register although a slot has it too. */
  void say(MachineBasicBlock &block, MachineBasicBlock::iterator at, const Places &places, Place &said) const {
    if (said.reg ? places.slots.empty() && places.registers.contains(said.reg) : places.slots.contains(said.slot)) return;
    Place now;
    if (!places.slots.empty()) now.slot = *places.slots.begin();
    else if (!places.registers.empty()) now.reg = *places.registers.begin();
    else return; /* it is nowhere: not in code that LLVM makes */
    said = now;
    addRule(block, at, now.reg ? MCCFIInstruction::createRegister(nullptr, returnAddress(), dwarf(now.reg)) : MCCFIInstruction::createOffset(nullptr, returnAddress(), now.slot));
  }

  /* What an instruction does to the places. */
  void follow(const MachineInstr &inst, int64_t distance, Places &places) const {
    SmallVector<const MachineOperand *, 1> bases;
    int64_t offset = 0;
    bool scalable = false;
    LocationSize width = LocationSize::precise(0);
    const bool inFrame = (inst.mayLoad() || inst.mayStore()) && info->getMemOperandsWithOffsetWidth(inst, bases, offset, scalable, width, registers) && bases.size() == 1 && bases[0]->isReg() && bases[0]->getReg() == stack;
    const int64_t slot = offset - distance;
    const StringRef name = info->getName(inst.getOpcode());
    const std::optional<DestSourcePair> copy = info->isCopyInstr(inst);
    const bool loads = inFrame && name == "MOV64rm" && places.slots.contains(slot);
    const bool copies = copy && places.registers.contains(copy->Source->getReg());
    const bool stores = inFrame && name == "MOV64mr" && places.registers.contains(inst.getOperand(inst.getNumExplicitOperands() - 1).getReg());
    SmallVector<Register, 4> lost;
    for (Register reg : places.registers)
      if (inst.modifiesRegister(reg, registers)) lost.push_back(reg);
    for (Register reg : lost) places.registers.erase(reg);
    if (inFrame && inst.mayStore()) forget(places, slot, width.hasValue() && width.getValue() != 0 ? (int64_t)width.getValue().getKnownMinValue() : 64);
    if (loads) places.registers.insert(inst.getOperand(0).getReg());
    if (copies) places.registers.insert(copy->Destination->getReg());
    if (stores) { /* on the way to its new place: the old one may be below the stack pointer soon */
      places.slots.clear();
      places.slots.insert(slot);
    }
  }

  /* A store into [slot, slot + bytes). */
  static void forget(Places &places, int64_t slot, int64_t bytes) {
    SmallVector<int64_t, 4> lost;
    for (int64_t at : places.slots)
      if (slot < at + SLOT && at < slot + bytes) lost.push_back(at);
    for (int64_t at : lost) places.slots.erase(at);
  }
};
char TailFramesPass::ID = 0;

} // namespace

MachineFunctionPass *createTailFramesPass() { return new TailFramesPass(); }

void moveRulesIntoCalls(AsmPrinter &printer) {
  const ArrayRef<MCDwarfFrameInfo> frames = printer.OutStreamer->getDwarfFrameInfos();
  if (frames.empty()) return;
  MCContext &context = printer.OutContext;
  /* The streamer keeps the rules until the object is complete, and gives them as constants. */
  for (MCCFIInstruction &rule : const_cast<MCDwarfFrameInfo &>(frames.back()).Instructions) {
    if (!isBehindCall(rule)) continue;
    MCSymbol *inside = context.createTempSymbol();
    inside->setVariableValue(MCBinaryExpr::createSub(MCSymbolRefExpr::create(rule.getLabel(), context), MCConstantExpr::create(1, context), context));
    rule = MCCFIInstruction::createAdjustCfaOffset(inside, rule.getOffset());
  }
}
