/** The configuration with which oidc-provider behaves like Microsoft Entra ID. */
import { errors, interactionPolicy } from 'oidc-provider'
import type { ClientMetadata, Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { requestedContexts } from './authentication-contexts.ts'
import { parseCertificate } from './client-assertion.ts'
import type { Federation, RegisteredCertificate } from './client-assertion.ts'
import { EntraError } from './entra-error.ts'
import type { GrantStore } from './grant-store.ts'
import { errorPage, signedOutPage, signOutPage } from './pages.ts'
import { loginHint, pairwiseSubject, sessionId } from './people.ts'
import type { Directory, Person } from './people.ts'
import type { EndpointPaths } from './provider-request.ts'
import { allScopes, resolveScopes, splitScope } from './scopes.ts'
import type { Api } from './scopes.ts'
import { showPage } from './show-page.ts'
import type { SigningKeys } from './signing-keys.ts'

/** An application registered at the provider. */
export interface RegisteredClient {
  readonly clientId: string
  readonly name?: string
  readonly redirectUris: Current<string>
  readonly postLogoutRedirectUris?: Current<string>
  readonly certificates: Current<RegisteredCertificate>
  /** Tokens of other issuers that are accepted as its client assertions. */
  readonly federated?: Federation
  /**
   * Its assertions are checked by RFC 7523 alone. Entra accepts no such application: for the bench, whose other
   * libraries can neither name the certificate nor use the token endpoint as the audience.
   */
  readonly plainAssertions?: boolean
}

/** A list, or a function that returns it: called at each use, so that a roll or a port known later needs no restart. */
type Current<T> = readonly T[] | (() => readonly T[] | Promise<readonly T[]>)

/** Settings that a test may change while the provider runs. */
export interface ProviderSettings {
  /** 3600 at first, as in Entra. */
  accessTokenSeconds: number
  idTokenSeconds: number
  refreshTokenSeconds: number
  codeSeconds: number
  /** Entra issues a new refresh token and still accepts the old one; a strict provider ends the family at reuse. */
  singleUseRefreshTokens: boolean
  /** Entra accepts a repeated `jti`; a strict provider refuses it. */
  refuseRepeatedJti: boolean
  /** Sends `iss` in the response and announces it in the metadata, which Entra does not. RFC 9207. */
  announceIssuer: boolean
  /** `enableIdTokenIssuance` of the applications: ID tokens of the authorization endpoint, for the hybrid flow. */
  idTokenIssuance: boolean
  /** The accepted audience of a client assertion. */
  assertionAudience: 'token-endpoint' | 'issuer'
  /** The lifetime of an access token for an application with the capability `cp1`; 0 where it has none of its own. */
  continuousAccessSeconds: number
}

export interface Surroundings {
  readonly origin: string
  /** The provider's own tenant. */
  readonly tenantId: string
  /** The first part of the paths: the tenant's id, or `organizations` or `common`. */
  readonly authority: string
  readonly isForMany: boolean
  readonly paths: ProviderPaths
  readonly keys: SigningKeys
  readonly directory: Directory
  readonly apis: readonly Api[]
  readonly store: GrantStore
  readonly settings: ProviderSettings
  readonly cookieKeys: readonly string[]
}

interface ProviderPaths extends EndpointPaths {
  readonly adminConsent: string
}

/** @returns the tenant that issues a person's tokens */
export function tenantOf(person: Person | undefined, { tenantId }: Pick<Surroundings, 'tenantId'>): string {
  return person?.tenantId ?? tenantId
}

/** Entra's own paths. */
export function providerPaths(authority: string): ProviderPaths {
  return {
    authorize: `/${authority}/oauth2/v2.0/authorize`,
    token: `/${authority}/oauth2/v2.0/token`,
    logout: `/${authority}/oauth2/v2.0/logout`,
    keys: `/${authority}/discovery/v2.0/keys`,
    discovery: `/${authority}/v2.0/.well-known/openid-configuration`,
    signIn: `/${authority}/login/`,
    adminConsent: `/${authority}/v2.0/adminconsent`,
  }
}

export async function currentRedirectUris({ redirectUris }: RegisteredClient): Promise<readonly string[]> {
  return current(redirectUris)
}

export async function currentCertificates({ certificates }: RegisteredClient) {
  return (await current(certificates)).map(parseCertificate)
}

async function current<T>(list: Current<T> = []): Promise<readonly T[]> {
  return typeof list === 'function' ? list() : list
}

/** The application as oidc-provider knows it; its keys are those of the certificates registered right now. */
export async function clientMetadata(
  client: RegisteredClient,
  { idTokenIssuance }: Pick<ProviderSettings, 'idTokenIssuance'>,
  keys: SigningKeys,
): Promise<ClientMetadata> {
  const byThumbprint = new Map((await currentCertificates(client)).map((found) => [found.fingerprint256, found]))
  return {
    client_id: client.clientId,
    client_name: client.name ?? client.clientId,
    redirect_uris: [...(await current(client.redirectUris))],
    post_logout_redirect_uris: [...(await current(client.postLogoutRedirectUris))],
    grant_types: ['authorization_code', 'refresh_token', ...(idTokenIssuance ? ['implicit'] : [])],
    response_types: ['code', ...(idTokenIssuance ? (['code id_token'] as const) : [])],
    subject_type: 'pairwise',
    token_endpoint_auth_method: 'private_key_jwt',
    // The redirect URIs may have several hosts; the subject is made from the client id, so none is needed.
    // The provider's own key signs in place of a federated token, which oidc-provider would not accept.
    jwks: {
      keys: [...[...byThumbprint.values()], ...(client.federated ? keys.all : [])].map(({ publicKey }) =>
        publicKey.export({ format: 'jwk' }),
      ),
    },
  }
}

export function providerConfiguration(around: Surroundings): Configuration {
  const { paths, keys, directory, apis, store, settings } = around

  return {
    adapter: store.adapter,
    jwks: keys.privateJwkSet(),
    routes: { authorization: paths.authorize, token: paths.token, end_session: paths.logout, jwks: paths.keys },
    cookies: {
      keys: [...around.cookieKeys],
      names: { session: 'ESTSAUTH', interaction: 'ESTSWCTX', resume: 'ESTSRESUME' },
      long: { httpOnly: true, sameSite: 'lax' },
      short: { httpOnly: true, sameSite: 'lax' },
    },
    responseTypes: ['code', 'code id_token'],
    subjectTypes: ['pairwise'],
    pairwiseIdentifier: (_ctx, accountId, client) =>
      pairwiseSubject(tenantOf(directory.findEnabled(accountId), around), client.clientId, accountId),
    clientAuthMethods: ['private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['PS256', 'RS256'], idTokenSigningAlgValues: ['RS256'] },
    pkce: { required: () => true },
    // Of client assertions, as Entra allows it; what is older or newer was refused before.
    clockTolerance: 300,
    scopes: allScopes(apis),
    claims: {
      openid: [
        'sub',
        'tid',
        'oid',
        'sid',
        'ver',
        'nbf',
        'login_hint',
        'idp',
        'amr',
        'acrs',
        'roles',
        'groups',
        'wids',
        'acct',
        'upn',
      ],
      profile: ['name', 'preferred_username', 'given_name', 'family_name'],
      email: ['email'],
      auth_time: null,
    },
    conformIdTokenClaims: false,
    extraParams: {
      claims: (ctx, value) => checkClaims(ctx, value),
      // Named last, so that it sees what the others have passed: Entra checks scopes before it shows a page.
      client_info: (ctx) => checkScopes(ctx, apis),
      domain_hint: null,
      // Of `claims`; the interaction keeps parameters.
      auth_contexts: null,
    },
    findAccount: (ctx, id, token) => {
      const person = directory.findEnabled(id)
      // An ID token of the authorization endpoint has no token behind it, but the browser's session.
      const session = ctx.oidc.session?.uid
      const { sessionUid = session, grantId } = (token ?? {}) as { sessionUid?: string; grantId?: string }
      const acrs = store.contextsOf(grantId)
      const claims = () => ({
        sub: id,
        ...personClaims(person as Person, tenantOf(person, around), sessionUid),
        ...person?.claims,
        ...groupClaims(person?.groups),
        ...(acrs.length > 0 ? { acrs } : {}),
      })
      return person && { accountId: id, claims }
    },
    // Consent is part of signing in: the request is granted, by a grant of each sign-in's own, so that what
    // ends one sign-in (a code sent twice) ends no other.
    loadExistingGrant: async (ctx) => {
      const { account, client, provider, params } = ctx.oidc
      if (!account || !client) return undefined
      const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId })
      grant.addOIDCScope((params?.['scope'] as string | undefined) ?? '')
      const id = await grant.save()
      const contexts = (params?.['auth_contexts'] as string | undefined)?.split(' ') ?? []
      if (hasSecondFactor(ctx)) store.noteContexts(id, contexts)
      return grant
    },
    interactions: { policy: policy(directory), url: (_ctx, { uid }) => `${paths.signIn}${uid}` },
    expiresWithSession: () => false,
    issueRefreshToken: (_ctx, _client, source) => source.scopes.has('offline_access'),
    rotateRefreshToken: true,
    clientBasedCORS: () => false,
    ttl: {
      AccessToken: () => settings.accessTokenSeconds,
      AuthorizationCode: () => settings.codeSeconds,
      IdToken: () => settings.idTokenSeconds,
      RefreshToken: () => settings.refreshTokenSeconds,
      Grant: () => 90 * 24 * 3600,
      Interaction: 3600,
      Session: 24 * 3600,
    },
    renderError: (ctx, out) => showPage(ctx, errorPage(out.error_description ?? out.error)),
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      resourceIndicators: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => showPage(ctx, signOutPage(form)),
        postLogoutSuccessSource: (ctx) => showPage(ctx, signedOutPage()),
      },
    },
  }
}

