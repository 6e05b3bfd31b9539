import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface Certificates {
  /** The authority that clients trust (PEM). */
  authority: string
  /** Files of the server. */
  certificate: string
  key: string
}

/** Days for which they are valid: clocks jump. */
const days = 3650

/** A certificate for this machine, which is its own authority, in the folder; made by openssl. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const [certificate, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', String(days)],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...['-keyout', key, '-out', certificate],
  ])
  return { authority: await readFile(certificate, 'utf8'), certificate, key }
}
