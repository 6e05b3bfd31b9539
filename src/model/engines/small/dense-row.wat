;; One row through a dense layer: the steps of a program run it, in memory that program.ts lays out.
(module
  (import "small" "memory" (memory 0))

  ;; out[j] = max(bias[j] + sum of x[i] * w[i * n + j] over i below k, floor), for each j below n; a NaN stays one. Addresses are in
  ;; bytes, k and n are counts of float32.
  (func (export "denseRow")
    (param $x i32) (param $k i32) (param $w i32) (param $n i32) (param $bias i32) (param $floor f32) (param $out i32)
    (local $least v128) (local $end i32) (local $bytes i32) (local $at i32) (local $from i32) (local $weights i32)
    (local $value v128) (local $sum f32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $e v128) (local $f v128) (local $g v128) (local $h v128)
    (local.set $least (f32x4.splat (local.get $floor)))
    (local.set $end (i32.add (local.get $x) (i32.shl (local.get $k) (i32.const 2))))
    (local.set $bytes (i32.shl (local.get $n) (i32.const 2)))
    ;; 32 columns at a time: as many sums as hide how long an addition takes
    (block $few
      (loop $many
        (br_if $few (i32.gt_u (i32.add (local.get $at) (i32.const 128)) (local.get $bytes)))
        (local.set $a (v128.load (i32.add (local.get $bias) (local.get $at))))
        (local.set $b (v128.load offset=16 (i32.add (local.get $bias) (local.get $at))))
        (local.set $c (v128.load offset=32 (i32.add (local.get $bias) (local.get $at))))
        (local.set $d (v128.load offset=48 (i32.add (local.get $bias) (local.get $at))))
        (local.set $e (v128.load offset=64 (i32.add (local.get $bias) (local.get $at))))
        (local.set $f (v128.load offset=80 (i32.add (local.get $bias) (local.get $at))))
        (local.set $g (v128.load offset=96 (i32.add (local.get $bias) (local.get $at))))
        (local.set $h (v128.load offset=112 (i32.add (local.get $bias) (local.get $at))))
        (local.set $from (local.get $x))
        (local.set $weights (i32.add (local.get $w) (local.get $at)))
        (block $summed
          (loop $next
            (br_if $summed (i32.ge_u (local.get $from) (local.get $end)))
            (local.set $value (v128.load32_splat (local.get $from)))
            (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $value) (v128.load (local.get $weights)))))
            (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $value) (v128.load offset=16 (local.get $weights)))))
            (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $value) (v128.load offset=32 (local.get $weights)))))
            (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $value) (v128.load offset=48 (local.get $weights)))))
            (local.set $e (f32x4.add (local.get $e) (f32x4.mul (local.get $value) (v128.load offset=64 (local.get $weights)))))
            (local.set $f (f32x4.add (local.get $f) (f32x4.mul (local.get $value) (v128.load offset=80 (local.get $weights)))))
            (local.set $g (f32x4.add (local.get $g) (f32x4.mul (local.get $value) (v128.load offset=96 (local.get $weights)))))
            (local.set $h (f32x4.add (local.get $h) (f32x4.mul (local.get $value) (v128.load offset=112 (local.get $weights)))))
            (local.set $from (i32.add (local.get $from) (i32.const 4)))
            (local.set $weights (i32.add (local.get $weights) (local.get $bytes)))
            (br $next)))
        (v128.store (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $a) (local.get $least)))
        (v128.store offset=16 (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $b) (local.get $least)))
        (v128.store offset=32 (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $c) (local.get $least)))
        (v128.store offset=48 (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $d) (local.get $least)))
        (v128.store offset=64 (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $e) (local.get $least)))
        (v128.store offset=80 (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $f) (local.get $least)))
        (v128.store offset=96 (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $g) (local.get $least)))
        (v128.store offset=112 (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $h) (local.get $least)))
        (local.set $at (i32.add (local.get $at) (i32.const 128)))
        (br $many)))
    ;; 4 columns at a time
    (block $fewer
      (loop $four
        (br_if $fewer (i32.gt_u (i32.add (local.get $at) (i32.const 16)) (local.get $bytes)))
        (local.set $a (v128.load (i32.add (local.get $bias) (local.get $at))))
        (local.set $from (local.get $x))
        (local.set $weights (i32.add (local.get $w) (local.get $at)))
        (block $summed
          (loop $next
            (br_if $summed (i32.ge_u (local.get $from) (local.get $end)))
            (local.set $a (f32x4.add (local.get $a)
              (f32x4.mul (v128.load32_splat (local.get $from)) (v128.load (local.get $weights)))))
            (local.set $from (i32.add (local.get $from) (i32.const 4)))
            (local.set $weights (i32.add (local.get $weights) (local.get $bytes)))
            (br $next)))
        (v128.store (i32.add (local.get $out) (local.get $at)) (f32x4.pmax (local.get $a) (local.get $least)))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $four)))
    ;; what is left, one by one
    (block $done
      (loop $one
        (br_if $done (i32.ge_u (local.get $at) (local.get $bytes)))
        (local.set $sum (f32.load (i32.add (local.get $bias) (local.get $at))))
        (local.set $from (local.get $x))
        (local.set $weights (i32.add (local.get $w) (local.get $at)))
        (block $summed
          (loop $next
            (br_if $summed (i32.ge_u (local.get $from) (local.get $end)))
            (local.set $sum (f32.add (local.get $sum)
              (f32.mul (f32.load (local.get $from)) (f32.load (local.get $weights)))))
            (local.set $from (i32.add (local.get $from) (i32.const 4)))
            (local.set $weights (i32.add (local.get $weights) (local.get $bytes)))
            (br $next)))
        (f32.store (i32.add (local.get $out) (local.get $at))
          (select (local.get $floor) (local.get $sum) (f32.lt (local.get $sum) (local.get $floor))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $one)))))