/** The claims of a person, as Entra's v2 tokens carry them. */
export function personClaims(person: Person, tenantId: string, sessionUid: string | undefined) {
  const { homeTenantId } = person
  return {
    tid: tenantId,
    oid: person.objectId,
    sid: sessionUid === undefined ? undefined : sessionId(sessionUid),
    ver: '2.0',
    nbf: Math.floor(Date.now() / 1000),
    login_hint: loginHint(person),
    ...(homeTenantId === undefined ? {} : { idp: `https://sts.windows.net/${homeTenantId}/` }),
    acct: homeTenantId === undefined ? 0 : 1,
    name: person.name,
    preferred_username: person.username,
    email: person.username,
  }
}

/** Up to 200 groups; beyond them, the place of the list in place of the list. */
function groupClaims(groups: readonly string[] | undefined) {
  if (groups === undefined || groups.length <= 200) return { groups }
  const endpoint = 'https://graph.microsoft.com/v1.0/users/me/getMemberObjects'
  return { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } }
}

function hasSecondFactor({ oidc: { session } }: KoaContextWithOIDC): boolean {
  const { amr } = (session ?? {}) as { amr?: readonly string[] }
  return amr?.includes('mfa') ?? false
}

function policy(directory: Directory) {
  const { Check, Prompt, base } = interactionPolicy
  const prompts = base()
  const login = prompts.get('login')
  const consent = prompts.get('consent')

  // Signed in as one person, requested for another: Entra shows its page instead of a response about the first.
  login?.checks.add(
    new Check('hint_of_another', 'The hint names another person.', ({ oidc }) => {
      const hinted = directory.findByHint(oidc.params?.['login_hint'] as string | undefined)
      return hinted !== undefined && oidc.session?.accountId !== undefined && hinted.objectId !== oidc.session.accountId
    }),
  )
  login?.checks.add(
    new Check('account_gone', 'The account was disabled.', ({ oidc }) => {
      return oidc.session?.accountId !== undefined && oidc.account === undefined
    }),
  )
  login?.checks.add(
    new Check('second_factor', 'The authentication context requires a second factor.', (ctx) => {
      const { params, session } = ctx.oidc
      return params?.['auth_contexts'] !== undefined && session?.accountId !== undefined && !hasSecondFactor(ctx)
    }),
  )
  for (const reason of ['native_client_prompt', 'op_scopes_missing', 'op_claims_missing', 'rs_scopes_missing']) {
    consent?.checks.remove(reason)
  }
  prompts.add(new Prompt({ name: 'select_account', requestable: true }), 0)
  return prompts
}

