/** Finds what the coming deployment would remove from the deployed state, and stops it unless that is confirmed. */
import { createHash } from 'node:crypto'
import { declarations } from '../../shared/settings/declarations.ts'
import type { Configuration } from './configuration.schema.ts'
import { authoritiesFile, processVariables, settingsOf } from './configuration-settings.ts'
import type { Deployed } from './deployed.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

/**
 * @param registration as the coming deployment would set it
 * @returns one noun phrase for each thing that the coming deployment would remove
 */
export function findRemovals(
  deployed: Deployed,
  configuration: Configuration,
  names: Names,
  registration: { readonly clientId: string; readonly objectId: string | undefined } | undefined,
): readonly string[] {
  return [
    ...(deployed.canListSettings
      ? []
      : ['unknown settings: you may not list them (Microsoft.Web/sites/config/list/action)']),
    ...lostFrontEnds(parseList(deployed, declarations.frontEnds.name), configuration.frontEnds ?? []),
    ...lost(parseList(deployed, declarations.providers.name).map(idOf), (configuration.providers ?? []).map(idOf)).map(
      (id) => `the identity provider ${id}`,
    ),
    ...lostDomains(deployed, configuration).map((domain) => `the domain ${domain}`),
    ...lostBaseUrl(deployed, configuration),
    ...lostVault(deployed, configuration, names),
    ...(deployed.isPrivate && configuration.network !== 'private' ? ['the private network'] : []),
    ...(deployed.isBehindFrontDoor && configuration.frontDoor === undefined
      ? ['the restriction of the app to Front Door']
      : []),
    ...lostRegistration(deployed, registration),
    ...lost(deployed.alertEmails, configuration.alertEmails).map((email) => `the alert receiver ${email}`),
    ...lost(lowerCase(deployed.alertActionGroupIds), lowerCase(configuration.alertActionGroupIds)).map(
      (id) => `the action group ${id}, which receives the alerts`,
    ),
    ...lostInstances(deployed, configuration),
    ...lostSettings(deployed, configuration),
  ]
}

/**
 * Where this resource group has no app yet: the registration may belong to a broker elsewhere, whose front-channel
 * sign-out would then reach this deployment. The usual reason is a clone with another subscription.
 *
 * @param broker base URL of the broker that the registration names; undefined where it names none
 */
export function findOtherBroker(
  broker: string | undefined,
  { baseUrl, domain, frontDoor }: Configuration,
  names: Names,
): readonly string[] {
  if (broker === undefined || broker === baseUrl) return []
  const { hostname } = new URL(broker)
  if (hostname.startsWith(names.functionApp) || hostname === (frontDoor?.domain ?? domain)) return []
  return [
    `the sign-out of ${broker}, which uses the same app registration (is AZURE_SUBSCRIPTION_ID that of this broker?)`,
  ]
}

function lost(before: readonly string[], after: readonly (string | undefined)[] = []): readonly string[] {
  return before.filter((one) => !after.includes(one))
}

function lowerCase(texts: readonly string[] = []): readonly string[] {
  return texts.map((text) => text.toLowerCase())
}

/**
 * A deployment removes no binding, also none that was made by hand: a domain is lost where the base URL leaves it.
 */
function lostDomains({ settings, domains }: Deployed, { domain, baseUrl, frontDoor }: Configuration) {
  const present = settings[declarations.baseUrl.name]
  const used = domains.filter((one) => present === undefined || URL.parse(present)?.hostname === one)
  return lost(used, [domain, frontDoor?.domain, URL.parse(baseUrl ?? '')?.hostname])
}

/**
 * The base URL is the issuer. That of a domain or of Front Door is lost with these, which have phrases of their own.
 */
function lostBaseUrl(deployed: Deployed, configuration: Configuration) {
  const present = deployed.settings[declarations.baseUrl.name]
  const { baseUrl, domain, frontDoor } = configuration
  if (present === undefined || present === baseUrl) return []
  const hosts = [...lostDomains(deployed, configuration), deployed.defaultHostName, domain, frontDoor?.domain]
  const others = hosts.map((host) => `https://${host ?? ''}`)
  return others.includes(present) ? [] : [`the base URL ${present}`]
}

function* lostVault({ vault }: Deployed, configuration: Configuration, names: Names) {
  if (!vault) return
  if (vault.name !== names.vault) {
    yield `the vault ${vault.name} (in its place: ${names.vault})`
    return
  }
  if (vault.sku === 'premium' && configuration.vaultSku !== 'premium') yield 'the SKU premium of the vault'
  const isRbac = configuration.vaultAuthorization === 'rbac'
  if (vault.isRbac && !isRbac) yield 'the authorization of the vault by roles (rbac)'
  if (!vault.isRbac && isRbac) yield 'the authorization of the vault by access policies'
  if (isRbac) return
  const { developerIds = [], otherVaultAccess = [], certificateOfficerId = '' } = configuration
  const kept = [...developerIds, ...otherVaultAccess.map(({ objectId }) => objectId), certificateOfficerId]
  for (const id of lost(vault.otherHolders, lowerCase(kept))) yield `the access policy of ${id} in the vault`
}

