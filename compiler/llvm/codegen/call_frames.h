/* call_frames.h - the passes over machine code that complete the unwind table behind calls. */
#ifndef WAOT_CALL_FRAMES_H
#define WAOT_CALL_FRAMES_H

namespace llvm {
class MCCFIInstruction;
class TargetPassConfig;
} // namespace llvm

/* Inserts them into a pipeline that is about to be filled. See call_frames.cc. */
void insertCallFramePasses(llvm::TargetPassConfig &config);
/* Whether a rule is one that they have put right behind a call. */
bool isBehindCall(const llvm::MCCFIInstruction &rule);

#endif
