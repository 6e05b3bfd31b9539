import { beginStart, failStart } from '../start.ts'

// The entry of a process that serves. Messages that the primary process sends meanwhile wait until it is loaded.
const start = beginStart()
try {
  const { startServing } = await import('./serving-process.ts')
  startServing(start)
} catch (error) {
  failStart(error)
}
