;; style each
;; fuel 50000
;; call up(-32, 16)
;; session
;; call up(-4, 16)
;; session
;; call up(65532, 1)
;; session
;; call up(65529, 2)
;; session
;; call up(65500, 10)
;; session
;; call down(36, 10)
;; session
;; call down(36, 11)
;; session
;; call step(0, 20)
;; session
;; call step(1073741824, 20)
;; session
;; call scaled(1073741820, 16)
;; session
;; call scaled(0, 20000)
;; # An index of 32 bits that wraps round in the middle of a loop: its first and its last value say nothing unless they are compared in 64 bits.
(module (memory 1)
  (func (export "up") (param $p i32) (param $n i32) (result i64) (local $sum i64)
    loop
      local.get $p i64.load32_u local.get $sum i64.add local.set $sum
      local.get $p local.get $n i32.store
      local.get $p i32.const 4 i32.add local.set $p
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end
    local.get $sum)
  (func (export "down") (param $p i32) (param $n i32)
    loop
      local.get $p local.get $n i32.store
      local.get $p i32.const 4 i32.sub local.set $p
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end)
  (func (export "step") (param $p i32) (param $n i32)
    loop
      local.get $p local.get $n i32.store
      local.get $p i32.const 0x40000000 i32.add local.set $p
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end)
  (func (export "scaled") (param $i i32) (param $n i32)
    loop
      local.get $i i32.const 2 i32.shl local.get $n i32.store
      local.get $i i32.const 1 i32.add local.set $i
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end))
