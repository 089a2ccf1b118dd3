/** Checks the settings of the identity providers against each other, and the front ends against them. */
import { checkAdfsIssuer, checkMetadataPlace } from './addresses.ts'
import { declarations } from './declarations.ts'
import { authoritiesForMany, checkEntraClientId, personalTenantId } from './identifiers.ts'
import { primaryId } from './providers.schema.ts'
import type { SettingsReport } from './settings-report.ts'
import type { Refusal } from './settings-error.ts'
import { findTenantProblems, manyTenantsOf } from './tenant-list.ts'
import type { ManyTenantsMember } from './tenant-list.ts'
import { isForEntra } from './values.ts'
import type { MaybeValues, SetTexts } from './values.ts'

export function reportProviderRelations(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  reportClientId(values, texts, report)
  reportAdfs(values, texts, report)
  reportMetadataUrl(values, report)
  if (isForEntra(texts)) reportTenants(values, texts, report)
  reportTenantsOfFrontEnds(values, texts, report)
  reportResponseType(values, report)
  reportProviders(values, report)
}

function reportClientId({ clientId }: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  const refusal = clientId !== undefined && isForEntra(texts) ? checkEntraClientId(clientId) : undefined
  if (refusal) report.refuse(declarations.clientId.name, refusal)
}

/** AD FS accepts RS256 only, and decides about refresh tokens by its own policy. */
function reportAdfs(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  const { authority, providerKind, assertionAlgorithm, assertionType, offlineAccess, openIdScopes } = values
  if (authority === undefined) return
  const notAdfs = checkAdfsIssuer(authority)
  if (providerKind !== 'adfs') {
    if (!notAdfs && !texts.has(declarations.providerKind.name)) {
      report.warn(declarations.providerKind.name, {
        problem: `is not set, and ${declarations.authority.name} has the path of AD FS`,
        fix: 'Write adfs for AD FS of Windows Server 2019 or later, or openid to keep the behaviour for any OpenID provider.',
      })
    }
    return
  }
  if (notAdfs) report.refuse(declarations.authority.name, notAdfs)
  if (assertionAlgorithm === 'PS256') {
    report.refuse(declarations.assertionAlgorithm.name, {
      problem: 'is PS256, which AD FS does not accept',
      fix: 'Delete it: client assertions for AD FS are RS256.',
    })
  }
  if (assertionType !== undefined && assertionType !== 'JWT') {
    report.refuse(declarations.assertionType.name, {
      problem: `is ${assertionType}, which AD FS does not accept`,
      fix: 'Delete it.',
    })
  }
  if (offlineAccess === true) {
    report.refuse(declarations.offlineAccess.name, {
      problem: 'is true, but AD FS has no scope offline_access',
      fix: 'Delete it: AD FS issues refresh tokens by the policy of the application.',
    })
  }
  if (openIdScopes !== undefined) {
    report.refuse(declarations.openIdScopes.name, {
      problem: 'is not for AD FS, which accepts openid and profile',
      fix: 'Delete it.',
    })
  }
}

/**
 * OAuth 2.0 Multiple Response Type Encoding Practices §5: no query for a response with a token.
 * A fragment reaches no server.
 */
function reportResponseType({ responseType, responseMode }: MaybeValues, report: SettingsReport): void {
  if (responseType !== 'code id_token' || responseMode === undefined || responseMode === 'form_post') return
  report.refuse(declarations.responseMode.name, {
    problem: `is ${responseMode}, but ${declarations.responseType.name} is ${responseType}`,
    fix: 'Write form_post: an ID token must not appear in a URL.',
  })
}

/** An authority for many tenants admits every organization, so the settings have to name the tenants. */
function reportTenants(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  const nameOf = (member: ManyTenantsMember) => declarations[member].name
  const problems = findTenantProblems(values, (member) => texts.has(nameOf(member)), nameOf)
  for (const { member, ...problem } of problems) {
    const name = nameOf(member)
    // The value of a setting with a fault is unknown.
    if (!report.has(name)) report.refuse(name, problem)
  }
}

