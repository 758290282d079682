/*
 * emit.cc - LLVM's code generator, with the pass that places charges at its end and the table of what is owed.
 *
 * The table, in two sections of the object (their layout is described in runtime-c/abi.ts: owed_row):
 *
 *   rows    a row for each piece of code of so many entries, in the order of the text: where the piece starts, where its entries lie
 *   entries ULEB128: how many; then for each its distance from the one before (from the piece's start), and what is owed from there on
 *
 * A function's first piece starts where it does; the last entry of its last one is its end, with nothing owed.
 */
#include "emit.h"
#include "call_frames.h"
#include "exact_locations.h"
#include "frame_rows.h"
#include "place_charges.h"
#include "split_edges.h"
#include "tail_frames.h"
#include "zero_extended.h"
#include "../../../runtime-c/abi.h"

#include <cstring>

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/AsmPrinterHandler.h"
#include "llvm/CodeGen/MachineModuleInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCExpr.h"
#include "llvm/MC/MCSectionELF.h"
#include "llvm/MC/MCSectionMachO.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/CBindingWrapping.h"
#include "llvm/Support/SmallVectorMemoryBuffer.h"
#include "llvm/Target/TargetMachine.h"

using namespace llvm;

namespace {

/* Entries of a piece at most, the end of a function aside. The tick handler finds the row by halves and then reads the entries one by one, in all less than a microsecond, however long the function. A row for fewer would take
 * more of the file: with these, 10 bytes to some 150. */
constexpr size_t MOST_ENTRIES = 64;

/* Bytes. */
constexpr unsigned CACHE_LINE = 64;

/* Writes the tables when the text of the module has been written. */
class OwedWriter : public AsmPrinterHandler {
public:
  OwedWriter(AsmPrinter &printer, const OwedTables &tables) : printer(printer), tables(tables) {}

  void beginFunction(const MachineFunction *) override {}
  void endFunction(const MachineFunction *) override {}
  void markFunctionEnd() override {
    moveRulesIntoCalls(printer);
    if (!tables.count(&printer.MF->getFunction())) return;
    MCSymbol *end = printer.OutContext.createTempSymbol("owed_end");
    printer.OutStreamer->emitLabel(end);
    ends.push_back(end);
  }

  void endModule() override {
    for (auto [table, end] : zip_equal(tables, ends)) {
      MCSymbol *start = printer.getSymbol(table.first);
      ArrayRef<OwedFrom> rest = table.second;
      for (unsigned piece = 0; piece == 0 || !rest.empty(); piece++) {
        ArrayRef<OwedFrom> entries = rest.take_front(MOST_ENTRIES);
        rest = rest.drop_front(entries.size());
        writePiece(rowSymbol(table.first, piece), piece == 0 ? start : entries.front().symbol, entries, rest.empty() ? end : nullptr);
      }
    }
  }

private:
  AsmPrinter &printer;
  const OwedTables &tables;
  SmallVector<MCSymbol *, 0> ends; /* in the order of the tables: both follow the text */

  /* Where a row is. In Mach-O what is subtracted must be in the object's symbol table; the linker then drops it, by its prefix. */
  MCSymbol *rowSymbol(const Function *function, unsigned piece) {
    if (!printer.TM.getTargetTriple().isOSBinFormatMachO()) return printer.OutContext.createTempSymbol("owed_row");
    return printer.OutContext.getOrCreateSymbol("l_waot.owed_row." + Twine(piece) + "." + function->getName());
  }

  const MCExpr *difference(MCSymbol *to, MCSymbol *from) {
    MCContext &context = printer.OutContext;
    return MCBinaryExpr::createSub(MCSymbolRefExpr::create(to, context), MCSymbolRefExpr::create(from, context), context);
  }

  /* A row, named `row`, and its entries; the last piece of a function has its end as well. */
  void writePiece(MCSymbol *row, MCSymbol *start, ArrayRef<OwedFrom> table, MCSymbol *end) {
    MCSymbol *entries = printer.OutContext.createTempSymbol("owed_entries");
    MCStreamer &out = *printer.OutStreamer;
    out.switchSection(section(WAOT_OWED_ENTRIES_SECTION));
    out.emitLabel(entries);
    out.emitULEB128IntValue(table.size() + (end ? 1 : 0));
    MCSymbol *from = start;
    for (const OwedFrom &entry : table) writeEntry(from, entry.symbol, entry.owed), from = entry.symbol;
    if (end) writeEntry(from, end, 0);
    out.switchSection(section(WAOT_OWED_ROWS_SECTION));
    out.emitValueToAlignment(Align(4));
    out.emitLabel(row);
    out.emitValue(difference(start, row), 4);
    out.emitValue(difference(entries, row), 4);
  }

