import { useEffect, useState } from 'preact/hooks'
import { AskError, key } from './client.ts'

/** Data of the server, as it comes: `data` of the last success stays while it is asked again, or fails. */
export interface Asked<T> {
  data: T | undefined
  /** Why the last asking has no data. */
  error: AskError | undefined
  /** It is asked, or about to be: `data` and `error` are those of an earlier asking. */
  loading: boolean
  /** Seconds after which a failure is asked again by itself; undefined where it is not. */
  retryIn: number | undefined
  /** Asks again. */
  again(): void
}

interface Options {
  /** Asks again and again. */
  everySeconds?: number
  /** So long no input may change before it is asked, ms. */
  quiet?: number
  /** Seconds until a failure that may pass by itself is asked again: each time twice as many, up to the last. */
  retry?: readonly [first: number, last: number]
}

/** No connection, and refusals that pass by themselves. */
const passing: readonly number[] = [0, 429, 503, 504]

const nothing = { data: undefined, error: undefined, retryIn: undefined, isAsking: false, of: undefined }

/**
 * Asks when the page is shown, and when `inputs` or the key change: an asking that is under way is aborted then.
 * Undefined asks for nothing.
 */
export function useAsk<T>(
  asking: ((signal: AbortSignal) => Promise<T>) | undefined,
  inputs: readonly unknown[],
  { everySeconds, quiet, retry: [first, last] = [3, 3] }: Options = {},
): Asked<T> {
  const [{ of, isAsking, ...state }, setState] = useState<
    Omit<Asked<T>, 'loading' | 'again'> & {
      isAsking: boolean
      /** The inputs whose data, or error, came last. */
      of: readonly unknown[] | undefined
    }
  >(nothing)
  const [turn, setTurn] = useState(0)
  const presented = key.value

  // The caller names the inputs of `asking`.
  useEffect(() => {
    if (asking === undefined) {
      setState(nothing)
      return
    }
    const left = new AbortController()
    const { signal } = left
    let timer: ReturnType<typeof setTimeout> | undefined
    let retry = first
    async function run(): Promise<void> {
      setState((before) => ({ ...before, isAsking: true }))
      let next = everySeconds
      try {
        const data = await asking!(signal)
        if (signal.aborted) return
        setState({ ...nothing, data, of: inputs })
      } catch (thrown) {
        if (signal.aborted) return
        const error = AskError.of(thrown)
        const retryIn = passing.includes(error.status) ? retry : undefined
        setState(({ data }) => ({ ...nothing, data, error, retryIn, of: inputs }))
        retry = Math.min(2 * retry, last)
        next = retryIn ?? next
      }
      if (next !== undefined) timer = setTimeout(run, 1000 * next)
    }
    if (quiet === undefined) run()
    else timer = setTimeout(run, quiet)
    return () => {
      left.abort()
      clearTimeout(timer)
    }
  }, [...inputs, presented, turn])

  // From the rendering of other inputs on, not only once they are asked.
  const isOld = of === undefined || inputs.some((input, i) => !Object.is(input, of[i]))
  return {
    ...state,
    loading: asking !== undefined && (isAsking || isOld),
    again: () => setTurn((value) => value + 1),
  }
}
