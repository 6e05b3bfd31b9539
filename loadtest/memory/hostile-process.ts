import { connect, type Socket } from 'node:net'
import { behaviours } from './behaviours.ts'

/*
 * Hostile clients in a process of their own: `{ play, connections }` from the parent opens that number of connections,
 * each of which behaves so and reads nothing; one that the server closes comes again. `pause` has all of them leave,
 * and answers how many were open at most.
 */

const port = Number(process.argv[2])

/** Connections that are being opened at a time: more than the system's backlog holds would only wait for each other. */
const together = 500

/** Connections come again at most so often, as a multiple of how many there are. */
const returns = 3

let sockets = new Set<Socket>()
/** Connections that are open, and the most that were. */
let connected = 0
let most = 0

function play(name: string, connections: number): void {
  const { bytes } = behaviours.find((behaviour) => behaviour.name === name)!
  const own = new Set<Socket>()
  sockets = own
  let opened = 0
  let opening = 0
  const open = () => {
    if (sockets !== own || opening >= together || own.size >= connections || opened >= connections * returns) return
    opened++
    opening++
    const socket = connect({ port, host: '127.0.0.1' })
    own.add(socket)
    let isOpening = true
    const settle = () => {
      if (!isOpening) return
      isOpening = false
      opening--
    }
    socket.pause()
    socket.on('error', () => undefined)
    let isConnected = false
    socket.once('connect', () => {
      isConnected = true
      most = Math.max(most, ++connected)
      settle()
      socket.write(bytes)
      open()
    })
    socket.once('close', () => {
      if (isConnected) connected--
      settle()
      own.delete(socket)
      setImmediate(open)
    })
    if (opening < together) setImmediate(open)
  }
  open()
}

process.on('message', (message: { play: string; connections: number } | 'pause') => {
  if (message === 'pause') {
    for (const socket of sockets) socket.resetAndDestroy()
    sockets = new Set()
    process.send?.(most)
  } else play(message.play, message.connections)
})
process.on('disconnect', () => process.exit())
process.send?.('ready')
