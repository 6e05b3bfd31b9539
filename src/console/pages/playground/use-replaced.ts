import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { AskError } from '../../api/client.ts'
import type { Prediction } from './ranking.ts'
import type { Plan } from './replace.ts'
import { predict } from './server.ts'

/** The answers to a plan, by request. */
export interface Outcome {
  plan: Plan
  predictions: (Prediction | null)[][]
}

interface State {
  outcomes?: Outcome[]
  error?: AskError
  busy: boolean
  /** There were outcomes, of other values. */
  isStale?: boolean | undefined
}

/** Asks plans when the reader wants it, one after the other. `content`: what they are about; another one makes answers stale. */
export function useReplaced(content: string): State & { run(plans: readonly Plan[]): Promise<void> } {
  const [state, setState] = useState<State>({ busy: false })
  const running = useRef<AbortController | undefined>(undefined)

  // Before the page is drawn, so before the reader can ask about the new content.
  useLayoutEffect(() => {
    setState(({ outcomes, isStale }) => ({ busy: false, isStale: outcomes !== undefined || isStale }))
    return () => running.current?.abort()
  }, [content])

  const run = async (plans: readonly Plan[]) => {
    const controller = new AbortController()
    running.current?.abort()
    running.current = controller
    setState({ busy: true })
    try {
      const outcomes: Outcome[] = []
      for (const plan of plans) {
        const predictions: Outcome['predictions'] = []
        for (const { body } of plan.requests) predictions.push((await predict(body, controller.signal)).predictions)
        outcomes.push({ plan, predictions })
      }
      if (!controller.signal.aborted) setState({ outcomes, busy: false })
    } catch (error) {
      if (controller.signal.aborted) return
      setState({ error: error instanceof AskError ? error : new AskError(String(error)), busy: false })
    }
  }

  return { ...state, run }
}
