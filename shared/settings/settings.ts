/** The settings of the broker: read once from the environment, or refused with everything that is wrong with them. */
import * as z from 'zod/mini'
import { findCloud } from './addresses.ts'
import { allDeclarations, declarations, missing } from './declarations.ts'
import type { Declaration } from './declarations.ts'
import { areProblems, parseFrontEnds } from './front-ends.schema.ts'
import { checkEntraClientId } from './identifiers.ts'
import type { FrontEndSettings } from './front-ends.schema.ts'
import { findForeignIngestion } from './ingestion.ts'
import { findBadName } from './names.ts'
import { refusalOf } from './refusing.ts'
import { findSecret } from './secrets.ts'
import { SettingsError } from './settings-error.ts'
import type { Refusal, SettingProblem } from './settings-error.ts'

export { SettingsError } from './settings-error.ts'
export type { SettingProblem } from './settings-error.ts'
export type { ApiSettings, FrontEndSettings, Prompt, FrontEndKind } from './front-ends.schema.ts'

export interface Settings {
  /** Without a slash at the end. */
  readonly baseUrl: string
  readonly provider: {
    readonly identity: ProviderIdentity
    readonly clientId: string
    /** Of the app registration; undefined where its keys are changed by hand. */
    readonly applicationObjectId: string | undefined
    /** An origin; undefined where the provider has no Graph. */
    readonly graphUrl: string | undefined
    readonly responseMode: 'form_post' | 'query'
    /** undefined: as the provider's metadata says. */
    readonly offlineAccess: boolean | undefined
  }
  readonly credential: {
    /** An origin, without a slash at the end. */
    readonly vaultUrl: string
    readonly certificateName: string
    readonly assertionReuse: boolean
    /** undefined: what the kind of provider usually wants. */
    readonly assertionAudience: string | undefined
    readonly assertionAlgorithm: 'PS256' | 'RS256' | undefined
    readonly assertionKeyId: boolean
    readonly readSeconds: number
    readonly overlapSeconds: number
    readonly managedIdentityClientId: string | undefined
    /** Whether a managed identity is there, in Azure or beside the local parts; otherwise it is a developer's own sign-in. */
    readonly managedIdentity: boolean
  }
  readonly keyRing: {
    /** A key in the credential's vault. */
    readonly wrappingKeyName: string
    /** Milliseconds since the epoch. */
    readonly acceptUnsignedUntil: number
  }
  readonly store: {
    /** Without a slash at the end. */
    readonly tableServiceUri: string
    readonly tablePrefix: string
  }
  readonly signIn: { readonly lifetimeSeconds: number }
  readonly session: { readonly idleSeconds: number; readonly absoluteSeconds: number; readonly cacheSeconds: number }
  /** undefined: nothing is reported. */
  readonly telemetry: TelemetrySettings | undefined
  readonly frontEnds: readonly FrontEndSettings[]
}

/** Entra ID, by a tenant; or any other provider, by its issuer. */
export type ProviderIdentity =
  | {
      /** Ends in a slash. */
      readonly instance: string
      readonly tenantId: string
    }
  | { readonly authority: string }

/** Of Application Insights; neither value is a secret. */
export interface TelemetrySettings {
  readonly connectionString: string
  /** Proves who reports by a managed identity: its client id, or the system-assigned one. */
  readonly managedIdentity: { readonly clientId: string | undefined } | undefined
}

/**
 * Reads the settings.
 *
 * @param environment as the host gives it; nothing in it is trusted. An empty value counts as not set
 * @throws {SettingsError} with every problem at once; no value stands in it
 */
