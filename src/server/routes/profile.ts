import { Session } from 'node:inspector/promises'
import { setTimeout } from 'node:timers/promises'

/**
 * Records this thread for that time. Answers a profile in the format of Chrome's developer tools. Rejects when `signal`
 * aborts.
 */
export async function recordProfile(kind: 'cpu' | 'heap', seconds: number, signal: AbortSignal): Promise<object> {
  const session = new Session()
  session.connect()
  try {
    if (kind === 'cpu') {
      await session.post('Profiler.enable')
      await session.post('Profiler.start')
      await setTimeout(seconds * 1000, undefined, { signal })
      return (await session.post('Profiler.stop')).profile
    }
    await session.post('HeapProfiler.startSampling')
    await setTimeout(seconds * 1000, undefined, { signal })
    return (await session.post('HeapProfiler.stopSampling')).profile
  } finally {
    session.disconnect()
  }
}
