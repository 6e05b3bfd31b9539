;; All that the steps of a program compute in WebAssembly, in memory that program.ts lays out.
(module
  (import "rows" "memory" (memory 0))

  ;; For each row r below `rows` and each task t below `tasks`, columns of `bytes` bytes of float32, a whole number of 16:
  ;; out[r][t] = max(sum of gates[r][t][e] * expert[e][r] over e below `count`, floor); a NaN stays one. Gates and outputs of a row's
  ;; tasks lie side by side. `experts` holds, for each, its address and the bytes from a row to the next.
  (func (export "mix")
    (param $rows i32) (param $tasks i32) (param $experts i32) (param $count i32) (param $gates i32) (param $gateStride i32)
    (param $out i32) (param $outStride i32) (param $bytes i32) (param $floor f32)
    (local $least v128) (local $row i32) (local $task i32) (local $at i32) (local $entry i32) (local $last i32) (local $from i32)
    (local $g v128) (local $gate i32) (local $taskGates i32) (local $to i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $vectors i32)
    (local.set $least (f32x4.splat (local.get $floor)))
    (local.set $vectors (i32.and (local.get $bytes) (i32.const -64)))
    (local.set $last (i32.add (local.get $experts) (i32.shl (local.get $count) (i32.const 3))))
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
        (local.set $task (i32.const 0))
        (local.set $taskGates (local.get $gates))
        (local.set $to (local.get $out))
        (block $tasked
          (loop $nextTask
            (br_if $tasked (i32.ge_u (local.get $task) (local.get $tasks)))
            (local.set $at (i32.const 0))
            ;; 16 numbers at a time
            (block $short
              (loop $many
                (br_if $short (i32.ge_u (local.get $at) (local.get $vectors)))
                (local.set $a (v128.const i64x2 0 0)) (local.set $b (v128.const i64x2 0 0))
                (local.set $c (v128.const i64x2 0 0)) (local.set $d (v128.const i64x2 0 0))
                (local.set $gate (local.get $taskGates))
                (local.set $entry (local.get $experts))
                (block $summed
                  (loop $expert
                    (br_if $summed (i32.ge_u (local.get $entry) (local.get $last)))
                    (local.set $g (v128.load32_splat (local.get $gate)))
                    (local.set $from (i32.add (local.get $at) (i32.add (i32.load (local.get $entry))
                      (i32.mul (local.get $row) (i32.load offset=4 (local.get $entry))))))
                    (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $g) (v128.load (local.get $from)))))
                    (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $g) (v128.load offset=16 (local.get $from)))))
                    (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $g) (v128.load offset=32 (local.get $from)))))
                    (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $g) (v128.load offset=48 (local.get $from)))))
                    (local.set $gate (i32.add (local.get $gate) (i32.const 4)))
                    (local.set $entry (i32.add (local.get $entry) (i32.const 8)))
                    (br $expert)))
                (v128.store (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (local.get $a) (local.get $least)))
                (v128.store offset=16 (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (local.get $b) (local.get $least)))
                (v128.store offset=32 (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (local.get $c) (local.get $least)))
                (v128.store offset=48 (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (local.get $d) (local.get $least)))
                (local.set $at (i32.add (local.get $at) (i32.const 64)))
                (br $many)))
            ;; 4 numbers at a time
            (block $end
              (loop $four
                (br_if $end (i32.ge_u (local.get $at) (local.get $bytes)))
                (local.set $a (v128.const i64x2 0 0))
                (local.set $gate (local.get $taskGates))
                (local.set $entry (local.get $experts))
                (block $added
                  (loop $each
                    (br_if $added (i32.ge_u (local.get $entry) (local.get $last)))
                    (local.set $from (i32.add (local.get $at) (i32.add (i32.load (local.get $entry))
                      (i32.mul (local.get $row) (i32.load offset=4 (local.get $entry))))))
                    (local.set $a (f32x4.add (local.get $a)
                      (f32x4.mul (v128.load32_splat (local.get $gate)) (v128.load (local.get $from)))))
                    (local.set $gate (i32.add (local.get $gate) (i32.const 4)))
                    (local.set $entry (i32.add (local.get $entry) (i32.const 8)))
                    (br $each)))
                (v128.store (i32.add (local.get $to) (local.get $at)) (f32x4.pmax (local.get $a) (local.get $least)))
                (local.set $at (i32.add (local.get $at) (i32.const 16)))
                (br $four)))
            (local.set $task (i32.add (local.get $task) (i32.const 1)))
            (local.set $taskGates (i32.add (local.get $taskGates) (i32.shl (local.get $count) (i32.const 2))))
            (local.set $to (i32.add (local.get $to) (local.get $bytes)))
            (br $nextTask)))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (local.set $gates (i32.add (local.get $gates) (local.get $gateStride)))
        (local.set $out (i32.add (local.get $out) (local.get $outStride)))
        (br $nextRow))))

  ;; e to the power of x for all float32 from `at` to `end`, a whole number of 16 bytes: x at most 0, within 2 units in the last place;
  ;; 0 below −87. x = n·ln 2 + r, and a polynomial of r. Its coefficients are locals: constants would be made for each four numbers.
  (func $exp (param $at i32) (param $end i32)
    (local $x v128) (local $n v128) (local $r v128) (local $p v128)
    (local $least v128) (local $perLog v128) (local $high v128) (local $low v128)
    (local $c7 v128) (local $c6 v128) (local $c5 v128) (local $c4 v128) (local $c3 v128) (local $c2 v128) (local $one v128) (local $bias v128)
    (local.set $least (f32x4.splat (f32.const -87.3)))
    (local.set $perLog (f32x4.splat (f32.const 1.44269504088896341)))
    (local.set $high (f32x4.splat (f32.const 0.693359375)))
    (local.set $low (f32x4.splat (f32.const 2.12194440e-4)))
    (local.set $c7 (f32x4.splat (f32.const 1.9875691500e-4)))
    (local.set $c6 (f32x4.splat (f32.const 1.3981999507e-3)))
    (local.set $c5 (f32x4.splat (f32.const 8.3334519073e-3)))
    (local.set $c4 (f32x4.splat (f32.const 4.1665795894e-2)))
    (local.set $c3 (f32x4.splat (f32.const 1.6666665459e-1)))
    (local.set $c2 (f32x4.splat (f32.const 5.0000001201e-1)))
    (local.set $one (f32x4.splat (f32.const 1)))
    (local.set $bias (i32x4.splat (i32.const 127)))
    (block $done
      (loop $four
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x (v128.load (local.get $at)))
        (local.set $r (f32x4.pmax (local.get $x) (local.get $least)))
        (local.set $n (f32x4.nearest (f32x4.mul (local.get $r) (local.get $perLog))))
        (local.set $r (f32x4.sub (local.get $r) (f32x4.mul (local.get $n) (local.get $high))))
        (local.set $r (f32x4.add (local.get $r) (f32x4.mul (local.get $n) (local.get $low))))
        (local.set $p (f32x4.add (f32x4.mul (local.get $c7) (local.get $r)) (local.get $c6)))
        (local.set $p (f32x4.add (f32x4.mul (local.get $p) (local.get $r)) (local.get $c5)))
        (local.set $p (f32x4.add (f32x4.mul (local.get $p) (local.get $r)) (local.get $c4)))
        (local.set $p (f32x4.add (f32x4.mul (local.get $p) (local.get $r)) (local.get $c3)))
        (local.set $p (f32x4.add (f32x4.mul (local.get $p) (local.get $r)) (local.get $c2)))
        (local.set $p (f32x4.add (f32x4.mul (f32x4.mul (local.get $p) (local.get $r)) (local.get $r)) (local.get $r)))
        (local.set $p (f32x4.add (local.get $p) (local.get $one)))
        ;; times 2 to the power of n, by the exponent's bits
        (v128.store (local.get $at) (v128.andnot
          (f32x4.mul (local.get $p)
            (i32x4.shl (i32x4.add (i32x4.trunc_sat_f32x4_s (local.get $n)) (local.get $bias)) (i32.const 23)))
          (f32x4.lt (local.get $x) (local.get $least))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $four))))

  ;; Softmax of each of `runs` runs of `count` float32 that lie side by side, in each of `rows` rows; those of `out` lie
  ;; side by side, too. Up to 12 bytes behind the last one are changed.
  (func (export "softmax")
    (param $rows i32) (param $runs i32) (param $count i32) (param $from i32) (param $fromStride i32) (param $out i32)
    (local $row i32) (local $run i32) (local $x i32) (local $y i32) (local $end i32) (local $bytes i32)
    (local $most v128) (local $sum v128) (local $one v128)
    (local.set $one (f32x4.splat (f32.const 1)))
    (local.set $bytes (i32.shl (local.get $count) (i32.const 2)))
    ;; differences to the most
    (local.set $y (local.get $out))
    (block $done
      (loop $nextRow
        (br_if $done (i32.ge_u (local.get $row) (local.get $rows)))
        (local.set $x (local.get $from))
        (local.set $run (local.get $runs))
        (block $rowDone
          (loop $nextRun
            (br_if $rowDone (i32.eqz (local.get $run)))
            (local.set $end (i32.add (local.get $x) (local.get $bytes)))
            (local.set $most (v128.load32_splat (local.get $x)))
            (block $few
              (loop $four
                (br_if $few (i32.gt_u (i32.add (local.get $x) (i32.const 16)) (local.get $end)))
                (local.set $most (f32x4.pmax (local.get $most) (v128.load (local.get $x))))
                (local.set $x (i32.add (local.get $x) (i32.const 16)))
                (br $four)))
            (block $compared
              (loop $one
                (br_if $compared (i32.ge_u (local.get $x) (local.get $end)))
                (local.set $most (f32x4.pmax (local.get $most) (v128.load32_splat (local.get $x))))
                (local.set $x (i32.add (local.get $x) (i32.const 4)))
                (br $one)))
            (local.set $most (f32x4.pmax (local.get $most)
              (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $most) (local.get $most))))
            (local.set $most (f32x4.pmax (local.get $most)
              (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $most) (local.get $most))))
            (local.set $x (i32.sub (local.get $end) (local.get $bytes)))
            (block $few
              (loop $four
                (br_if $few (i32.gt_u (i32.add (local.get $x) (i32.const 16)) (local.get $end)))
                (v128.store (local.get $y) (f32x4.sub (v128.load (local.get $x)) (local.get $most)))
                (local.set $x (i32.add (local.get $x) (i32.const 16)))
                (local.set $y (i32.add (local.get $y) (i32.const 16)))
                (br $four)))
            (block $less
              (loop $one
                (br_if $less (i32.ge_u (local.get $x) (local.get $end)))
                (f32.store (local.get $y) (f32.sub (f32.load (local.get $x)) (f32x4.extract_lane 0 (local.get $most))))
                (local.set $x (i32.add (local.get $x) (i32.const 4)))
                (local.set $y (i32.add (local.get $y) (i32.const 4)))
                (br $one)))
            (local.set $run (i32.sub (local.get $run) (i32.const 1)))
            (br $nextRun)))
        (local.set $from (i32.add (local.get $from) (local.get $fromStride)))
        (local.set $row (i32.add (local.get $row) (i32.const 1)))
        (br $nextRow)))
    (call $exp (local.get $out) (local.get $y))
    ;; divided by their sum
    (local.set $run (i32.mul (local.get $rows) (local.get $runs)))
    (local.set $y (local.get $out))
    (block $scaled
      (loop $nextRun
        (br_if $scaled (i32.eqz (local.get $run)))
        (local.set $end (i32.add (local.get $y) (local.get $bytes)))
        (local.set $x (local.get $y))
        (local.set $sum (v128.const i64x2 0 0))
        (block $few
          (loop $four
            (br_if $few (i32.gt_u (i32.add (local.get $x) (i32.const 16)) (local.get $end)))
            (local.set $sum (f32x4.add (local.get $sum) (v128.load (local.get $x))))
            (local.set $x (i32.add (local.get $x) (i32.const 16)))
            (br $four)))
        (block $summed
          (loop $one
            (br_if $summed (i32.ge_u (local.get $x) (local.get $end)))
            (local.set $sum (f32x4.add (local.get $sum) (v128.load32_zero (local.get $x))))
            (local.set $x (i32.add (local.get $x) (i32.const 4)))
            (br $one)))
        (local.set $sum (f32x4.add (local.get $sum)
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $sum) (local.get $sum))))
        (local.set $sum (f32x4.add (local.get $sum)
          (i8x16.shuffle 4 5 6 7 0 1 2 3 12 13 14 15 8 9 10 11 (local.get $sum) (local.get $sum))))
        (local.set $sum (f32x4.div (local.get $one) (local.get $sum)))
        (block $few
          (loop $four
            (br_if $few (i32.gt_u (i32.add (local.get $y) (i32.const 16)) (local.get $end)))
            (v128.store (local.get $y) (f32x4.mul (v128.load (local.get $y)) (local.get $sum)))
            (local.set $y (i32.add (local.get $y) (i32.const 16)))
            (br $four)))
        (block $multiplied
          (loop $one
            (br_if $multiplied (i32.ge_u (local.get $y) (local.get $end)))
            (f32.store (local.get $y) (f32.mul (f32.load (local.get $y)) (f32x4.extract_lane 0 (local.get $sum))))
            (local.set $y (i32.add (local.get $y) (i32.const 4)))
            (br $one)))
        (local.set $run (i32.sub (local.get $run) (i32.const 1)))
        (br $nextRun))))

  ;; out = 1 / (1 + e to the power of -x), `count` float32. Up to 12 bytes behind the last one are read and changed. A
  ;; NaN stays one.
  (func (export "sigmoid") (param $x i32) (param $out i32) (param $count i32)
    (local $at i32) (local $bytes i32) (local $four v128) (local $e v128) (local $one v128)
    (local.set $bytes (i32.shl (local.get $count) (i32.const 2)))
    (local.set $one (f32x4.splat (f32.const 1)))
    ;; of the absolute value, so that nothing overflows
    (block $negated
      (loop $next
        (br_if $negated (i32.ge_u (local.get $at) (local.get $bytes)))
        (v128.store (i32.add (local.get $out) (local.get $at))
          (f32x4.neg (f32x4.abs (v128.load (i32.add (local.get $x) (local.get $at))))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (call $exp (local.get $out) (i32.add (local.get $out) (local.get $bytes)))
    (local.set $at (i32.const 0))
    (block $divided
      (loop $next
        (br_if $divided (i32.ge_u (local.get $at) (local.get $bytes)))
        (local.set $four (v128.load (i32.add (local.get $x) (local.get $at))))
        (local.set $e (v128.load (i32.add (local.get $out) (local.get $at))))
        (v128.store (i32.add (local.get $out) (local.get $at)) (f32x4.div
          (v128.bitselect (local.get $e) (local.get $one) (f32x4.lt (local.get $four) (v128.const i64x2 0 0)))
          (f32x4.add (local.get $e) (local.get $one))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next))))

  ;; out[r][c] = max(sum of x[r][i] * weights[c][i] over i + bias[c], floor), for rows r below `rows` and columns c below `count`; a NaN
  ;; stays one. `columns` holds, for each, the address of its weights, the first and the end of the bytes of x that they multiply, whole
  ;; numbers of 16, and its bias.
  (func (export "dot")
    (param $rows i32) (param $x i32) (param $xStride i32) (param $columns i32) (param $count i32) (param $out i32) (param $outStride i32)
    (param $floor f32)
    (local $entry i32) (local $last i32) (local $to i32) (local $at i32) (local $end i32) (local $weights i32)
    (local $a v128) (local $b v128)
    (local.set $last (i32.add (local.get $columns) (i32.shl (local.get $count) (i32.const 4))))
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $entry (local.get $columns))
        (local.set $to (local.get $out))
        (block $rowDone
          (loop $nextColumn
            (br_if $rowDone (i32.ge_u (local.get $entry) (local.get $last)))
            (local.set $weights (i32.load (local.get $entry)))
            (local.set $at (i32.add (local.get $x) (i32.load offset=4 (local.get $entry))))
            (local.set $end (i32.add (local.get $x) (i32.load offset=8 (local.get $entry))))
            (local.set $a (v128.const i64x2 0 0)) (local.set $b (v128.const i64x2 0 0))
            (block $few
              (loop $eight
                (br_if $few (i32.gt_u (i32.add (local.get $at) (i32.const 32)) (local.get $end)))
                (local.set $a (f32x4.add (local.get $a) (f32x4.mul (v128.load (local.get $at)) (v128.load (local.get $weights)))))
                (local.set $b (f32x4.add (local.get $b)
                  (f32x4.mul (v128.load offset=16 (local.get $at)) (v128.load offset=16 (local.get $weights)))))
                (local.set $at (i32.add (local.get $at) (i32.const 32)))
                (local.set $weights (i32.add (local.get $weights) (i32.const 32)))
                (br $eight)))
            (if (i32.lt_u (local.get $at) (local.get $end))
              (then (local.set $a (f32x4.add (local.get $a)
                (f32x4.mul (v128.load (local.get $at)) (v128.load (local.get $weights)))))))
            (local.set $a (f32x4.add (local.get $a) (local.get $b)))
            (f32.store (local.get $to) (f32.max (local.get $floor) (f32.add (f32.load offset=12 (local.get $entry))
              (f32.add (f32.add (f32x4.extract_lane 0 (local.get $a)) (f32x4.extract_lane 1 (local.get $a)))
                (f32.add (f32x4.extract_lane 2 (local.get $a)) (f32x4.extract_lane 3 (local.get $a)))))))
            (local.set $to (i32.add (local.get $to) (i32.const 4)))
            (local.set $entry (i32.add (local.get $entry) (i32.const 16)))
            (br $nextColumn)))
        (local.set $x (i32.add (local.get $x) (local.get $xStride)))
        (local.set $out (i32.add (local.get $out) (local.get $outStride)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

  ;; out = a + b, `bytes` bytes of float32 in each of `rows` rows.
  (func (export "add")
    (param $rows i32) (param $a i32) (param $aStride i32) (param $b i32) (param $bStride i32) (param $out i32) (param $outStride i32) (param $bytes i32)
    (local $at i32) (local $vectors i32)
    (local.set $vectors (i32.and (local.get $bytes) (i32.const -16)))
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $at (i32.const 0))
        (block $short
          (loop $four
            (br_if $short (i32.ge_u (local.get $at) (local.get $vectors)))
            (v128.store (i32.add (local.get $out) (local.get $at)) (f32x4.add
              (v128.load (i32.add (local.get $a) (local.get $at))) (v128.load (i32.add (local.get $b) (local.get $at)))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $four)))
        (block $whole
          (loop $one
            (br_if $whole (i32.ge_u (local.get $at) (local.get $bytes)))
            (f32.store (i32.add (local.get $out) (local.get $at)) (f32.add
              (f32.load (i32.add (local.get $a) (local.get $at))) (f32.load (i32.add (local.get $b) (local.get $at)))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $one)))
        (local.set $a (i32.add (local.get $a) (local.get $aStride)))
        (local.set $b (i32.add (local.get $b) (local.get $bStride)))
        (local.set $out (i32.add (local.get $out) (local.get $outStride)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

  ;; Per row, x where it is not negative, and x·slopes where it is, `bytes` bytes of float32. A NaN stays one.
  (func (export "prelu")
    (param $rows i32) (param $x i32) (param $xStride i32) (param $slopes i32) (param $out i32) (param $outStride i32) (param $bytes i32)
    (local $at i32) (local $vectors i32) (local $four v128) (local $one f32)
    (local.set $vectors (i32.and (local.get $bytes) (i32.const -16)))
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $at (i32.const 0))
        (block $short
          (loop $next
            (br_if $short (i32.ge_u (local.get $at) (local.get $vectors)))
            (local.set $four (v128.load (i32.add (local.get $x) (local.get $at))))
            (v128.store (i32.add (local.get $out) (local.get $at)) (v128.bitselect
              (f32x4.mul (local.get $four) (v128.load (i32.add (local.get $slopes) (local.get $at))))
              (local.get $four)
              (f32x4.lt (local.get $four) (v128.const i64x2 0 0))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $next)))
        (block $whole
          (loop $last
            (br_if $whole (i32.ge_u (local.get $at) (local.get $bytes)))
            (local.set $one (f32.load (i32.add (local.get $x) (local.get $at))))
            (f32.store (i32.add (local.get $out) (local.get $at)) (select
              (f32.mul (local.get $one) (f32.load (i32.add (local.get $slopes) (local.get $at))))
              (local.get $one)
              (f32.lt (local.get $one) (f32.const 0))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $last)))
        (local.set $x (i32.add (local.get $x) (local.get $xStride)))
        (local.set $out (i32.add (local.get $out) (local.get $outStride)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

  ;; Per row, `bytes` bytes of float32, a whole number of 16, as words of two bfloat16 whose sum is the number: the
  ;; lower half is what is left of it where its last bits are cut off, the upper one the rest. Those of `out` lie side
  ;; by side. NaN, and numbers too large for bfloat16, become one of the largest magnitude.
  (func (export "split")
    (param $rows i32) (param $from i32) (param $fromStride i32) (param $out i32) (param $bytes i32)
    (local $at i32) (local $x v128) (local $most v128) (local $lowest v128) (local $upper v128) (local $half v128)
    (local.set $most (v128.const i32x4 0x7f7f0000 0x7f7f0000 0x7f7f0000 0x7f7f0000))
    (local.set $lowest (f32x4.neg (local.get $most)))
    (local.set $upper (i32x4.splat (i32.const 0xffff0000)))
    (local.set $half (i32x4.splat (i32.const 0x8000)))
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $at (i32.const 0))
        (block $whole
          (loop $four
            (br_if $whole (i32.ge_u (local.get $at) (local.get $bytes)))
            (local.set $x (f32x4.pmin (local.get $most) (f32x4.pmax (local.get $lowest)
              (v128.load (i32.add (local.get $from) (local.get $at))))))
            (v128.store (i32.add (local.get $out) (local.get $at)) (v128.or
              (i32x4.shr_u (local.get $x) (i32.const 16))
              (v128.and (local.get $upper) (i32x4.add (local.get $half)
                (f32x4.sub (local.get $x) (v128.and (local.get $upper) (local.get $x)))))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $four)))
        (local.set $from (i32.add (local.get $from) (local.get $fromStride)))
        (local.set $out (i32.add (local.get $out) (local.get $bytes)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

  ;; Copies `bytes` bytes in each of `rows` rows.
  (func (export "copy")
    (param $rows i32) (param $from i32) (param $fromStride i32) (param $out i32) (param $outStride i32) (param $bytes i32)
    (local $at i32) (local $vectors i32)
    (local.set $vectors (i32.and (local.get $bytes) (i32.const -16)))
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $at (i32.const 0))
        (block $short
          (loop $many
            (br_if $short (i32.ge_u (local.get $at) (local.get $vectors)))
            (v128.store (i32.add (local.get $out) (local.get $at)) (v128.load (i32.add (local.get $from) (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 16)))
            (br $many)))
        (block $whole
          (loop $one
            (br_if $whole (i32.ge_u (local.get $at) (local.get $bytes)))
            (i32.store8 (i32.add (local.get $out) (local.get $at)) (i32.load8_u (i32.add (local.get $from) (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $one)))
        (local.set $from (i32.add (local.get $from) (local.get $fromStride)))
        (local.set $out (i32.add (local.get $out) (local.get $outStride)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

  ;; out = bytes(x / scale, rounded to nearest even, + zero), of `columns` float32 in each of `rows` rows. `scales` and `zeros` are
  ;; float32, filled up to a whole number of 4; up to 12 bytes behind a row of x are read. NaN becomes 0.
  (func (export "quantize")
    (param $rows i32) (param $from i32) (param $fromStride i32) (param $scales i32) (param $zeros i32) (param $out i32) (param $outStride i32)
    (param $columns i32)
    (local $at i32) (local $zero v128) (local $x v128) (local $four i32) (local $end i32)
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $at (i32.const 0))
        (block $whole
          (loop $next
            (br_if $whole (i32.ge_u (local.get $at) (local.get $columns)))
            (local.set $zero (v128.load (i32.add (local.get $zeros) (i32.shl (local.get $at) (i32.const 2)))))
            (local.set $x (f32x4.div
              (v128.load (i32.add (local.get $from) (i32.shl (local.get $at) (i32.const 2))))
              (v128.load (i32.add (local.get $scales) (i32.shl (local.get $at) (i32.const 2))))))
            (local.set $x (f32x4.pmin (f32x4.sub (f32x4.splat (f32.const 255)) (local.get $zero))
              (f32x4.pmax (f32x4.neg (local.get $zero)) (local.get $x))))
            (local.set $x (i32x4.trunc_sat_f32x4_s (f32x4.add (f32x4.nearest (local.get $x)) (local.get $zero))))
            (local.set $x (i16x8.narrow_i32x4_u (local.get $x) (local.get $x)))
            (local.set $four (i32x4.extract_lane 0 (i8x16.narrow_i16x8_u (local.get $x) (local.get $x))))
            (local.set $end (i32.add (local.get $at) (i32.const 4)))
            (if (i32.le_u (local.get $end) (local.get $columns))
              (then
                (i32.store (i32.add (local.get $out) (local.get $at)) (local.get $four))
                (local.set $at (local.get $end)))
              (else
                (loop $one
                  (i32.store8 (i32.add (local.get $out) (local.get $at)) (local.get $four))
                  (local.set $four (i32.shr_u (local.get $four) (i32.const 8)))
                  (local.set $at (i32.add (local.get $at) (i32.const 1)))
                  (br_if $one (i32.lt_u (local.get $at) (local.get $columns))))))
            (br $next)))
        (local.set $from (i32.add (local.get $from) (local.get $fromStride)))
        (local.set $out (i32.add (local.get $out) (local.get $outStride)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

  ;; out = float32 of the `columns` float16 in each of `rows` rows. Up to 6 bytes behind a row of x are read, and up to 12 behind one of
  ;; out changed.
  (func (export "widen")
    (param $rows i32) (param $from i32) (param $fromStride i32) (param $out i32) (param $outStride i32) (param $columns i32)
    (local $at i32) (local $bits v128) (local $size v128)
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $at (i32.const 0))
        (block $whole
          (loop $next
            (br_if $whole (i32.ge_u (local.get $at) (local.get $columns)))
            (local.set $bits (i32x4.extend_low_i16x8_u
              (v128.load64_zero (i32.add (local.get $from) (i32.shl (local.get $at) (i32.const 1))))))
            (local.set $size (v128.and (local.get $bits) (i32x4.splat (i32.const 0x7fff))))
            (v128.store (i32.add (local.get $out) (i32.shl (local.get $at) (i32.const 2)))
              (v128.or
                (v128.or
                  ;; The exponent grows by 112; numbers below 2^-14 become normal.
                  (f32x4.mul (i32x4.shl (local.get $size) (i32.const 13)) (f32x4.splat (f32.const 0x1p112)))
                  ;; Infinity and NaN.
                  (v128.and (i32x4.ge_u (local.get $size) (i32x4.splat (i32.const 0x7c00))) (i32x4.splat (i32.const 0x7f800000))))
                (i32x4.shl (v128.xor (local.get $bits) (local.get $size)) (i32.const 16))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $next)))
        (local.set $from (i32.add (local.get $from) (local.get $fromStride)))
        (local.set $out (i32.add (local.get $out) (local.get $outStride)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

  ;; out = x * scale, of `rows` rows of `columns` int8, each with a scale of its own, float32. Rows lie side by side; up to 3 bytes behind
  ;; x are read, and up to 12 behind out changed.
  (func (export "dequantize")
    (param $rows i32) (param $x i32) (param $scales i32) (param $out i32) (param $columns i32)
    (local $at i32) (local $scale v128)
    (block $done
      (loop $nextRow
        (br_if $done (i32.eqz (local.get $rows)))
        (local.set $scale (v128.load32_splat (local.get $scales)))
        (local.set $at (i32.const 0))
        (block $whole
          (loop $next
            (br_if $whole (i32.ge_u (local.get $at) (local.get $columns)))
            (v128.store (i32.add (local.get $out) (i32.shl (local.get $at) (i32.const 2)))
              (f32x4.mul (local.get $scale) (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_s
                (v128.load32_zero (i32.add (local.get $x) (local.get $at))))))))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $next)))
        (local.set $x (i32.add (local.get $x) (local.get $columns)))
        (local.set $out (i32.add (local.get $out) (i32.shl (local.get $columns) (i32.const 2))))
        (local.set $scales (i32.add (local.get $scales) (i32.const 4)))
        (local.set $rows (i32.sub (local.get $rows) (i32.const 1)))
        (br $nextRow))))

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