  void writeEntry(MCSymbol *from, MCSymbol *to, uint64_t owed) {
    printer.OutStreamer->emitULEB128Value(difference(to, from));
    printer.OutStreamer->emitULEB128IntValue(owed);
  }

  MCSection *section(StringRef name) {
    if (printer.TM.getTargetTriple().isOSBinFormatMachO()) return printer.OutContext.getMachOSection("__DATA_CONST", ("__" + name).str(), 0, SectionKind::getReadOnly());
    return printer.OutContext.getELFSection(name, ELF::SHT_PROGBITS, ELF::SHF_ALLOC);
  }
};

/* As TargetMachine::addPassesToEmitFile, with what is ours before the printer and in it. Returns what is wrong, or NULL. */
const char *addPasses(legacy::PassManager &passes, TargetMachine &machine, raw_pwrite_stream &out, CodeGenFileType type, OwedTables &tables) {
  auto *information = new MachineModuleInfoWrapperPass(&machine);
  TargetPassConfig *config = machine.createPassConfig(passes);
  config->setDisableVerify(true);
  config->disablePass(&LiveDebugValuesID); /* follows variables, of which there are none, through every block: 8 % of the code generator's time */
  /* A trap behind every call that never returns. The rule behind a call says where the frame is while the call lasts (call_frames.cc), and AsmPrinter drops rules that no instruction of the function follows. */
  machine.Options.TrapUnreachable = true;
  /* Loops start with a line of the cache. At LLVM's 16 bytes how fast one is depends on what happens to stand before it: moved by 16, 32 and 48 bytes, an interpreter took up to 1.5 times as long. In the mean of those places
   * code is 1.4 % faster so (that interpreter: 23 %; programs: 1.5 %), and 4 % longer. Not measured on AArch64. */
  if (machine.getTargetTriple().isX86()) machine.Options.LoopAlignment = CACHE_LINE;
  insertCallFramePasses(*config);
  insertExactLocationPasses(*config);
  insertZeroExtendedPass(*config);
  insertSplitEdgesPass(*config);
  passes.add(config);
  passes.add(information);
  if (config->addISelPasses()) return "the target has no instruction selection";
  config->addMachinePasses();
  config->setInitialized();
  passes.add(createTailFramesPass());
  passes.add(createPlaceChargesPass(tables, config->getOptLevel() != CodeGenOptLevel::None));
  Expected<std::unique_ptr<MCStreamer>> streamer = machine.createMCStreamer(out, nullptr, type, information->getMMI().getContext());
  if (!streamer) {
    consumeError(streamer.takeError());
    return "the target cannot write such a file";
  }
  AsmPrinter *printer = machine.getTarget().createAsmPrinter(machine, std::move(*streamer));
  if (!printer) return "the target has no assembly printer";
  printer->addAsmPrinterHandler(std::make_unique<OwedWriter>(*printer, tables));
  printer->addAsmPrinterHandler(createFrameRowsWriter(*printer));
  passes.add(printer);
  passes.add(createFreeMachineFunctionPass());
  return nullptr;
}

} // namespace

LLVMMemoryBufferRef codegen_emit_file(LLVMModuleRef moduleRef, LLVMTargetMachineRef machineRef, LLVMCodeGenFileType type, char **error) {
  Module &module = *unwrap(moduleRef);
  auto &machine = *reinterpret_cast<TargetMachine *>(machineRef);
  SmallVector<char, 0> bytes;
  raw_svector_ostream out(bytes);
  OwedTables tables;
  {
    legacy::PassManager passes;
    module.setDataLayout(machine.createDataLayout());
    if (const char *reason = addPasses(passes, machine, out, type == LLVMObjectFile ? CodeGenFileType::ObjectFile : CodeGenFileType::AssemblyFile, tables)) {
      *error = strdup(reason);
      return nullptr;
    }
    passes.run(module);
  }
  return wrap(new SmallVectorMemoryBuffer(std::move(bytes), false));
}
