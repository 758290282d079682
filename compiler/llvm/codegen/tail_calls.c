/*
 * tail_calls.c - the calling convention of modules with tail calls.
 *
 * The bindings that make the module know neither conventions nor tail calls. So a module with tail calls declares the function waot.tail, and a call of it stands before each
 * call that is to be one. Here every compiled function gets the convention tailcc, in which the callee pops its arguments and any function can take the place of any; the
 * marked calls become tail calls, and the marks go. All other calls are kept from becoming tail calls: a wasm call has a frame.
 *
 * `tail` and not `musttail`: LLVM 22 miscompiles musttail with stack arguments on x86-64 (llvm issue 199224). A tailcc tail call directly before its `ret` is always
 * made one, at every level, provided that the results fit into registers.
 */
#include "codegen.h"

#include <llvm-c/Core.h>
#include <string.h>

/* llvm::CallingConv::Tail */
#define TAIL_CONVENTION 18

static const char DISABLE[] = "disable-tail-calls";

/* A function that lowering made, as opposed to the prelude's (linkonce) and LLVM's own. */
static bool is_compiled(LLVMValueRef value) {
  return LLVMIsAFunction(value) && LLVMGetIntrinsicID(value) == 0 && LLVMGetLinkage(value) != LLVMLinkOnceODRLinkage && LLVMGetLinkage(value) != LLVMLinkOnceAnyLinkage;
}

/* Rewrites the calls of one function. Returns whether there is a tail call among them. */
static bool rewrite_calls(LLVMValueRef function, LLVMValueRef mark) {
  bool found = false;
  for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
    bool marked = false;
    for (LLVMValueRef instruction = LLVMGetFirstInstruction(block), next; instruction; instruction = next) {
      next = LLVMGetNextInstruction(instruction);
      if (!LLVMIsACallInst(instruction)) continue;
      LLVMValueRef callee = LLVMGetCalledValue(instruction);
      if (callee == mark) {
        marked = true;
        LLVMInstructionEraseFromParent(instruction);
        continue;
      }
      if (LLVMIsAInlineAsm(callee) || (LLVMIsAFunction(callee) && LLVMGetIntrinsicID(callee))) continue;
      if (marked || is_compiled(callee)) LLVMSetInstructionCallConv(instruction, TAIL_CONVENTION);
      LLVMSetTailCallKind(instruction, marked ? LLVMTailCallKindTail : LLVMTailCallKindNoTail);
      found |= marked;
      marked = false;
    }
  }
  return found;
}

void codegen_tail_calls(LLVMModuleRef module) {
  LLVMValueRef mark = LLVMGetNamedFunction(module, "waot.tail");
  if (!mark) return;
  for (LLVMValueRef function = LLVMGetFirstFunction(module); function; function = LLVMGetNextFunction(function)) {
    if (function == mark || LLVMGetIntrinsicID(function)) continue;
    if (is_compiled(function)) LLVMSetFunctionCallConv(function, TAIL_CONVENTION);
    if (rewrite_calls(function, mark)) LLVMRemoveStringAttributeAtIndex(function, LLVMAttributeFunctionIndex, DISABLE, sizeof DISABLE - 1);
  }
  LLVMDeleteFunction(mark);
}
