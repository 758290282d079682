/* call_frames.h - the passes over machine code that complete the unwind table behind calls. */
#ifndef WAOT_CALL_FRAMES_H
#define WAOT_CALL_FRAMES_H

namespace llvm {
class TargetPassConfig;
}

/* Inserts them into a pipeline that is about to be filled. See call_frames.cc. */
void insertCallFramePasses(llvm::TargetPassConfig &config);

#endif
