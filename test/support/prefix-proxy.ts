import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A reverse proxy that strips a prefix, as ingresses do: `/ads/models` is asked as `/models`. Answers its origin. */
export async function startPrefixProxy(t: Test, { port, prefix }: { port: number; prefix: string }): Promise<string> {
  const proxy = createServer((incoming, response) => {
    const { url = '/', method, headers } = incoming
    if (url !== prefix && !url.startsWith(`${prefix}/`)) {
      response.writeHead(404).end()
      return
    }
    const path = url.slice(prefix.length) || '/'
    const sent = request({ host: '127.0.0.1', port, path, method, headers: { ...headers, host: 'upstream:80' } })
    sent.on('response', (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    sent.on('error', () => response.destroy())
    response.on('close', () => sent.destroy())
    incoming.pipe(sent)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}
