import { setThreadPriority } from './process.ts'

/*
 * Begins a thread that does one thing, its script by its last argument: at the lowest priority, before anything of it
 * is loaded. Requests are answered first.
 */

setThreadPriority(19)
await import(process.argv.at(-1)!)
