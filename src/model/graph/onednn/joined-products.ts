import type { Frame, Step } from '../rows/program.ts'
import type { Part } from '../rows/tensor.ts'
import type { JoinedRequests } from './joined-requests.ts'
import type { Operand } from './operand.ts'
import { placesOfPairs } from './places-of-pairs.ts'
import type { Products } from './products-by-rows.ts'
import type { MakeRunner, OnednnTranslation } from './translation.ts'

/*
 * Products in bfloat16 whose bias is the context of each row's request, for the rows of several requests in one call.
 * Columns by which x is filled up name the row's request, and the weights that they meet are the contexts, each as two
 * numbers of bfloat16 whose sum it is.
 */

/** Columns of weights that lie side by side, and the place of each pair's; pairs one behind the other share a range. */
interface Block {
  column: number
  width: number
  ranges: { first: number; end: number; place: number }[]
}

/** How a product computes the rows of joined requests. */
export interface Joined {
  requests: JoinedRequests
  step(frame: Frame): Step
}

/** Undefined where a product can't. `k`: columns of x that hold numbers; `bias`: the contexts. */
export function joinRequests(
  t: OnednnTranslation,
  { x, k, products, run, bias }: { x: Operand; k: number; products: Products; run: MakeRunner; bias: Part },
): Joined | undefined {
  const [{ product, weights: all }] = products as [(typeof products)[number]]
  const requests = t.joinedRequests(x, k)
  if (requests.pairs === 0 || products.some((other) => other.product.layout !== product.layout)) return undefined
  const places = placesOfPairs(t.library, product, all.k, all.n, requests.first)
  const { width: n } = bias
  const blocks = places && blocksOf(places, requests.pairs, n)
  if (blocks === undefined || blocks.some(({ width }) => width % 4 !== 0)) return undefined
  const noBias = t.placed(new Float32Array(n))
  // The words of a group's requests, in one block at a time.
  const scratch = t.program.fixed(new Float32Array(requests.pairs * Math.max(...blocks.map(({ width }) => width))))
  const weights = t.library.words(all.layouts.get(product.layout)!)
  const step = (frame: Frame): Step => {
    const { at, integers, split } = frame
    const words = at[scratch]! / 4
    const runRows = run(frame)
    return (call) => {
      for (let request = 0; request < call.requests; request += requests.pairs) {
        const count = Math.min(requests.pairs, call.requests - request)
        const contexts = at[bias.buffer]! + (bias.offset + request * bias.stride) * 4
        for (const { column, width, ranges } of blocks) {
          split(count, contexts + column * 4, bias.stride * 4, words * 4, width * 4)
          for (const { first, end, place } of ranges)
            if (first < count)
              weights.set(integers.subarray(words + first * width, words + Math.min(end, count) * width), place)
        }
        runRows(call, call.starts[request]!, call.starts[request + count]!, noBias)
      }
    }
  }
  return { requests, step }
}

function blocksOf(places: Int32Array, pairs: number, n: number): Block[] {
  const blocks: Block[] = []
  const follows = (column: number) => {
    for (let pair = 0; pair < pairs; pair++)
      if (places[pair * n + column] !== places[pair * n + column - 1]! + 1) return false
    return true
  }
  for (let column = 0; column < n; ) {
    let end = column + 1
    while (end < n && follows(end)) end++
    const width = end - column
    const ranges: Block['ranges'] = []
    for (let pair = 0; pair < pairs; pair++) {
      const place = places[pair * n + column]!
      const last = ranges.at(-1)
      if (last && place === last.place + (pair - last.first) * width) last.end = pair + 1
      else ranges.push({ first: pair, end: pair + 1, place })
    }
    blocks.push({ column, width, ranges })
    column = end
  }
  return blocks
}
