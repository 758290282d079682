;; style each
;; fuel 100000
;; call f(0, 100, 0)
;; session
;; call f(65400, 100, 0)
;; session
;; call f(65472, 65, 1)
;; session
;; call f(200, 100, 2)
;; # Charges that only some iterations reach are gathered and paid at the exit of the loop (3045dc8).
(module (memory 1)
  (func (export "f") (param $p i32) (param $n i32) (param $odd i32) (result i32) (local $sum i32)
    loop
      local.get $p i32.load8_u i32.const 3 i32.and local.get $odd i32.eq
      if local.get $sum i32.const 5 i32.add local.set $sum local.get $p i32.const 9 i32.store8
      else local.get $n i32.const 1 i32.and if local.get $sum i32.const 1 i32.shl local.set $sum end end
      local.get $p i32.const 1 i32.add local.set $p
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end
    local.get $sum))
