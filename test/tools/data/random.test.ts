import t from 'tap'
import { createDraw, createRandom, shuffle, zipf } from '../../../src/tools/data/random.ts'

const many = <T>(n: number, make: () => T) => Array.from({ length: n }, make)

t.test('the same seed gives the same numbers', async (t) => {
  const numbers = (seed: number) => {
    const random = createRandom(seed)
    return many(5, () => [random.uniform(), random.integer(10), random.normal()])
  }
  t.same(numbers(1), numbers(1))
  t.not(JSON.stringify(numbers(1)), JSON.stringify(numbers(2)))
})

t.test('moments', async (t) => {
  const random = createRandom(3)
  const uniform = many(20_000, random.uniform)
  t.ok(uniform.every((x) => x >= 0 && x < 1))
  t.ok(Math.abs(uniform.reduce((a, b) => a + b) / 20_000 - 0.5) < 0.01)
  const normal = many(20_000, random.normal)
  t.ok(Math.abs(normal.reduce((a, b) => a + b) / 20_000) < 0.03)
  t.ok(Math.abs(normal.reduce((a, b) => a + b * b, 0) / 20_000 - 1) < 0.05)
  t.same([...new Set(many(200, () => random.integer(3)))].sort(), [0, 1, 2])
})

t.test('draws in proportion to weights', async (t) => {
  const random = createRandom(4)
  const draw = createDraw([1, 0, 3])
  const counts = [0, 0, 0]
  for (let i = 0; i < 8000; i++) counts[draw(random)]! += 1
  t.equal(counts[1], 0)
  t.ok(Math.abs(counts[2]! / 8000 - 0.75) < 0.02)
  t.same(zipf(3, 1), [1, 1 / 2, 1 / 3])
})

t.test('shuffling keeps every value', async (t) => {
  const values = Int32Array.from({ length: 100 }, (_, i) => i)
  shuffle(values, createRandom(5))
  t.not(values.join(), Array.from({ length: 100 }, (_, i) => i).join())
  t.same(
    [...values].sort((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i),
  )
})