/**
 * A front end's tenants narrow those of the providers for many tenants; another one would have no effect, but look as
 * if it had.
 */
function reportTenantsOfFrontEnds(values: MaybeValues, texts: SetTexts, report: SettingsReport): void {
  const { tenantId, providers, frontEnds = [] } = values
  const isForMany = tenantId !== undefined && authoritiesForMany.includes(tenantId)
  const own = isForMany ? manyTenantsOf(values) : undefined
  // The tenants in a setting with a fault are unknown.
  if ((isForMany && !own) || (texts.has(declarations.providers.name) && !providers)) return
  const all = [own, ...(providers?.others ?? []).map(({ provider }) => provider.manyTenants)].filter((one) => !!one)
  // Beside a provider for many, people of a primary provider of one tenant are limited too.
  const isAllowed = (id: string) =>
    (all.length > 0 && id === tenantId) ||
    all.some(({ allowed, allowPersonalAccounts }) =>
      id === personalTenantId
        ? allowPersonalAccounts
        : allowed === 'signed-up' || allowed.some((one) => one.tenantId === id),
    )
  frontEnds.forEach((frontEnd, index) => {
    for (const [at, id] of (frontEnd.tenants ?? []).entries()) {
      if (isAllowed(id)) continue
      report.refuse(`${declarations.frontEnds.name}[${index}].tenants[${at}]`, {
        problem: `is not a tenant of ${declarations.tenants.name}`,
        fix: `Add the tenant there, or to an entry of ${declarations.providers.name}; or remove it here.`,
      })
    }
  })
}

/** A response names its provider by the issuer, and a front end by the id: both name one provider. */
function reportProviders(values: MaybeValues, report: SettingsReport): void {
  const { providers, frontEnds = [], instance, tenantId, authority } = values
  const others = providers?.others ?? []
  const refuse = (id: string, member: string, refusal: Refusal) =>
    report.refuse(`${declarations.providers.name}[${providers?.ids.indexOf(id) ?? 0}].${member}`, refusal)
  const primary = providers?.primary?.id ?? primaryId
  for (const { id, provider } of others) {
    const { identity } = provider
    const isPrimary =
      'tenantId' in identity
        ? identity.instance === instance && identity.tenantId === tenantId
        : identity.authority === authority
    if (isPrimary)
      refuse(id, 'tenantId' in identity ? 'tenantId' : 'authority', {
        problem: 'is the primary provider too',
        fix: 'Delete one of the two.',
      })
    if (id === primary) {
      refuse(id, 'id', { problem: 'is the id of the primary provider', fix: 'Write another id.' })
    }
  }
  const known = [primary, ...others.map(({ id }) => id)]
  // A list with a problem is reported by itself, and its ids are unknown.
  if (report.problems.some(({ setting }) => setting.startsWith(declarations.providers.name))) return
  for (const [index, { providers: taken = [] }] of frontEnds.entries()) {
    for (const [at, id] of taken.entries()) {
      if (known.includes(id)) continue
      report.refuse(`${declarations.frontEnds.name}[${index}].providers[${at}]`, {
        problem: 'is the id of no provider',
        fix: `Write ${known.join(', ')}, or add the provider to ${declarations.providers.name}.`,
      })
    }
  }
}

function reportMetadataUrl({ metadataUrl, authority, providerKind }: MaybeValues, report: SettingsReport): void {
  if (metadataUrl === undefined) return
  const refusal =
    providerKind === 'adfs'
      ? { problem: 'is not for AD FS, whose metadata is at the issuer', fix: 'Delete it.' }
      : authority && checkMetadataPlace(metadataUrl, authority)
  if (refusal) report.refuse(declarations.metadataUrl.name, refusal)
}
