/**
 * The clouds of Azure and their host names, as data. Sources: login hosts from MSAL's list of known clouds
 * (@azure/msal-common, AuthorityMetadata), vault suffixes from Microsoft.Data.SqlClient's list of trusted Key Vault
 * endpoints, Graph hosts from the Microsoft Graph documentation of national clouds, table suffixes from the storage
 * suffix of each cloud (`az cloud show`). A cloud that is newer than this list is added by Broker__AdditionalHosts.
 */

/** The hosts of one cloud. */
export interface Cloud {
  readonly name: string
  readonly loginHost: string
  /** Other names of the login host. Tokens name the issuer by `loginHost`, so these are refused with that name. */
  readonly loginAliases: readonly string[]
  readonly vaultSuffix: string
  readonly tableSuffix: string
  /** Audience of a managed identity's token as a client assertion; undefined where Microsoft has published none. */
  readonly tokenExchangeUrl?: string
  /** The first is the usual one. */
  readonly graphHosts: readonly [string, ...string[]]
}

export const publicCloud: Cloud = {
  name: 'Azure',
  loginHost: 'login.microsoftonline.com',
  loginAliases: ['login.windows.net', 'login.microsoft.com', 'sts.windows.net'],
  vaultSuffix: '.vault.azure.net',
  tableSuffix: '.table.core.windows.net',
  graphHosts: ['graph.microsoft.com'],
  tokenExchangeUrl: 'api://AzureADTokenExchange',
}

export const clouds: readonly Cloud[] = [
  publicCloud,
  {
    name: 'Azure operated by 21Vianet',
    loginHost: 'login.partner.microsoftonline.cn',
    loginAliases: ['login.chinacloudapi.cn'],
    vaultSuffix: '.vault.azure.cn',
    tableSuffix: '.table.core.chinacloudapi.cn',
    graphHosts: ['microsoftgraph.chinacloudapi.cn'],
    tokenExchangeUrl: 'api://AzureADTokenExchangeChina',
  },
  {
    name: 'Azure Government',
    loginHost: 'login.microsoftonline.us',
    loginAliases: ['login.usgovcloudapi.net'],
    vaultSuffix: '.vault.usgovcloudapi.net',
    tableSuffix: '.table.core.usgovcloudapi.net',
    graphHosts: ['graph.microsoft.us', 'dod-graph.microsoft.us'],
    tokenExchangeUrl: 'api://AzureADTokenExchangeUSGov',
  },
  sovereign('Bleu (France)', 'fr'),
  sovereign('Delos (Germany)', 'de'),
  sovereign('Government Cloud (Singapore)', 'sg'),
]

function sovereign(name: string, country: string): Cloud {
  return {
    name,
    loginHost: `login.sovcloud-identity.${country}`,
    loginAliases: [],
    vaultSuffix: `.vault.sovcloud-api.${country}`,
    tableSuffix: `.table.core.sovcloud-api.${country}`,
    graphHosts: [`graph.svc.sovcloud.${country}`],
  }
}

/** Names of vaults (Key Vault: 3 to 24 letters, digits and hyphens, a letter first). */
const vaultName = /^[a-z](?:-?[a-z0-9]){2,23}$/
/** Names of storage accounts. */
const accountName = /^[a-z0-9]{3,24}$/
/** Accounts with DNS zone endpoints; in the public cloud only. */
const zonedTableHost = /^[a-z0-9]{3,24}\.z\d{1,2}\.table\.storage\.azure\.net$/

/** The cloud that a host belongs to; undefined for loopback and for a host of Broker__AdditionalHosts. */
export function findCloudOfHost(host: string): Cloud | undefined {
  return clouds.find(
    (cloud) =>
      host === cloud.loginHost || cloud.graphHosts.includes(host) || isVault(host, cloud) || isTable(host, cloud),
  )
}

export function isVaultHost(host: string): boolean {
  return clouds.some((cloud) => isVault(host, cloud))
}

export function isTableHost(host: string): boolean {
  return clouds.some((cloud) => isTable(host, cloud))
}

export function isLoginHost(host: string): boolean {
  return clouds.some(({ loginHost }) => loginHost === host)
}

export function isGraphHost(host: string): boolean {
  return clouds.some(({ graphHosts }) => graphHosts.includes(host))
}

function isVault(host: string, { vaultSuffix }: Cloud): boolean {
  return hasSuffix(host, vaultSuffix, vaultName)
}

function isTable(host: string, cloud: Cloud): boolean {
  return hasSuffix(host, cloud.tableSuffix, accountName) || (cloud === publicCloud && zonedTableHost.test(host))
}

function hasSuffix(host: string, suffix: string, name: RegExp): boolean {
  return host.endsWith(suffix) && name.test(host.slice(0, -suffix.length))
}
