;; style each
;; fuel 20000
;; call f(0, 0)
;; session
;; call f(65533, 0)
;; session
;; call f(0, 5)
;; session
;; call f(65532, 5)
;; session
;; call g(1)
;; session
;; call g(0)
;; session
;; call g(9)
;; # Charges merge only where nobody can look in between; what a trap leaves behind is what was written before it (1163f8f).
(module (import "host" "h" (func $h (param i32) (result i32))) (memory 1) (global $g (mut i32) (i32.const 1))
  (func (export "f") (param $p i32) (param $d i32) (result i32)
    i32.const 5 global.set $g
    i32.const 100 local.get $d i32.store
    i32.const 1000 local.get $d i32.div_u
    i32.const 6 global.set $g
    local.get $p i32.load drop
    i32.const 7 global.set $g
    local.get $p i32.const 9 i32.store)
  (func (export "g") (param $x i32) (result i32)
    local.get $x
    if (result i32)
      local.get $x i32.const 8 i32.gt_u if i32.const 1 call $h drop unreachable else i32.const 2 i32.const 3 i32.add drop end
      local.get $x call $h
    else
      i32.const 3 i32.const 4 i32.add i32.const 5 i32.add i32.const 0 i32.load i32.add
    end))
