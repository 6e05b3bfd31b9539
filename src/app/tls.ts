import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:net'
import { createSecureContext, type SecureContextOptions, type Server as TlsServer } from 'node:tls'
import type { Registry } from 'prom-client'
import { reasonOf } from '../base/errors.ts'
import { fileProblem, sizeOfOrdinary } from '../base/files.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { createReadMetrics } from '../server/metrics/read-metrics.ts'
import type { Log } from './load-options.ts'
import { watchFiles } from './watched-files.ts'

/** The settings that name the files. */
type TlsFiles = Pick<Configuration, 'MULTIGATE_TLS_CERT' | 'MULTIGATE_TLS_KEY' | 'MULTIGATE_TLS_CLIENT_CA'>

/** A certificate, its key, and whose certificates clients must present. */
interface Credentials {
  context: SecureContextOptions
  /** When the certificate ends, ms since 1970. */
  expires: number
  /** The problem with its dates, if there is one. */
  problem: string | undefined
}

export interface Tls {
  /** For `https.createServer`. */
  options: object
  /** Gives this server another certificate when the files change. */
  follow(server: Server): void
  close(): void
}

/** Longest time for a handshake, ms. */
const longestHandshake = 10_000

/**
 * The certificate of the settings; undefined where none is configured. It is read again when one of its files changes;
 * unusable files change nothing, and open connections keep their certificate. Rejects with an Error that names the
 * setting where it can't be used at first.
 */
export async function openTls(
  configuration: TlsFiles,
  { log, registry, onFailed }: { log: Log; registry: Registry; onFailed(): void },
): Promise<Tls | undefined> {
  if (configuration.MULTIGATE_TLS_CERT === '') return undefined
  let { context, expires, problem } = await readCredentials(configuration)
  if (problem !== undefined) log.error({ file: configuration.MULTIGATE_TLS_CERT }, `the certificate ${problem}`)
  const servers: TlsServer[] = []
  createReadMetrics(registry).gauge(
    'multigate_tls_certificate_expiry_timestamp_seconds',
    'When the certificate ends, in seconds since 1970',
    () => expires / 1000,
    'min',
  )
  const files = [
    configuration.MULTIGATE_TLS_CERT,
    configuration.MULTIGATE_TLS_KEY,
    configuration.MULTIGATE_TLS_CLIENT_CA,
  ].filter(Boolean)
  const close = watchFiles(files, async () => {
    try {
      const found = await readCredentials(configuration)
      if (found.problem !== undefined) throw new Error(`the certificate ${found.problem}`)
      for (const server of servers) server.setSecureContext(found.context)
      ;({ context, expires } = found)
      log.info({ expires: new Date(expires).toISOString() }, 'the certificate has changed')
    } catch (error) {
      onFailed()
      log.error({ reason: reasonOf(error) }, 'the former certificate stays')
    }
  })
  return {
    options: tlsOptions(configuration, context),
    follow: (server) => servers.push(server as TlsServer),
    close,
  }
}

/** For `https.createServer`. */
export function tlsOptions({ MULTIGATE_TLS_CLIENT_CA }: TlsFiles, context: SecureContextOptions): object {
  const verifies = MULTIGATE_TLS_CLIENT_CA !== ''
  return {
    ...context,
    // Bounds on connections hold for HTTP/1.1.
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: longestHandshake,
    requestCert: verifies,
    rejectUnauthorized: verifies,
  }
}

export async function readCredentials(configuration: TlsFiles): Promise<Credentials> {
  const read = async (setting: keyof TlsFiles) => {
    try {
      // A pipe would block.
      await sizeOfOrdinary(configuration[setting])
      return await readFile(configuration[setting])
    } catch (cause) {
      throw new Error(`${setting}: ${configuration[setting]} ${fileProblem(cause)}`)
    }
  }
  if (configuration.MULTIGATE_TLS_KEY === '')
    throw new Error('MULTIGATE_TLS_CERT needs MULTIGATE_TLS_KEY, the file of its private key')
  const cert = await read('MULTIGATE_TLS_CERT')
  const key = await read('MULTIGATE_TLS_KEY')
  const ca = configuration.MULTIGATE_TLS_CLIENT_CA === '' ? undefined : await read('MULTIGATE_TLS_CLIENT_CA')
  const certificate = attempt('MULTIGATE_TLS_CERT', 'is no certificate in PEM', () => new X509Certificate(cert))
  const privateKey = attempt('MULTIGATE_TLS_KEY', 'is no private key in PEM without a passphrase', () =>
    createPrivateKey(key),
  )
  if (!certificate.checkPrivateKey(privateKey))
    throw new Error("MULTIGATE_TLS_KEY is not the key of MULTIGATE_TLS_CERT's certificate")
  if (ca !== undefined) attempt('MULTIGATE_TLS_CLIENT_CA', 'holds no certificate in PEM', () => new X509Certificate(ca))
  const context: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2', ...(ca && { ca }) }
  attempt('MULTIGATE_TLS_CERT', 'and its key can not be used', () => createSecureContext(context))
  const [begins, expires] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  const now = Date.now()
  const problem =
    expires <= now
      ? `has expired on ${new Date(expires).toISOString()}`
      : begins > now
        ? `is valid only from ${new Date(begins).toISOString()} on`
        : undefined
  return { context, expires, problem }
}

function attempt<T>(setting: keyof TlsFiles, problem: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new Error(`${setting} ${problem}: ${reasonOf(error)}`)
  }
}
