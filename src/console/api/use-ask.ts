import { useEffect, useState } from 'preact/hooks'
import { AskError, key } from './client.ts'

/** Data of the server, as it comes: `data` of the last success stays while it is asked again, or fails. */
export interface Asked<T> {
  data: T | undefined
  error: AskError | undefined
  loading: boolean
  /** Asks again. */
  again(): void
}

/** Seconds until an unreachable or overloaded server is asked again. */
const retrySeconds = 3

/**
 * Asks when the page is shown, when `inputs` or the key change, and every `everySeconds`. Unreachable servers are asked
 * again.
 */
export function useAsk<T>(
  asking: () => Promise<T>,
  inputs: readonly unknown[],
  { everySeconds }: { everySeconds?: number } = {},
): Asked<T> {
  const [state, setState] = useState<Omit<Asked<T>, 'again'>>({ data: undefined, error: undefined, loading: true })
  const [turn, setTurn] = useState(0)
  const presented = key.value

  // The caller names the inputs of `asking`.
  useEffect(() => {
    let left = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const later = (seconds: number) => {
      timer = setTimeout(run, 1000 * seconds)
    }
    async function run(): Promise<void> {
      setState((before) => ({ ...before, loading: true }))
      try {
        const data = await asking()
        if (left) return
        setState({ data, error: undefined, loading: false })
        if (everySeconds !== undefined) later(everySeconds)
      } catch (error) {
        if (left) return
        const asked = AskError.of(error)
        setState((before) => ({ data: before.data, error: asked, loading: false }))
        if ([0, 429, 503].includes(asked.status)) later(retrySeconds)
        else if (everySeconds !== undefined) later(everySeconds)
      }
    }
    run()
    return () => {
      left = true
      clearTimeout(timer)
    }
  }, [...inputs, presented, turn])

  return { ...state, again: () => setTurn((value) => value + 1) }
}
