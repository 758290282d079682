;; style each
;; call mul(2143289344)
;; session
;; call mul(2139095041)
;; session
;; call trunc(1333788672)
;; session
;; call trunc(-822083584)
;; session
;; call trunc(2143289344)
;; session
;; call minmax(-2147483648)
;; session
;; call copysign(-4194303)
;; # Where LLVM's arithmetic and wasm's part: quieting a NaN by x * 1, signed zeros in min and max, conversions at the limits.
(module (memory 1)
  (func (export "mul") (param i32) (result i32)
    local.get 0 f32.reinterpret_i32 f32.const 1 f32.mul i32.reinterpret_f32 i32.const 0x7fc00000 i32.and)
  (func (export "trunc") (param i32) (result i32)
    i32.const 0 local.get 0 f32.reinterpret_i32 i32.trunc_sat_f32_u i32.store
    local.get 0 f32.reinterpret_i32 i32.trunc_f32_s)
  (func (export "minmax") (param i32) (result i32)
    local.get 0 f32.reinterpret_i32 f32.const 0 f32.min i32.reinterpret_f32
    local.get 0 f32.reinterpret_i32 f32.const 0 f32.max i32.reinterpret_f32 i32.const 1 i32.shr_u i32.xor)
  (func (export "copysign") (param i32) (result i32)
    local.get 0 f32.reinterpret_i32 f32.const -1 f32.copysign i32.reinterpret_f32))
