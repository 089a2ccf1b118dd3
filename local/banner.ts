/** What `npm start` says once everything runs: for people a card, for programs one line of JSON. */
import { checkReturnUrl } from '../shared/front-ends/front-ends.ts'
import type { Settings } from '../shared/settings/settings.ts'
import { profileOf } from '../functions/compose/provider.ts'
import { demoApiName } from './cloud.ts'
import type { Cloud } from './cloud.ts'
import type { HostProcess } from './functions-host/process.ts'

export interface Started {
  readonly cloud: Cloud
  /** None where Core Tools serves it. */
  readonly broker: HostProcess | undefined
  readonly settings: Settings
  readonly seconds: number
}

export function readyLine({ cloud, broker, settings }: Started): object {
  return {
    broker: broker ? settings.baseUrl : null,
    identityProvider: cloud.identityProvider?.issuer ?? profileOf(settings).issuer,
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

export function card(started: Started): string {
  const { cloud, broker, settings, seconds } = started
  const provider = cloud.identityProvider
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['Broker', broker ? settings.baseUrl : `not started here; its place is ${settings.baseUrl}`],
    ['Demo front end', cloud.demoFrontEnd?.url],
    ['Demo, other site', cloud.demoOtherSite?.url],
    ['Demo API', cloud.demoApi && cloud.demoApi.url],
    [
      'Identity provider',
      provider ? `${provider.issuer} (pages on ${provider.browserUrl})` : profileOf(settings).issuer,
    ],
    ['Key Vault', `${settings.credential.vaultUrl} (certificate ${settings.credential.certificateName})`],
    ['Microsoft Graph', cloud.graph?.url],
    ['Managed identity', cloud.managedIdentity?.url ?? 'your own az or azd sign-in'],
    ['Table storage', settings.store.tableServiceUri],
    ['Telemetry', cloud.ingestion && `${cloud.ingestion.url} (what the broker reports)`],
    ...cloud.storage
      .filter(({ service }) => service !== 'table')
      .map(({ service, url }) => [`Azurite ${service}`, url] as const),
    ['Operator key', broker && `${broker.functionKey} (header x-functions-key, for /health/detail)`],
    ['Master key', broker && `${broker.masterKey} (the same header, for /admin/functions/NAME: fires a timer)`],
  ]
  const shown = rows.filter((row): row is readonly [string, string] => row[1] !== undefined)
  const lines = shown.map(([name, value]) => `  ${name.padEnd(18)} ${value}`)
  const open = cloud.demoFrontEnd?.url ?? settings.baseUrl
  return [
    '',
    `Certificate token broker, ready in ${seconds.toFixed(1)} s`,
    '',
    ...lines,
    '',
    ...(broker ? [`  Open               ${open}`] : []),
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

function people(cloud: Cloud): readonly { name: string; username: string }[] {
  return cloud.identityProvider?.people.map(({ name, username }) => ({ name, username })) ?? []
}
