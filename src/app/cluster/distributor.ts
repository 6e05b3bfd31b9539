import type { Socket } from 'node:net'

/** A connection, and the port that it came to. */
export interface Connection {
  socket: Socket
  port: 'main' | 'admin'
}

/** A process that can be given connections. */
export interface ConnectionReceiver {
  /** The required models are loaded. */
  ready: boolean
  /** It stops: it takes what it has been given, and no more. */
  leaving: boolean
  /** It answers pings. */
  responsive: boolean
  give(connection: Connection): void
}

/** Most connections handed to a process that it has not confirmed: these wait if it hangs. */
const mostPending = 4

/**
 * Gives each connection to the next process in turn. A connection stays open here until its process says that it has
 * taken it: where the process dies before, another gets it. While any process is ready, those that are not
 * get none.
 */
export class Distributor {
  /** In the order of their turns, with what each has not yet taken, oldest first. */
  #takers = new Map<ConnectionReceiver, Connection[]>()
  #waiting: Connection[] = []
  #refuse: ((connection: Connection) => void) | undefined

  add(taker: ConnectionReceiver): void {
    this.#takers.set(taker, [])
    this.update()
  }

  /** Connections that it has not taken go to others. */
  remove(taker: ConnectionReceiver): void {
    const pending = this.#takers.get(taker) ?? []
    this.#takers.delete(taker)
    this.#waiting.unshift(...pending)
    this.update()
  }

  /** From now on `refuse` gets what waits and what comes; where it is undefined, that waits. */
  refuseBy(refuse: ((connection: Connection) => void) | undefined): void {
    this.#refuse = refuse
    if (refuse) for (const connection of this.#waiting.splice(0)) refuse(connection)
  }

  distribute(connection: Connection): void {
    if (this.#refuse) {
      this.#refuse(connection)
      return
    }
    this.#waiting.push(connection)
    this.update()
  }

  /** The oldest that it was given is its own from now on. */
  taken(taker: ConnectionReceiver): void {
    this.#takers.get(taker)?.shift()?.socket.destroy()
    this.update()
  }

  /** Gives what waits to those that can be given it; called when one of them is ready, too. */
  update(): void {
    this.#give(mostPending)
  }

  /** Gives all that waits, however much they have to take; where there is nobody, it is closed. */
  flush(): void {
    this.#give(Number.POSITIVE_INFINITY)
    for (const { socket } of this.#waiting.splice(0)) socket.destroy()
  }

  #give(most: number): void {
    while (this.#waiting.length > 0) {
      const next = this.#next(most)
      if (next === undefined) return
      const [taker, pending] = next
      const connection = this.#waiting.shift()!
      // Its turn comes again after all others'.
      this.#takers.delete(taker)
      this.#takers.set(taker, pending)
      pending.push(connection)
      taker.give(connection)
    }
  }

  #next(most: number): [ConnectionReceiver, Connection[]] | undefined {
    const all = [...this.#takers].filter(([taker]) => !taker.leaving && taker.responsive)
    const ready = all.filter(([taker]) => taker.ready)
    return (ready.length > 0 ? ready : all).find(([, pending]) => pending.length < most)
  }
}
