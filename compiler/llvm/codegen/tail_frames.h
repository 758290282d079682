/* tail_frames.h - unwind tables of functions that pop their arguments. */
#ifndef WAOT_TAIL_FRAMES_H
#define WAOT_TAIL_FRAMES_H

namespace llvm {
class AsmPrinter;
class MachineFunctionPass;
} // namespace llvm

/* To run when all other passes that write unwind rules have run. See tail_frames.cc. */
llvm::MachineFunctionPass *createTailFramesPass();
/* When a function has been printed into an object: moves the rules behind its calls, which call_frames.cc has made and marked, into the calls. */
void moveRulesIntoCalls(llvm::AsmPrinter &printer);

#endif
