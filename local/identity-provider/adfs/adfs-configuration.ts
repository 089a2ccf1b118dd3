/** The configuration with which oidc-provider behaves like AD FS. */
import { randomBytes } from 'node:crypto'
import { errors } from 'oidc-provider'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { errorPage, messagePage } from '../pages.ts'
import { pairwiseSubject } from '../people.ts'
import type { Api } from '../scopes.ts'
import { showPage } from '../show-page.ts'
import { AdfsError } from './adfs-error.ts'
import { paths, windowsSidOf } from './adfs-parts.ts'
import type { AdfsClient, FederationParts } from './adfs-parts.ts'
import { readAdfsScopes } from './adfs-scopes.ts'
import { signedOutPage } from './adfs-browser.ts'

/** Authentication by assertion is checked before oidc-provider receives the request. */
export function clientMetadata({ clientId, redirectUris }: AdfsClient) {
  return {
    client_id: clientId,
    redirect_uris: [...redirectUris],
    post_logout_redirect_uris: [...redirectUris],
    grant_types: ['authorization_code', 'refresh_token', 'implicit'],
    response_types: ['code' as const, 'code id_token' as const],
    subject_type: 'pairwise' as const,
    token_endpoint_auth_method: 'none' as const,
    require_auth_time: true,
  }
}

export function configurationOf(parts: FederationParts): Configuration {
  const { apis, directory, keys, store, behaviour } = parts
  let untilPasswordExpires = 5_000_000
  return {
    adapter: store.adapter,
    jwks: keys.privateJwkSet(),
    routes: { authorization: paths.authorize, token: paths.token, end_session: paths.logout, jwks: paths.keys },
    cookies: {
      keys: [randomBytes(32).toString('base64url')],
      names: { session: 'MSISAuth', interaction: 'MSISContext', resume: 'MSISResume' },
      long: { httpOnly: true, sameSite: 'lax' },
      short: { httpOnly: true, sameSite: 'lax' },
    },
    responseTypes: ['code', 'code id_token'],
    subjectTypes: ['pairwise'],
    pairwiseIdentifier: (_ctx, accountId, client) => `${pairwiseSubject('adfs', client.clientId, accountId)}=`,
    clientAuthMethods: ['none'],
    enabledJWA: { idTokenSigningAlgValues: ['RS256'] },
    pkce: { required: () => false },
    scopes: [
      'openid',
      'allatclaims',
      ...apis.flatMap(({ audience, scopes }) => scopes.map((name) => `${audience}/${name}`)),
    ],
    // The claims of the access token, by the rules of the Web API, are in the ID token with this scope.
    claims: {
      openid: ['sub', 'upn', 'unique_name', 'sid', 'pwd_exp', 'apptype', 'appid', 'authmethod', 'ver'],
      allatclaims: ['group'],
      auth_time: null,
    },
    conformIdTokenClaims: false,
    extraParams: {
      // Named, so that a request with it is read: the resource may be in the scope too.
      resource: (ctx) => checkRequest(ctx, apis),
      domain_hint: null,
    },
    findAccount: (ctx, id) => {
      const person = directory.findEnabled(id)
      return (
        person && {
          accountId: id,
          claims: () => ({
            sub: id,
            upn: person.username,
            unique_name: `CONTOSO\\${person.username.split('@')[0] ?? ''}`,
            group: person.groups?.slice(0, 10),
            // The Windows SID of the person, the same in every session.
            sid: windowsSidOf(person),
            apptype: 'Confidential',
            appid: ctx.oidc.client?.clientId,
            authmethod: 'http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/windows',
            ver: '1.0',
            // Seconds until the password expires: of another value in each token.
            pwd_exp: String(untilPasswordExpires--),
          }),
        }
      )
    },
    loadExistingGrant: async (ctx) => {
      const { account, client, provider, params } = ctx.oidc
      if (!account || !client) return undefined
      const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId })
      grant.addOIDCScope((params?.['scope'] as string | undefined) ?? '')
      await grant.save()
      return grant
    },
    interactions: { url: (_ctx, { uid }) => `${paths.signIn}${uid}` },
    expiresWithSession: () => false,
    issueRefreshToken: () => true,
    rotateRefreshToken: false,
    clientBasedCORS: () => false,
    ttl: {
      AccessToken: () => behaviour.accessTokenSeconds,
      AuthorizationCode: 600,
      IdToken: 3600,
      RefreshToken: 28_800,
      Grant: 24 * 3600,
      Interaction: 3600,
      Session: 8 * 3600,
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
        logoutSource: (ctx) => showPage(ctx, messagePage('Sign out', 'Signing out.')),
        postLogoutSuccessSource: (ctx) => showPage(ctx, signedOutPage()),
      },
    },
  }
}

function checkRequest(ctx: KoaContextWithOIDC, apis: readonly Api[]): void {
  const sent = ctx.query as Readonly<Record<string, string | undefined>>
  try {
    if (!['login', 'none', undefined].includes(sent['prompt'])) throw new AdfsError('prompt_unknown')
    readAdfsScopes(sent, apis)
  } catch (error) {
    if (error instanceof AdfsError) throw new errors.CustomOIDCProviderError(error.kind.error, error.kind.text)
    throw error
  }
}
