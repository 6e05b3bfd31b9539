import { join } from 'node:path'

const dist = join(import.meta.dirname, '../../dist')

/** The server's process, as `npm start` runs it. */
export const main = join(dist, 'main.js')

/** The command line. */
export const cli = join(dist, 'cli.js')
