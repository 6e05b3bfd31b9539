import { send } from './process.ts'
import { askAnew } from './processes.ts'

/*
 * Servers whose models folder changes while they run, and what clients see of it.
 */

const context = { country: 'DE', hour: 21 }
const candidates = [{ campaign: 'c9', price: 1.25 }]
const bodyFor = (model: string) => JSON.stringify({ model, context, candidates })
export const predict = (port: number, model: string) => send(port, '/predict', { payload: bodyFor(model) })
export const polled = { MULTIGATE_POLL_SECONDS: '0.05' }
export const quiet = {
  MULTIGATE_PORT: '0',
  MULTIGATE_WORKERS: '1',
  MULTIGATE_WARM_UP_MS: '0',
  MULTIGATE_DEADLINE_MS: '60000',
}

export const listed = async (port: number, name: string) =>
  JSON.parse((await send(port, '/models')).text).models.find((model: any) => model.name === name)
export const series = async (port: number, begin: string) =>
  (await askAnew(port, '/metrics')).text.split('\n').filter((line) => line.startsWith(begin))
