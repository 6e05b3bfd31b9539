;; 64-bit hashes of the bytes at address 0, modulo a number of buckets: hash64.ts runs it. Sums and products are modulo
;; 2^64, numbers in memory little-endian.
(module
  (import "hash64" "memory" (memory 0))

  ;; FarmHash's Fingerprint64 (google/farmhash, farmhashna::Hash64): one way for each range of lengths.
  (func (export "farmhash64") (param $length i32) (param $buckets i32) (result i32)
    (call $remainder
      (if (result i64) (i32.le_u (local.get $length) (i32.const 16))
        (then (call $upTo16 (local.get $length)))
        (else (if (result i64) (i32.le_u (local.get $length) (i32.const 64))
          (then (call $upTo64 (local.get $length)))
          (else (call $above64 (local.get $length))))))
      (local.get $buckets)))

  ;; HashLen0to16
  (func $upTo16 (param $length i32) (result i64)
    (local $mul i64) (local $a i64) (local $b i64)
    (local.set $mul (call $mulOf (local.get $length)))
    (if (i32.ge_u (local.get $length) (i32.const 8))
      (then
        (local.set $a (i64.add (i64.load (i32.const 0)) (i64.const 0x9ae16a3b2f90404f)))
        (local.set $b (i64.load (i32.sub (local.get $length) (i32.const 8))))
        (return (call $mix
          (i64.add (i64.mul (i64.rotr (local.get $b) (i64.const 37)) (local.get $mul)) (local.get $a))
          (i64.mul (i64.add (i64.rotr (local.get $a) (i64.const 25)) (local.get $b)) (local.get $mul))
          (local.get $mul)))))
    (if (i32.ge_u (local.get $length) (i32.const 4))
      (then
        (return (call $mix
          (i64.add (i64.extend_i32_u (local.get $length)) (i64.shl (i64.load32_u (i32.const 0)) (i64.const 3)))
          (i64.load32_u (i32.sub (local.get $length) (i32.const 4)))
          (local.get $mul)))))
    (if (i32.eqz (local.get $length)) (then (return (i64.const 0x9ae16a3b2f90404f))))
    ;; the first byte, that in the middle, and the last
    (local.set $a (i64.add
      (i64.load8_u (i32.const 0))
      (i64.shl (i64.load8_u (i32.shr_u (local.get $length) (i32.const 1))) (i64.const 8))))
    (local.set $b (i64.add
      (i64.extend_i32_u (local.get $length))
      (i64.shl (i64.load8_u (i32.sub (local.get $length) (i32.const 1))) (i64.const 2))))
    (i64.mul
      (call $shiftMix (i64.xor
        (i64.mul (local.get $a) (i64.const 0x9ae16a3b2f90404f))
        (i64.mul (local.get $b) (i64.const 0xc3a5c85c97cb3127))))
      (i64.const 0x9ae16a3b2f90404f)))

  ;; HashLen17to32 and HashLen33to64, which begin alike
  (func $upTo64 (param $length i32) (result i64)
    (local $mul i64) (local $a i64) (local $b i64) (local $c i64) (local $y i64) (local $z i64)
    (local.set $b (i64.load offset=8 (i32.const 0)))
    (local.set $mul (call $mulOf (local.get $length)))
    (local.set $c (i64.mul (i64.load (i32.sub (local.get $length) (i32.const 8))) (local.get $mul)))
    (local.set $a (i64.mul
      (i64.load (i32.const 0))
      (select (i64.const 0xb492b66fbe98f273) (i64.const 0x9ae16a3b2f90404f) (i32.le_u (local.get $length) (i32.const 32)))))
    (local.set $y (i64.add
      (i64.add (i64.rotr (i64.add (local.get $a) (local.get $b)) (i64.const 43)) (i64.rotr (local.get $c) (i64.const 30)))
      (i64.mul (i64.load (i32.sub (local.get $length) (i32.const 16))) (i64.const 0x9ae16a3b2f90404f))))
    (local.set $z (call $mix
      (local.get $y)
      (i64.add
        (i64.add (local.get $a) (i64.rotr (i64.add (local.get $b) (i64.const 0x9ae16a3b2f90404f)) (i64.const 18)))
        (local.get $c))
      (local.get $mul)))
    (if (i32.le_u (local.get $length) (i32.const 32)) (then (return (local.get $z))))
    (local.set $y (i64.mul (i64.add (local.get $y) (i64.load (i32.sub (local.get $length) (i32.const 32)))) (local.get $mul)))
    (local.set $z (i64.mul (i64.add (local.get $z) (i64.load (i32.sub (local.get $length) (i32.const 24)))) (local.get $mul)))
    (local.set $b (i64.mul (i64.load offset=16 (i32.const 0)) (local.get $mul)))
    (local.set $c (i64.load offset=24 (i32.const 0)))
    (call $mix
      (i64.add
        (i64.add (i64.rotr (i64.add (local.get $b) (local.get $c)) (i64.const 43)) (i64.rotr (local.get $y) (i64.const 30)))
        (local.get $z))
      (i64.add
        (i64.add (local.get $b) (i64.rotr (i64.add (local.get $c) (local.get $a)) (i64.const 18)))
        (local.get $y))
      (local.get $mul)))

  ;; 64 bytes at a time, and then the last 64, which may overlap with those before. The state is x, y, z and the pairs v and w.
  (func $above64 (param $length i32) (result i64)
    (local $at i32) (local $end i32) (local $mul i64)
    (local $x i64) (local $y i64) (local $z i64) (local $v i64) (local $v2 i64) (local $w i64) (local $w2 i64)
    ;; 81 is the seed: x = 81, y = 81 k1 + 113, z = shiftMix(y k2 + 113) k2
    (local.set $y (i64.add (i64.mul (i64.const 81) (i64.const 0xb492b66fbe98f273)) (i64.const 113)))
    (local.set $z (i64.mul
      (call $shiftMix (i64.add (i64.mul (local.get $y) (i64.const 0x9ae16a3b2f90404f)) (i64.const 113)))
      (i64.const 0x9ae16a3b2f90404f)))
    (local.set $x (i64.add (i64.mul (i64.const 81) (i64.const 0x9ae16a3b2f90404f)) (i64.load (i32.const 0))))
    (local.set $end (i32.and (i32.sub (local.get $length) (i32.const 1)) (i32.const -64)))
    (loop $block
      (local.set $x (i64.mul
        (i64.rotr
          (i64.add (i64.add (local.get $x) (local.get $y)) (i64.add (local.get $v) (i64.load offset=8 (local.get $at))))
          (i64.const 37))
        (i64.const 0xb492b66fbe98f273)))
      (local.set $y (i64.mul
        (i64.rotr
          (i64.add (i64.add (local.get $y) (local.get $v2)) (i64.load offset=48 (local.get $at)))
          (i64.const 42))
        (i64.const 0xb492b66fbe98f273)))
      (local.set $x (i64.xor (local.get $x) (local.get $w2)))
      (local.set $y (i64.add (local.get $y) (i64.add (local.get $v) (i64.load offset=40 (local.get $at)))))
      (local.set $z (i64.mul
        (i64.rotr (i64.add (local.get $z) (local.get $w)) (i64.const 33))
        (i64.const 0xb492b66fbe98f273)))
      (call $weak
        (local.get $at)
        (i64.mul (local.get $v2) (i64.const 0xb492b66fbe98f273))
        (i64.add (local.get $x) (local.get $w)))
      (local.set $v2)
      (local.set $v)
      (call $weak
        (i32.add (local.get $at) (i32.const 32))
        (i64.add (local.get $z) (local.get $w2))
        (i64.add (local.get $y) (i64.load offset=16 (local.get $at))))
      (local.set $w2)
      (local.set $w)
      (local.get $z)
      (local.set $z (local.get $x))
      (local.set $x)
      (local.set $at (i32.add (local.get $at) (i32.const 64)))
      (br_if $block (i32.ne (local.get $at) (local.get $end))))
    (local.set $mul (i64.add
      (i64.const 0xb492b66fbe98f273)
      (i64.shl (i64.and (local.get $z) (i64.const 0xff)) (i64.const 1))))
    (local.set $at (i32.sub (local.get $length) (i32.const 64)))
    (local.set $w (i64.add
      (local.get $w)
      (i64.extend_i32_u (i32.and (i32.sub (local.get $length) (i32.const 1)) (i32.const 63)))))
    (local.set $v (i64.add (local.get $v) (local.get $w)))
    (local.set $w (i64.add (local.get $w) (local.get $v)))
    (local.set $x (i64.mul
      (i64.rotr
        (i64.add (i64.add (local.get $x) (local.get $y)) (i64.add (local.get $v) (i64.load offset=8 (local.get $at))))
        (i64.const 37))
      (local.get $mul)))
    (local.set $y (i64.mul
      (i64.rotr
        (i64.add (i64.add (local.get $y) (local.get $v2)) (i64.load offset=48 (local.get $at)))
        (i64.const 42))
      (local.get $mul)))
    (local.set $x (i64.xor (local.get $x) (i64.mul (local.get $w2) (i64.const 9))))
    (local.set $y (i64.add
      (local.get $y)
      (i64.add (i64.mul (local.get $v) (i64.const 9)) (i64.load offset=40 (local.get $at)))))
    (local.set $z (i64.mul
      (i64.rotr (i64.add (local.get $z) (local.get $w)) (i64.const 33))
      (local.get $mul)))
    (call $weak
      (local.get $at)
      (i64.mul (local.get $v2) (local.get $mul))
      (i64.add (local.get $x) (local.get $w)))
    (local.set $v2)
    (local.set $v)
    (call $weak
      (i32.add (local.get $at) (i32.const 32))
      (i64.add (local.get $z) (local.get $w2))
      (i64.add (local.get $y) (i64.load offset=16 (local.get $at))))
    (local.set $w2)
    (local.set $w)
    ;; x and z have changed places once more.
    (call $mix
      (i64.add
        (i64.add
          (call $mix (local.get $v) (local.get $w) (local.get $mul))
          (i64.mul (call $shiftMix (local.get $y)) (i64.const 0xc3a5c85c97cb3127)))
        (local.get $x))
      (i64.add (call $mix (local.get $v2) (local.get $w2) (local.get $mul)) (local.get $z))
      (local.get $mul)))

  ;; k2 + 2 length
  (func $mulOf (param $length i32) (result i64)
    (i64.add
      (i64.const 0x9ae16a3b2f90404f)
      (i64.shl (i64.extend_i32_u (local.get $length)) (i64.const 1))))

  (func $shiftMix (param $x i64) (result i64)
    (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 47))))

  ;; HashLen16
  (func $mix (param $u i64) (param $v i64) (param $mul i64) (result i64)
    (i64.mul
      (call $shiftMix (i64.mul
        (i64.xor
          (local.get $v)
          (call $shiftMix (i64.mul (i64.xor (local.get $u) (local.get $v)) (local.get $mul))))
        (local.get $mul)))
      (local.get $mul)))

  ;; WeakHashLen32WithSeeds: of 32 bytes and two numbers, two numbers
  (func $weak (param $at i32) (param $a i64) (param $b i64) (result i64 i64)
    (local $sum i64) (local $last i64)
    (local.set $last (i64.load offset=24 (local.get $at)))
    (local.set $a (i64.add (local.get $a) (i64.load (local.get $at))))
    (local.set $b (i64.rotr (i64.add (i64.add (local.get $b) (local.get $a)) (local.get $last)) (i64.const 21)))
    (local.set $sum (i64.add
      (i64.add (local.get $a) (i64.load offset=8 (local.get $at)))
      (i64.load offset=16 (local.get $at))))
    (i64.add (local.get $sum) (local.get $last))
    (i64.add (i64.add (local.get $b) (i64.rotr (local.get $sum) (i64.const 44))) (local.get $a)))

  ;; XXH64 (xxHash fast digest algorithm, version 0.1.1); the seed is unsigned.
  (func (export "xxhash64") (param $length i32) (param $buckets i32) (param $seed i32) (result i32)
    (local $at i32) (local $left i32) (local $hash i64)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64)
    (local.set $left (local.get $length))
    (local.set $hash (i64.extend_i32_u (local.get $seed)))
    (if (i32.lt_u (local.get $length) (i32.const 32))
      (then (local.set $hash (i64.add (local.get $hash) (i64.const 0x27d4eb2f165667c5))))
      (else
        (local.set $b (i64.add (local.get $hash) (i64.const 0xc2b2ae3d27d4eb4f)))
        (local.set $a (i64.add (local.get $b) (i64.const 0x9e3779b185ebca87)))
        (local.set $c (local.get $hash))
        (local.set $d (i64.sub (local.get $hash) (i64.const 0x9e3779b185ebca87)))
        (loop $stripe
          (local.set $a (call $round (local.get $a) (i64.load (local.get $at))))
          (local.set $b (call $round (local.get $b) (i64.load offset=8 (local.get $at))))
          (local.set $c (call $round (local.get $c) (i64.load offset=16 (local.get $at))))
          (local.set $d (call $round (local.get $d) (i64.load offset=24 (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 32)))
          (local.set $left (i32.sub (local.get $left) (i32.const 32)))
          (br_if $stripe (i32.ge_u (local.get $left) (i32.const 32))))
        (local.set $hash (i64.add
          (i64.add (i64.rotl (local.get $a) (i64.const 1)) (i64.rotl (local.get $b) (i64.const 7)))
          (i64.add (i64.rotl (local.get $c) (i64.const 12)) (i64.rotl (local.get $d) (i64.const 18)))))
        (local.set $hash (call $merge (local.get $hash) (local.get $a)))
        (local.set $hash (call $merge (local.get $hash) (local.get $b)))
        (local.set $hash (call $merge (local.get $hash) (local.get $c)))
        (local.set $hash (call $merge (local.get $hash) (local.get $d)))))
    (local.set $hash (i64.add (local.get $hash) (i64.extend_i32_u (local.get $length))))
    (block $few
      (loop $eight
        (br_if $few (i32.lt_u (local.get $left) (i32.const 8)))
        (local.set $hash (i64.add
          (i64.mul
            (i64.rotl (i64.xor (local.get $hash) (call $round (i64.const 0) (i64.load (local.get $at)))) (i64.const 27))
            (i64.const 0x9e3779b185ebca87))
          (i64.const 0x85ebca77c2b2ae63)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 8)))
        (br $eight)))
    (if (i32.ge_u (local.get $left) (i32.const 4))
      (then
        (local.set $hash (i64.add
          (i64.mul
            (i64.rotl
              (i64.xor (local.get $hash) (i64.mul (i64.load32_u (local.get $at)) (i64.const 0x9e3779b185ebca87)))
              (i64.const 23))
            (i64.const 0xc2b2ae3d27d4eb4f))
          (i64.const 0x165667b19e3779f9)))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))))
    (block $none
      (loop $one
        (br_if $none (i32.eq (local.get $at) (local.get $length)))
        (local.set $hash (i64.mul
          (i64.rotl
            (i64.xor (local.get $hash) (i64.mul (i64.load8_u (local.get $at)) (i64.const 0x27d4eb2f165667c5)))
            (i64.const 11))
          (i64.const 0x9e3779b185ebca87)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $one)))
    (local.set $hash (i64.mul
      (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 33)))
      (i64.const 0xc2b2ae3d27d4eb4f)))
    (local.set $hash (i64.mul
      (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 29)))
      (i64.const 0x165667b19e3779f9)))
    (call $remainder
      (i64.xor (local.get $hash) (i64.shr_u (local.get $hash) (i64.const 32)))
      (local.get $buckets)))

  (func $round (param $lane i64) (param $word i64) (result i64)
    (i64.mul
      (i64.rotl
        (i64.add (local.get $lane) (i64.mul (local.get $word) (i64.const 0xc2b2ae3d27d4eb4f)))
        (i64.const 31))
      (i64.const 0x9e3779b185ebca87)))

  (func $merge (param $hash i64) (param $lane i64) (result i64)
    (i64.add
      (i64.mul
        (i64.xor (local.get $hash) (call $round (i64.const 0) (local.get $lane)))
        (i64.const 0x9e3779b185ebca87))
      (i64.const 0x85ebca77c2b2ae63)))

  ;; Of an unsigned number
  (func $remainder (param $hash i64) (param $buckets i32) (result i32)
    (i32.wrap_i64 (i64.rem_u (local.get $hash) (i64.extend_i32_u (local.get $buckets))))))
