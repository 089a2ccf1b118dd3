/** Parses the settings: read once from the environment, or refused with every problem at once. */
import { graphUrlOf, isLoopbackUrl, tokenExchangeUrlOf } from './addresses.ts'
import { allDeclarations, declarations } from './declarations.ts'
import { findBadName } from './names.ts'
import { reportRelations } from './relations.ts'
import { primaryId } from './providers.schema.ts'
import type { ProviderIdentity, ProviderNames, SecondCredential } from './providers.schema.ts'
import { SettingsReport } from './settings-report.ts'
import { manyTenantsOf } from './tenant-list.ts'
import { findSecret } from './secrets.ts'
import { SettingsError } from './settings-error.ts'
import { isForEntra, readValues, setTextsOf } from './values.ts'
import type { MaybeValues, SetTexts, Values } from './values.ts'

export { describeProblem, SettingsError } from './settings-error.ts'
export type { SettingProblem } from './settings-error.ts'
export type { OtherProvider, ProviderIdentity, ProviderNames, SecondCredential } from './providers.schema.ts'
export type { ManyTenants } from './tenant-list.ts'
export type { ApiSettings, FrontEndSettings, Prompt, FrontEndKind } from './front-ends.schema.ts'

/** The settings by section, as the composition root passes them on. */
export type Settings = Readonly<ReturnType<typeof toSettings>>

/** Settings of Application Insights; neither value is a secret. */
export interface TelemetrySettings {
  readonly connectionString: string
  /** The managed identity that authenticates reports: its client id, or undefined for the system-assigned one. */
  readonly managedIdentity: { readonly clientId: string | undefined } | undefined
}

/**
 * Parses the settings.
 *
 * @param environment as the host provides it; untrusted. An empty value counts as not set
 * @throws {SettingsError} with every problem at once, and with no value in it
 */
export function parseSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const texts = setTextsOf(environment)
  const report = new SettingsReport()
  for (const [name, value] of texts) {
    const secret = findSecret(name, value)
    if (secret) report.refuse(name, secret)
  }
  const values = readValues(texts, report)
  reportRelations(values, texts, report)
  reportNames(texts, report)
  if (report.problems.length > 0) throw new SettingsError(report.problems)
  return toSettings(complete(values), texts, report)
}

function reportNames(texts: SetTexts, report: SettingsReport): void {
  const known = new Set(
    allDeclarations.flatMap(({ name, olderName }) => (olderName === undefined ? [name] : [name, olderName])),
  )
  for (const [name, value] of texts) {
    const refusal = report.has(name) ? undefined : findBadName(name, value, known)
    if (refusal) report.refuse(name, refusal)
  }
}

function toSettings(values: Values, texts: SetTexts, { warnings }: SettingsReport) {
  const isEntra = isForEntra(texts)
  return {
    /** Faults with which the broker starts. */
    warnings: warnings as readonly (typeof warnings)[number][],
    /** Without a slash at the end. */
    baseUrl: values.baseUrl,
    /** Hosts of Azure services outside the known clouds. */
    additionalHosts: values.additionalHosts,
    /** PEM, one certificate in each; trusted beside those of Node.js. */
    certificateAuthorities: values.certificateAuthorities ?? [],
    provider: {
      identity: providerIdentityOf(values, isEntra),
      clientId: isEntra ? values.clientId.toLowerCase() : values.clientId,
      /** Of the app registration; undefined where its keys are changed by hand. */
      applicationObjectId: values.applicationObjectId,
      /** An origin; undefined where the provider has no Graph. */
      graphUrl: primaryGraphUrlOf(values),
      responseMode: values.responseMode,
      /** undefined where people of one tenant sign in, or at another provider. */
      manyTenants: manyTenantsOf(values),
      /** undefined: yes for one tenant, no for many. */
      allowGuests: values.allowGuests,
      responseType: values.responseType,
      /** undefined: as in the provider's metadata. */
      offlineAccess: values.offlineAccess,
      /** undefined: the usual ones. */
      openIdScopes: values.openIdScopes,
      /** True where the tenant has signing keys for this application alone; undefined counts as false. */
      applicationSigningKeys: values.applicationSigningKeys,
      /** Whether the broker passes on claims challenges by itself; for Entra ID alone. */
      continuousAccess: values.continuousAccess,
    },
    /** The primary provider's names. */
    primary: primaryNamesOf(values, isEntra),
    /** Providers beside the primary one. */
    otherProviders: values.providers?.others ?? [],
    credential: {
      /** An origin, without a slash at the end. */
      vaultUrl: values.vaultUrl,
      certificateName: values.certificateName,
      /** undefined: the certificate is the only credential. */
      second: secondCredentialOf(values),
      assertionReuse: values.assertionReuse ?? isEntra,
      /** undefined: the usual audience of this kind of provider. */
      assertionAudience: values.assertionAudience,
      assertionAlgorithm: values.assertionAlgorithm,
      assertionKeyId: values.assertionKeyId ?? false,
      /** undefined: `JWT`. */
      assertionType: values.assertionType,
      readSeconds: values.certificateReadSeconds,
      overlapSeconds: values.certificateOverlapSeconds,
      managedIdentityClientId: values.managedIdentityClientId,
      /**
       * Whether tokens come from a managed identity, in Azure or its emulator; otherwise from a developer's sign-in.
       */
      managedIdentity: isManagedIdentity(values, texts),
    },
    keyRing: {
      /** A key in the credential's vault. */
      wrappingKeyName: values.wrappingKeyName,
      /** Milliseconds since the epoch. */
      acceptUnsignedUntil: values.acceptUnsignedUntil,
    },
    store: {
      /** Without a slash at the end. */
      tableServiceUri: values.tableServiceUri,
      tablePrefix: values.tablePrefix,
    },
    signIn: { lifetimeSeconds: values.signInSeconds },
    session: {
      idleSeconds: values.sessionIdleSeconds,
      absoluteSeconds: values.sessionAbsoluteSeconds,
      cacheSeconds: values.sessionCacheSeconds,
    },
    /** undefined: telemetry is off. */
    telemetry: telemetryOf(values, warnings),
    frontEnds: values.frontEnds,
  }
}

