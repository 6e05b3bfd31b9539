import { Counter, Gauge, type Registry } from 'prom-client'

/** What clients hold, asked for at every scrape. */
export interface ConnectionSources {
  /** Bytes of bodies that are being received. */
  pendingBytes?(): number
  /** Bytes of answers that are being sent. */
  unreadBytes?(): number
  /** Connections that are open. */
  connections?(): number
  /** How full the service is, 0 to 1. */
  saturation?(): number
}

/** Answers a counter of connections that were closed as they came. */
export function registerConnectionMetrics(registry: Registry, sources: ConnectionSources): Counter {
  const registers = [registry]
  const now = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  now(
    'multigate_pending_body_bytes',
    'Bytes of request bodies of which a part has arrived',
    () => sources.pendingBytes?.() ?? 0,
  )
  now(
    'multigate_pending_answer_bytes',
    'Bytes of responses that clients have yet to read, and of requests that wait behind them',
    () => sources.unreadBytes?.() ?? 0,
  )
  new Gauge({
    name: 'multigate_saturation',
    help: 'How full the service is, 0 to 1: the largest share of event loop, workers and tolerable wait, over about ten seconds',
    registers,
    aggregator: 'max',
    collect() {
      this.set(sources.saturation?.() ?? 0)
    },
  })
  now('multigate_connections', 'Open connections', () => sources.connections?.() ?? 0)
  return new Counter({
    name: 'multigate_connections_refused_total',
    help: 'Connections closed on arrival because too many were open',
    registers,
  })
}
