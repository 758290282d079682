;; style each
;; fuel 100000
;; call f()
;; session
;; call g()
;; # Three static arrays: the first meets either of the others, which do not meet. The load was taken for one that meets no store, and moved before the loop (fuzzer, seed 7312).
(module (memory 1)
  (data (i32.const 0) "\11\22\33\44\55\66\77\88\99\aa\bb\cc\dd\ee\ff\01\02\03\04\05\06\07\08\09\0a\0b\0c\0d\0e\0f")
  (func (export "f") (result i64) (local $i i32) (local $last i64)
    loop
      local.get $i i32.const 1 i32.add local.tee $i i64.const 0 i64.store align=1
      i32.const 1 i64.load align=1 local.set $last
      local.get $i i32.const 4 i32.shl i64.const 0 i64.store align=1
      local.get $i i32.const 16 i32.lt_s br_if 0
    end
    local.get $last)
  (func (export "g") (result i64) (local $i i32) (local $sum i64)
    loop
      local.get $i i32.const 2 i32.shl i64.const -1 i64.store align=1
      i32.const 60 i64.load align=1 local.get $sum i64.add local.set $sum
      i32.const 30 i64.load align=1 local.get $sum i64.xor local.set $sum
      local.get $i i32.const 3 i32.shl i64.const 5 i64.store offset=100 align=1
      local.get $i i32.const 1 i32.add local.tee $i i32.const 20 i32.lt_u br_if 0
    end
    local.get $sum))
