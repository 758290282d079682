/*
 * place_charges.cc - one charge where there were many: the last pass over machine code.
 *
 * Until here every charge stands where lowering put it: before each operator that may trap, call or branch. LLVM keeps them in order against those, so at any instruction the charges passed
 * are what the fuel law wants `consumed` to be. But one addition an operator is a chain of additions. This pass takes the charges as marks and pays them together, later:
 *
 *     owed(p) = the costs of the marks passed before the point p, less what has been paid;     register + owed(p) = the exact value
 *
 *   - at a call, a return, an asm with effects (the synchronous check): owed is 0, everything was paid before. There the host, or a trampoline, looks at the register;
 *   - anywhere else, where an access of linear memory or a failed check may trap, and a tick may come: owed is written into a table, from which the handler adds it to the register of the
 *     interrupted context (runtime-c/owed.c). So a trap finds `consumed` exact to the operator, and out-of-fuel overrides it where it must.
 *     The register alone may even have wrapped, where something is taken back at the start of an activation without a limit.
 *
 * Owed is constant for each point, whatever path led there. Blocks that are joined by edges share it: all edges out of a block and all edges into a block belong to one bundle, with one
 * amount owed on each of its edges. Any amounts do that are neither negative nor above MAX_OWED (owed_flow.cc), and 0 where the function is entered: each segment of a block between barriers pays what is owed at its start, and
 * its marks, less what is owed at its end, which may be negative (a loop whose last call is followed by marks leaves them to the next turn, and what leads into the loop owes as much from the start). The
 * amounts are chosen so that the segments that pay nothing are those that are executed most: owed_amounts.cc; split_edges.cc has made room between blocks before. What the segments of any way round a loop pay adds up to its marks, whatever the amounts, so every loop
 * pays for its iterations within them (fuel law, clause 5). A block pays where its last mark stands, or at its start.
 *
 * Nothing here depends on what earlier passes have done with the marks, and nothing that can be looked at depends on what this pass does with them.
 */
#include "place_charges.h"
#include "guessed_frequencies.h"
#include "owed_flow.h"

#include "llvm/CodeGen/MachineBranchProbabilityInfo.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/MachineLoopInfo.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;

namespace {

/* How a charge is spelled in machine instructions. */
class Charger {
public:
  explicit Charger(const MachineFunction &function)
      : instructions(*function.getSubtarget().getInstrInfo()), isX86(function.getTarget().getTargetTriple().isX86()) {
    add = findOpcode(isX86 ? "LEA64r" : "ADDXri");
    subtract = isX86 ? add : findOpcode("SUBXri");
    fuel = findRegister(*function.getSubtarget().getRegisterInfo(), isX86 ? "RBP" : "X28");
  }

  /* Adds an amount to the fuel register before `at`, flags untouched. One that is negative is at least -MAX_OWED, of owed_flow.cc. `beforeEach` is told of each instruction, and what those before it have added. */
  void emit(MachineBasicBlock &block, MachineBasicBlock::iterator at, const DebugLoc &where, int64_t amount, function_ref<void(MachineInstr &, int64_t)> beforeEach) const {
    int64_t added = 0;
    if (isX86) {
      constexpr int64_t MOST = INT32_MAX; /* of a displacement */
      for (int64_t part; added != amount; added += part) {
        part = std::min(amount - added, MOST);
        beforeEach(*BuildMI(block, at, where, instructions.get(add), fuel).addReg(fuel).addImm(1).addReg(0).addImm(part).addReg(0), added);
      }
      return;
    }
    /* An immediate has 12 bits, shifted by 0 or 12. */
    constexpr uint64_t PART = 0xfff;
    const MCInstrDesc &opcode = instructions.get(amount < 0 ? subtract : add);
    uint64_t size = amount < 0 ? (uint64_t)-amount : (uint64_t)amount;
    auto emitPart = [&](uint64_t part, unsigned shift) {
      beforeEach(*BuildMI(block, at, where, opcode, fuel).addReg(fuel).addImm(part).addImm(shift), added);
      added += (amount < 0 ? -1 : 1) * (int64_t)(part << shift);
    };
    if (size & PART) emitPart(size & PART, 0);
    for (uint64_t high = size >> 12; high > 0; high -= std::min(high, PART)) emitPart(std::min(high, PART), 12);
  }

private:
  const TargetInstrInfo &instructions;
  bool isX86;
  unsigned add, subtract;
  Register fuel;

