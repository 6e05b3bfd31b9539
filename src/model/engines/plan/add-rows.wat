;; Sums of rows of a slab and one row: row-memory.ts runs it, in memory that it lays out.
(module
  (import "rows" "memory" (memory 0))

  ;; out[i] = max(slab[slots[i]] + row, floor), for each i below count: `bytes` bytes of float32, which lie `stride` bytes apart in
  ;; the slab; a NaN stays one.
  (func (export "addRows")
    (param $slab i32) (param $stride i32) (param $slots i32) (param $count i32) (param $row i32) (param $bytes i32) (param $floor f32) (param $out i32)
    (local $least v128) (local $end i32) (local $from i32) (local $to i32) (local $at i32) (local $vectors i32) (local $sum f32)
    (local.set $least (f32x4.splat (local.get $floor)))
    (local.set $end (i32.add (local.get $slots) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $vectors (i32.and (local.get $bytes) (i32.const -64)))
    (local.set $to (local.get $out))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $slots) (local.get $end)))
        (local.set $from (i32.add (local.get $slab) (i32.mul (i32.load (local.get $slots)) (local.get $stride))))
        (local.set $at (i32.const 0))
        ;; 16 numbers at a time
        (block $short
          (loop $vector
            (br_if $short (i32.ge_u (local.get $at) (local.get $vectors)))
            (v128.store (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (f32x4.add
              (v128.load (i32.add (local.get $from) (local.get $at)))
              (v128.load (i32.add (local.get $row) (local.get $at)))) (local.get $least)))
            (v128.store offset=16 (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (f32x4.add
              (v128.load offset=16 (i32.add (local.get $from) (local.get $at)))
              (v128.load offset=16 (i32.add (local.get $row) (local.get $at)))) (local.get $least)))
            (v128.store offset=32 (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (f32x4.add
              (v128.load offset=32 (i32.add (local.get $from) (local.get $at)))
              (v128.load offset=32 (i32.add (local.get $row) (local.get $at)))) (local.get $least)))
            (v128.store offset=48 (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (f32x4.add
              (v128.load offset=48 (i32.add (local.get $from) (local.get $at)))
              (v128.load offset=48 (i32.add (local.get $row) (local.get $at)))) (local.get $least)))
            (local.set $at (i32.add (local.get $at) (i32.const 64)))
            (br $vector)))
        ;; what is left of the row, one by one
        (block $whole
          (loop $number
            (br_if $whole (i32.ge_u (local.get $at) (local.get $bytes)))
            (local.set $sum (f32.add
              (f32.load (i32.add (local.get $from) (local.get $at)))
              (f32.load (i32.add (local.get $row) (local.get $at)))))
            (f32.store (i32.add (local.get $to) (local.get $at))
              (select (local.get $floor) (local.get $sum) (f32.lt (local.get $sum) (local.get $floor))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $number)))
        (local.set $to (i32.add (local.get $to) (local.get $bytes)))
        (local.set $slots (i32.add (local.get $slots) (i32.const 4)))
        (br $next))))

  ;; Reads a word of each of the processor's cache lines of rows, `bytes` bytes each, a whole number of 64, before others compute with
  ;; them: a loop that only reads waits for many lines at a time.
  (func (export "touchRows") (param $slab i32) (param $stride i32) (param $slots i32) (param $count i32) (param $bytes i32) (result i32)
    (local $end i32) (local $from i32) (local $last i32) (local $read i32)
    (local.set $end (i32.add (local.get $slots) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $slots) (local.get $end)))
        (local.set $from (i32.add (local.get $slab) (i32.mul (i32.load (local.get $slots)) (local.get $stride))))
        (local.set $last (i32.add (local.get $from) (local.get $bytes)))
        ;; 4 lines at a time
        (block $few
          (loop $lines
            (br_if $few (i32.lt_u (i32.sub (local.get $last) (local.get $from)) (i32.const 256)))
            (local.set $read (i32.xor (local.get $read) (i32.xor
              (i32.xor (i32.load (local.get $from)) (i32.load offset=64 (local.get $from)))
              (i32.xor (i32.load offset=128 (local.get $from)) (i32.load offset=192 (local.get $from))))))
            (local.set $from (i32.add (local.get $from) (i32.const 256)))
            (br $lines)))
        (block $whole
          (loop $line
            (br_if $whole (i32.ge_u (local.get $from) (local.get $last)))
            (local.set $read (i32.xor (local.get $read) (i32.load (local.get $from))))
            (local.set $from (i32.add (local.get $from) (i32.const 64)))
            (br $line)))
        (local.set $slots (i32.add (local.get $slots) (i32.const 4)))
        (br $next)))
    (local.get $read))

  ;; Rounds `bytes` bytes of float32, a whole number of 32, to bfloat16, to nearest even, as addRowsRounded reads them: of each eight, the
  ;; first four are the lower halves of words, the others the upper ones. A NaN may become another number.
  (func (export "packRow") (param $from i32) (param $bytes i32) (param $out i32)
    (local $end i32) (local $half v128) (local $one v128) (local $a v128) (local $b v128)
    (local.set $half (i32x4.splat (i32.const 0x7fff)))
    (local.set $one (i32x4.splat (i32.const 1)))
    (local.set $end (i32.add (local.get $from) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
        (local.set $a (v128.load (local.get $from)))
        (local.set $b (v128.load offset=16 (local.get $from)))
        (v128.store (local.get $out) (v128.or
          (i32x4.shr_u
            (i32x4.add (i32x4.add (local.get $a) (local.get $half))
              (v128.and (i32x4.shr_u (local.get $a) (i32.const 16)) (local.get $one)))
            (i32.const 16))
          (v128.and
            (i32x4.add (i32x4.add (local.get $b) (local.get $half))
              (v128.and (i32x4.shr_u (local.get $b) (i32.const 16)) (local.get $one)))
            (i32x4.splat (i32.const 0xffff0000)))))
        (local.set $from (i32.add (local.get $from) (i32.const 32)))
        (local.set $out (i32.add (local.get $out) (i32.const 16)))
        (br $next))))

  ;; The same as addRows of rows that packRow wrote, in bfloat16, rounded to nearest, ties away from 0: bytes of float32 are a whole
  ;; number of 64, and `floor` is the least upper half, as an integer: -0 is below 0. Two rows at a time, which share what is read of `row`. A NaN may
  ;; become another number.
  (func (export "addRowsRounded")
    (param $slab i32) (param $stride i32) (param $slots i32) (param $count i32) (param $row i32) (param $bytes i32) (param $floor i32) (param $out i32)
    (local $least v128) (local $end i32) (local $from i32) (local $from2 i32) (local $out2 i32) (local $second i32) (local $at i32) (local $last i32)
    (local $words v128) (local $half v128) (local $upper v128) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $least (i16x8.splat (local.get $floor)))
    (local.set $half (i32x4.splat (i32.const 0x8000)))
    (local.set $upper (i32x4.splat (i32.const 0xffff0000)))
    (local.set $end (i32.add (local.get $slots) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $last (i32.add (local.get $row) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $slots) (local.get $end)))
        ;; The last of an odd number of rows is computed as both of a pair.
        (local.set $second (select (i32.const 4) (i32.const 0)
          (i32.lt_u (i32.add (local.get $slots) (i32.const 4)) (local.get $end))))
        (local.set $from (i32.add (local.get $slab) (i32.mul (i32.load (local.get $slots)) (local.get $stride))))
        (local.set $from2 (i32.add (local.get $slab)
          (i32.mul (i32.load (i32.add (local.get $slots) (local.get $second))) (local.get $stride))))
        (local.set $out2 (i32.add (local.get $out) (select (i32.shr_u (local.get $bytes) (i32.const 1)) (i32.const 0) (local.get $second))))
        (local.set $at (local.get $row))
        (block $short
          (loop $vector
            (br_if $short (i32.ge_u (local.get $at) (local.get $last)))
            (local.set $a (v128.load (local.get $at)))
            (local.set $b (v128.load offset=16 (local.get $at)))
            (local.set $c (v128.load offset=32 (local.get $at)))
            (local.set $d (v128.load offset=48 (local.get $at)))
            (local.set $words (v128.load (local.get $from)))
            (v128.store (local.get $out) (i16x8.max_s (local.get $least) (i16x8.narrow_i32x4_s
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (i32x4.shl (local.get $words) (i32.const 16)) (local.get $a))) (i32.const 16))
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (v128.and (local.get $words) (local.get $upper)) (local.get $b))) (i32.const 16)))))
            (local.set $words (v128.load offset=16 (local.get $from)))
            (v128.store offset=16 (local.get $out) (i16x8.max_s (local.get $least) (i16x8.narrow_i32x4_s
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (i32x4.shl (local.get $words) (i32.const 16)) (local.get $c))) (i32.const 16))
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (v128.and (local.get $words) (local.get $upper)) (local.get $d))) (i32.const 16)))))
            (local.set $words (v128.load (local.get $from2)))
            (v128.store (local.get $out2) (i16x8.max_s (local.get $least) (i16x8.narrow_i32x4_s
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (i32x4.shl (local.get $words) (i32.const 16)) (local.get $a))) (i32.const 16))
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (v128.and (local.get $words) (local.get $upper)) (local.get $b))) (i32.const 16)))))
            (local.set $words (v128.load offset=16 (local.get $from2)))
            (v128.store offset=16 (local.get $out2) (i16x8.max_s (local.get $least) (i16x8.narrow_i32x4_s
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (i32x4.shl (local.get $words) (i32.const 16)) (local.get $c))) (i32.const 16))
              (i32x4.shr_s (i32x4.add (local.get $half) (f32x4.add (v128.and (local.get $words) (local.get $upper)) (local.get $d))) (i32.const 16)))))
            (local.set $from (i32.add (local.get $from) (i32.const 32)))
            (local.set $from2 (i32.add (local.get $from2) (i32.const 32)))
            (local.set $out (i32.add (local.get $out) (i32.const 32)))
            (local.set $out2 (i32.add (local.get $out2) (i32.const 32)))
            (local.set $at (i32.add (local.get $at) (i32.const 64)))
            (br $vector)))
        ;; It ends where the next pair begins.
        (local.set $out (local.get $out2))
        (local.set $slots (i32.add (local.get $slots) (i32.const 8)))
        (br $next))))

  ;; The same as bytes, times `factors` [columns]: bytes of float32 are a whole number of 64. NaN becomes 0. Numbers are rounded to
  ;; nearest even by an addition: near 2^23, float32 numbers are whole, and their last bits are the number. V8 does not inline
  ;; functions, and a call takes as long as the computation: so nothing here is one.
  (func (export "addRowsScaled")
    (param $slab i32) (param $stride i32) (param $slots i32) (param $count i32) (param $row i32) (param $bytes i32) (param $factor i32) (param $out i32)
    (local $end i32) (local $from i32) (local $from2 i32) (local $out2 i32) (local $second i32) (local $at i32) (local $last i32) (local $factors i32)
    (local $least v128) (local $most v128) (local $whole v128) (local $low v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $e v128) (local $f v128) (local $g v128) (local $h v128)
    (local.set $most (f32x4.splat (f32.const 255)))
    (local.set $whole (f32x4.splat (f32.const 8388608)))
    (local.set $low (i32x4.splat (i32.const 0xff)))
    (local.set $end (i32.add (local.get $slots) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $last (i32.add (local.get $row) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $slots) (local.get $end)))
        ;; The last of an odd number of rows is computed as both of a pair.
        (local.set $second (select (i32.const 4) (i32.const 0)
          (i32.lt_u (i32.add (local.get $slots) (i32.const 4)) (local.get $end))))
        (local.set $from (i32.add (local.get $slab) (i32.mul (i32.load (local.get $slots)) (local.get $stride))))
        (local.set $from2 (i32.add (local.get $slab)
          (i32.mul (i32.load (i32.add (local.get $slots) (local.get $second))) (local.get $stride))))
        (local.set $out2 (i32.add (local.get $out) (select (i32.shr_u (local.get $bytes) (i32.const 2)) (i32.const 0) (local.get $second))))
        (local.set $at (local.get $row))
        (local.set $factors (local.get $factor))
        (block $short
          (loop $vector
            (br_if $short (i32.ge_u (local.get $at) (local.get $last)))
            (local.set $a (v128.load (local.get $at)))
            (local.set $b (v128.load offset=16 (local.get $at)))
            (local.set $c (v128.load offset=32 (local.get $at)))
            (local.set $d (v128.load offset=48 (local.get $at)))
            (local.set $e (v128.load (local.get $factors)))
            (local.set $f (v128.load offset=16 (local.get $factors)))
            (local.set $g (v128.load offset=32 (local.get $factors)))
            (local.set $h (v128.load offset=48 (local.get $factors)))
            (v128.store (local.get $out) (i8x16.narrow_i16x8_u
              (i16x8.narrow_i32x4_u
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $e) (f32x4.add (v128.load (local.get $from)) (local.get $a)))))))
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $f) (f32x4.add (v128.load offset=16 (local.get $from)) (local.get $b))))))))
              (i16x8.narrow_i32x4_u
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $g) (f32x4.add (v128.load offset=32 (local.get $from)) (local.get $c)))))))
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $h) (f32x4.add (v128.load offset=48 (local.get $from)) (local.get $d))))))))))
            (v128.store (local.get $out2) (i8x16.narrow_i16x8_u
              (i16x8.narrow_i32x4_u
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $e) (f32x4.add (v128.load (local.get $from2)) (local.get $a)))))))
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $f) (f32x4.add (v128.load offset=16 (local.get $from2)) (local.get $b))))))))
              (i16x8.narrow_i32x4_u
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $g) (f32x4.add (v128.load offset=32 (local.get $from2)) (local.get $c)))))))
                (v128.and (local.get $low) (f32x4.add (local.get $whole) (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $least)
                (f32x4.mul (local.get $h) (f32x4.add (v128.load offset=48 (local.get $from2)) (local.get $d))))))))))
            (local.set $from (i32.add (local.get $from) (i32.const 64)))
            (local.set $from2 (i32.add (local.get $from2) (i32.const 64)))
            (local.set $out (i32.add (local.get $out) (i32.const 16)))
            (local.set $out2 (i32.add (local.get $out2) (i32.const 16)))
            (local.set $at (i32.add (local.get $at) (i32.const 64)))
            (local.set $factors (i32.add (local.get $factors) (i32.const 64)))
            (br $vector)))
        ;; It ends where the next pair begins.
        (local.set $out (local.get $out2))
        (local.set $slots (i32.add (local.get $slots) (i32.const 8)))
        (br $next)))))
