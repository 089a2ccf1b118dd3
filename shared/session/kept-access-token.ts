/** An access token that a session keeps: its name, its age, and the challenge that it answers. Pure. */
import { hash } from 'node:crypto'
import type { RegisteredClaims } from '../provider/registered-claims.ts'
import type { AccessToken, Session } from './session-row.ts'

/** Pages that receive the same challenge in this time share one token for it. */
const answersChallengeMilliseconds = 30_000
/** The most tokens that one session keeps: one for each API, and a few narrower ones. */
const maxKept = 16

/** The name under which a session keeps a token: the requested scopes, sorted. */
export function accessTokenKey(scopes: readonly string[]): string {
  return [...new Set(scopes)].sort().join(' ')
}

/** @returns false within five seconds of its end: an API has to receive it in time */
export function isValid(token: AccessToken | undefined, now: number): token is AccessToken {
  return token !== undefined && now < token.expires - 5_000
}

/** @returns false near its end: in the last five minutes, or in the last fifth of a short life */
export function isFresh(token: AccessToken | undefined, now: number): token is AccessToken {
  if (!isValid(token, now)) return false
  const { expires, obtainedAt, renewAfter = Infinity } = token
  return now <= Math.min(renewAfter, expires - Math.min(300_000, (expires - obtainedAt) / 5))
}

/** @returns true where the token was requested by this challenge a moment ago: the API has rejected every other one */
export function answersChallenge(token: AccessToken | undefined, challenge: string, now: number): boolean {
  return (
    token?.challenge === challengeHash(challenge) && Math.abs(now - token.obtainedAt) < answersChallengeMilliseconds
  )
}

/** Enough to recognise a challenge; the row need not keep its text. */
export function challengeHash(challenge: string): string {
  return hash('sha256', challenge, 'base64url').slice(0, 22)
}

/** The results of a renewal. */
export interface RenewedTokens {
  /** `accessTokenKey` of the requested scopes. */
  readonly name: string
  readonly token: AccessToken
  readonly refreshToken: string
  /** For the provider's sign-out; undefined where the session keeps none. */
  readonly idToken: string | undefined
  /** undefined: those of the session stay. */
  readonly claims: RegisteredClaims | undefined
}

/**
 * @returns the session with the results of a renewal; beyond the bound, the tokens that were obtained first are dropped
 */
export function withRenewedTokens(session: Session, renewed: RenewedTokens): Session {
  const { name, token, refreshToken, idToken, claims } = renewed
  const kept = Object.entries(session.tokens.accessTokens)
    .filter(([other]) => other !== name)
    .sort(([, a], [, b]) => b.obtainedAt - a.obtainedAt)
    .slice(0, maxKept - 1)
  const accessTokens = { ...Object.fromEntries(kept), [name]: token }
  const { owner } = session
  return {
    ...session,
    owner: claims ? { ...owner, identity: { ...owner.identity, claims } } : owner,
    tokens: { ...session.tokens, refreshToken, accessTokens, idToken },
  }
}
