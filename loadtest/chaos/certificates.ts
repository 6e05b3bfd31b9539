import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Certificates {
  /** The authority that clients trust (PEM). */
  authority: string
  /** Files of the server. */
  certificate: string
  key: string
}

/** Days for which they are valid: clocks jump. */
const days = 3650

/** A certificate authority of its own, and a certificate for this machine, in the folder; made by openssl. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const file = (name: string) => join(folder, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await run('openssl', [
    ...['req', '-x509', ...newKey, '-days', String(days), '-subj', '/CN=load test authority'],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', file('ca.key'), '-out', file('ca.crt')],
  ])
  await run('openssl', [
    ...['req', ...newKey, '-subj', '/CN=localhost', '-keyout', file('tls.key'), '-out', file('tls.csr')],
  ])
  await writeFile(file('extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  await run('openssl', [
    ...['x509', '-req', '-in', file('tls.csr'), '-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial'],
    ...['-days', String(days), '-extfile', file('extensions'), '-out', file('tls.crt')],
  ])
  return {
    authority: await readFile(file('ca.crt'), 'utf8'),
    certificate: file('tls.crt'),
    key: file('tls.key'),
  }
}
