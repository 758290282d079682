; guest.ll - compiled code by hand, as the compiler would emit it: the fuel register is touched by charges only, traps are ubsantraps, prologues probe.
; Every guest function is i64 (vmctx, i64). The vmctx is struct guest_vmctx of harness.h.

target triple = "x86_64-unknown-linux-gnu"

declare void @llvm.ubsantrap(i8)

; The adapters: from a waot_value array to the C convention, and back.
define void @guest_enter(ptr %vmctx, ptr %args, ptr %code) #0 {
  %a = load i64, ptr %args
  %r = call i64 %code(ptr %vmctx, i64 %a)
  store i64 %r, ptr %args
  ret void
}
define i64 @guest_host(ptr %host, i64 %a) #0 {
  %args = alloca [16 x i8], align 16
  store i64 %a, ptr %args
  %exit = load ptr, ptr %host
  call void %exit(ptr %host, ptr %args)
  %r = load i64, ptr %args
  ret i64 %r
}

define i64 @guest_empty(ptr %vmctx, i64 %a) #0 {
  ret i64 %a
}
; Charges 3.
define i64 @guest_increment(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 3)
  %r = add i64 %a, 1
  ret i64 %r
}
; for(;;), charging 1 a turn.
define i64 @guest_spin(ptr %vmctx, i64 %a) #0 {
  br label %loop
loop:
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  br label %loop
}
; Turns %a times, charging nothing, which compiled code never does; then for(;;), charging 1,000 a turn.
define i64 @guest_idle_then_spin(ptr %vmctx, i64 %a) #0 {
  br label %idle
idle:
  %i = phi i64 [ 0, %0 ], [ %next, %idle ]
  call void asm sideeffect "", ""()
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %a
  br i1 %again, label %idle, label %loop
loop:
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1000)
  br label %loop
}
; Charges 1; turns %a times, charging nothing; calls the imported host function with 0; turns again; charges 1.
define i64 @guest_idle_call_host(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  br label %before
before:
  %i = phi i64 [ 0, %0 ], [ %i.next, %before ]
  call void asm sideeffect "", ""()
  %i.next = add i64 %i, 1
  %i.again = icmp ult i64 %i.next, %a
  br i1 %i.again, label %before, label %call
call:
  %import = getelementptr i8, ptr %vmctx, i64 80
  %code = load ptr, ptr %import
  %env.slot = getelementptr i8, ptr %vmctx, i64 88
  %env = load ptr, ptr %env.slot
  %r = call i64 %code(ptr %env, i64 0)
  br label %after
after:
  %k = phi i64 [ 0, %call ], [ %k.next, %after ]
  call void asm sideeffect "", ""()
  %k.next = add i64 %k, 1
  %k.again = icmp ult i64 %k.next, %a
  br i1 %k.again, label %after, label %done
done:
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  ret i64 %r
}
; Charges 1 + %a.
define i64 @guest_count(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %none = icmp eq i64 %a, 0
  br i1 %none, label %done, label %loop
loop:
  %i = phi i64 [ 0, %0 ], [ %next, %loop ]
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %a
  br i1 %again, label %loop, label %done
done:
  ret i64 %a
}
; Charges 2, then traps with code %a.
define i64 @guest_trap(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 2)
  switch i64 %a, label %bug [
    i64 1, label %t1
    i64 2, label %t2
    i64 3, label %t3
    i64 4, label %t4
    i64 5, label %t5
    i64 6, label %t6
    i64 7, label %t7
    i64 8, label %t8
    i64 9, label %t9
    i64 10, label %t10
  ]
t1:
  call void @llvm.ubsantrap(i8 1) #1
  unreachable
t2:
  call void @llvm.ubsantrap(i8 2) #1
  unreachable
t3:
  call void @llvm.ubsantrap(i8 3) #1
  unreachable
t4:
  call void @llvm.ubsantrap(i8 4) #1
  unreachable
t5:
  call void @llvm.ubsantrap(i8 5) #1
  unreachable
t6:
  call void @llvm.ubsantrap(i8 6) #1
  unreachable
t7:
  call void @llvm.ubsantrap(i8 7) #1
  unreachable
t8:
  call void @llvm.ubsantrap(i8 8) #1
  unreachable
t9:
  call void @llvm.ubsantrap(i8 9) #1
  unreachable
t10:
  call void @llvm.ubsantrap(i8 10) #1
  unreachable
bug:
  call void @llvm.ubsantrap(i8 99) #1
  unreachable
}
; Charges 1, then loads a byte at %a of the linear memory; any %a, so that a test can also miss the reservation.
define i64 @guest_load(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %slot = getelementptr i8, ptr %vmctx, i64 64
  %base = load ptr, ptr %slot
  %at = getelementptr i8, ptr %base, i64 %a
  %byte = load volatile i8, ptr %at
  %r = zext i8 %byte to i64
  ret i64 %r
}
; Recurses %a deep (-1: for ever), charging 1 a call, in small frames.
define i64 @guest_recurse(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %end = icmp eq i64 %a, 0
  br i1 %end, label %done, label %deeper
deeper:
  %less = sub i64 %a, 1
  %r = call i64 @guest_recurse(ptr %vmctx, i64 %less)
  %sum = add i64 %r, 1
  ret i64 %sum
done:
  ret i64 0
}
; The same in frames of 20,000 bytes, which only the probes keep from jumping over the guard.
define i64 @guest_recurse_big(ptr %vmctx, i64 %a) #0 {
  %frame = alloca [20000 x i8], align 16
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  store volatile i8 1, ptr %frame
  %less = sub i64 %a, 1
  %r = call i64 @guest_recurse_big(ptr %vmctx, i64 %less)
  %last = load volatile i8, ptr %frame
  %wide = zext i8 %last to i64
  %sum = add i64 %r, %wide
  ret i64 %sum
}
; Charges 3, calls the imported host function with %a, charges 5, returns its result + 1.
define i64 @guest_call_host(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 3)
  %import = getelementptr i8, ptr %vmctx, i64 80
  %code = load ptr, ptr %import
  %env.slot = getelementptr i8, ptr %vmctx, i64 88
  %env = load ptr, ptr %env.slot
  %r = call i64 %code(ptr %env, i64 %a)
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 5)
  %s = add i64 %r, 1
  ret i64 %s
}
; Calls the imported host function %a times, %a > 0.
define i64 @guest_host_loop(ptr %vmctx, i64 %a) #0 {
  %import = getelementptr i8, ptr %vmctx, i64 80
  %code = load ptr, ptr %import
  %env.slot = getelementptr i8, ptr %vmctx, i64 88
  %env = load ptr, ptr %env.slot
  br label %loop
