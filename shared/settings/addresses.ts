/**
 * Which addresses a setting may name. A token or a signature goes where the instance, the vault, the table service and
 * the identity endpoint say, so these are hosts of one Azure cloud or loopback, and nothing else.
 */
import type { Refusal } from './settings-error.ts'

/** The hosts of one Azure cloud. */
export interface Cloud {
  readonly name: string
  readonly loginHost: string
  readonly vaultSuffix: string
  readonly tableSuffix: string
  /** The first is the usual one. */
  readonly graphHosts: readonly [string, ...string[]]
}

const publicCloud: Cloud = {
  name: 'Azure',
  loginHost: 'login.microsoftonline.com',
  vaultSuffix: '.vault.azure.net',
  tableSuffix: '.table.core.windows.net',
  graphHosts: ['graph.microsoft.com'],
}

export const clouds: readonly Cloud[] = [
  publicCloud,
  {
    name: 'Azure operated by 21Vianet',
    loginHost: 'login.partner.microsoftonline.cn',
    vaultSuffix: '.vault.azure.cn',
    tableSuffix: '.table.core.chinacloudapi.cn',
    graphHosts: ['microsoftgraph.chinacloudapi.cn'],
  },
  {
    name: 'Azure Government',
    loginHost: 'login.microsoftonline.us',
    vaultSuffix: '.vault.usgovcloudapi.net',
    tableSuffix: '.table.core.usgovcloudapi.net',
    graphHosts: ['graph.microsoft.us', 'dod-graph.microsoft.us'],
  },
]

/** Loopback by its name or its address. `*.localhost` isn't: what it resolves to is up to the machine. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

/** The cloud that an address which passed its check belongs to; none where it is loopback. */
export function findCloud(address: string): Cloud | undefined {
  const { hostname } = new URL(address)
  return clouds.find(
    ({ loginHost, vaultSuffix, tableSuffix, graphHosts }) =>
      hostname === loginHost ||
      graphHosts.includes(hostname) ||
      hostname.endsWith(vaultSuffix) ||
      hostname.endsWith(tableSuffix),
  )
}

/**
 * What a token for a vault is for: the vaults of its cloud. Loopback belongs to no cloud, and an emulator there takes
 * what the public one's vaults take.
 *
 * @param vaultUrl as it passed its check
 */
export function vaultResourceOf(vaultUrl: string): string {
  const cloud = isLoopbackHost(new URL(vaultUrl).hostname) ? publicCloud : findCloud(vaultUrl)
  if (!cloud) throw new Error('The vault belongs to no cloud.')
  return `https://${cloud.vaultSuffix.slice(1)}`
}

/** `Broker__BaseUrl`: https, or http on loopback; a path where the broker shares its host with other applications. */
export function checkBaseUrl(value: string): Refusal | undefined {
  const fix =
    'Write the address at which browsers reach the broker: https://signin.example.com, https://app.example.com/auth where it shares a host, or http://localhost:7071 on a laptop.'
  const problem =
    findFlaw(value) ?? findBasePathFlaw(value) ?? (isSecureOrLoopback(value) ? undefined : 'is http away from loopback')
  return problem === undefined ? undefined : { problem, fix }
}

/** `AzureAd__Instance`: the login host of a cloud, or https on loopback. */
export function checkInstance(value: string): Refusal | undefined {
  return check(value, {
    loopback: ['https:'],
    isHost: (hostname) => clouds.some(({ loginHost }) => loginHost === hostname),
    host: 'no login host of an Azure cloud',
    fix: `Write the login address of your cloud, without the tenant: ${clouds.map(({ loginHost }) => `https://${loginHost}/`).join(', ')}; on a laptop https://localhost:7171/.`,
  })
}

/** `Broker__Authority`: an issuer (OpenID Connect Discovery 1.0 §3), compared as text, so taken as it is written. */
export function checkAuthority(value: string): Refusal | undefined {
  const fix =
    'Write the issuer as the provider’s own metadata spells it, to the last slash: https://login.example.com/realms/staff.'
  if (/\.well-known\//i.test(value)) {
    return { problem: 'is the address of the metadata', fix: `Leave out what follows the issuer. ${fix}` }
  }
  const entra = clouds.find(({ loginHost }) => URL.parse(value)?.hostname === loginHost)
  if (entra) {
    return { problem: 'is Entra ID', fix: 'Delete it, and write AzureAd__Instance and AzureAd__TenantId.' }
  }
  const problem = findFlaw(value) ?? findUnsafe(value)
  return problem === undefined ? undefined : { problem, fix }
}

/** `Broker__AssertionAudience`: a URL of the provider, compared there as text. */
export function checkAssertionAudience(value: string): Refusal | undefined {
  const problem = findFlaw(value) ?? findUnsafe(value)
  const fix = 'Delete it for the issuer, or write the token endpoint where the provider wants that.'
  return problem === undefined ? undefined : { problem, fix }
}

