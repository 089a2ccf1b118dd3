/**
 * Checks of addresses. The broker sends tokens, assertions and signatures to the instance, the vault, the table service
 * and Graph, so each of them is a host of one Azure cloud, a host of Broker__AdditionalHosts, or loopback.
 */
import { clouds, findCloudOfHost, isGraphHost, isLoginHost, isTableHost, isVaultHost, publicCloud } from './clouds.ts'
import type { Cloud } from './clouds.ts'
import type { Refusal } from './settings-error.ts'

/** Hosts that Broker__AdditionalHosts adds to the clouds' own. */
export type AddedHosts = ReadonlySet<string>

const none: AddedHosts = new Set()

/** Loopback by its name or its address. `*.localhost` is not: the machine decides what it resolves to. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

export function isLoopbackUrl(url: string): boolean {
  return isLoopbackHost(new URL(url).hostname)
}

/** The cloud of a checked address; undefined for loopback and for an added host. */
export function findCloud(address: string): Cloud | undefined {
  return findCloudOfHost(new URL(address).hostname)
}

/**
 * The audience of a token exchange in the cloud of an instance; an emulator on loopback accepts the public cloud's.
 *
 * @param instance checked
 * @returns undefined for an added host, and for a cloud whose audience is not published
 */
export function tokenExchangeUrlOf(instance: string): string | undefined {
  return (isLoopbackUrl(instance) ? publicCloud : findCloud(instance))?.tokenExchangeUrl
}

/**
 * Microsoft Graph in the cloud of an instance.
 *
 * @param instance checked
 * @returns an origin; undefined on loopback and for an added host
 */
export function graphUrlOf(instance: string): string | undefined {
  const cloud = findCloud(instance)
  return cloud && `https://${cloud.graphHosts[0]}`
}

/**
 * The resource that a token for this vault is issued for: the vault suffix of its cloud. An emulator on loopback
 * accepts the public cloud's; for an added host it is the name without its first label.
 *
 * @param vaultUrl checked
 */
export function vaultResourceOf(vaultUrl: string, added: AddedHosts = none): string {
  const { hostname } = new URL(vaultUrl)
  if (added.has(hostname)) return `https://${hostname.slice(hostname.indexOf('.') + 1)}`
  const cloud = isLoopbackHost(hostname) ? publicCloud : findCloudOfHost(hostname)
  if (!cloud) throw new Error('The vault belongs to no cloud.')
  return `https://${cloud.vaultSuffix.slice(1)}`
}

/** `Broker__BaseUrl`: https, or http on loopback; a path where the broker shares its host with other applications. */
export function checkBaseUrl(value: string): Refusal | undefined {
  const fix =
    'Write the URL at which browsers reach the broker: https://signin.example.com, https://app.example.com/auth where it shares a host, or http://localhost:7071 on a laptop.'
  const problem =
    urlProblem(value) ?? basePathProblem(value) ?? (isSecureOrLoopback(value) ? undefined : 'is http outside loopback')
  return problem === undefined ? undefined : { problem, fix }
}

/** `AzureAd__Instance`: the login host of a cloud, or https on loopback. */
export function checkInstance(value: string, added: AddedHosts = none): Refusal | undefined {
  const known = clouds.map(({ loginHost }) => `https://${loginHost}/`).join(', ')
  const alias = clouds.find(({ loginAliases }) => loginAliases.includes(URL.parse(value)?.hostname ?? ''))
  if (alias) {
    return { problem: 'is an alias, which no token names as its issuer', fix: `Write https://${alias.loginHost}/.` }
  }
  return check(value, {
    loopback: ['https:'],
    isHost: (host) => isLoginHost(host) || added.has(host),
    host: 'not a login host of an Azure cloud',
    fix: `Write the login address of your cloud, without the tenant: ${known}; on a laptop https://localhost:7171/. ${addHost}`,
  })
}

