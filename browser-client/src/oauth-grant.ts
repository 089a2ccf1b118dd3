/**
 * The grant of this tab: a refresh token, and the access tokens of its APIs. Tabs see by a lock that a tab has a grant.
 */
import { BrokerError, failure } from './broker-error.ts'
import type { Reason } from './client.ts'
import { checkIdToken, claimsOf, sessionOf } from './oauth-id-token.ts'
import type { OAuthSession } from './oauth-id-token.ts'
import { ignore } from './page.ts'
import type { Tab } from './tab.ts'

/** The answer of `POST /token`. */
export interface Tokens {
  readonly access_token: string
  readonly expires_in: number
  readonly id_token: string
  readonly refresh_token?: string
}

export type Call = (path: string, fields: object, init?: RequestInit) => Promise<Tokens>

/** Can be sent to another tab. */
export interface Grant {
  /** The newest one. */
  readonly id_token: string
  readonly refresh_token?: string | undefined
  /** By the name of their API, with the time at which their use ends. */
  readonly kept: Readonly<Record<string, readonly [token: string, until: number]>>
}

/** @param before the grant whose refresh token the answer replaces */
export function grantOf(answer: Tokens, api: string, before?: Grant): Grant {
  const { access_token, expires_in, id_token, refresh_token } = answer
  // A token is not used in its last minute.
  const until = Date.now() + (expires_in - 60) * 1000
  return { id_token, refresh_token, kept: { ...before?.kept, [api]: [access_token, until] } }
}

export function revoke(call: Call, grant?: Grant): void {
  if (grant?.refresh_token) call('/revoke', { token: grant.refresh_token }, { keepalive: true }).catch(ignore)
}

/** The grant that this tab owns, where it owns one. */
export interface OwnGrant {
  readonly get: () => Grant | undefined
  /** Makes this tab the owner. */
  readonly keep: (grant: Grant, reason?: Reason) => Promise<void>
  /** Forgets the grant. @returns it */
  readonly drop: () => Grant | undefined
  /**
   * @param claims the challenge with which the API rejected the last token
   * @throws {BrokerError} `signed_out`, `interaction_required`, …
   */
  readonly token: (api: string, claims?: string) => Promise<string>
  /** True while the refresh token may be used up. */
  readonly isRenewing: () => boolean
}

/**
 * @param name of the lock
 * @param base the broker's address
 * @param scopeOf the scopes of an API, with those of OpenID
 */
export function createOwnGrant(
  name: string,
  base: string,
  call: Call,
  scopeOf: (api: string) => string,
  { getState, set }: Pick<Tab<OAuthSession>, 'getState' | 'set'>,
): OwnGrant {
  const renewals = new Map<string, Promise<string>>()
  let last: Promise<unknown> = Promise.resolve()
  let own: Grant | undefined
  let release = ignore

  const keep = async (grant: Grant, reason?: Reason) => {
    if (!own)
      await new Promise<void>((locked) => {
        const hold = () =>
          new Promise<void>((released) => {
            release = released
            locked()
          })
        navigator.locks.request(name, { mode: 'shared' }, hold).catch(ignore)
      })
    own = grant
    set('signed-in', sessionOf(grant.id_token), reason)
  }
  const drop = () => {
    const dropped = own
    own = undefined
    release()
    return dropped
  }

  /**
   * @throws {BrokerError} `interaction_required` without a refresh token, `id_token_refused`,
   *   and the errors of `/token`
   */
  const refresh = async ({ refresh_token: refreshToken, id_token }: Grant, api: string, claims?: string) => {
    if (!refreshToken) {
      const url = `${base}/login?claims=${encodeURIComponent(claims ?? '')}`
      throw new BrokerError({ code: 'interaction_required', sign_in_url: url })
    }
    const send = () => call('/token', { grantType: 'refresh_token', refreshToken, scope: scopeOf(api), claims })
    // An answer that never came is requested once more, which the broker accepts within 30 seconds.
    const answer = await send().catch((thrown: unknown) => {
      if ((thrown as BrokerError).status) throw thrown
      return send()
    })
    // A renewal has no nonce, but the person of before (Core §12.2).
    const { iss, aud, sub } = claimsOf(id_token)
    checkIdToken(answer.id_token, { iss, aud, sub })
    return answer
  }
  const renew = async (api: string, claims?: string): Promise<string> => {
    const before = own
    if (!before) throw failure('signed_out')
    const [token, until] = before.kept[api] ?? ['', 0]
    if (!claims && Date.now() < until) return token
    try {
      const answer = await refresh(before, api, claims)
      const grant = grantOf(answer, api, before)
      // The person signed out in the meantime.
      if (own !== before) {
        revoke(call, grant)
        throw failure('signed_out')
      }
      await keep(grant)
      return answer.access_token
    } catch (thrown) {
      const { status, code } = thrown as BrokerError
      if (own === before && code === 'grant_invalid') {
        drop()
        set('signed-out')
        throw failure('signed_out')
      }
      if (own === before && (!status || status > 499))
        set('degraded', getState().session, 'unreachable', thrown as BrokerError)
      throw thrown
    }
  }

  return {
    get: () => own,
    keep,
    drop,
    // Parallel calls share a renewal. Each renewal uses the refresh token of the one before.
    token: (api, claims) => {
      const key = `${api} ${claims}`
      let renewal = renewals.get(key)
      if (!renewal) {
        renewal = last.then(() => renew(api, claims)).finally(() => renewals.delete(key))
        renewals.set(key, renewal)
        last = renewal.catch(ignore)
      }
      return renewal
    },
    isRenewing: () => renewals.size > 0,
  }
}
