# For gdb: steps the first calls of unwind_test's case "for a debugger" instruction by instruction, and at each asks gdb for the stack and the callee-saved registers.
import os

import gdb

MAGIC = 0x5A5A0000
SAVED = {"rbx": 3, "rbp": 6, "r12": 12, "r13": 13, "r14": 14, "r15": 15}
LIMIT = int(os.environ.get("WAOT_TEST_GDB_STEPS", "1500"))


def frame_is_between(names):
    """Between two calls: in the test's own code, all of whose frames are known."""
    return "main" in names and "waot_call" not in names and not any(name and name.startswith("waot_enter") for name in names)


gdb.execute("set pagination off")
gdb.execute("set backtrace limit 200")
for name in ("SIG42", "SIGILL", "SIGSEGV"):
    gdb.execute("handle %s nostop noprint pass" % name)
gdb.execute("break call_with_magic")
gdb.execute("run")
steps = failures = 0
while steps < LIMIT:
    gdb.execute("stepi", to_string=True)
    if gdb.selected_thread() is None or not gdb.selected_thread().is_valid():
        break
    frame = gdb.newest_frame()
    if frame.name() == "call_with_magic":
        continue  # it sets the registers up, or checks them
    names, caller = [], None
    while frame is not None:
        names.append(frame.name())
        if frame.name() == "call_with_magic" and caller is None:
            caller = frame
        frame = frame.older()
    if caller is None and frame_is_between(names):
        gdb.execute("continue")  # to the next call
        continue
    steps += 1
    bad = "main" not in names or caller is None
    if caller is not None:
        bad |= any(int(caller.read_register(reg)) & 0xFFFFFFFFFFFFFFFF != MAGIC + number for reg, number in SAVED.items())
    if bad:
        failures += 1
        print("lost at %s: %s" % (hex(gdb.newest_frame().pc()), names))
print("gdb: %d steps, %d failures" % (steps, failures))
