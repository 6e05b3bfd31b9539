import type { SyntheticTasksData } from '../../schemas/rows-spec.ts'
import { createRandom, dot, type Random } from './random.ts'
import type { Column, Source } from './source.ts'

/** Standard deviation of the noise: its variance is 0.01. */
const noise = 0.1

/**
 * Two tasks of known correlation p (Ma et al., KDD 2018, section 3.2): orthonormal u1 and u2, w1 = u1, w2 = p·u1 + √(1
 * − p²)·u2, x ~ N(0, 1)^dim, and y_k = w_kᵀx + Σ_i sin(α_i·w_kᵀx + β_i) + ε with ε ~ N(0, 0.01), α_i = i and β_i = (i −
 * 1)². Columns: x1 … x<dim>, y1, y2. The same options give the same rows, bit for bit.
 */
export function createSyntheticTasks(options: SyntheticTasksData): Source {
  const { dim, rows, skip, seed, sines } = options
  const names = [...Array.from({ length: dim }, (_, i) => `x${i + 1}`), 'y1', 'y2']
  let read = 0
  return {
    columns: names.map((name): Column => ({ name, type: 'double' })),
    place: (index) => `row ${index + 1}`,
    progress: () => read / rows,
    *rows() {
      const directions = directionsOf(options, createRandom(seed))
      const random = createRandom(seed + 1)
      const row = new Array<number>(dim + 2).fill(0)
      for (let index = 0; index < skip + rows; index++) {
        for (let i = 0; i < dim; i++) row[i] = random.normal()
        directions.forEach((w, k) => {
          const projection = dot(w, row)
          row[dim + k] = signal(projection, sines) + noise * random.normal()
        })
        if (index < skip) continue
        read++
        yield row
      }
    },
  }
}

/** z + Σ_i sin(i·z + (i − 1)²): what a target is of its projection z, without noise. */
export function signal(projection: number, sines: number): number {
  let sum = projection
  for (let i = 1; i <= sines; i++) sum += Math.sin(i * projection + (i - 1) ** 2)
  return sum
}

/** w1 and w2, of length 1. */
function directionsOf({ dim, correlation }: SyntheticTasksData, random: Random): [number[], number[]] {
  const draw = () => Array.from({ length: dim }, () => random.normal())
  const u1 = unit(draw())
  const drawn = draw()
  const along = dot(drawn, u1)
  const u2 = unit(drawn.map((x, i) => x - along * u1[i]!))
  const across = Math.sqrt(1 - correlation ** 2)
  return [u1, u1.map((x, i) => correlation * x + across * u2[i]!)]
}

function unit(vector: number[]): number[] {
  const length = Math.sqrt(dot(vector, vector))
  return vector.map((x) => x / length)
}
