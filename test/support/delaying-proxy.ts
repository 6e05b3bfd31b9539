import { connect, createServer, type Socket } from 'node:net'

/*
 * A slow link: a proxy of TCP connections that holds back what goes either way. Run as a process, with the port to
 * listen on, the port of this host to go to, and the delay in ms; SIGUSR2 sets that to 0.
 */

const [listenOn, goTo, milliseconds] = process.argv.slice(2).map(Number) as [number, number, number]
let delay = 0
process.on('SIGUSR2', () => {
  delay = delay === 0 ? milliseconds : 0
})

/** In order, and the end after all that goes before it. */
function forward(from: Socket, to: Socket): void {
  const later = (action: () => void) => setTimeout(action, delay)
  from.on('data', (bytes) => later(() => to.writable && to.write(bytes)))
  from.on('end', () => later(() => to.end()))
  from.on('close', () => later(() => to.destroy()))
  from.on('error', () => later(() => to.destroy()))
}

createServer({ allowHalfOpen: true }, (client) => {
  const server = connect({ port: goTo, host: '127.0.0.1', allowHalfOpen: true })
  for (const socket of [client, server]) socket.setNoDelay()
  forward(client, server)
  forward(server, client)
}).listen(listenOn, () => console.log('listening'))
