;; Rows of numbers as JSON, in UTF-8: number-rows.ts runs it, and says where in memory what stands; powers of ten, from
;; 1, stand at address 64. Copies and numbers are written 8 bytes at a time, so that up to 14 bytes behind them change.
(module
  (import "number-rows" "memory" (memory 0))

  ;; Writes rows from $row up to $rows to $out. A row: the piece before its id and the id, where $pieces begins with such
  ;; a piece (a length of -1 means none), then each column's piece and number. A piece is an address and a length; an id
  ;; ends and begins at addresses of $ends and $starts, moved by $moveEnd and $moveStart. A column has $most places.
  ;; Returns $rows, or the first row with a number that `number` does not write; how far it wrote stands at address 0.
  (func (export "rows")
    (param $row i32) (param $rows i32) (param $out i32) (param $pieces i32) (param $columns i32) (param $values i32)
    (param $most i32) (param $starts i32) (param $moveStart i32) (param $ends i32) (param $moveEnd i32) (result i32)
    (local $begin i32) (local $piece i32) (local $value i32) (local $column i32) (local $from i32)
    (local.set $begin (local.get $out))
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
        (local.set $begin (local.get $out))
        (if (i32.ge_s (i32.load offset=4 (local.get $pieces)) (i32.const 0))
          (then
            (local.set $out (call $copy
              (i32.load (local.get $pieces)) (i32.load offset=4 (local.get $pieces)) (local.get $out)))
            (local.set $from (i32.add
              (i32.load (i32.add (local.get $starts) (i32.shl (local.get $row) (i32.const 2))))
              (local.get $moveStart)))
            (local.set $out (call $copy
              (local.get $from)
              (i32.sub
                (i32.add
                  (i32.load (i32.add (local.get $ends) (i32.shl (local.get $row) (i32.const 2))))
                  (local.get $moveEnd))
                (local.get $from))
              (local.get $out)))))
        (local.set $piece (i32.add (local.get $pieces) (i32.const 8)))
        (local.set $value (i32.add (local.get $values) (i32.shl (local.get $row) (i32.const 3))))
        (local.set $column (local.get $columns))
        (loop $nextColumn
          (local.set $out (call $number
            (f64.load (local.get $value))
            (call $copy (i32.load (local.get $piece)) (i32.load offset=4 (local.get $piece)) (local.get $out))))
          (if (i32.eqz (local.get $out))
            (then
              (local.set $out (local.get $begin))
              (br $done)))
          (local.set $piece (i32.add (local.get $piece) (i32.const 8)))
          (local.set $value (i32.add (local.get $value) (i32.shl (local.get $most) (i32.const 3))))
          (br_if $nextColumn (local.tee $column (i32.sub (local.get $column) (i32.const 1)))))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $nextRow)))
    (i32.store (i32.const 0) (local.get $out))
    (local.get $row))

  ;; Copies $length bytes; returns the address behind the copy.
  (func $copy (param $from i32) (param $length i32) (param $to i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $to) (local.get $end)))
        (i64.store (local.get $to) (i64.load (local.get $from)))
        (local.set $from (i32.add (local.get $from) (i32.const 8)))
        (local.set $to (i32.add (local.get $to) (i32.const 8)))
        (br $next)))
    (local.get $end))

  ;; Writes a number, rounded to eight significant digits as Number#toPrecision does, without zeros at its end; returns
  ;; the address behind it. 0 where it is none of 0 and those of at least 1e-7 and below 1e7 in size, and where only its
  ;; exact digits say which way to round: the product with a power of ten is at most 2^-27 off.
  (func $number (param $value f64) (param $at i32) (result i32)
    (local $exponent i32) (local $scaled i32) (local $count i32) (local $digits i64) (local $text i64)
    (local $nearest f64)
    (if (f64.eq (local.get $value) (f64.const 0))
      (then
        (i32.store8 (local.get $at) (i32.const 0x30))
        (return (i32.add (local.get $at) (i32.const 1)))))
    (if (f64.lt (local.get $value) (f64.const 0))
      (then
        (i32.store8 (local.get $at) (i32.const 0x2d))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $value (f64.neg (local.get $value)))))
    (if (i32.eqz (i32.and
          (f64.ge (local.get $value) (f64.const 1e-7))
          (f64.lt (local.get $value) (f64.const 1e7))))
      (then (return (i32.const 0))))
    ;; The first digit's exponent: that of the power of two, times log10(2), or one more.
    (local.set $exponent (i32.shr_s
      (i32.mul
        (i32.sub
          (i32.wrap_i64 (i64.shr_u (i64.reinterpret_f64 (local.get $value)) (i64.const 52)))
          (i32.const 1023))
        (i32.const 78913))
      (i32.const 18)))
    (local.set $exponent (i32.add
      (local.get $exponent)
      (f64.ge (f64.mul (local.get $value) (call $scale (local.get $exponent))) (f64.const 1e8))))
    (local.set $value (f64.mul (local.get $value) (call $scale (local.get $exponent))))
    (local.set $nearest (f64.nearest (local.get $value)))
    (if (f64.ge (f64.abs (f64.sub (local.get $value) (local.get $nearest))) (f64.const 0x1.ffffffp-2))
      (then (return (i32.const 0))))
    (local.set $scaled (i32.trunc_f64_u (local.get $nearest)))
    (if (i32.ge_u (local.get $scaled) (i32.const 100000000))
      (then
        (local.set $scaled (i32.const 10000000))
        (local.set $exponent (i32.add (local.get $exponent) (i32.const 1)))))
    (local.set $digits (call $digits (local.get $scaled)))
    (local.set $text (i64.or (local.get $digits) (i64.const 0x3030303030303030)))
    (local.set $count (i32.sub
      (i32.const 8)
      (i32.shr_u (i32.wrap_i64 (i64.clz (local.get $digits))) (i32.const 3))))
    (if (i32.lt_s (local.get $exponent) (i32.const 0))
      (then
        ;; "0.", its zeros and the digits
        (i64.store (local.get $at) (i64.const 0x3030303030302e30))
        (local.set $at (i32.sub (i32.add (local.get $at) (i32.const 1)) (local.get $exponent)))
        (i64.store (local.get $at) (local.get $text))
        (return (i32.add (local.get $at) (local.get $count)))))
    (i64.store (local.get $at) (local.get $text))
    (local.set $exponent (i32.add (local.get $exponent) (i32.const 1)))
    (local.set $at (i32.add (local.get $at) (local.get $exponent)))
    (if (i32.le_u (local.get $count) (local.get $exponent)) (then (return (local.get $at))))
    ;; the digits behind the point
    (i32.store8 (local.get $at) (i32.const 0x2e))
    (i64.store offset=1 (local.get $at)
      (i64.shr_u (local.get $text) (i64.extend_i32_u (i32.shl (local.get $exponent) (i32.const 3)))))
    (i32.add
      (i32.add (local.get $at) (i32.const 1))
      (i32.sub (local.get $count) (local.get $exponent))))

  ;; The power of ten that leaves eight digits before the point.
  (func $scale (param $exponent i32) (result f64)
    (f64.load offset=64 (i32.shl (i32.sub (i32.const 7) (local.get $exponent)) (i32.const 3))))

  ;; The eight digits of a number below 1e8, a byte each, the first one lowest: halves, quarters, then single digits are
  ;; split side by side.
  (func $digits (param $value i32) (result i64)
    (local $lanes i64) (local $high i64)
    (local.set $high (i64.extend_i32_u (i32.div_u (local.get $value) (i32.const 10000))))
    (local.set $lanes (i64.or
      (local.get $high)
      (i64.shl
        (i64.sub (i64.extend_i32_u (local.get $value)) (i64.mul (local.get $high) (i64.const 10000)))
        (i64.const 32))))
    (local.set $high (i64.and
      (i64.shr_u (i64.mul (local.get $lanes) (i64.const 10486)) (i64.const 20))
      (i64.const 0x0000007f0000007f)))
    (local.set $lanes (i64.or
      (local.get $high)
      (i64.shl
        (i64.sub (local.get $lanes) (i64.mul (local.get $high) (i64.const 100)))
        (i64.const 16))))
    (local.set $high (i64.and
      (i64.shr_u (i64.mul (local.get $lanes) (i64.const 103)) (i64.const 10))
      (i64.const 0x000f000f000f000f)))
    (i64.or
      (local.get $high)
      (i64.shl
        (i64.sub (local.get $lanes) (i64.mul (local.get $high) (i64.const 10)))
        (i64.const 8)))))
