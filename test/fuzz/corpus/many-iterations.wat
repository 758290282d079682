;; style each
;; fuel 1000000
;; call count(1000)
;; session
;; call count(2147483647)
;; session
;; call count(0)
;; session
;; call same(0, -2147483648)
;; session
;; call long(1000n)
;; session
;; call long(0n)
;; # Trip counts up to 2^32 and 2^64, the whole bill before the loop: it must exhaust the fuel, never wrap round it (8c7356e).
(module (memory 1) (global $g (mut i32) (i32.const 0))
  (func (export "count") (param $n i32) (result i32) (local $sum i32)
    loop
      local.get $sum i32.const 3 i32.add local.set $sum
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end
    local.get $sum)
  (func (export "same") (param $p i32) (param $n i32)
    loop
      local.get $p local.get $n i32.store
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end)
  (func (export "long") (param $n i64) (result i64) (local $sum i64)
    loop
      local.get $sum i64.const 5 i64.add local.set $sum
      local.get $n i64.const 1 i64.sub local.tee $n i64.const 0 i64.ne br_if 0
    end
    local.get $sum))
