import t from 'tap'
import { type BucketOf, farmhash64, xxhash64 } from '../../src/base/hash64.ts'

/** Coprime in pairs, so that remainders by all three tell numbers below 2⁶⁴ apart. */
const moduli = [2 ** 31 - 1, 2 ** 31 - 2, 2 ** 31 - 3]

/** Remainders of a string's hash: by all of `moduli`, or those of a published hash. */
const remainders = (create: (buckets: number) => BucketOf, text: string) =>
  moduli.map((buckets) => create(buckets)(text))
const remaindersOf = (hash: bigint) => moduli.map((buckets) => Number(hash % BigInt(buckets)))

const pangram = 'The quick brown fox jumps over the lazy dog, '.repeat(9)
const otherSeed = 2_654_435_761

// Guava's tests of farmHashFingerprint64, google/farmhash (its hash of nothing is k2), and python-xxhash.
const published: [create: (buckets: number) => BucketOf, text: string, hash: bigint][] = [
  [farmhash64, '', 0x9ae16a3b2f90404fn],
  [farmhash64, 'test', 8581389452482819506n],
  [farmhash64, 'test'.repeat(8), BigInt.asUintN(64, -4196240717365766262n)],
  [farmhash64, 'test'.repeat(64), 3500507768004279527n],
  [(buckets) => xxhash64(buckets, 0), '', 0xef46db3751d8e999n],
  [(buckets) => xxhash64(buckets, 0), 'a', 0xd24ec4f1a98c6e5bn],
  [(buckets) => xxhash64(buckets, 0), 'abc', 0x44bc2cf5ad770999n],
  [(buckets) => xxhash64(buckets, 0), 'Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
]

// The same of other lengths, by pyfarmhash 0.5.1 and xxhash 4.1.0: what FarmHash does depends on the length up to 64
// bytes, and what both do, on the bytes that are left of blocks of 64, 32, 8 and 4.
const byLength: [length: number, farmhash: bigint, xxhash: bigint, seeded: bigint][] = [
  [0, 0x9ae16a3b2f90404fn, 0xef46db3751d8e999n, 0xac75fda2929b17efn],
  [1, 0x12f77cd62637857an, 0x5b4d6af247a3cf7bn, 0xec1ee99e452d65e1n],
  [2, 0x5e667204f36de5f3n, 0x4d9dd5b2d0613c90n, 0x7bf2d00a3784a307n],
  [3, 0x85887769ddcc73fdn, 0x4108f90b5de14d15n, 0xcd1b3d5c25407703n],
  [4, 0xf4ed8b2e41e836a5n, 0xcdf13a49d263200fn, 0x29be73f64c0ff9cfn],
  [5, 0x7a321dbb03965387n, 0xf0d7a3adcfa8c683n, 0x7c491d9cbdcdb347n],
  [7, 0xfb3b4353192e2b87n, 0xc6fce9d72e310949n, 0x4ff28b902dc671edn],
  [8, 0x46d0ffb3ee9d8c07n, 0xd07b38a78a153b0bn, 0xf17ade884e51dc6bn],
  [9, 0x4cd45d9a4a412853n, 0x9d1214db001dfc69n, 0xedd8e9752f53c987n],
  [16, 0x3bf6bd3bebd31655n, 0x0f7e67014943a311n, 0x9fe1707ea8194563n],
  [17, 0xc7a32da958c02dbdn, 0x6bf87c8b1fd9ed1an, 0x6ca9e2e442f04cc1n],
  [24, 0x5d038073ebd56935n, 0xe5bcc54f9811d5den, 0xe843f490bbcd9df0n],
  [32, 0xb65964dee7761262n, 0xe2bbc9136629a4een, 0x1b066149583b6cdcn],
  [33, 0xf25fea09db06b3d6n, 0x6d92fe2ebab7db31n, 0xb12bb45f10a79146n],
  [48, 0x2614400b8957a407n, 0xa9c3a5671a0ab580n, 0xd7aff23ab5f376ecn],
  [63, 0x5f289b00c356ca80n, 0x952ac9f3733f3bbdn, 0x1d41997f19a968d6n],
  [64, 0xe5d10bc4aa340fa8n, 0x1260e24bbfabbb1en, 0x9bd3cff7d798cc0dn],
  [65, 0xb4ec8acd28406491n, 0xc43e67dc5f7e56dan, 0x3061a7b2485647a6n],
  [127, 0xad412eafc5c207dcn, 0x0a4c0e122519b869n, 0x1508ccdf020fcb9fn],
  [128, 0x673f28b4ae5c26a6n, 0xcfe8df47375515bcn, 0x8b5953be951c5b68n],
  [129, 0x331f31000cb9ebc0n, 0xf2dadcadd073d53cn, 0xba478a3d95990189n],
  [200, 0x7809f9934cc71c9dn, 0xb6a6a36e836b6ed7n, 0x636b262705f3fe6bn],
  [300, 0xe263322484d15290n, 0x2c50ad4211d38d85n, 0xa6f9fcc708bc4111n],
]
const beyondAscii: [text: string, farmhash: bigint, xxhash: bigint, seeded: bigint][] = [
  ['größe', 0x62f382d1f6e2f958n, 0xe6bebd6647f502a5n, 0x99f39f359c2efd66n],
  ['日本語', 0xd99eeda07b1cb847n, 0x7179a19f3719f5e1n, 0xe77f139948b21006n],
  ['😀', 0x6a0ee85ce8685573n, 0x9025b8abaae87b80n, 0x3a02ac58405b7386n],
  ['ππππππππ', 0xfaf047279373dfc0n, 0xf44ce725b83010e5n, 0xc4d323be712bc5e3n],
  ['é'.repeat(40), 0x89cc82c8327f2799n, 0xb1ec6d9d41a61799n, 0xcff9053b8abbec1dn],
]

t.test('hashes are the published ones, of which no bit is lost', async (t) => {
  for (const [create, text, hash] of published) t.same(remainders(create, text), remaindersOf(hash), text)
})

t.test('buckets are those of the documentation of TensorFlow', async (t) => {
  t.same(['Hello', 'TensorFlow', '2.x'].map(farmhash64(3)), [0, 2, 2])
})

t.test('text of every length, and beyond ASCII, is hashed as other libraries hash it', async (t) => {
  const cut = byLength.map(([length, ...hashes]) => [pangram.slice(0, length), ...hashes] as const)
  for (const [text, farmhash, xxhash, seeded] of [...cut, ...beyondAscii]) {
    t.same(remainders(farmhash64, text), remaindersOf(farmhash), `farmhash64 of ${text}`)
    t.same(
      remainders((buckets) => xxhash64(buckets, 0), text),
      remaindersOf(xxhash),
      `xxhash64 of ${text}`,
    )
    t.same(
      remainders((buckets) => xxhash64(buckets, otherSeed), text),
      remaindersOf(seeded),
      `with a seed, of ${text}`,
    )
  }
})

t.test('a hash rounded to 53 bits would fall into other buckets', async (t) => {
  const rounded = Number(8581389452482819506n) % 1000
  t.equal(farmhash64(1000)('test'), 506)
  t.not(rounded, 506)
})

t.test('one bucket has all values, and the largest number of them is not negative', async (t) => {
  const texts = byLength.map(([length]) => pangram.slice(0, length))
  for (const create of [farmhash64, (buckets: number) => xxhash64(buckets, 7)]) {
    t.ok(texts.map(create(1)).every((bucket) => bucket === 0))
    t.ok(texts.map(create(2 ** 31 - 1)).every((bucket) => bucket >= 0))
  }
})

t.test('half a surrogate pair is hashed as the replacement character', async (t) => {
  for (const create of [farmhash64, (buckets: number) => xxhash64(buckets, 7)])
    for (const prefix of ['', pangram]) t.equal(create(997)(`${prefix}\ud83d`), create(997)(`${prefix}\ufffd`))
})

t.test('strings longer than the memory that is kept are hashed like others', async (t) => {
  const [farmhash, xxhash] = [farmhash64(1_000_003), xxhash64(1_000_003, 5)]
  const before = [farmhash('test'), xxhash('test')]
  for (const [length, ...expected] of [
    [21845, 985548, 55358],
    [21846, 871671, 462223],
    [200000, 140755, 754975],
  ]) {
    const text = 'é'.repeat(length!)
    t.same([farmhash(text), xxhash(text)], expected, `${length}`)
  }
  t.same([farmhash('test'), xxhash('test')], before)
})
