// `npm run dev`: compiles on every change and restarts the server. Arguments are passed to the server.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

process.chdir(join(import.meta.dirname, '..'))

const children = [
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', '--watch', '--preserveWatchOutput'],
  ['--watch', '--watch-preserve-output', 'build/src/main.js', '--drain-delay-ms', '0', ...process.argv.slice(2)],
].map((args) => spawn(process.execPath, args, { stdio: 'inherit' }))

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
for (const child of children) child.once('exit', stop)

function stop() {
  for (const child of children) child.kill('SIGTERM')
}
