import type { ServerContext } from './context.ts'

/** Why requests can't be sent here, of all processes of the service together; empty when they can. */
export async function unreadyReasons({ registry, drain, peers }: ServerContext): Promise<string[]> {
  const own = drain.draining ? ['shutting down'] : registry.unreadyReasons()
  return peers === undefined ? own : peers.unreadyReasons(own)
}
