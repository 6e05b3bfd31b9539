// `npm run dev`: builds at every change and restarts the server.  Arguments are passed to the server.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

process.chdir(join(import.meta.dirname, '..'))

const children = [
  ['scripts/build-server.mjs', '--watch'],
  ['scripts/build-console.mjs', '--watch'],
  ['--watch', '--watch-preserve-output', 'dist/main.js', '--drain-delay-ms', '0', ...process.argv.slice(2)],
].map((args) => spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] }))

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
for (const child of children) child.once('exit', stop)

function stop() {
  for (const child of children) child.kill('SIGTERM')
}
