/**
 * The same client for a front end on another site than the broker: authorization code with PKCE, OpenID Connect, rotating
 * refresh tokens. RFC 6749, 7636, 9207; OpenID Connect Core; OAuth 2.0 for Browser-Based Applications §8.3 (tokens in memory).
 *
 * A refresh token has one owner: the tab that received it. Other tabs request access tokens from that tab, and a tab that is
 * about to go hands its refresh token to one of them, by name. So no two tabs ever hold the same refresh token, and none is
 * used twice. Importing this module has no effect. Tokens are in memory only.
 */
import { BrokerError } from './broker-error.ts'
import type { Problem } from './broker-error.ts'
import type { Client, Person, Reason, SignInOptions, State, Status } from './client.ts'
import { abortable, addParameters, challengeOf, ignore, leave, request } from './page.ts'

export { BrokerError } from './broker-error.ts'
export type { ErrorCode } from './broker-error.ts'
export type { Person, Reason, SignInOptions, State, Status } from './client.ts'

/** The person, read from the ID token. */
export interface OAuthSession extends Person {
  readonly email?: string
  /** All claims of the ID token. The double of `testing` has none. */
  readonly claims?: Readonly<Record<string, unknown>>
}

export interface OAuthClientOptions {
  /** The broker's address, which is its issuer: `https://contoso-login.azurewebsites.net`. */
  readonly broker: string
  readonly clientId: string
  /** A registered redirect URI, at which the same script runs. */
  readonly redirectUri: string
  /** Scopes by the name of their API. `signIn` signs in for the first one. */
  readonly apis?: Readonly<Record<string, string>>
  /** The OpenID scopes. Default: `openid profile`. */
  readonly scope?: string
}

export interface OAuthSignInOptions extends Omit<SignInOptions, 'prompt'> {
  /** `none` comes back at once with or without a person, and never shows a page; the registration must permit it. */
  readonly prompt?: SignInOptions['prompt'] | 'none'
  /** The API to sign in for. Default: the first one. */
  readonly api?: string
}

/** Differs from a session client in one point: `getToken` has no `scope`, since a grant has the scopes of its sign-in. */
export interface OAuthClient extends Omit<Client<OAuthSession, OAuthSignInOptions>, 'getToken'> {
  readonly getToken: (api: string, options?: { signal?: AbortSignal }) => Promise<string>
}

/** The answer of `POST /token`, and the time until which its access token is used. */
interface Tokens {
  readonly access_token: string
  readonly expires_in: number
  readonly id_token: string
  readonly refresh_token?: string
  readonly until: number
}

/** A grant that this tab owns. */
interface Grant {
  tokens: Tokens
  renewal?: Promise<string> | undefined
  /** Releases the lock by which other tabs see that this tab has the grant. */
  readonly release: () => void
}

interface BegunSignIn {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly returnUrl: string
  readonly api: string
}

/** Messages between tabs. `to` and `from` are names of tabs. */
type Message =
  /** A tab without a grant requests the state, or an access token of an API. */
  | { readonly type: 'ask'; readonly from: string; readonly api: string; readonly claims?: string | undefined }
  /** A tab without a grant depends on the tab that sent its state. */
  | { readonly type: 'hi'; readonly from: string }
  | { readonly type: 'bye'; readonly from: string }
  | { readonly type: 'state'; readonly session: OAuthSession; readonly hint: string }
  | { readonly type: 'lend'; readonly to: string; readonly api: string; readonly lent: Lent }
  /** The refresh token changes its owner. */
  | { readonly type: 'give'; readonly to: string; readonly api: string; readonly tokens: Tokens }
  /** The grant of the tabs that borrow has ended; or the person signed out, which ends every grant. */
  | { readonly type: 'end'; readonly byPerson: boolean; readonly hint?: string | undefined }

type Lent = Pick<Tokens, 'access_token' | 'until'> | { readonly status: number; readonly problem: Problem }

/** The most automatic sign-ins that follow each other; each must keep the page signed in for ten seconds to be forgotten. */
const mostAutomatic = 3
const settledAfter = 10_000
const answerWithin = 10_000

