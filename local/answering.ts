/**
 * Requests each address that `npm start` prints, before it prints *ready*. A part that was started may still be hidden:
 * another program can hold the same port on another address of the loopback.
 */
import dns from 'node:dns/promises'
import http from 'node:http'
import https from 'node:https'
import { createExchange } from '../shared/http/exchange.ts'
import type { ProxyPolicy } from '../shared/outbound/proxy.ts'
import { LocalError } from './http-server.ts'

export interface PrintedAddress {
  /** As the banner calls it. */
  readonly name: string
  readonly url: string
  /** Another server has the certificate and forwards; whether the certificate is trusted is up to the browser. */
  readonly isForwarded?: boolean
}

const deadlineMilliseconds = 10_000

/**
 * @param addresses of local parts; an answer with any status counts
 * @param ca certificate of the local authority, PEM
 * @throws {LocalError} for the first address that does not answer
 */
export async function requestEach(addresses: readonly PrintedAddress[], ca: string): Promise<void> {
  await Promise.all(addresses.map((address) => requestAll(address, ca)))
}

/**
 * @param addresses outside this machine
 * @returns names of those that do not answer: a warning, since a developer may be offline on purpose
 */
export async function findSilent(
  addresses: readonly PrintedAddress[],
  proxies: ProxyPolicy,
): Promise<ReadonlySet<string>> {
  const exchange = createExchange({ maxBytes: 256 * 1024, proxies })
  const silent = await Promise.all(
    addresses.map(async ({ name, url }) => {
      const { origin, pathname } = new URL(url)
      const request = { method: 'GET', path: pathname, headers: { accept: '*/*' } }
      const answered = await exchange(new URL(origin), request, performance.now() + deadlineMilliseconds / 2).catch(
        () => undefined,
      )
      return answered ? [] : [name]
    }),
  )
  return new Set(silent.flat())
}

/** A browser may use any address of a name: each one that accepts connections has to answer. */
async function requestAll({ name, url, isForwarded = false }: PrintedAddress, ca: string): Promise<void> {
  const { hostname } = new URL(url)
  const found = await dns.lookup(hostname.replace(/^\[|\]$/g, ''), { all: true }).catch(() => [])
  // Of a broken hosts file. The other parts use 127.0.0.1 or the name too.
  if (!found.some(({ address }) => /^(127\.|::1$)/.test(address))) {
    throw new LocalError(
      `The ${name} does not answer at ${url}: ${hostname} is no name of this machine. Add the line "127.0.0.1 ${hostname}" to /etc/hosts (on Windows: C:\\Windows\\System32\\drivers\\etc\\hosts).`,
    )
  }
  const results = await Promise.all(
    found.map(({ address }) => request(url, address, { ca, rejectUnauthorized: !isForwarded })),
  )
  const failed = results.find((result) => !['answered', 'ECONNREFUSED', ...absent].includes(result))
  if (failed === undefined && results.includes('answered')) return
  const fix = isForwarded ? 'Start the server that forwards from there first.' : 'Try: npm start -- --port 0'
  throw new LocalError(`The ${name} does not answer at ${url} (${failed ?? results[0] ?? ''}). ${fix}`)
}

/** IPv6 is switched off on this machine: for the loopback, in the kernel, or by its routes. */
const absent = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'ENETUNREACH']

/** @returns `answered`, or the code of the failure */
function request(url: string, address: string, tls: https.RequestOptions): Promise<string> {
  const family = address.includes(':') ? 6 : 4
  const { protocol } = new URL(url)
  return new Promise((resolve) => {
    const outgoing = (protocol === 'https:' ? https : http).get(url, {
      // No agent: loopback is never proxied, even where the environment makes Node use a proxy.
      agent: false,
      ...tls,
      // Not at once: a connection that fails before the request listens to it would end this process.
      lookup: (_host, options, callback) =>
        void setImmediate(() =>
          options.all ? callback(null, [{ address, family }]) : callback(null, address, family),
        ),
      timeout: deadlineMilliseconds,
    })
    outgoing.on('response', (response) => {
      response.destroy()
      resolve('answered')
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  })
}
