/**
 * The network policy of the process: which requests go through a proxy. One policy for the broker's own requests, the
 * Azure SDKs, the telemetry thread, the deployment hooks and the command line tools.
 *
 * It follows the convention that Node's `NODE_USE_ENV_PROXY` follows (`HTTPS_PROXY` and `NO_PROXY`, lower case first),
 * with two differences. Loopback, link-local addresses and the identity endpoint are never proxied, with any
 * `NO_PROXY`: the header that opens the identity endpoint must not reach another machine. And `NO_PROXY` may contain
 * CIDR blocks. Node's own `proxyEnv` needs 22.21 or 24.5, and the deployed runtime may be older.
 */
import { BlockList, isIP } from 'node:net'
import { BrokerError } from '../errors/errors.ts'

/** The values of the environment that decide. Plain data, so that a worker thread can receive it; untrusted. */
export interface ProxyVariables {
  readonly httpsProxy: string | undefined
  readonly noProxy: string | undefined
  /** URLs whose hosts are never proxied. */
  readonly identityEndpoints: readonly string[]
}

export interface Proxy {
  readonly secure: boolean
  /** Without brackets. */
  readonly hostname: string
  readonly port: number
  /** Value of `proxy-authorization`; secret. */
  readonly authorization: string | undefined
}

export interface ProxyPolicy {
  /**
   * @param address of the request; only protocol, host and port count
   * @returns the proxy to use, or undefined for a direct connection
   * @throws {BrokerError} `proxy_unavailable` when the address needs a proxy and its setting cannot be used
   */
  findProxy(address: URL): Proxy | undefined
}

/** Every request goes directly. */
export const directPolicy: ProxyPolicy = { findProxy: () => undefined }

type Environment = Readonly<Record<string, string | undefined>>

/** Picks the variables of the policy from an environment. An empty value counts as not set. */
export function readProxyVariables(environment: Environment): ProxyVariables {
  const read = (name: string) => nonEmpty(environment[name.toLowerCase()]) ?? nonEmpty(environment[name])
  return {
    httpsProxy: read('HTTPS_PROXY'),
    noProxy: read('NO_PROXY'),
    identityEndpoints: [environment.IDENTITY_ENDPOINT, environment.MSI_ENDPOINT].filter((one) => one !== undefined),
  }
}

export function createProxyPolicy({ httpsProxy, noProxy, identityEndpoints }: ProxyVariables): ProxyPolicy {
  if (httpsProxy === undefined) return directPolicy
  const proxy = parseProxy(httpsProxy)
  const isExcluded = parseNoProxy(noProxy ?? '')
  const identityHosts = new Set(identityEndpoints.flatMap((one) => (URL.canParse(one) ? [hostOf(new URL(one))] : [])))
  return {
    findProxy: (address) => {
      // Only loopback and the identity endpoint are called by plain http.
      if (address.protocol !== 'https:') return undefined
      const host = hostOf(address)
      if (isNeverProxied(host) || identityHosts.has(host)) return undefined
      if (isExcluded(host, address.port || '443')) return undefined
      // The value may hold a password, so it is not repeated.
      if (!proxy) throw new BrokerError('proxy_unavailable', { detail: 'HTTPS_PROXY is not an http or https address' })
      return proxy
    },
  }
}

/** The policy of an environment; what tools and hooks use. */
export function proxyPolicyOf(environment: Environment): ProxyPolicy {
  return createProxyPolicy(readProxyVariables(environment))
}

/** @returns undefined for a value that is no http or https address, a SOCKS proxy among them */
function parseProxy(value: string): Proxy | undefined {
  // A URL parser would read the backslash of `DOMAIN\user` as the end of the host.
  const text = value.trim().replaceAll('\\', '%5C')
  // As curl: an address without a scheme is an http proxy.
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`)
  if (!url || !['http:', 'https:'].includes(url.protocol) || !/^[\w.-]+$|^\[/.test(url.hostname)) return undefined
  const { protocol, port, username, password } = url
  const secure = protocol === 'https:'
  const credentials = `${decode(username)}:${decode(password)}`
  return {
    secure,
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (secure ? 443 : 80) : Number(port),
    authorization:
      username === '' && password === '' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const local = new BlockList()
local.addSubnet('127.0.0.0', 8)
local.addAddress('0.0.0.0')
local.addAddress('::1', 'ipv6')
local.addAddress('::', 'ipv6')
local.addSubnet('169.254.0.0', 16)
local.addSubnet('fe80::', 10, 'ipv6')

/** Loopback and link-local, by name or by address; an IPv4 address inside an IPv6 one counts as the IPv4 address. */
function isNeverProxied(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isListed(local, host)
}

type IsExcluded = (host: string, port: string) => boolean

/**
 * `NO_PROXY`: names, `.suffix`, `*.suffix`, addresses, `first-last`, CIDR blocks, each with `:port` where it matters,
 * or `*`. A bare name excludes that host alone.
 */
function parseNoProxy(text: string): IsExcluded {
  const entries = text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
  const rules = entries.map(parseEntry)
  return (host, port) => rules.some((isExcluded) => isExcluded(host, port))
}

function parseEntry(entry: string): IsExcluded {
  const [, name = entry, onlyPort] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(entry) ?? []
  const matches = matcherOf(name.replace(/[[\]]/g, '').replace(/\.$/, ''))
  return (host, port) => (onlyPort === undefined || onlyPort === port) && matches(host)
}

function matcherOf(name: string): (host: string) => boolean {
  if (name === '*') return () => true
  const addresses = parseAddresses(name)
  if (addresses) return (host) => isListed(addresses, host)
  const suffix = /^\*?(\..+)$/.exec(name)?.[1]
  if (suffix === undefined) return (host) => host === name
  return (host) => host.endsWith(suffix) || (name.startsWith('.') && host === suffix.slice(1))
}

function parseAddresses(text: string): BlockList | undefined {
  const list = new BlockList()
  const [first = '', bits] = text.split('/', 2)
  const [low = '', high] = text.split('-', 2)
  try {
    if (bits !== undefined && /^\d+$/.test(bits) && isIP(first)) list.addSubnet(first, Number(bits), family(first))
    else if (high !== undefined && isIP(low)) list.addRange(low, high, family(low))
    else if (isIP(text)) list.addAddress(text, family(text))
    else return undefined
    return list
  } catch {
    return undefined // no such block or range: it is compared as a name, and matches no host
  }
}

function isListed(list: BlockList, host: string): boolean {
  return isIP(host) !== 0 && list.check(host, family(host))
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

/** In lower case, without brackets and without the dot that ends an absolute name. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
}

function nonEmpty(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value
}