export function parseSettings(environment: Readonly<Record<string, string | undefined>>): Settings {
  const problems: SettingProblem[] = []
  const set = new Map<string, string>()
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && value !== '') set.set(name, value)
  }

  const refused = new Set<string>() // one report a name: a secret in the wrong place is not also "not a GUID"
  const refuse = (setting: string, { problem, fix }: Refusal) => {
    refused.add(setting)
    problems.push({ setting, problem, fix })
  }
  for (const [name, value] of set) {
    const secret = findSecret(name, value)
    if (secret) refuse(name, secret)
  }

  const isEntra = !set.has(declarations.authority.name)
  const read = <T>(declaration: Declaration<T>): T | undefined => {
    const { name, olderName, about } = declaration
    if (about === (isEntra ? 'other providers' : 'Entra ID')) {
      if (set.has(name) && !refused.has(name)) refuse(name, aboutAnother(about))
      return undefined
    }
    if (olderName !== undefined && set.has(name) && set.has(olderName) && set.get(name) !== set.get(olderName)) {
      refuse(olderName, {
        problem: `says something else than ${name}`,
        fix: `Delete it: it is the older name of the same.`,
      })
    }
    const writtenName = olderName !== undefined && !set.has(name) && set.has(olderName) ? olderName : name
    if (refused.has(writtenName)) return undefined
    const value = set.get(writtenName) ?? declaration.default
    if (value === undefined) {
      if (!declaration.optional) refuse(name, missing(declaration))
      return undefined
    }
    const parsed = z.safeParse(declaration.schema, value)
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    refuse(
      writtenName,
      (issue && refusalOf(issue)) ?? { problem: 'is not what is expected', fix: declaration.sentence },
    )
    return undefined
  }

  const baseUrl = read(declarations.baseUrl)
  const frontEndsJson = read(declarations.frontEnds)
  const frontEnds =
    frontEndsJson === undefined ? [] : parseFrontEnds(frontEndsJson, declarations.frontEnds.name, { isEntra })
  if (areProblems(frontEnds)) problems.push(...frontEnds)
  const instance = read(declarations.instance)
  const tenantId = read(declarations.tenantId)
  const authority = read(declarations.authority)
  const clientId = read(declarations.clientId)
  const badClientId = isEntra && clientId !== undefined ? checkEntraClientId(clientId) : undefined
  if (badClientId) refuse(declarations.clientId.name, badClientId)
  const offlineAccess = read(declarations.offlineAccess)
  const applicationObjectId = read(declarations.applicationObjectId)
  const graphUrl = read(declarations.graphUrl)
  const responseMode = read(declarations.responseMode)
  read(declarations.sourceType)
  const vaultUrl = read(declarations.vaultUrl)
  const certificateName = read(declarations.certificateName)
  const wrappingKeyName = read(declarations.wrappingKeyName)
  const acceptUnsignedUntil = read(declarations.acceptUnsignedUntil)
  const assertionAudience = read(declarations.assertionAudience)
  const assertionAlgorithm = read(declarations.assertionAlgorithm)
  const assertionKeyId = read(declarations.assertionKeyId)
  const assertionReuse = read(declarations.assertionReuse)
  const readSeconds = read(declarations.certificateReadSeconds)
  const overlapSeconds = read(declarations.certificateOverlapSeconds)
  const managedIdentityClientId = read(declarations.managedIdentityClientId)
  const identityEndpoint = read(declarations.identityEndpoint)
  const tableServiceUri = read(declarations.tableServiceUri)
  const tablePrefix = read(declarations.tablePrefix)
  const lifetimeSeconds = read(declarations.signInSeconds)
  const idleSeconds = read(declarations.sessionIdleSeconds)
  const absoluteSeconds = read(declarations.sessionAbsoluteSeconds)
  const cacheSeconds = read(declarations.sessionCacheSeconds)
  const telemetryConnection = read(declarations.telemetryConnection)
  const telemetryAuthentication = read(declarations.telemetryAuthentication)

  if (telemetryConnection !== undefined && telemetryAuthentication !== undefined) {
    const foreign = findForeignIngestion(telemetryConnection)
    if (foreign) refuse(declarations.telemetryConnection.name, foreign)
  }

  // Beside another provider it is the vault's cloud that the rest belongs to.
  const [home, homeUrl] = isEntra ? [declarations.instance, instance] : [declarations.vaultUrl, vaultUrl]
  const cloud = homeUrl === undefined ? undefined : findCloud(homeUrl)
  for (const [declaration, address] of [
    [declarations.vaultUrl, vaultUrl],
    [declarations.tableServiceUri, tableServiceUri],
    [declarations.graphUrl, graphUrl],
  ] as const) {
    const other = address === undefined ? undefined : findCloud(address)
    if (cloud !== undefined && other !== undefined && cloud !== other) {
      refuse(declaration.name, {
        problem: `is in ${other.name}, and ${home.name} in ${cloud.name}`,
        fix: 'Name both in the same cloud.',
      })
    }
  }
  if (idleSeconds !== undefined && absoluteSeconds !== undefined && idleSeconds > absoluteSeconds) {
    refuse(declarations.sessionIdleSeconds.name, {
      problem: `is longer than ${declarations.sessionAbsoluteSeconds.name}`,
      fix: 'Write a shorter one, or a longer absolute time.',
    })
  }

  if (readSeconds !== undefined && overlapSeconds !== undefined && overlapSeconds < 2 * readSeconds) {
    refuse(declarations.certificateOverlapSeconds.name, {
      problem: `is shorter than twice ${declarations.certificateReadSeconds.name}`,
      fix: 'Write a longer one, or a shorter time between looks.',
    })
  }

  const isInAzure = set.has('WEBSITE_INSTANCE_ID') || set.has('WEBSITE_SITE_NAME')
  // Who copied the example and named a real vault in it wants their own `az` or `azd` sign-in: the local identity
  // endpoint still stands there, and its tokens open nothing in Azure.
  const isLocalIdentityForCloud =
    identityEndpoint === declarations.identityEndpoint.local &&
    vaultUrl !== undefined &&
    findCloud(vaultUrl) !== undefined

  const known = new Set(
    allDeclarations.flatMap(({ name, olderName }) => (olderName === undefined ? [name] : [name, olderName])),
  )
  for (const [name, value] of set) {
    const bad = refused.has(name) ? undefined : findBadName(name, value, known)
    if (bad) refuse(name, bad)
  }

  if (problems.length > 0 || areProblems(frontEnds)) throw new SettingsError(problems)
  return {
    baseUrl: whole(baseUrl),
    provider: {
      identity: isEntra ? { instance: whole(instance), tenantId: whole(tenantId) } : { authority: whole(authority) },
      clientId: isEntra ? whole(clientId).toLowerCase() : whole(clientId),
      applicationObjectId,
      // Who copied the example and named a real tenant in it means that cloud's Graph.
      graphUrl:
        isEntra && cloud && (graphUrl === undefined || graphUrl === declarations.graphUrl.local)
          ? `https://${cloud.graphHosts[0]}`
          : graphUrl,
      responseMode: whole(responseMode),
      offlineAccess,
    },
    credential: {
      vaultUrl: whole(vaultUrl),
      certificateName: whole(certificateName),
      assertionReuse: assertionReuse ?? isEntra,
      assertionAudience,
      assertionAlgorithm,
      assertionKeyId: assertionKeyId ?? false,
      readSeconds: whole(readSeconds),
      overlapSeconds: whole(overlapSeconds),
      managedIdentityClientId,
      managedIdentity: isInAzure || (identityEndpoint !== undefined && !isLocalIdentityForCloud),
    },
    keyRing: { wrappingKeyName: whole(wrappingKeyName), acceptUnsignedUntil: whole(acceptUnsignedUntil) },
    store: { tableServiceUri: whole(tableServiceUri), tablePrefix: whole(tablePrefix) },
    signIn: { lifetimeSeconds: whole(lifetimeSeconds) },
    session: {
      idleSeconds: whole(idleSeconds),
      absoluteSeconds: whole(absoluteSeconds),
      cacheSeconds: whole(cacheSeconds),
    },
    telemetry:
      telemetryConnection === undefined
        ? undefined
        : { connectionString: telemetryConnection, managedIdentity: telemetryAuthentication },
    frontEnds,
  }
}

/** One broker signs people in at one provider. */
function aboutAnother(about: 'Entra ID' | 'other providers'): Refusal {
  const { name } = declarations.authority
  return about === 'Entra ID'
    ? { problem: `is about Entra ID, and ${name} names another provider`, fix: 'Delete one of the two.' }
    : { problem: `is about other providers, and none is named`, fix: `Delete it, or name the provider in ${name}.` }
}

/** A required setting without a problem has a value; a broker never starts on half of its settings. */
function whole<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('A required setting was neither read nor refused.')
  return value
}