function* lostRegistration(
  { settings }: Deployed,
  registration: { readonly clientId: string; readonly objectId: string | undefined } | undefined,
) {
  const clientId = settings[declarations.clientId.name]
  const objectId = settings[declarations.applicationObjectId.name]
  if (clientId !== undefined && clientId.toLowerCase() !== registration?.clientId.toLowerCase()) {
    yield `the client id ${clientId}`
  }
  if (objectId !== undefined && objectId.toLowerCase() !== registration?.objectId?.toLowerCase()) {
    yield `the object id ${objectId} of the app registration`
  }
}

function* lostInstances({ alwaysReadyInstances }: Deployed, { alwaysReadyInstances: ready = 0 }: Configuration) {
  if (alwaysReadyInstances <= ready) return
  yield `${alwaysReadyInstances - ready} of ${alwaysReadyInstances} always-ready instances`
}

/** Settings that every deployment writes, or that have a check of their own above. */
const templateSettings: ReadonlySet<string> = new Set(
  [
    declarations.baseUrl,
    declarations.frontEnds,
    declarations.providers,
    declarations.applicationObjectId,
    declarations.tableServiceUri,
    declarations.tablePrefix,
    declarations.wrappingKeyName,
  ].map(({ name }) => name),
)

function lostSettings({ settings }: Deployed, configuration: Configuration): readonly string[] {
  const ofProcess = [...processVariables, authoritiesFile]
  const present = Object.keys(settings).filter(
    (name) => (/^Broker__/.test(name) && !templateSettings.has(name)) || ofProcess.includes(name),
  )
  return lost(present, Object.keys(settingsOf(configuration))).map((name) => `the setting ${name}`)
}

/** Of a front end or a provider in an app setting, which a person may have written by hand. */
interface Entry {
  readonly id: string
  readonly [member: string]: unknown
}

const idOf = ({ id }: { readonly id: string }) => id

/** @returns nothing for a value that is no list of entries: the coming deployment repairs it */
function parseList({ settings }: Deployed, name: string): readonly Entry[] {
  try {
    const list = JSON.parse(settings[name] ?? '[]') as unknown
    if (!Array.isArray(list)) return []
    return list.filter((one: unknown): one is Entry => typeof (one as Entry | null)?.id === 'string')
  } catch {
    return []
  }
}

/** The members of a front end that are lists of texts, each with its name for a person. */
const listsOfFrontEnd: Readonly<Record<string, string>> = {
  origins: 'origin',
  returnUrls: 'return URL',
  redirectUris: 'redirect URI',
  signedOutUrls: 'URL after a sign-out',
  claims: 'claim',
  tenants: 'tenant',
  providers: 'identity provider',
}

interface Api {
  readonly name?: unknown
  readonly scopes?: unknown
}

function lostFrontEnds(before: readonly Entry[], after: readonly Entry[]): string[] {
  return before.flatMap((one) => {
    const same = after.find(({ id }) => id === one.id)
    if (!same) return [`the front end ${one.id}`]
    const lists = Object.entries(listsOfFrontEnd).flatMap(([member, name]) => {
      // Without a list of tenants or providers, there is no restriction.
      if (['tenants', 'providers'].includes(member) && same[member] === undefined) return []
      return lost(textsOf(one[member]), textsOf(same[member])).map((value) => `the ${name} ${value}`)
    })
    const kept = listOf(same['apis']) as readonly Api[]
    const apis = (listOf(one['apis']) as readonly Api[]).flatMap(({ name, scopes }) => {
      const api = kept.find((other) => other.name === name)
      if (!api) return [`the API ${String(name)}`]
      return lost(textsOf(scopes), textsOf(api.scopes)).map((scope) => `the scope ${scope}`)
    })
    return [...lists, ...apis].map((phrase) => `${phrase} of the front end ${one.id}`)
  })
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function textsOf(value: unknown): readonly string[] {
  return listOf(value).filter((one) => typeof one === 'string')
}

/**
 * Stops a deployment that would remove something, unless the person confirmed exactly these removals.
 *
 * The confirmation is a digest of the list, so that it holds for this change and for no later one.
 *
 * @throws {HookStop}
 */
export function confirmRemovals(removals: readonly string[], confirmed: string | undefined, fileName: string): void {
  if (removals.length === 0) return
  const code = createHash('sha256')
    .update([...removals].sort().join('\n'))
    .digest('hex')
    .slice(0, 8)
  if (confirmed === code) return
  throw new HookStop(
    [
      'This deployment would remove what is deployed. Nothing was changed. It would remove:',
      ...removals.map((removal) => `- ${removal}`),
      `To keep it, add it to ${fileName} (a colleague may have a newer version of the file). To remove it, confirm exactly this list for this deployment: azd env set BROKER_CONFIRM_REMOVAL ${code}`,
    ].join('\n'),
  )
}
