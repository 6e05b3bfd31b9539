import { createServer } from 'node:http'
import { emptyHandler, sendJson } from './empty-handler.ts'

/*
 * The least work that Node allows: a handler that parses the JSON of a request and sends one answer, and for refusals
 * one that reads no body. Nothing on Node's HTTP server can take less.
 */

const { PORT = '0', ANSWER = '{}', REFUSES = '' } = process.env
const refusal = JSON.stringify({ title: 'The server is overloaded', status: 429 })

const server = createServer(REFUSES === '' ? emptyHandler(ANSWER) : (_, response) => sendJson(response, 429, refusal))
server.listen(Number(PORT), '127.0.0.1')
