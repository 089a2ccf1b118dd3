/**
 * Connections: direct ones, and tunnels through a proxy by CONNECT (RFC 9110 §9.3.6). TLS runs inside the tunnel, from
 * this process to the host of the request, so the certificate that is verified is that host's and never the proxy's.
 *
 * Not by https-proxy-agent, which the Azure SDK uses: when the proxy answers CONNECT with another status than 200, that
 * library returns the proxy's answer as the answer of the host.
 * A proxy could so forge an answer of the identity provider.
 */
import http from 'node:http'
import https from 'node:https'
import type { AgentOptions } from 'node:https'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { BrokerError } from '../errors/errors.ts'
import type { Proxy, ProxyPolicy } from './proxy.ts'

/**
 * @param address of the request
 * @throws {BrokerError} `proxy_unavailable`, as the policy's
 */
type AgentFor = (address: URL) => http.Agent

/** @param options for each agent; connections of one agent are kept and used again */
export function createAgents(policy: ProxyPolicy, options: AgentOptions): AgentFor {
  const secure = new https.Agent(options)
  let plain: http.Agent | undefined
  let tunnel: TunnelAgent | undefined
  return (address) => {
    const proxy = policy.findProxy(address)
    if (proxy) return (tunnel ??= new TunnelAgent(proxy, options))
    if (address.protocol === 'https:') return secure
    return (plain ??= new http.Agent(options))
  }
}

/** Longer than a proxy that works needs, and shorter than the deadlines of those who wait for the answer. */
const tunnelMilliseconds = 4_000

type OnConnection = (error: Error | null, stream: Duplex) => void

/** Each connection is a tunnel; a request waits for it as for any other connection. */
export class TunnelAgent extends https.Agent {
  readonly #proxy: Proxy

  constructor(proxy: Proxy, options: AgentOptions) {
    super(options)
    this.#proxy = proxy
  }

  override createConnection(options: https.RequestOptions, callback?: OnConnection): undefined {
    openTunnel(this.#proxy, options.host ?? '', Number(options.port ?? 443)).then(
      (socket) => callback?.(null, super.createConnection({ ...options, socket } as https.RequestOptions) as Duplex),
      // Node's types require a stream beside an error; a failed tunnel has none.
      (error: unknown) => callback?.(error as Error, undefined as unknown as Duplex),
    )
  }
}

/** @throws {BrokerError} `proxy_unavailable`; neither the address nor the password of the proxy is in the detail */
function openTunnel(proxy: Proxy, host: string, port: number): Promise<Duplex> {
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const { authorization } = proxy
  return new Promise((resolve, reject) => {
    const request = (proxy.secure ? https : http).request({
      method: 'CONNECT',
      host: proxy.hostname,
      port: proxy.port,
      path: target,
      // By default Node takes the name from the header `host`: the certificate to verify here is the proxy's.
      servername: isIP(proxy.hostname) ? '' : proxy.hostname,
      // A connection of its own: what follows on it belongs to the host.
      agent: false,
      headers: { host: target, ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }) },
    })
    const fail = (detail: string, cause?: unknown) => {
      clearTimeout(timer)
      reject(new BrokerError('proxy_unavailable', { detail, cause }))
      request.destroy()
    }
    const timer = setTimeout(() => fail('the proxy did not open the tunnel in time'), tunnelMilliseconds)
    request.on('connect', ({ statusCode = 0 }, socket) => {
      if (statusCode !== 200) {
        socket.destroy()
        fail(`the proxy answered ${statusCode}`)
        return
      }
      clearTimeout(timer)
      resolve(socket)
    })
    request.on('error', (error: NodeJS.ErrnoException) => fail(`the proxy: ${error.code ?? 'cut off'}`, error))
    request.end()
  })
}