  /* LLVM's numbers of opcodes and registers are in headers that are not installed; their names are at hand. */
  unsigned findOpcode(StringRef name) const {
    for (unsigned i = 0; i < instructions.getNumOpcodes(); i++)
      if (instructions.getName(i) == name) return i;
    report_fatal_error("no instruction " + name);
  }
  static Register findRegister(const TargetRegisterInfo &registers, StringRef name) {
    for (unsigned i = 1; i < registers.getNumRegs(); i++)
      if (name == registers.getName(i)) return i;
    report_fatal_error("no register " + name);
  }
};

class PlaceCharges : public MachineFunctionPass {
public:
  static char ID;
  PlaceCharges(OwedTables &tables, bool optimise) : MachineFunctionPass(ID), tables(tables), optimise(optimise) {}
  StringRef getPassName() const override { return "wasm-aot: place charges"; }
  void getAnalysisUsage(AnalysisUsage &usage) const override {
    if (optimise) usage.addRequired<MachineBranchProbabilityInfoWrapperPass>();
    if (optimise) usage.addRequired<MachineLoopInfoWrapperPass>();
    MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(MachineFunction &machineFunction) override {
    function = &machineFunction;
    OwedFlow flow(machineFunction);
    if (!flow.hasMarks()) return false;
    std::optional<GuessedFrequencies> frequencies;
    if (optimise) frequencies.emplace(machineFunction, getAnalysis<MachineBranchProbabilityInfoWrapperPass>().getMBPI(), getAnalysis<MachineLoopInfoWrapperPass>().getLI());
    flow.choose(frequencies ? &*frequencies : nullptr);
    Charger charger(machineFunction);
    table.clear();
    recorded = 0;
    for (MachineBasicBlock &block : machineFunction) rewrite(block, flow, charger);
    if (!table.empty()) tables[&machineFunction.getFunction()] = table;
    return true;
  }

private:
  OwedTables &tables;
  bool optimise;
  MachineFunction *function = nullptr;
  OwedTable table;
  uint64_t recorded = 0;

  /* Replaces a block's marks by what it pays, a segment between barriers at a time. */
  void rewrite(MachineBasicBlock &block, const OwedFlow &flow, const Charger &charger) {
    uint64_t owed = (uint64_t)flow.owedInto(block);
    auto start = block.begin();
    bool isFinal;
    do { /* once for a block without instructions as well: it may have to pay */
      auto end = start;
      uint64_t total = owed;
      MachineInstr *last = nullptr;
      for (; end != block.end() && !isBarrier(*end); ++end) {
        if (isMark(*end)) total += markedCost(*end), last = &*end;
      }
      isFinal = end == block.end();
      /* Nothing is paid where control ends without anybody to look at the register but the handler of the trap. */
      uint64_t keep = !isFinal ? 0 : block.succ_empty() ? total : (uint64_t)flow.owedOutOf(block);
      owed = rewriteSegment(block, start, end, last, owed, (int64_t)(total - keep), charger);
      if (!isFinal) note(*end++, owed);
      start = end;
    } while (!isFinal);
  }

  /* Returns what is owed at the end. */
  uint64_t rewriteSegment(MachineBasicBlock &block, MachineBasicBlock::iterator start, MachineBasicBlock::iterator end, MachineInstr *last, uint64_t owed, int64_t pay, const Charger &charger) {
    if (pay != 0 && last) {
      MachineBasicBlock::iterator mark(last), to = beforeComparison(block, *last);
      if (start == to) start = mark;
      block.splice(to, &block, mark);
    } else if (pay != 0) {
      while (start != end && (start->isPosition() || start->isPHI() || start->getFlag(MachineInstr::FrameSetup))) ++start;
      owed = emitPayment(block, start, block.findDebugLoc(start), owed, pay, charger);
    }
    for (auto at = start; at != end;) {
      MachineInstr &inst = *at++;
      if (!isMark(inst)) {
        note(inst, owed);
        continue;
      }
      owed += markedCost(inst);
      if (&inst == last && pay != 0) owed = emitPayment(block, MachineBasicBlock::iterator(inst), inst.getDebugLoc(), owed, pay, charger);
      inst.eraseFromParent();
    }
    return owed;
  }

  /* Returns what is owed then. */
  uint64_t emitPayment(MachineBasicBlock &block, MachineBasicBlock::iterator at, const DebugLoc &where, uint64_t owed, int64_t pay, const Charger &charger) {
    charger.emit(block, at, where, pay, [&](MachineInstr &inst, int64_t paid) { note(inst, owed - (uint64_t)paid); });
    return owed - (uint64_t)pay;
  }

  /* Where a mark goes that is paid. A comparison and the branch on it should stay together: then the processor runs them as one. The comparison must not be able to fault: its own charge can be the mark. */
  static MachineBasicBlock::iterator beforeComparison(MachineBasicBlock &block, MachineInstr &mark) {
    MachineBasicBlock::iterator at(mark);
    auto next = std::next(at);
    if (at == block.begin() || next == block.end() || !next->isConditionalBranch()) return at;
    auto before = std::prev(at);
    return before->isCompare() && !mayFault(*before) ? before : at;
  }

  /* Records what is owed at an instruction, unless it is what the table says already. */
  void note(MachineInstr &inst, uint64_t owed) {
    if (owed == recorded || inst.isMetaInstruction() || isEmptyAsm(inst)) return;
    MCSymbol *symbol = inst.getPreInstrSymbol();
    if (!symbol) {
      symbol = function->getContext().createTempSymbol("owed");
      inst.setPreInstrSymbol(*function, symbol);
    }
    table.push_back({symbol, owed});
    recorded = owed;
  }
};

char PlaceCharges::ID = 0;

} // namespace

FunctionPass *createPlaceChargesPass(OwedTables &tables, bool optimise) { return new PlaceCharges(tables, optimise); }