function checkClaims(ctx: KoaContextWithOIDC, value: string | undefined): void {
  if (value === undefined) return
  const params = ctx.oidc.params as Record<string, unknown>
  try {
    const parsed: unknown = JSON.parse(value)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) {
      // oidc-provider would require consent to each claim that is named.
      params['claims'] = undefined
      const contexts = requestedContexts(value)
      params['auth_contexts'] = contexts.length > 0 ? contexts.join(' ') : undefined
      return
    }
  } catch {
    // Named below.
  }
  throw redirectable(new EntraError('claims_malformed'))
}

function checkScopes(ctx: KoaContextWithOIDC, apis: readonly Api[]): void {
  const sent = (ctx.method === 'POST' ? ctx.oidc.body : ctx.query) as Record<string, unknown>
  const requested = splitScope(typeof sent['scope'] === 'string' ? sent['scope'] : undefined)
  try {
    resolveScopes(requested, apis)
  } catch (error) {
    throw error instanceof EntraError ? redirectable(error) : error
  }
  // oidc-provider drops offline_access unless the person consents each time; Entra grants it.
  const params = ctx.oidc.params as Record<string, unknown>
  params['scope'] = requested.join(' ')
}

/** An error that goes back to the application: client and redirect URI have been checked where these are thrown. */
function redirectable({ kind, message }: EntraError): Error {
  return new errors.CustomOIDCProviderError(kind.error, message)
}
