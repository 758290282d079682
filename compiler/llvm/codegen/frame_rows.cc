/*
 * frame_rows.cc - what backtraces need to know of the code: which wasm function each instruction is of, by way of which calls that were inlined, and, where execution can stop, which byte of the wasm file.
 *
 * Lowering gives instructions locations, whose line is an offset in the wasm file and whose function is the wasm function; LLVM's passes keep them, and note at what call a function was inlined.
 * Here they become rows in a section that the linker drops (compiler/debug/frame-rows.ts reads it from the objects):
 *
 *   u32 scopes     then for each: its parent (the number of an earlier one, 0: none), the offset of the body of the wasm function, the offset of the call in the parent's
 *   u32 functions  then for each: u32 length of its name, the name, u32 rows, then for each: distance from the function's start, scope (numbered from 1, 0: none), offset (0: not known)
 *
 * Functions that have made a tail call have no part in this (tail_locations.h): what one inlined into f tail-calls is called by f; and what f itself does so by a call, as it does with other modules' functions, by nobody.
 * A row holds up to the next. Offsets are exact where execution can stop: calls, traps, accesses of linear memory that may fault. Between these there are rows where the scope changes, and where a
 * loop begins; with DWARF (-g) at every change.
 */
#include "frame_rows.h"
#include "tail_locations.h"
#include "../../../runtime-c/abi.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/BinaryFormat/MachO.h"
#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/AsmPrinterHandler.h"
#include "llvm/CodeGen/MachineBasicBlock.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineMemOperand.h"
#include "llvm/IR/DebugInfoMetadata.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCExpr.h"
#include "llvm/MC/MCSectionELF.h"
#include "llvm/MC/MCSectionMachO.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/Support/CBindingWrapping.h"
#include "llvm/Target/TargetMachine.h"

#include <vector>

using namespace llvm;

namespace {

struct Row { MCSymbol *at; unsigned scope, offset; };
struct Rows { const Function *function; std::vector<Row> rows; };
struct Scope { unsigned parent, body, call; };

/* Whether execution can stop here, at an offset that somebody asks for. */
bool canStop(const MachineInstr &inst) {
  if (inst.isCall()) return true;
  if (inst.isInlineAsm()) return false;
  if (inst.hasUnmodeledSideEffects()) return true;
  return inst.mayLoadOrStore() && any_of(inst.memoperands(), [](const MachineMemOperand *access) { return access->isVolatile(); });
}

/* Whether a branch leads back to the block. */
bool beginsLoop(const MachineBasicBlock &block) {
  return any_of(block.predecessors(), [&](const MachineBasicBlock *before) { return before->getNumber() >= block.getNumber(); });
}

class FrameRowsWriter : public AsmPrinterHandler {
public:
  explicit FrameRowsWriter(AsmPrinter &printer) : printer(printer) {}

  void beginModule(Module *module) override { everywhere = module->getDwarfVersion() != 0; }
  void beginFunction(const MachineFunction *mf) override {
    known = mf->getFunction().getSubprogram() != nullptr;
    if (!known) return;
    functions.push_back({&mf->getFunction(), {}});
    own = scopeOf(mf->getFunction().getSubprogram(), nullptr);
    last = {nullptr, 0, 0};
    block = nullptr;
  }
  void endFunction(const MachineFunction *) override {}

  void beginInstruction(const MachineInstr *inst) override {
    if (!known || inst->isMetaInstruction()) return;
    const bool first = inst->getParent() != block;
    block = inst->getParent();
    const DILocation *location = locate(*inst, first);
    if (!location && !first) return;
    Row row = rowOf(*inst, location);
    const bool matters = row.scope != last.scope || ((everywhere || canStop(*inst) || (first && beginsLoop(*block))) && row.offset != last.offset);
    if (!matters) return;
    row.at = printer.OutContext.createTempSymbol("frame_row");
    last = row;
    printer.OutStreamer->emitLabel(row.at);
    functions.back().rows.push_back(row);
  }