export function createOAuthClient(options: OAuthClientOptions): OAuthClient {
  const { clientId, redirectUri, apis = {}, scope: openid = 'openid profile' } = options
  const base = options.broker.replace(/\/+$/, '')
  const name = `broker ${base} ${clientId}`
  const me = random()
  const mainApi = Object.keys(apis)[0] ?? ''
  const listeners = new Set<(state: State<OAuthSession>) => void>()
  const grants = new Map<string, Grant>()
  const borrowed = new Map<string, Promise<Lent>>()
  const waiting = new Map<string, (lent: Lent) => void>()
  /** Tabs that live on this tab's grants. */
  const borrowers = new Set<string>()
  const stop = new AbortController()
  let state: State<OAuthSession> = { status: 'loading', session: undefined, error: undefined, reason: 'start' }
  let channel: BroadcastChannel | undefined
  let starting: Promise<void> | undefined
  /** The newest ID token, own or of the tab that lends. */
  let hint: string | undefined

  const set = (status: Status, session: OAuthSession | undefined, reason: Reason, error?: BrokerError) => {
    state = { status, session, error, reason }
    for (const listener of [...listeners]) listener(state)
  }
  const post = (message: Message) => channel?.postMessage(message)
  const call = <T>(path: string, fields: object, init?: RequestInit): Promise<T> => {
    const body = new URLSearchParams({ client_id: clientId })
    addParameters(body, fields)
    return request<T & { readonly error_description?: string }>(base + path, { method: 'POST', body, ...init })
  }

  /** @throws {BrokerError} `id_token_refused` */
  const checkIdToken = (idToken: string, nonce?: string) => {
    // The ID token comes from the token endpoint by TLS, which replaces the check of its signature (Core §3.1.3.7).
    // exp is not compared: an answer to a request of this moment is new, and the clock of the device may be wrong by hours.
    const { iss, aud, sub, nonce: answered } = claimsOf(idToken)
    const isValid =
      iss === base &&
      aud === clientId &&
      // A renewal has no nonce, but the person of before (Core §12.2).
      (nonce === undefined ? sub === state.session?.subject : answered === nonce)
    if (!isValid) throw failure('id_token_refused', 'The ID token failed verification.')
  }

  /** Makes the tokens a grant of this tab. */
  const keep = async (api: string, tokens: Tokens, reason: Reason) => {
    const claims = claimsOf(tokens.id_token) as Record<string, string>
    const { sub: subject = '', oid, tid, name: display, preferred_username: username, email } = claims
    hint = tokens.id_token
    if (subject !== state.session?.subject) drop('')
    const grant = grants.get(api)
    if (grant) grant.tokens = tokens
    else
      await new Promise<void>((locked) => {
        const hold = () =>
          new Promise<void>((release) => {
            grants.set(api, { tokens, release })
            locked()
          })
        navigator.locks.request(`${name} ${api}`, { mode: 'shared' }, hold).catch(ignore)
      })
    const session = { subject, object_id: oid, tenant_id: tid, name: display, username, email, claims } as OAuthSession
    set('signed-in', session, reason)
    postState()
  }
  const postState = () => {
    if (state.session && hint !== undefined) post({ type: 'state', session: state.session, hint })
  }

  /**
   * Forgets this tab's grants.
   *
   * @param except with it, ends them at the broker too, but not the one of this ID token: `/end-session` ends it, and finds the
   *   hint for the provider in it
   */
  const drop = (except?: string) => {
    for (const { tokens, release } of grants.values()) {
      release()
      if (except !== undefined && tokens.id_token !== except) revoke(tokens)
    }
    grants.clear()
    borrowed.clear()
  }
  const revoke = ({ refresh_token: token }: Tokens) => {
    if (token !== undefined) call('/revoke', { token }, { keepalive: true }).catch(ignore)
  }

  /** @param claims the challenge with which the API rejected the last token */
  const renew = async (api: string, grant: Grant, claims?: string): Promise<string> => {
    while (claims && grant.renewal) await grant.renewal.catch(ignore)
    return (grant.renewal ??= (async () => {
      const { refresh_token: refreshToken } = grant.tokens
      const send = () => call<Tokens>('/token', { grantType: 'refresh_token', refreshToken, claims })
      try {
        // An answer that never came is requested once more, which the broker accepts within 30 seconds.
        const tokens = await send().catch((error: unknown) => {
          if ((error as BrokerError).status) throw error
          return send()
        })
        // The person signed out in the meantime.
        if (grants.get(api) !== grant) {
          revoke(tokens)
          throw failure('signed_out', 'The session is over.')
        }
        checkIdToken(tokens.id_token)
        await keep(api, withTime(tokens), 'checked')
        return tokens.access_token
      } catch (thrown) {
        const error = thrown as BrokerError
        if (grants.get(api) === grant) {
          if (error.code === 'grant_invalid' || error.code === 'signed_out') {
            drop('')
            set('signed-out', undefined, 'checked')
            post({ type: 'end', byPerson: false })
            throw failure('signed_out', 'The session is over.')
          }
          if (!error.status || error.status > 499) set('degraded', state.session, 'unreachable', error)
        }
        throw withApi(error, api)
      } finally {
        grant.renewal = undefined
      }
    })())
  }

  const withApi = (error: BrokerError, api: string): BrokerError => {
    if (error.signInUrl === undefined) return error
    const url = new URL(error.signInUrl)
    url.searchParams.set('api', api)
    return Object.assign(error, { signInUrl: url.href })
  }

  const ownToken = async (api: string, grant: Grant, claims?: string): Promise<string> => {
    const { access_token, refresh_token } = grant.tokens
    if (refresh_token !== undefined && (claims || !isFresh(grant.tokens))) return renew(api, grant, claims)
    if (claims) throw missing(api, claims)
    return access_token
  }
  const missing = (api: string, claims?: string): BrokerError => {
    const url = new URL(`${base}/login`)
    addParameters(url.searchParams, { api, claims })
    const problem = { code: 'interaction_required', title: `Sign in for ${api}.`, sign_in_url: url.href }
    return new BrokerError(0, problem)
  }

  /** @returns whether another tab has a grant, of this API where one is named */
  const isLent = async (api?: string): Promise<boolean> => {
    const { held = [] } = await navigator.locks.query()
    return held.some((lock) => (api === undefined ? lock.name?.startsWith(`${name} `) : lock.name === `${name} ${api}`))
  }

  /** Requests an access token, or with `''` the state, from the tab that has the grant. */
  const borrow = (api: string, claims?: string): Promise<Lent> => {
    const request = new Promise<Lent>((resolve) => {
      waiting.set(api, resolve)
      const problem = { code: 'unreachable', title: 'The tab that signed in does not answer.' }
      setTimeout(() => resolve({ status: 0, problem }), answerWithin)
      post({ type: 'ask', from: me, api, claims })
    })
    borrowed.set(api, request)
    return request
  }

  const getToken = async (api: string, claims?: string): Promise<string> => {
    await start()
    const grant = grants.get(api)
    if (grant) return ownToken(api, grant, claims)
    let lent = await borrowed.get(api)
    if (claims || !lent || !('until' in lent) || !isFresh(lent)) {
      borrowed.delete(api)
      if (await isLent(api)) lent = await (borrowed.get(api) ?? borrow(api, claims))
      else if (grants.size === 0 && !(await isLent())) set('signed-out', undefined, 'checked')
      else lent = undefined
    }
    if (!state.session) throw failure('signed_out', 'There is no session.')
    if (lent && 'until' in lent) return lent.access_token
    throw lent ? withApi(new BrokerError(lent.status, lent.problem), api) : missing(api)
  }

  const onMessage = ({ data }: MessageEvent<Message>) => {
    if ('to' in data && data.to !== me) return
    if (data.type === 'ask') {
      const { from, api, claims } = data
      const grant = api && grants.get(api)
      if (grant)
        void ownToken(api, grant, claims)
          .then(
            (access_token): Lent => ({ access_token, until: grant.tokens.until }),
            (error: unknown): Lent => {
              const { status, code, message: title, signInUrl: sign_in_url } = error as BrokerError
              return { status, problem: { code, title, sign_in_url } }
            },
          )
          .then((lent) => post({ type: 'lend', to: from, api, lent }))
      else if (grants.size > 0) postState()
    } else if (data.type === 'hi') borrowers.add(data.from)
    else if (data.type === 'lend') waiting.get(data.api)?.(data.lent)
    else if (data.type === 'give') {
      if (grants.has(data.api)) revoke(data.tokens)
      else keep(data.api, data.tokens, 'other-tab').catch(ignore)
    } else if (data.type === 'bye') borrowers.delete(data.from)
    else if (data.type === 'end') {
      if (!data.byPerson && grants.size > 0) return
      drop(data.hint ?? '')
      set('signed-out', undefined, 'other-tab')
    } else if (grants.size === 0) {
      hint = data.hint
      if (data.session.subject !== state.session?.subject) borrowed.clear()
      set('signed-in', data.session, 'other-tab')
      post({ type: 'hi', from: me })
      waiting.get('')?.({ access_token: '', until: 0 })
    }
  }

  /** Reads the answer in the page's address. @returns false where there is none */
  const takeAnswer = async (): Promise<boolean> => {
    const { href } = location
    const { searchParams: answer } = new URL(href)
    const given = answer.get('state')
    if (!given || !answer.has('iss') || href.split('?')[0] !== redirectUri.split('?')[0]) return false
    const begun = JSON.parse(sessionStorage.getItem(name) ?? '{}') as
      BegunSignIn | Partial<Record<keyof BegunSignIn, undefined>>
    // Before anything is sent: neither a reload nor a copy of the tab redeems the code again.
    sessionStorage.removeItem(name)
    history.replaceState(history.state, '', begun.state === given ? begun.returnUrl : redirectUri)
    if (begun.state !== given) throw failure('state_mismatch', 'The answer belongs to another sign-in.')
    if (answer.get('iss') !== base) throw failure('issuer_mismatch', 'The answer came from another issuer.')
    const error = answer.get('error')
    if (error !== null) throw failure(error, answer.get('error_description') ?? '')
    const fields = {
      grantType: 'authorization_code',
      code: answer.get('code'),
      redirectUri,
      codeVerifier: begun.verifier,
    }
    const tokens = await call<Tokens>('/token', fields)
    checkIdToken(tokens.id_token, begun.nonce)
    await keep(begun.api, withTime(tokens), 'start')
    setTimeout(() => mark('', 0), settledAfter)
    return true
  }

  const begin = async () => {
    channel = new BroadcastChannel(name)
    channel.onmessage = onMessage
    const { signal } = stop
    for (const event of ['pageshow', 'online', 'visibilitychange']) addEventListener(event, recheck, { signal })
    addEventListener('pagehide', handOver, { signal })
    try {
      if (await takeAnswer()) return
    } catch (thrown) {
      const error = thrown as BrokerError
      mark('', mostAutomatic)
      set('signed-out', undefined, 'start', error.code === 'login_required' ? undefined : error)
      return
    }
    await find()
  }
  /** Finds out from another tab who is signed in. */
  const find = async () => {
    const found = (await isLent()) && (await borrow(''))
    if (!found || 'status' in found) set('signed-out', undefined, 'start')
  }
  const start = () => (starting ??= begin())

  const handOver = () => {
    const to = [...borrowers].pop()
    post({ type: 'bye', from: me })
    for (const [api, { tokens, renewal, release }] of grants) {
      // A refresh token that is under way may be used up already.
      if (to === undefined || renewal) continue
      grants.delete(api)
      post({ type: 'give', to, api, tokens })
      release()
    }
  }

  const check = async (): Promise<OAuthSession | undefined> => {
    await start()
    const [api = mainApi] = grants.keys()
    if (state.session && api)
      await getToken(api).then(
        () => state.session && state.status === 'degraded' && set('signed-in', state.session, 'checked'),
        ignore,
      )
    return state.session
  }
  const recheck = ({ persisted }: Event & Partial<PageTransitionEvent>) => {
    if (persisted && grants.size === 0) find().catch(ignore)
    else if (state.session && document.visibilityState === 'visible') check().catch(ignore)
  }

  const signIn = async (
    { error, api, returnUrl = location.href, scope, ...hints }: OAuthSignInOptions = {},
    subject = '',
    most = mostAutomatic,
  ): Promise<never> => {
    if (!navigator.userActivation.isActive && !mark(subject, most, true))
      throw failure('sign_in_loop', 'Sign in by a click.')
    const url = new URL(error?.signInUrl ?? `${base}/login`)
    const { searchParams } = url
    const wanted = api ?? searchParams.get('api') ?? mainApi
    searchParams.delete('api')
    const [sent, nonce, verifier] = [random(), random(), random()]
    const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))
    addParameters(searchParams, {
      clientId,
      redirectUri,
      responseType: 'code',
      scope: `${openid} ${scope ?? apis[wanted] ?? ''}`.trim(),
      state: sent,
      nonce,
      codeChallenge: encode(new Uint8Array(hash)),
      codeChallengeMethod: 'S256',
      ...hints,
    })
    // replaceState refuses another origin: before the person leaves, not after.
    const back = new URL(returnUrl, location.href)
    if (back.origin !== location.origin) throw new TypeError('returnUrl is on another origin.')
    sessionStorage.setItem(
      name,
      JSON.stringify({ state: sent, nonce, verifier, returnUrl: back.href, api: wanted } satisfies BegunSignIn),
    )
    return leave(url)
  }

  return {
    getState: () => state,
    subscribe: (listener) => {
      listeners.add(listener)
      start().catch(ignore)
      return () => void listeners.delete(listener)
    },
    getSession: ({ signal } = {}) => abortable(check(), signal),
    getToken: (api, { signal } = {}) => abortable(getToken(api), signal),
    fetch: async (api, input, init) => {
      const request = new Request(input, init)
      const send = async (claims?: string) => {
        request.headers.set('authorization', `Bearer ${await abortable(getToken(api, claims), request.signal)}`)
        return fetch(request.clone())
      }
      let response = await send()
      const claims = challengeOf(response)
      if (claims)
        response = await send(claims).catch((thrown: unknown) => {
          const error = thrown as BrokerError
          if (error.signInUrl === undefined) throw error
          return signIn({ error }, api, 1)
        })
      if (response.ok) mark(api, 0)
      return response
    },
    signIn: (options) => signIn(options),
    signOut: async ({ returnUrl } = {}) => {
      await start()
      const url = new URL(`${base}/end-session`)
      addParameters(url.searchParams, { clientId, idTokenHint: hint, postLogoutRedirectUri: returnUrl })
      post({ type: 'end', byPerson: true, hint })
      drop(hint ?? '')
      set('signed-out', undefined, 'signed-out-here')
      return leave(url)
    },
    close: () => {
      handOver()
      drop()
      channel?.close()
      stop.abort()
    },
  }

  /**
   * Counts automatic sign-ins of this tab; 0 forgets them.
   *
   * @returns false where there were `most` already, or where the browser has no storage to count them
   */
  function mark(subject: string, most: number, isOneMore = false): boolean {
    const key = `${name} ${subject}`
    try {
      const count = Number(sessionStorage.getItem(key))
      if (isOneMore && count >= most) return false
      sessionStorage.setItem(key, String(isOneMore ? count + 1 : most))
      return true
    } catch {
      return false
    }
  }
}

function failure(code: string, title: string): BrokerError {
  return new BrokerError(0, { code, title })
}

/** 256 bits, as PKCE recommends for the verifier (RFC 7636 §7.1). */
function random(): string {
  return encode(crypto.getRandomValues(new Uint8Array(32)))
}

function encode(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}

function claimsOf(idToken: string): Record<string, unknown> {
  const payload = atob((idToken.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'))
  const bytes = Uint8Array.from(payload, (character) => character.charCodeAt(0))
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>
}

function withTime(tokens: Tokens): Tokens {
  // A token is not used in its last minute.
  return { ...tokens, until: Date.now() + (tokens.expires_in - 60) * 1000 }
}

function isFresh({ until }: Pick<Tokens, 'until'>): boolean {
  return Date.now() < until
}
