;; style each
;; fuel 50000
;; call f(65376, 10)
;; session
;; call f(65377, 10)
;; session
;; call f(65392, 9)
;; session
;; call f(65393, 9)
;; session
;; call f(65440, 10)
;; session
;; call alias(0, 8, 100)
;; session
;; call alias(8, 0, 100)
;; session
;; call alias(65528, 0, 1)
;; session
;; call alias(65000, 65001, 70)
;; # Several accesses with one index: the one that reaches furthest decides, to the byte. Streams that overlap must not be reordered (999ace7).
(module (memory 1)
  (func (export "f") (param $p i32) (param $n i32)
    loop
      local.get $p local.get $p f64.load f64.store offset=8
      local.get $p i32.const 7 i32.store8 offset=15
      local.get $p local.get $n i32.store16 offset=13
      local.get $p i32.const 16 i32.add local.set $p
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end)
  (func (export "alias") (param $to i32) (param $from i32) (param $n i32) (local $i i32)
    loop
      local.get $to local.get $i i32.const 3 i32.shl i32.add
      local.get $from local.get $i i32.const 3 i32.shl i32.add i64.load
      i64.const 1 i64.add i64.store
      local.get $i i32.const 1 i32.add local.tee $i
      local.get $n i32.ne br_if 0
    end))
