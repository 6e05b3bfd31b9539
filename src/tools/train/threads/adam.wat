;; A step of Adam: what adam.ts runs.  After a change put the module's bytes into adam.ts: the test of that compares them, and
;; says what they are.
(module
  (import "adam" "memory" (memory 0))

  ;; For every float32 of `bytes` bytes, a multiple of 16, at $w (weights), $m, $v (moments) and $g (gradients):
  ;;   m = m + (g − m)·keep1, v = v + (g² − v)·keep2, w = w − rate·m ÷ (√v·scale + epsilon)
  (func (export "step")
    (param $w i32) (param $m i32) (param $v i32) (param $g i32) (param $bytes i32)
    (param $keep1 f32) (param $keep2 f32) (param $rate f32) (param $scale f32) (param $epsilon f32)
    (local $end i32) (local $gradient v128) (local $first v128) (local $second v128)
    (local $k1 v128) (local $k2 v128) (local $r v128) (local $s v128) (local $e v128)
    (local.set $k1 (f32x4.splat (local.get $keep1)))
    (local.set $k2 (f32x4.splat (local.get $keep2)))
    (local.set $r (f32x4.splat (local.get $rate)))
    (local.set $s (f32x4.splat (local.get $scale)))
    (local.set $e (f32x4.splat (local.get $epsilon)))
    (local.set $end (i32.add (local.get $w) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $w) (local.get $end)))
        (local.set $gradient (v128.load (local.get $g)))
        (local.set $first (v128.load (local.get $m)))
        (local.set $first (f32x4.add (local.get $first)
          (f32x4.mul (f32x4.sub (local.get $gradient) (local.get $first)) (local.get $k1))))
        (v128.store (local.get $m) (local.get $first))
        (local.set $second (v128.load (local.get $v)))
        (local.set $second (f32x4.add (local.get $second)
          (f32x4.mul (f32x4.sub (f32x4.mul (local.get $gradient) (local.get $gradient)) (local.get $second)) (local.get $k2))))
        (v128.store (local.get $v) (local.get $second))
        (v128.store (local.get $w) (f32x4.sub (v128.load (local.get $w))
          (f32x4.div (f32x4.mul (local.get $first) (local.get $r))
            (f32x4.add (f32x4.mul (f32x4.sqrt (local.get $second)) (local.get $s)) (local.get $e)))))
        (local.set $w (i32.add (local.get $w) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (br $next)))))