/** `Broker__Authority`: an issuer (OpenID Connect Discovery 1.0 §3), compared as text and therefore kept as written. */
export function checkAuthority(value: string): Refusal | undefined {
  const fix =
    'Write the issuer exactly as the provider’s own metadata spells it, including a slash at the end: https://login.example.com/realms/staff.'
  if (/\.well-known\//i.test(value)) {
    return { problem: 'is the URL of the metadata', fix: `Delete everything after the issuer. ${fix}` }
  }
  const host = URL.parse(value)?.hostname ?? ''
  if (isLoginHost(host) || clouds.some(({ loginAliases }) => loginAliases.includes(host))) {
    return { problem: 'is Entra ID', fix: 'Delete it, and write AzureAd__Instance and AzureAd__TenantId.' }
  }
  const problem = urlProblem(value) ?? issuerUrlProblem(value)
  return problem === undefined ? undefined : { problem, fix }
}

/** `Broker__AssertionAudience`: a URL of the provider, which the provider compares as text. */
export function checkAssertionAudience(value: string): Refusal | undefined {
  const problem = urlProblem(value) ?? issuerUrlProblem(value)
  const fix = 'Delete it for the issuer, or write the token endpoint where the provider requires that.'
  return problem === undefined ? undefined : { problem, fix }
}

/**
 * `Broker__MetadataUrl`: the whole URL, whose query may name a policy. The path may be any: that of IBM Security Verify
 * Access is `/mga/sps/oauth/oauth20/metadata/<definition>`.
 */
export function checkMetadataUrl(value: string): Refusal | undefined {
  const problem =
    urlProblem(value) ?? (value.includes('#') ? 'has a fragment' : issuerUrlProblem(value.split('?')[0] ?? ''))
  const fix =
    'Delete it where the metadata is at the issuer; otherwise write the whole URL: https://login.contoso.com/<tenant id>/v2.0/.well-known/openid-configuration.'
  return problem === undefined ? undefined : { problem, fix }
}

/** Otherwise a local program could name the keys of a public issuer, or a public host those of a local one. */
export function checkMetadataPlace(metadataUrl: string, authority: string): Refusal | undefined {
  if (!URL.canParse(metadataUrl) || !URL.canParse(authority)) return undefined
  return isLoopbackUrl(metadataUrl) === isLoopbackUrl(authority)
    ? undefined
    : { problem: 'is on loopback, or the issuer is, but not both', fix: 'Write both alike.' }
}

/** The issuer of AD FS has a fixed path. */
export function checkAdfsIssuer(authority: string): Refusal | undefined {
  return URL.parse(authority)?.pathname === '/adfs'
    ? undefined
    : {
        problem: 'is not the issuer of AD FS',
        fix: 'Write https://<federation service name>/adfs, as the member issuer of its metadata spells it.',
      }
}

