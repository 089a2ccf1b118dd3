/**
 * The same client for a front end on another site than the broker: authorization code with PKCE, OpenID Connect,
 * rotating refresh tokens. RFC 6749, 7636, 9207; OpenID Connect Core; OAuth 2.0 for Browser-Based Applications §8.3
 * (tokens in memory).
 *
 * A refresh token has one owner: the tab that received it. Other tabs request access tokens from that tab, and a tab
 * that is about to go hands its refresh token to one of them, by name. So no two tabs ever hold the same refresh token,
 * and none is used twice. Importing this module has no effect. Tokens are in memory only.
 */
import { createFetch } from './api-call.ts'
import { checkAutomatic, count } from './automatic-sign-in.ts'
import { failure } from './broker-error.ts'
import type { BrokerError } from './broker-error.ts'
import type { Client, SignInOptions } from './client.ts'
import { beginSignIn, takeAnswer } from './oauth-code.ts'
import { grantOf } from './oauth-grant.ts'
import { checkIdToken } from './oauth-id-token.ts'
import type { OAuthSession } from './oauth-id-token.ts'
import { createTabs } from './oauth-tabs.ts'
import { abortable, addParameters, ignore, leave, request } from './page.ts'

export { BrokerError } from './broker-error.ts'
export type { ErrorCode } from './broker-error.ts'
export type { Person, Reason, SignInOptions, State, Status } from './client.ts'
export type { OAuthSession } from './oauth-id-token.ts'

export interface OAuthClientOptions {
  /** The broker's address, which is its issuer: `https://contoso-login.azurewebsites.net`. */
  readonly broker: string
  readonly clientId: string
  /** A registered redirect URI, at which the same script runs. */
  readonly redirectUri: string
  /** Scopes by the name of their API. One sign-in serves all of them; the provider signs in for the first one. */
  readonly apis?: Readonly<Record<string, string>>
  /** The OpenID scopes. Default: `openid profile`. */
  readonly scope?: string
}

export interface OAuthSignInOptions extends Omit<SignInOptions, 'prompt' | 'scope'> {
  /** `none` comes back at once with or without a person, and never shows a page; the registration must permit it. */
  readonly prompt?: SignInOptions['prompt'] | 'none'
  /** The API that the provider signs in for. Default: the first one. */
  readonly api?: string
}

/**
 * Differs from a session client in one point: `getToken` has no `scope`, since a grant has the scopes of its sign-in.
 */
export interface OAuthClient extends Omit<Client<OAuthSession, OAuthSignInOptions>, 'getToken'> {
  readonly getToken: (api: string, options?: { signal?: AbortSignal }) => Promise<string>
}

/**
 * The most automatic sign-ins that follow each other;
 * each must keep the page signed in for ten seconds to be forgotten.
 */
const mostAutomatic = 3

export function createOAuthClient(options: OAuthClientOptions): OAuthClient {
  const { clientId, redirectUri, apis = {}, scope = 'openid profile' } = options
  const base = options.broker.replace(/\/+$/, '')
  const name = `${base} ${clientId}`
  /** Of the note about a sign-in that has begun. */
  const begun = `${name} sign-in`
  const [mainApi = ''] = Object.keys(apis)
  let starting: Promise<void> | undefined

  const call = <T>(path: string, fields: object, init?: RequestInit): Promise<T> => {
    const body = new URLSearchParams({ client_id: clientId })
    addParameters(body, fields)
    return request(base + path, { method: 'POST', body, ...init })
  }
  const recheck = (event?: Event) => {
    if ((event as PageTransitionEvent | undefined)?.persisted && !tabs.own.get()) tabs.find().catch(ignore)
    else if (tabs.getState().session && !document.hidden) check().catch(ignore)
  }
  const tabs = createTabs(name, base, call, (api) => `${scope} ${apis[api]}`, recheck)

  const begin = async () => {
    try {
      // Fails in a browser that blocks the cookies of the page, and its channels with them (Firefox).
      tabs.open()
      const answer = await takeAnswer(begun, base, redirectUri, call)
      if (answer) {
        checkIdToken(answer.tokens.id_token, { iss: base, aud: clientId, nonce: answer.nonce })
        await tabs.own.keep(grantOf(answer.tokens, answer.api))
        setTimeout(count, 10_000, name, 0)
      } else await tabs.find()
    } catch (thrown) {
      count(name, mostAutomatic)
      tabs.set(
        'signed-out',
        undefined,
        undefined,
        (thrown as BrokerError).code === 'login_required' ? undefined : (thrown as BrokerError),
      )
    }
  }
  const start = () => (starting ??= begin())

  const getToken = (api: string, { signal }: { signal?: AbortSignal | null } = {}, claims?: string) => {
    const token = start().then(() => {
      if (!Object.hasOwn(apis, api)) throw failure('api_unknown')
      return tabs.getToken(api, claims)
    })
    const withApi = token.catch((error: unknown) => {
      throw Object.assign(error as BrokerError, { api })
    })
    return abortable(withApi, signal)
  }

  const check = async (): Promise<OAuthSession | undefined> => {
    await start()
    const { session } = tabs.getState()
    if (session && mainApi)
      await getToken(mainApi).then(
        () => tabs.getState().status === 'degraded' && tabs.set('signed-in', session),
        ignore,
      )
    return tabs.getState().session
  }

  const signIn = async (
    { error, api = error?.api ?? mainApi, returnUrl = location.href, ...hints }: OAuthSignInOptions = {},
    subject = '',
    most = mostAutomatic,
  ): Promise<never> => {
    checkAutomatic(name + subject, most)
    // The provider signs in for the first API; the grant covers the others too.
    const scopes = [...new Set([scope, apis[api], ...Object.values(apis)])].join(' ')
    const url = new URL(error?.signInUrl ?? `${base}/login`)
    addParameters(url.searchParams, { clientId, redirectUri, scope: scopes, ...hints })
    return beginSignIn(begun, url, returnUrl, api)
  }

  return {
    getState: tabs.getState,
    subscribe: (listener) => {
      void start()
      return tabs.subscribe(listener)
    },
    getSession: ({ signal } = {}) => abortable(check(), signal),
    getToken,
    fetch: createFetch(name, getToken, signIn),
    signIn: (options) => signIn(options),
    signOut: async ({ returnUrl } = {}) => {
      await start()
      const url = new URL(`${base}/end-session`)
      addParameters(url.searchParams, { clientId, idTokenHint: tabs.signOut(), postLogoutRedirectUri: returnUrl })
      return leave(url)
    },
    close: tabs.close,
  }
}
