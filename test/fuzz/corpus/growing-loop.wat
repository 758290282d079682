;; style each
;; fuel 200000
;; call f(65000, 100, 50)
;; session
;; call f(65000, 100, 1)
;; session
;; call f(65000, 100, 1000)
;; session
;; call host(65000, 100)
;; # Memory grows within a loop, and during a call of the host: its length is read anew, its base stays.
(module (import "host" "h" (func $h (param i32) (result i32))) (memory 1 3)
  (func (export "f") (param $p i32) (param $n i32) (param $when i32) (result i32)
    loop
      local.get $n local.get $when i32.eq if i32.const 1 memory.grow drop end
      local.get $p local.get $n i32.store
      local.get $p i32.const 8 i32.add local.set $p
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end
    memory.size)
  (func (export "host") (param $p i32) (param $n i32) (result i32)
    loop
      local.get $p local.get $p call $h i32.store
      local.get $p i32.const 8 i32.add local.set $p
      local.get $n i32.const 1 i32.sub local.tee $n br_if 0
    end
    memory.size))