function providerIdentityOf(values: Values, isEntra: boolean): ProviderIdentity {
  const { instance, tenantId, authority, metadataUrl, providerKind: kind } = values
  if (isEntra) return { instance: required(instance), tenantId: required(tenantId) }
  return { authority: required(authority), kind: required(kind), metadataUrl }
}

function primaryNamesOf({ providers, authority }: Values, isEntra: boolean): ProviderNames {
  const displayName = isEntra ? 'Microsoft' : new URL(required(authority)).hostname
  return providers?.primary ?? { id: primaryId, displayName, domains: [] }
}

function secondCredentialOf(values: Values): SecondCredential | undefined {
  if (values.secondSourceType === undefined) return undefined
  return {
    managedIdentityClientId: required(values.secondManagedIdentityClientId ?? values.managedIdentityClientId),
    tokenExchangeUrl: required(values.tokenExchangeUrl ?? tokenExchangeUrlOf(required(values.instance))),
  }
}

/** A copy of the example that names a real instance means that cloud's Graph, not the local one. */
function primaryGraphUrlOf({ instance, graphUrl }: Values): string | undefined {
  const isDefault = graphUrl === undefined || graphUrl === declarations.graphUrl.local
  const ofCloud = isDefault && instance !== undefined ? graphUrlOf(instance) : undefined
  return ofCloud ?? graphUrl
}

/**
 * A copy of the example that names a real vault needs the developer's own `az` or `azd` sign-in: the local identity
 * endpoint is still set there, and Azure rejects its tokens.
 */
function isManagedIdentity({ identityEndpoint, vaultUrl }: Values, texts: SetTexts): boolean {
  if (texts.has('WEBSITE_INSTANCE_ID') || texts.has('WEBSITE_SITE_NAME')) return true
  const isLocalEndpoint = identityEndpoint === declarations.identityEndpoint.local
  return identityEndpoint !== undefined && !(isLocalEndpoint && !isLoopbackUrl(vaultUrl))
}

/** A fault in either setting turns telemetry off. */
function telemetryOf(
  { telemetryConnection, telemetryAuthentication }: Values,
  warnings: SettingsReport['warnings'],
): TelemetrySettings | undefined {
  const names: readonly string[] = [declarations.telemetryConnection.name, declarations.telemetryAuthentication.name]
  if (telemetryConnection === undefined || warnings.some(({ setting }) => names.includes(setting))) return undefined
  return { connectionString: telemetryConnection, managedIdentity: telemetryAuthentication }
}

/** Without a problem, every required setting has a value: the broker never starts with half of its settings. */
function complete(values: MaybeValues): Values {
  for (const [name, declaration] of Object.entries<(typeof allDeclarations)[number]>(declarations)) {
    const mayBeMissing = declaration.optional ?? declaration.about !== undefined
    if (!mayBeMissing) required(values[name as keyof Values])
  }
  return values as Values
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A required setting was neither read nor refused.')
  return value
}
