/* repeat_turns.h - two turns of a small loop for one payment, in machine code. */
#ifndef WAOT_REPEAT_TURNS_H
#define WAOT_REPEAT_TURNS_H

namespace llvm {
class MachineFunction;
class MachineLoopInfo;
} // namespace llvm
class GuessedFrequencies;

/* Makes two turns of one in loops of which a payment is a large part. Returns whether it has; then `loops` is up to date, and the frequencies are not. See repeat_turns.cc. */
bool repeatTurns(llvm::MachineFunction &function, llvm::MachineLoopInfo &loops, const GuessedFrequencies &frequencies);

#endif
