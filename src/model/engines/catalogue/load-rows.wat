;; Narrow values as float32: row-format.ts runs it, in memory that it lays out.
(module
  (import "rows" "memory" (memory 0))

  ;; to[i] = from[i] · scale, of int8 `from`, for i below the least multiple of 16 that is `count` or more.
  (func (export "loadInt8") (param $from i32) (param $to i32) (param $count i32) (param $scale f32)
    (local $end i32) (local $factor v128) (local $bytes v128) (local $half v128)
    (local.set $factor (f32x4.splat (local.get $scale)))
    (local.set $end (i32.add (local.get $from) (local.get $count)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (local.set $bytes (v128.load (local.get $from)))
        (local.set $half (i16x8.extend_low_i8x16_s (local.get $bytes)))
        (v128.store (local.get $to) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $half))) (local.get $factor)))
        (v128.store offset=16 (local.get $to) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $half))) (local.get $factor)))
        (local.set $half (i16x8.extend_high_i8x16_s (local.get $bytes)))
        (v128.store offset=32 (local.get $to) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $half))) (local.get $factor)))
        (v128.store offset=48 (local.get $to) (f32x4.mul
          (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $half))) (local.get $factor)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (local.set $to (i32.add (local.get $to) (i32.const 64)))
        (br $next))))

  ;; to[i] = the float32 whose upper half is from[i], for i below the least multiple of 8 that is `count` or more.
  (func (export "loadBfloat16") (param $from i32) (param $to i32) (param $count i32)
    (local $end i32) (local $halves v128)
    (local.set $end (i32.add (local.get $from) (i32.shl (local.get $count) (i32.const 1))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (local.set $halves (v128.load (local.get $from)))
        (v128.store (local.get $to)
          (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $halves)) (i32.const 16)))
        (v128.store offset=16 (local.get $to)
          (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $halves)) (i32.const 16)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (local.set $to (i32.add (local.get $to) (i32.const 32)))
        (br $next)))))
