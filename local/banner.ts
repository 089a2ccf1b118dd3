/** Output of `npm start` when everything answers: a banner for people, one line of JSON for programs. */
import { checkReturnUrl } from '../shared/front-ends/return-url.ts'
import type { Settings } from '../shared/settings/settings.ts'
import { profileOf } from '../functions/compose/provider.ts'
import type { PrintedAddress } from './answering.ts'
import { demoApiName } from './cloud.ts'
import type { Cloud } from './cloud.ts'
import type { IdentityProvider } from './identity-provider/identity-provider.ts'
import type { HostProcess } from './functions-host/process.ts'

export interface Started {
  readonly cloud: Cloud
  /** Undefined where Core Tools serves it. */
  readonly broker: HostProcess | undefined
  readonly settings: Settings
  readonly seconds: number
}

export function readyLine({ cloud, broker, settings }: Started): object {
  return {
    broker: broker ? settings.baseUrl : null,
    identityProvider: issuerOf(cloud, settings),
    vault: cloud.vault?.url ?? settings.credential.vaultUrl,
    managedIdentity: cloud.managedIdentity?.url ?? null,
    tables: settings.store.tableServiceUri,
    telemetry: cloud.ingestion?.url ?? null,
    frontEnds: Object.fromEntries(
      settings.frontEnds.map((frontEnd) => [frontEnd.id, checkReturnUrl(undefined, frontEnd)]),
    ),
    api: cloud.demoApi ? { name: demoApiName, url: cloud.demoApi.url } : null,
    people: people(cloud),
    ca: cloud.caFile,
  }
}

/** The addresses that `banner` prints, by the names that it prints. */
export function printedAddresses({ cloud, broker, settings }: Started): readonly PrintedAddress[] {
  const addresses: readonly (readonly [string, string | undefined])[] = [
    ['Demo front end', cloud.demoFrontEnd?.url],
    ['Demo, other site', cloud.demoOtherSite?.url],
    ['Demo API', cloud.demoApi?.url],
    ['Identity provider', `${issuerOf(cloud, settings)}/.well-known/openid-configuration`],
    ['pages of the identity provider', providerOf(cloud)?.browserUrl],
    ['Key Vault', settings.credential.vaultUrl],
    ['Microsoft Graph', cloud.graph?.url],
    ['Managed identity', cloud.managedIdentity?.url],
    ['Table storage', settings.store.tableServiceUri],
    ['Telemetry', cloud.ingestion?.url],
    ...cloud.storage.map(({ service, url }) => [`Azurite ${service}`, url] as const),
  ]
  // The broker has no certificate here: another server has, where its address is https.
  const isForwarded = settings.baseUrl.startsWith('https:')
  return [
    ...(broker ? [{ name: 'Broker', url: `${settings.baseUrl}/health`, isForwarded }] : []),
    ...addresses.flatMap(([name, url]) => (url === undefined ? [] : [{ name, url }])),
  ]
}

/** @param silent names of addresses outside this machine that did not answer */
export function banner(started: Started, silent: ReadonlySet<string> = new Set()): string {
  const { cloud, broker, settings, seconds } = started
  const provider = providerOf(cloud)
  const rows: readonly (readonly [string, string | undefined])[] = [
    [
      'Broker',
      broker ? brokerAddress(settings.baseUrl, broker.url) : `not started; its address is ${settings.baseUrl}`,
    ],
    ['Demo front end', demoAddress(cloud.demoFrontEnd, settings)],
    ['Demo, other site', demoAddress(cloud.demoOtherSite, settings)],
    ['Demo API', cloud.demoApi?.url],
    [
      'Identity provider',
      provider ? `${provider.issuer} (pages on ${provider.browserUrl})` : issuerOf(cloud, settings),
    ],
    ['Key Vault', `${settings.credential.vaultUrl} (certificate ${settings.credential.certificateName})`],
    ['Microsoft Graph', cloud.graph?.url],
    ['Managed identity', cloud.managedIdentity?.url ?? 'your own az or azd sign-in'],
    ['Table storage', settings.store.tableServiceUri],
    ['Telemetry', cloud.ingestion && `${cloud.ingestion.url} (reports of the broker)`],
    ...cloud.storage
      .filter(({ service }) => service !== 'table')
      .map(({ service, url }) => [`Azurite ${service}`, url] as const),
  ]
  const shown = rows.filter((row): row is readonly [string, string] => row[1] !== undefined)
  const lines = [
    ...shown.map(([name, value]) => lineOf(name, `${value}${silent.has(name) ? ' (does not answer)' : ''}`)),
    ...(broker ? keyLines(broker) : []),
  ]
  const open = [cloud.demoFrontEnd, cloud.demoOtherSite].find((demo) => demo && isRegistered(demo, settings))
  return [
    '',
    `Certificate token broker, ready in ${seconds.toFixed(1)} s`,
    '',
    ...lines,
    '',
    ...(broker && open ? [`  Open               ${open.url}`] : []),
    ...(provider
      ? [
          `  Sign in as         ${people(cloud)
            .map(({ username }) => username)
            .join(', ')} (no password)`,
        ]
      : []),
    '  End                Ctrl-C',
    '',
  ].join('\n')
}

interface Demo {
  readonly url: string
}

/** Settings of a developer may register other front ends in place of the demo. */
function isRegistered({ url }: Demo, { frontEnds }: Settings): boolean {
  return frontEnds.some(({ origins }) => origins.includes(new URL(url).origin))
}

function demoAddress(demo: Demo | undefined, settings: Settings): string | undefined {
  if (!demo || isRegistered(demo, settings)) return demo?.url
  return `${demo.url} (not in Broker__FrontEnds, so it cannot sign in)`
}

/** The keys of the broker's host, for `npm start` and `npm run watch`. */
export function keyLines({ functionKey, masterKey }: Pick<HostProcess, 'functionKey' | 'masterKey'>): string[] {
  const uses = 'header x-functions-key, for /health/detail; BROKER_FUNCTION_KEY for npm run sessions and tenants'
  return [
    lineOf('Operator key', `${functionKey} (${uses})`),
    lineOf('Master key', `${masterKey} (same header, for /admin/functions/NAME: fires a timer)`),
  ]
}

function lineOf(name: string, value: string): string {
  return `  ${name.padEnd(18)} ${value}`
}

/** With https, another server forwards to the port at which the broker listens. */
function brokerAddress(baseUrl: string, listensAt: string): string {
  return baseUrl.startsWith('https:') ? `${baseUrl} (listens at ${listensAt})` : baseUrl
}

/** The local provider in either dress. */
function providerOf(cloud: Cloud): Pick<IdentityProvider, 'issuer' | 'browserUrl' | 'people'> | undefined {
  return cloud.identityProvider ?? cloud.federationServer
}

function issuerOf(cloud: Cloud, settings: Settings): string {
  return providerOf(cloud)?.issuer ?? profileOf(settings).issuer
}

function people(cloud: Cloud): readonly { name: string; username: string }[] {
  return providerOf(cloud)?.people.map(({ name, username }) => ({ name, username })) ?? []
}
