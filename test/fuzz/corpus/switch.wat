;; style each
;; fuel 20000
;; call f(0, 100)
;; session
;; call f(1, 64)
;; session
;; call f(65520, 30)
;; # The dispatch loop of an interpreter: arms of a switch that pay different sums (14b705e).
(module (memory 1)
  (func (export "f") (param $pc i32) (param $n i32) (result i32) (local $acc i32)
    loop $next
      local.get $n i32.eqz if local.get $acc return end
      local.get $n i32.const 1 i32.sub local.set $n
      block $a block $b block $c
        local.get $pc i32.load8_u i32.const 3 i32.and
        local.get $pc i32.const 1 i32.add local.set $pc
        br_table $a $b $c $next
      end
        local.get $acc i32.const 3 i32.mul i32.const 1 i32.add local.set $acc
        br $next
      end
        local.get $pc local.get $acc i32.store8
        br $next
      end
      local.get $acc i32.const 1 i32.shr_u local.set $acc
      br $next
    end
    local.get $acc))