/** MSAL and the broker's own requests use https only, also on loopback; a metadata service is never a provider. */
function issuerUrlProblem(value: string): string | undefined {
  const { protocol, hostname } = new URL(value)
  if (/[?#]/.test(value)) return 'has a query or a fragment'
  if (isMetadataHost(hostname)) return 'is the address of a metadata service'
  if (isAddress(hostname) && !isLoopbackHost(hostname)) return 'is an IP address'
  return protocol === 'https:' ? undefined : 'is http; https is required, also on loopback'
}

/** A vault's address: its name and the suffix of a cloud, or https on loopback. */
export function checkVaultUrl(value: string, added: AddedHosts = none): Refusal | undefined {
  const suffixes = clouds.slice(1).map(({ vaultSuffix }) => vaultSuffix)
  const fix = `Write the vault's own address without path or port: https://<name>.vault.azure.net (other clouds: ${suffixes.join(', ')}); on a laptop https://localhost:7172. ${addHost}`
  if (/\.managedhsm\./i.test(value)) return { problem: 'is a managed HSM, which stores no certificates', fix }
  return check(value, {
    loopback: ['https:'],
    isHost: (host) => isVaultHost(host) || added.has(host),
    host: 'not a Key Vault of an Azure cloud',
    fix,
  })
}

/** Microsoft Graph of a cloud, or https on loopback. It receives the application's token and the proofs of its keys. */
export function checkGraphUrl(value: string, added: AddedHosts = none): Refusal | undefined {
  return check(value, {
    loopback: ['https:'],
    isHost: (host) => isGraphHost(host) || added.has(host),
    host: 'not Microsoft Graph of an Azure cloud',
    fix: `Delete it, or write Graph of your cloud without a path: https://graph.microsoft.com; on a laptop https://localhost:7174. ${addHost}`,
  })
}

/** The table service's address: the account's name and the suffix of a cloud, or loopback with Azurite's path. */
export function checkTableServiceUri(value: string, added: AddedHosts = none): Refusal | undefined {
  const suffixes = clouds.slice(1).map(({ tableSuffix }) => tableSuffix)
  return check(value, {
    loopback: ['https:', 'http:'],
    loopbackPath: true,
    isHost: (host) => isTableHost(host) || added.has(host),
    host: 'not a table service of an Azure cloud',
    fix: `Write the account's table service without path or port: https://<account>.table.core.windows.net, or https://<account>.z<number>.table.storage.azure.net with DNS zone endpoints (other clouds: ${suffixes.join(', ')}); on a laptop http://127.0.0.1:10002/devstoreaccount1. ${addHost}`,
  })
}

const addHost = 'A host of a cloud that this list lacks is added in Broker__AdditionalHosts.'

/** `Broker__AdditionalHosts`: names of hosts, separated by commas. */
export function checkAdditionalHosts(value: string): Refusal | undefined {
  const hosts = hostsOf(value)
  const problem = hosts.map(hostProblem).find((found) => found !== undefined)
  const fix =
    'Write full names of hosts in lower case, separated by commas, without scheme, port or path: login.newcloud.example, contoso.vault.newcloud.example.'
  if (problem !== undefined) return { problem, fix }
  return hosts.length <= 20 ? undefined : { problem: 'has more than 20 hosts', fix }
}

/** @param value of Broker__AdditionalHosts, checked */
export function hostsOf(value: string): readonly string[] {
  return value.split(',').map((host) => host.trim())
}

function hostProblem(host: string): string | undefined {
  if (host.includes('*')) return 'contains a pattern; only full names are accepted'
  if (!/^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/.test(host)) {
    return 'contains a text that is not a full host name'
  }
  // `127.1` and `0x7f.1` are names to a pattern, and addresses to a URL parser.
  const parsed = URL.parse(`https://${host}`)?.hostname
  if (parsed === undefined || isAddress(parsed)) return 'contains an IP address'
  if (parsed !== host) return 'contains a text that is not a full host name'
  if (host.endsWith('.localhost')) return 'contains a name of this machine'
  return isMetadataHost(host) ? 'contains the address of a metadata service' : undefined
}

/**
 * `IDENTITY_ENDPOINT` and its siblings: the platform injects http on loopback or link-local. Any other address would
 * receive the identity header, and its answers would be used as tokens.
 */
export function checkIdentityEndpoint(value: string): Refusal | undefined {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const isNear =
    url?.protocol === 'http:' && (isLoopbackHost(url.hostname) || /^169\.254\.\d+\.\d+$/.test(url.hostname))
  if (isNear && url.username === '' && url.password === '') return undefined
  return {
    problem: 'is neither loopback nor link-local (http://127.0.0.1… or http://169.254.…)',
    fix: 'Delete it: in Azure the platform injects it, on a laptop it is http://127.0.0.1:7173/msi/token.',
  }
}

/** Addresses at which clouds provide a machine with its own secrets. */
export function isMetadataHost(hostname: string): boolean {
  return /^169\.254\.|^\[fd00:ec2::254\]$|^metadata\./.test(hostname)
}

/** An IP address, as the URL parser writes it. */
export function isAddress(hostname: string): boolean {
  return /^[\d.]+$|^\[/.test(hostname)
}

/** True for https anywhere and for http on loopback. */
export function isSecureOrLoopback(address: string): boolean {
  const { protocol, hostname } = new URL(address)
  return protocol === 'https:' || (protocol === 'http:' && isLoopbackHost(hostname))
}

/**
 * Returns the problem of an address before its host is checked. A URL parser silently removes tabs and line ends and
 * changes backslashes, so a reader would see another address than the program.
 */
export function urlProblem(value: string): string | undefined {
  if (!URL.canParse(value) || !/^https?:\/\/[^/]/i.test(value)) return 'is not a URL that begins with https://'
  if (/[\s\\]/.test(value)) return 'contains white space or a backslash'
  const { username, password, hostname } = new URL(value)
  if (username !== '' || password !== '' || /^https?:\/\/[^/?#]*@/i.test(value))
    return 'contains a user name or a password'
  if (hostname.includes('*')) return 'is a pattern; only exact addresses are accepted'
  if (!/^([a-z0-9._-]*[a-z0-9_-]|\[[0-9a-f:.]+\])$/.test(hostname))
    return 'has a host with characters that host names do not have'
  return undefined
}

/** Returns the problem of a web page's origin: https, or http on loopback, as a browser writes it (RFC 6454 §6.2). */
export function originProblem(value: string): string | undefined {
  const flaw = urlProblem(value)
  if (flaw !== undefined) return flaw
  if (!isSecureOrLoopback(value)) return 'is http outside loopback'
  const { origin } = new URL(value)
  if (value === origin) return undefined
  if (value === `${origin}/`) return 'has a slash at the end'
  if (new URL(value).href !== `${origin}/`) return 'has a path, a query or a fragment'
  return 'is not written as a browser writes an origin'
}

interface AddressRules {
  readonly loopback: readonly string[]
  readonly loopbackPath?: boolean
  readonly isHost: (hostname: string) => boolean
  /** The problem of any other host, after "is". */
  readonly host: string
  readonly fix: string
}

function check(value: string, { loopback, loopbackPath, isHost, host, fix }: AddressRules): Refusal | undefined {
  const problem = urlProblem(value) ?? serviceProblem()
  return problem === undefined ? undefined : { problem, fix }

  function serviceProblem(): string | undefined {
    const url = new URL(value)
    if (/[?#]/.test(value)) return 'has a query or a fragment'
    if (isLoopbackHost(url.hostname)) {
      if (!loopback.includes(url.protocol)) return 'is http; https is required, also on loopback'
      return loopbackPath ? undefined : pathProblem(value)
    }
    if (isMetadataHost(url.hostname)) return 'is the address of a metadata service'
    if (isAddress(url.hostname)) return 'is an IP address'
    if (url.protocol !== 'https:') return 'is not https'
    if (!isHost(url.hostname)) return `is ${host}`
    if (url.port !== '') return 'has a port'
    return pathProblem(value)
  }
}

/**
 * Permits only characters that no proxy, framework or parser rewrites:
 * the path is part of the issuer, compared as text.
 */
function basePathProblem(value: string): string | undefined {
  if (/[?#]/.test(value)) return 'has a query or a fragment'
  const written = value.replace(/^[a-z]+:\/\/[^/]*/i, '')
  if (written.length > 100) return 'has a path of more than 100 characters'
  // Checked as written: a parser would silently resolve `..`.
  const segments = written.replace(/\/$/, '').split('/').slice(1)
  const isPlain = (segment: string) => /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/.test(segment)
  return segments.every(isPlain) ? undefined : 'has a path with other characters than letters, digits, -, . and _'
}

function pathProblem(value: string): string | undefined {
  return new URL(value).pathname === '/' ? undefined : 'has a path'
}
