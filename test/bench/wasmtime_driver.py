"""Times kernels in wasmtime, through its Python package. The protocol is that of native-driver.c; the kinds are none, fuel and epochs."""
import sys
import time

import wasmtime


def make_engine(kind):
    config = wasmtime.Config()
    config.cranelift_opt_level = "speed"
    config.consume_fuel = kind == "fuel"
    config.epoch_interruption = kind == "epochs"
    return wasmtime.Engine(config)


FUEL = 2**62


class Kernel:
    """One instance; `consumed` is None unless fuel is counted."""

    def __init__(self, engine, kind, path):
        self.kind = kind
        self.store = wasmtime.Store(engine)
        self.refuel()
        if kind == "epochs":
            # Nothing raises the epoch: what is timed is the check, as fuel's is.
            self.store.set_epoch_deadline(1)
        module = wasmtime.Module.from_file(engine, path)
        self.call = wasmtime.Instance(self.store, module, []).exports(self.store)["run"]

    def refuel(self):
        if self.kind == "fuel":
            self.store.set_fuel(FUEL)

    def run(self, n, calls):
        best = None
        for _ in range(calls):
            self.refuel()
            start = time.process_time_ns()
            total = self.call(self.store, n)
            spent = time.process_time_ns() - start
            best = spent if best is None else min(best, spent)
        consumed = f" {FUEL - self.store.get_fuel()}" if self.kind == "fuel" else ""
        return f"{total} {best}{consumed}"


def main():
    engines = {kind: make_engine(kind) for kind in ("none", "fuel", "epochs")}
    kernels = {}
    for line in sys.stdin:
        try:
            verb, name, rest = line.rstrip("\n").split(" ", 2)
            first, second = rest.split(" ", 1)
            if verb == "load":
                kernels[name] = Kernel(engines[first], first, second)
                answer = "ok"
            elif verb == "run":
                answer = kernels[name].run(int(first), int(second))
            else:
                answer = f"error bad command: {line.strip()}"
        except Exception as error:  # The harness reports it and ends.
            answer = "error " + str(error).replace("\n", " ")
        print(answer, flush=True)


main()