loop:
  %i = phi i64 [ 0, %0 ], [ %next, %loop ]
  %r = call i64 %code(ptr %env, i64 %i)
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %a
  br i1 %again, label %loop, label %done
done:
  ret i64 %r
}
; Calls the imported host function with %a and charges nothing.
define i64 @guest_host_free(ptr %vmctx, i64 %a) #0 {
  %import = getelementptr i8, ptr %vmctx, i64 80
  %code = load ptr, ptr %import
  %env.slot = getelementptr i8, ptr %vmctx, i64 88
  %env = load ptr, ptr %env.slot
  %r = call i64 %code(ptr %env, i64 %a)
  ret i64 %r
}
; Recurses %a deep, then calls the host function with the depth.
define i64 @guest_deep_call_host(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %end = icmp eq i64 %a, 0
  br i1 %end, label %done, label %deeper
deeper:
  %less = sub i64 %a, 1
  %r = call i64 @guest_deep_call_host(ptr %vmctx, i64 %less)
  %sum = add i64 %r, 1
  ret i64 %sum
done:
  %h = call i64 @guest_call_host(ptr %vmctx, i64 7)
  ret i64 %h
}
; Charges 1; grows memory 0 by %a pages; charges 1; returns old pages * 1000 + pages now.
define i64 @guest_grow(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %slot = getelementptr i8, ptr %vmctx, i64 8
  %builtins = load ptr, ptr %slot
  %grow.slot = getelementptr i8, ptr %builtins, i64 8
  %grow = load ptr, ptr %grow.slot
  %old = call i64 %grow(ptr %vmctx, i32 0, i64 %a)
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %size = load ptr, ptr %builtins
  %now = call i64 %size(ptr %vmctx, i32 0)
  %thousands = mul i64 %old, 1000
  %r = add i64 %thousands, %now
  ret i64 %r
}
; Charges 4; fills bytes 10 .. 10 + %a of memory 0 with 0x5a; returns the builtin's result; no charge after it.
define i64 @guest_fill(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 4)
  %slot = getelementptr i8, ptr %vmctx, i64 8
  %builtins = load ptr, ptr %slot
  %fill.slot = getelementptr i8, ptr %builtins, i64 16
  %fill = load ptr, ptr %fill.slot
  %bad = call i32 %fill(ptr %vmctx, i32 0, i64 10, i32 90, i64 %a)
  %r = zext i32 %bad to i64
  ret i64 %r
}
; Charges 1; calls the builtin whose number is the low byte of %a, with the vmctx, twice 0 and three times the rest of %a; charges 1; returns its result.
define i64 @guest_builtin(ptr %vmctx, i64 %a) #0 {
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  %slot = getelementptr i8, ptr %vmctx, i64 8
  %builtins = load ptr, ptr %slot
  %number = and i64 %a, 255
  %at = getelementptr ptr, ptr %builtins, i64 %number
  %builtin = load ptr, ptr %at
  %rest = lshr i64 %a, 8
  %r = call i64 %builtin(ptr %vmctx, i64 0, i64 0, i64 %rest, i64 %rest, i64 %rest)
  call void asm sideeffect "addq $0, %rbp", "i,~{flags}"(i64 1)
  ret i64 %r
}
; Recurses for ever, filling nothing at every depth: the builtin's stack check must end it.
define i64 @guest_deep_fill(ptr %vmctx, i64 %a) #0 {
  %r = call i64 @guest_fill(ptr %vmctx, i64 0)
  %s = call i64 @guest_deep_fill(ptr %vmctx, i64 %r)
  %sum = add i64 %s, 1
  ret i64 %sum
}
; 1 / %a in doubles, as bits: infinity for 0, and no exception whatever the host's floating-point environment.
define i64 @guest_reciprocal(ptr %vmctx, i64 %a) #0 {
  %d = sitofp i64 %a to double
  %q = fdiv double 1.0, %d
  %r = bitcast double %q to i64
  ret i64 %r
}
; %a / 1 of a denormal double given as bits.
define i64 @guest_denormal(ptr %vmctx, i64 %a) #0 {
  %d = bitcast i64 %a to double
  %q = fmul double %d, 1.0
  %r = bitcast double %q to i64
  ret i64 %r
}

attributes #0 = { noinline uwtable "frame-pointer"="reserved" "no-realign-stack" "probe-stack"="inline-asm" }
attributes #1 = { noreturn nounwind }