/** MSAL and the broker's own calls speak https alone, also on loopback; and nobody's metadata service is a provider. */
function findUnsafe(value: string): string | undefined {
  const { protocol, hostname } = new URL(value)
  if (/[?#]/.test(value)) return 'has a query or a fragment'
  if (isMetadataHost(hostname)) return 'is a metadata address'
  if (isAddress(hostname) && !isLoopbackHost(hostname)) return 'is an IP address'
  return protocol === 'https:' ? undefined : 'is http; on loopback too it is https'
}

/** A vault's address: its name and the suffix of a cloud, or https on loopback. */
export function checkVaultUrl(value: string): Refusal | undefined {
  const fix = `Write the vault's own address without path or port: https://<name>.vault.azure.net (${suffixes('vaultSuffix')}); on a laptop https://localhost:7172.`
  if (/\.managedhsm\./i.test(value)) return { problem: 'is a managed HSM, which keeps no certificates', fix }
  return check(value, {
    loopback: ['https:'],
    isHost: (hostname) => hasSuffix(hostname, 'vaultSuffix', /^[a-z](?:-?[a-z0-9]){2,23}$/),
    host: 'no Key Vault of an Azure cloud',
    fix,
  })
}

/** Microsoft Graph of a cloud, or https on loopback: the application's token and the proofs of its keys go there. */
export function checkGraphUrl(value: string): Refusal | undefined {
  return check(value, {
    loopback: ['https:'],
    isHost: (hostname) => clouds.some(({ graphHosts }) => graphHosts.includes(hostname)),
    host: 'no Microsoft Graph of an Azure cloud',
    fix: 'Delete it, or write your cloud’s Graph without a path: https://graph.microsoft.com; on a laptop https://localhost:7174.',
  })
}

/** The table service's address: the account's name and the suffix of a cloud, or loopback, with Azurite's path there. */
export function checkTableServiceUri(value: string): Refusal | undefined {
  return check(value, {
    loopback: ['https:', 'http:'],
    loopbackPath: true,
    isHost: (hostname) => hasSuffix(hostname, 'tableSuffix', /^[a-z0-9]{3,24}$/),
    host: 'no table service of an Azure cloud',
    fix: `Write the account's table service without path or port: https://<account>.table.core.windows.net (${suffixes('tableSuffix')}); on a laptop http://127.0.0.1:10002/devstoreaccount1.`,
  })
}

/** `IDENTITY_ENDPOINT`: what the platform injects is http on loopback or link-local; anything else would be somebody's catch. */
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

/** Where clouds tell a machine its own secrets. */
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
 * What is wrong with an address before its host is looked at. Tabs, line ends and backslashes are things that a URL
 * parser mends in silence, so that a reader would see another address than the program.
 */
export function findFlaw(value: string): string | undefined {
  if (!URL.canParse(value) || !/^https?:\/\/[^/]/i.test(value)) return 'is not a URL that begins with https://'
  if (/[\s\\]/.test(value)) return 'has white space or a backslash in it'
  const { username, password, hostname } = new URL(value)
  if (username !== '' || password !== '' || /^https?:\/\/[^/?#]*@/i.test(value))
    return 'carries a user name or a password'
  if (hostname.includes('*')) return 'is a pattern; only exact addresses are taken'
  if (!/^([a-z0-9._-]*[a-z0-9_-]|\[[0-9a-f:.]+\])$/.test(hostname))
    return 'has a host with characters that host names do not have'
  return undefined
}

interface AddressRules {
  readonly loopback: readonly string[]
  readonly loopbackPath?: boolean
  readonly isHost: (hostname: string) => boolean
  /** What the host is when it isn't one of those: "no Key Vault of an Azure cloud". */
  readonly host: string
  readonly fix: string
}

function check(value: string, { loopback, loopbackPath, isHost, host, fix }: AddressRules): Refusal | undefined {
  const problem = findFlaw(value) ?? findForeign()
  return problem === undefined ? undefined : { problem, fix }

  function findForeign(): string | undefined {
    const url = new URL(value)
    if (/[?#]/.test(value)) return 'has a query or a fragment'
    if (isLoopbackHost(url.hostname)) {
      if (!loopback.includes(url.protocol)) return 'is http; on loopback too it is https'
      return loopbackPath ? undefined : findPath(value)
    }
    if (isMetadataHost(url.hostname)) return 'is a metadata address'
    if (isAddress(url.hostname)) return 'is an IP address'
    if (url.protocol !== 'https:') return 'is not https'
    if (!isHost(url.hostname)) return `is ${host}`
    if (url.port !== '') return 'has a port'
    return findPath(value)
  }
}

/** Only characters that no proxy, framework or parser rewrites; the path is part of the issuer, compared as text. */
function findBasePathFlaw(value: string): string | undefined {
  if (/[?#]/.test(value)) return 'has a query or a fragment'
  const written = value.replace(/^[a-z]+:\/\/[^/]*/i, '')
  if (written.length > 100) return 'has a path of more than 100 characters'
  // Read as it was written: a parser would resolve `..` without a word.
  const segments = written.replace(/\/$/, '').split('/').slice(1)
  const isPlain = (segment: string) => /^[A-Za-z0-9_~-][A-Za-z0-9._~-]*$/.test(segment)
  return segments.every(isPlain) ? undefined : 'has a path with other characters than letters, digits, -, . and _'
}

function findPath(value: string): string | undefined {
  if (/[?#]/.test(value)) return 'has a query or a fragment'
  return new URL(value).pathname === '/' ? undefined : 'has a path'
}

function hasSuffix(hostname: string, kind: 'vaultSuffix' | 'tableSuffix', name: RegExp): boolean {
  return clouds.some((cloud) => hostname.endsWith(cloud[kind]) && name.test(hostname.slice(0, -cloud[kind].length)))
}

function suffixes(kind: 'vaultSuffix' | 'tableSuffix'): string {
  return `in other clouds ${clouds
    .slice(1)
    .map((cloud) => cloud[kind])
    .join(', ')}`
}
