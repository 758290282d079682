;; style each
;; call stop()
;; session
;; call stopLater(0)
;; session
;; call load(65533)
;; session
;; call load(8)
;; session
;; call store(65536)
;; # Functions that always trap are cold to LLVM, which puts them into a section of their own, behind the others; fuel must be exact there as well.
(module (memory 1)
  (func (export "stop") i32.const 1 drop i32.const 2 drop unreachable)
  (func (export "load") (param i32) (result i32) local.get 0 i32.const 1 i32.add i32.load i32.const 5 i32.add)
  (func (export "stopLater") (param i32) (result i32) i32.const 100 local.get 0 i32.const 7 i32.add i32.store i32.const 9 i32.const 0 i32.div_u)
  (func (export "store") (param i32) local.get 0 i32.const 3 i32.store8 local.get 0 i32.const 3 i32.store16 offset=1))
