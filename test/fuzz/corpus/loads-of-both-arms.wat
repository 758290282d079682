;; style each
;; fuel 20000
;; call f(1, -1)
;; session
;; call f(1, 0)
;; session
;; call f(0, -1)
;; session
;; call g(1, -1, 2)
;; session
;; call g(0, -1, 2)
;; # LLVM makes one load of the loads of two arms, behind what follows them there; charges must not be among what it passes.
(module (memory 1)
  (func (export "f") (param $c i32) (param $p i32) (result i64) (local $s i64)
    (if (local.get $c)
      (then (local.set $s (i64.sub (local.get $s) (i64.load32_s (local.get $p)))))
      (else (local.set $s (i64.sub (local.get $s) (i64.extend_i32_s (i32.load (local.get $p)))))))
    local.get $s)
  (func (export "g") (param $c i32) (param $p i32) (param $n i32) (result i64) (local $s i64)
    (loop $l
      (if (local.get $c)
        (then (local.set $s (i64.sub (local.get $s) (i64.load32_s (local.get $p)))))
        (else (local.set $s (i64.sub (local.get $s) (i64.extend_i32_s (i32.load (i32.const 0)))))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    local.get $s))
