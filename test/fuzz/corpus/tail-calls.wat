;; style each
;; fuel 200000
;; call f(1000, 3)
;; session
;; call f(20001, 4)
;; session
;; call f(1000000, 5)
;; # Tail calls with arguments on the stack, direct and through a table: constant stack, exact fuel (617d4a1; llvm issue 199224).
(module (memory 1) (table 2 funcref) (elem (i32.const 0) $even $odd)
  (type $t (func (param i32 i32 i64 i64 i32 i32 i64 i64 i32 i32) (result i64)))
  (func (export "f") (param i32 i32) (result i64)
    local.get 0 local.get 1 i64.const 3 i64.const 4 i32.const 5 i32.const 6 i64.const 7 i64.const 8 i32.const 9 i32.const 10 return_call $even)
  (func $even (type $t)
    local.get 0 i32.eqz if local.get 9 i64.extend_i32_u local.get 7 i64.add return end
    local.get 0 i32.const 1 i32.sub local.get 9 local.get 3 local.get 2 local.get 8 local.get 4 local.get 7 i64.const 1 i64.add local.get 6 local.get 1 local.get 5
    i32.const 1 return_call_indirect (type $t))
  (func $odd (type $t)
    local.get 0 i32.eqz if local.get 6 return end
    local.get 0 i32.const 1 i32.sub local.get 4 local.get 7 local.get 3 local.get 8 local.get 9 local.get 6 local.get 2 local.get 1 local.get 5
    return_call $even))
