/** The age of access tokens that a session keeps, and the tokens that stay beside a renewed one. */
import { describe, expect, it } from 'vitest'
import {
  accessTokenKey,
  answersChallenge,
  challengeHash,
  isFresh,
  isValid,
  withRenewedTokens,
} from '../../../shared/session/kept-access-token.ts'
import type { AccessToken, Session } from '../../../shared/session/session-row.ts'

const minute = 60_000
const token: AccessToken = { token: 't', scope: 's', obtainedAt: 0, expires: 60 * minute }

describe('an access token', () => {
  it.each<[string, AccessToken, number, boolean, boolean]>([
    ['is fresh when it was obtained', token, 0, true, true],
    ['is fresh until five minutes before its end', token, 55 * minute, true, true],
    ['is due for renewal after that, and still served', token, 55 * minute + 1, true, false],
    ['is not served within five seconds of its end', token, 60 * minute - 5_000, false, false],
    ['of a short life is due in its last fifth', { ...token, expires: 5 * minute }, 4 * minute + 1, true, false],
    ['of a short life is fresh before that', { ...token, expires: 5 * minute }, 4 * minute, true, true],
    ['of a long life is due when its provider could report a block', { ...token, renewAfter: 10 }, 11, true, false],
  ])('%s', (_, kept, now, valid, fresh) => {
    expect([isValid(kept, now), isFresh(kept, now)]).toEqual([valid, fresh])
  })

  it('that is missing is neither valid nor fresh', () => {
    expect([isValid(undefined, 0), isFresh(undefined, 0)]).toEqual([false, false])
  })

  it('answers the challenge that it was requested with, for half a minute by either clock', () => {
    const answer = { ...token, challenge: challengeHash('{"a":1}'), obtainedAt: minute }

    expect(answersChallenge(answer, '{"a":1}', minute + 29_999)).toBe(true)
    expect(answersChallenge(answer, '{"a":1}', minute + 30_000)).toBe(false)
    expect(answersChallenge(answer, '{"a":1}', minute - 30_000)).toBe(false)
    expect(answersChallenge(answer, '{"a":2}', minute)).toBe(false)
    expect(answersChallenge(token, '{"a":1}', 0)).toBe(false)
    expect(answersChallenge(undefined, '{"a":1}', 0)).toBe(false)
  })

  it('has the same name for the same scopes in any order', () => {
    expect(accessTokenKey(['b', 'a', 'b'])).toBe(accessTokenKey(['a', 'b']))
    expect(accessTokenKey(['a'])).not.toBe(accessTokenKey(['a', 'b']))
  })
})

describe('a renewal', () => {
  const sessionWith = (count: number) =>
    ({
      owner: { identity: { claims: 'before' } },
      tokens: {
        refreshToken: 'old',
        idToken: 'id',
        accessTokens: Object.fromEntries(
          Array.from({ length: count }, (_, at) => [`api${at}`, { ...token, obtainedAt: at }]),
        ),
      },
    }) as unknown as Session
  const renewed = {
    name: 'api0',
    token: { ...token, token: 'new' },
    refreshToken: 'next',
    idToken: 'newer',
    claims: undefined,
  }

  it('replaces its own token, the refresh token and the ID token, and keeps the rest', () => {
    const { tokens, owner } = withRenewedTokens(sessionWith(2), renewed)

    expect(tokens).toMatchObject({ refreshToken: 'next', idToken: 'newer', accessTokens: { api0: { token: 'new' } } })
    expect(Object.keys(tokens.accessTokens)).toEqual(['api1', 'api0'])
    expect(owner.identity.claims).toBe('before')
  })

  it('keeps sixteen tokens at most, and drops those that were obtained first', () => {
    const { tokens } = withRenewedTokens(sessionWith(20), { ...renewed, name: 'another' })

    expect(Object.keys(tokens.accessTokens)).toHaveLength(16)
    expect(tokens.accessTokens).not.toHaveProperty('api4')
    expect(tokens.accessTokens).toHaveProperty('api5')
    expect(tokens.accessTokens).toHaveProperty('another')
  })
})
