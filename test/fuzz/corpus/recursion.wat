;; style each
;; fuel 5000
;; call f(0)
;; session
;; call f(100)
;; session
;; call f(10000)
;; # Each wasm call keeps a frame and pays its entry, though the recursion could become a loop (e515b1f).
(module (memory 1)
  (func $f (export "f") (param i32) (result i32)
    local.get 0 i32.eqz if (result i32) i32.const 7 else local.get 0 i32.const 1 i32.sub call $f end))
