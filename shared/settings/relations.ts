/** Checks settings against each other. Those of the providers are in provider-relations.ts. */
import { findCloud, isLoopbackUrl, tokenExchangeUrlOf } from './addresses.ts'
import { certificateAuthoritiesName } from './certificate-authorities.ts'
import { declarations, hostDeclarations } from './declarations.ts'
import { findForeignIngestion } from './ingestion.ts'
import { reportProviderRelations } from './provider-relations.ts'
import type { SettingsReport } from './settings-report.ts'
import { checkSwitch } from './switches.ts'
import { checkReference } from './texts.ts'
import { isForEntra } from './values.ts'
import type { MaybeValues, SetTexts } from './values.ts'

export function reportRelations(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  reportProviderRelations(values, texts, report)
  reportTelemetry(values, report)
  reportClouds(values, texts, report)
  reportSecondCredential(values, texts, report)
  reportTimes(values, report)
  reportHostReferences(texts, report)
  reportExtraAuthorities(texts, report)
  reportSwitches(values, texts, report)
}

function reportTelemetry(values: MaybeValues, report: SettingsReport): void {
  const { telemetryConnection, telemetryAuthentication, additionalHosts } = values
  if (telemetryConnection === undefined || telemetryAuthentication === undefined) return
  const foreign = findForeignIngestion(telemetryConnection, additionalHosts)
  if (foreign) report.warn(declarations.telemetryConnection.name, foreign)
}

/** All services belong to the cloud of the instance; beside another provider, to the cloud of the vault. */
function reportClouds(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  const { instance, vaultUrl, tableServiceUri, graphUrl } = values
  const [home, homeUrl] = isForEntra(texts) ? [declarations.instance, instance] : [declarations.vaultUrl, vaultUrl]
  const cloud = homeUrl === undefined ? undefined : findCloud(homeUrl)
  for (const [declaration, address] of [
    [declarations.vaultUrl, vaultUrl],
    [declarations.tableServiceUri, tableServiceUri],
    [declarations.graphUrl, graphUrl],
  ] as const) {
    const other = address === undefined ? undefined : findCloud(address)
    if (cloud !== undefined && other !== undefined && cloud !== other) {
      report.refuse(declaration.name, {
        problem: `is in ${other.name}, but ${home.name} is in ${cloud.name}`,
        fix: 'Name services of one cloud.',
      })
    }
  }
}

/** The token exchange accepts user-assigned identities only, and only the audience of its cloud. */
function reportSecondCredential(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  const { secondSourceType, secondManagedIdentityClientId, tokenExchangeUrl } = declarations
  const isOn = texts.has(secondSourceType.name)
  for (const { name } of [secondManagedIdentityClientId, tokenExchangeUrl]) {
    if (isOn || !texts.has(name) || report.has(name)) continue
    report.refuse(name, {
      problem: `is for a second credential, but ${secondSourceType.name} names none`,
      fix: `Delete it, or write ${secondSourceType.name}.`,
    })
  }
  if (values.secondSourceType === undefined) return
  if (!texts.has(secondManagedIdentityClientId.name) && !texts.has(declarations.managedIdentityClientId.name)) {
    report.refuse(secondManagedIdentityClientId.name, {
      problem: 'is missing',
      fix: `Write the client id of a user-assigned managed identity here, or into ${declarations.managedIdentityClientId.name}: a system-assigned identity cannot be a federated credential.`,
    })
  }
  const usual = values.instance === undefined ? undefined : tokenExchangeUrlOf(values.instance)
  const written = values.tokenExchangeUrl
  if (values.instance !== undefined && usual === undefined && !texts.has(tokenExchangeUrl.name)) {
    report.refuse(tokenExchangeUrl.name, {
      problem: 'is missing: the broker does not know the audience of this cloud',
      fix: 'Write it as the documentation of workload identity federation in your cloud names it.',
    })
  }
  if (written !== undefined && usual !== undefined && written !== usual) {
    report.refuse(tokenExchangeUrl.name, {
      problem: `is not the audience of the cloud of ${declarations.instance.name}`,
      fix: `Delete it, or write ${usual}.`,
    })
  }
}

function reportTimes(values: MaybeValues, report: SettingsReport): void {
  const { sessionIdleSeconds: idle, sessionAbsoluteSeconds: absolute } = values
  if (idle !== undefined && absolute !== undefined && idle > absolute) {
    report.refuse(declarations.sessionIdleSeconds.name, {
      problem: `is longer than ${declarations.sessionAbsoluteSeconds.name}`,
      fix: 'Write a shorter idle time or a longer absolute time.',
    })
  }
  const { certificateReadSeconds: read, certificateOverlapSeconds: overlap } = values
  if (read !== undefined && overlap !== undefined && overlap < 2 * read) {
    report.refuse(declarations.certificateOverlapSeconds.name, {
      problem: `is shorter than twice ${declarations.certificateReadSeconds.name}`,
      fix: 'Write a longer overlap or a shorter time between reads.',
    })
  }
}

/** The broker does not read these settings, but with an unresolved reference in one the host does not start. */
function reportHostReferences(texts: SetTexts, report: SettingsReport): void {
  for (const { name } of hostDeclarations) {
    const refusal = report.has(name) ? undefined : checkReference(texts.get(name) ?? '')
    if (refusal) report.refuse(name, refusal)
  }
}

/** Azure starts workers in advance, and gives one the settings of an app later. */
function reportExtraAuthorities(texts: SetTexts, report: SettingsReport): void {
  if (!texts.has('NODE_EXTRA_CA_CERTS') || !texts.has('WEBSITE_INSTANCE_ID')) return
  report.warn('NODE_EXTRA_CA_CERTS', {
    problem: 'has no effect in a worker that started before it received the settings, as most do in Azure',
    fix: `Delete it, and write the text of the PEM file into ${certificateAuthoritiesName}.`,
  })
}

/** On loopback such a setting is no risk, and a developer may need it. */
function reportSwitches(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  const { baseUrl, instance, authority, vaultUrl, tableServiceUri, graphUrl } = values
  const others = (values.providers?.others ?? []).map(({ provider: { identity } }) =>
    'tenantId' in identity ? identity.instance : identity.authority,
  )
  const needed = [baseUrl, instance ?? authority, vaultUrl, tableServiceUri, ...others]
  const isLocal = [...needed, graphUrl ?? vaultUrl].every((url) => url !== undefined && isLoopbackUrl(url))
  for (const [name, value] of texts) {
    const refusal = report.has(name) ? undefined : checkSwitch(name, value)
    if (!refusal) continue
    if (isLocal) report.warn(name, refusal)
    else report.refuse(name, refusal)
  }
}