  void endModule() override {
    if (functions.empty()) return;
    MCStreamer &out = *printer.OutStreamer;
    out.switchSection(section());
    write(scopes.size());
    for (const Scope &scope : scopes) write(scope.parent), write(scope.body), write(scope.call);
    write(functions.size());
    for (const auto &[function, rows] : functions) {
      const StringRef name = function->getName();
      write(name.size());
      out.emitBytes(name);
      write(rows.size());
      MCSymbol *start = printer.getSymbol(function);
      for (const Row &row : rows) {
        out.emitAbsoluteSymbolDiff(row.at, start, 4);
        write(row.scope), write(row.offset);
      }
    }
  }

private:
  AsmPrinter &printer;
  bool everywhere = false; /* rows wherever the location changes */
  bool known = false;      /* whether the function is a wasm function's */
  unsigned own = 0;        /* its scope */
  Row last = {nullptr, 0, 0};
  const MachineBasicBlock *block = nullptr;
  std::vector<Rows> functions;
  std::vector<Scope> scopes;
  DenseMap<std::pair<const DISubprogram *, const DILocation *>, unsigned> numbers;

  void write(size_t value) { printer.OutStreamer->emitIntValue(value, 4); }

  /* Where an instruction is of. Those that LLVM adds (moves, spills) have no location: at a block's beginning it is that of the next that has one, in the block or behind it, elsewhere that of the one
   * before; at the function's beginning, where its frame is made, none. */
  static const DILocation *locate(const MachineInstr &inst, bool first) {
    if (inst.getDebugLoc() || !first || inst.getFlag(MachineInstr::FrameSetup)) return inst.getDebugLoc();
    constexpr unsigned FAR = 8; /* blocks to look at */
    const MachineBasicBlock *block = inst.getParent();
    for (unsigned i = 0; i < FAR; i++) {
      for (const MachineInstr &next : *block)
        if (next.getDebugLoc()) return next.getDebugLoc();
      if (block->succ_empty()) break;
      block = *block->succ_begin();
    }
    return nullptr;
  }

  /* What stacks show for an instruction. A call in the place of a function that was inlined, or that makes it, is by what called that. */
  Row rowOf(const MachineInstr &inst, const DILocation *location) {
    if (!location) return {nullptr, own, scopes[own - 1].body};
    if (inst.isCall() && !inst.isReturn()) location = callWithFrame(location);
    if (!location) return {nullptr, 0, 0};
    return {nullptr, scopeOf(location->getScope()->getSubprogram(), location->getInlinedAt()), location->getLine()};
  }

  unsigned scopeOf(const DISubprogram *function, const DILocation *call) {
    call = callWithFrame(call);
    if (const unsigned number = numbers.lookup({function, call})) return number;
    const unsigned parent = call ? scopeOf(call->getScope()->getSubprogram(), call->getInlinedAt()) : 0;
    scopes.push_back({parent, function->getLine(), call ? call->getLine() : 0});
    return numbers[{function, call}] = (unsigned)scopes.size();
  }

  MCSection *section() const {
    if (printer.TM.getTargetTriple().isOSBinFormatMachO()) return printer.OutContext.getMachOSection("__DWARF", "__" WAOT_FRAME_ROWS_SECTION, MachO::S_ATTR_DEBUG, SectionKind::getMetadata());
    return printer.OutContext.getELFSection(WAOT_FRAME_ROWS_SECTION, ELF::SHT_PROGBITS, ELF::SHF_EXCLUDE);
  }
};

} // namespace

std::unique_ptr<AsmPrinterHandler> createFrameRowsWriter(AsmPrinter &printer) { return std::make_unique<FrameRowsWriter>(printer); }

/* LLVM 14's bindings cannot say that a unit is for locations alone. */
void codegen_keep_locations_only(LLVMModuleRef moduleRef) {
  Module &module = *unwrap(moduleRef);
  NamedMDNode *units = module.getNamedMetadata("llvm.dbg.cu");
  if (!units || units->getNumOperands() != 1 || module.getDwarfVersion() != 0) return;
  const auto *old = cast<DICompileUnit>(units->getOperand(0));
  auto *unit = DICompileUnit::getDistinct(module.getContext(), old->getSourceLanguage(), old->getFile(), old->getProducer(), old->isOptimized(), "", 0, "", DICompileUnit::NoDebug, nullptr, nullptr, nullptr,
                                          nullptr, nullptr, 0, true, false, DICompileUnit::DebugNameTableKind::None, false, "", "");
  units->setOperand(0, unit);
  for (Function &function : module)
    if (DISubprogram *subprogram = function.getSubprogram()) subprogram->replaceUnit(unit);
}
