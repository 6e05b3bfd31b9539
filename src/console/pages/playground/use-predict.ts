import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { AskError } from '../../api/client.ts'
import { key } from '../../api/key.ts'
import type { PredictBody } from './form.ts'
import { type Answer, predict } from './server.ts'

export interface Predicted {
  /** The last that succeeded, and the body that it answers. */
  answer: Answer | undefined
  body: object | undefined
  /** Why the newest body has no answer. */
  error: AskError | undefined
  busy: boolean
  /** Seconds after which it is asked again by itself; undefined where it is not. */
  retryIn: number | undefined
}

/** So long nothing may change before it is asked, ms: somebody who types is not answered letter by letter. */
const quiet = 150

/** Seconds until a refused or failed request is sent again: each time twice as many, up to the last. */
const firstRetry = 2
const lastRetry = 16

/** Refusals that pass by themselves. */
const passing = new Set<unknown>([0, 429, 503, 504])

const nothing: Predicted = { answer: undefined, body: undefined, error: undefined, busy: false, retryIn: undefined }

/**
 * The answer to a body, asked again whenever that changes: the newest request wins, earlier ones are aborted. Undefined asks
 * for nothing.
 */
export function usePredict(body: PredictBody | Record<string, unknown> | undefined): Predicted {
  const [state, setState] = useState(nothing)
  // Thousands of candidates are long: once per body, not per rendering.
  const text = useMemo(() => (body === undefined ? undefined : JSON.stringify(body)), [body])
  const presented = key.value
  const newest = useRef(body)
  newest.current = body

  useEffect(() => {
    if (text === undefined) {
      setState(nothing)
      return
    }
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout>
    let retry = firstRetry
    const run = async () => {
      const asked = newest.current!
      setState((before) => ({ ...before, busy: true }))
      try {
        const answer = await predict(asked, controller.signal)
        if (!controller.signal.aborted)
          setState({ answer, body: asked, error: undefined, busy: false, retryIn: undefined })
      } catch (error) {
        if (controller.signal.aborted) return
        const asked = error instanceof AskError ? error : new AskError(String(error))
        const retryIn = passing.has(asked.status) ? retry : undefined
        setState((before) => ({ ...before, error: asked, busy: false, retryIn }))
        if (retryIn === undefined) return
        timer = setTimeout(run, 1000 * retryIn)
        retry = Math.min(2 * retry, lastRetry)
      }
    }
    timer = setTimeout(run, quiet)
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [text, presented])

  return state
}
