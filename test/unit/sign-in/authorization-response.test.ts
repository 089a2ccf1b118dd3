import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { checkAnswer, parseCallback, takeCode } from '../../../shared/sign-in/authorization-response.ts'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { defined } from '../../../shared/json/json.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import type { CallbackAnswer } from '../../../shared/sign-in/authorization-response.ts'
import type { CheckedCode } from '../../../shared/provider/token-endpoint.ts'
import type { CurrentTransaction } from '../../../shared/sign-in/transaction.ts'
import { startSessionParts } from '../session/parts.ts'
import type { SessionParts } from '../session/parts.ts'
import { anyText } from '../../setup/arbitrary-text.ts'

const issuer = 'https://login.example.com/tenant/v2.0'

function transaction(more: Partial<CurrentTransaction> = {}): CurrentTransaction {
  return {
    state: randomBytes(32).toString('base64url'),
    nonce: 'n',
    codeVerifier: 'v',
    issuer,
    issuerInAnswers: true,
    clientId: 'c',
    frontEndId: 'shop',
    returnUrl: 'https://shop.example.com/',
    responseMode: 'form_post',
    scopes: ['openid'],
    replaces: undefined,
    begunAt: Date.now(),
    ...more,
  } as CurrentTransaction
}

const answer: CallbackAnswer = {
  state: 's',
  code: 'a code',
  idToken: undefined,
  hasAccessToken: false,
  issuer,
  error: undefined,
  subError: undefined,
  errorDescription: undefined,
  errorUri: undefined,
  responseMode: 'form_post',
}

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'none'
  } catch (error) {
    return error instanceof BrokerError ? error.code : String(error)
  }
}

describe('the fields of an answer', () => {
  it('are read where each occurs once', () => {
    const fields = { state: 's', code: 'c', iss: issuer, error: 'e', error_subcode: 'u', session_state: 'x' }

    expect(parseCallback(new URLSearchParams(fields), 'query')).toEqual({
      state: 's',
      code: 'c',
      idToken: undefined,
      hasAccessToken: false,
      issuer,
      error: 'e',
      subError: 'u',
      responseMode: 'query',
    })
  })

  it('count as absent where they have no value (RFC 6749 §3.1)', () => {
    const empty = { state: 's', code: 'c', error: '', error_subcode: '', id_token: '', access_token: '' }

    expect(parseCallback(new URLSearchParams(empty), 'query')).toMatchObject({ state: 's', code: 'c' })
    expect(parseCallback(new URLSearchParams(empty), 'query')).toEqual(
      parseCallback(new URLSearchParams({ state: 's', code: 'c' }), 'query'),
    )
    expect(codeOf(() => parseCallback(new URLSearchParams({ state: '', code: 'c' }), 'query'))).toBe('sign_in_unknown')
    expect(codeOf(() => parseCallback(new URLSearchParams({ state: 's', code: 'c', iss: '' }), 'query'))).toBe(
      'answer_invalid',
    )
  })

  it('are refused by code or read as visible ASCII of a bounded length, for any input', () => {
    const name = fc.constantFrom('state', 'code', 'iss', 'error', 'error_subcode', 'error_description')
    const text = fc.oneof(fc.string(), anyText(), fc.string({ minLength: 100, maxLength: 200 }))
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text), { maxLength: 8 }), (pairs) => {
        const fields = new URLSearchParams(pairs)
        let parsed: CallbackAnswer
        try {
          parsed = parseCallback(fields, 'form_post')
        } catch (error) {
          expect(error).toBeInstanceOf(BrokerError)
          expect((error as BrokerError).status).toBe(400)
          return
        }
        expect(new Set(pairs.map(([one]) => one)).size).toBe(pairs.length)
        for (const value of [parsed.state, parsed.code, parsed.issuer, parsed.error, parsed.subError]) {
          if (value !== undefined) expect(value).toMatch(/^[\x20-\x7e]+$/)
        }
        expect(parsed.state.length).toBeLessThanOrEqual(128)
      }),
      { numRuns: 500 },
    )
  })
})

describe('the texts of an error', () => {
  const read = (more: Readonly<Record<string, string>>) =>
    parseCallback(new URLSearchParams({ state: 's', error: 'access_denied', ...more }), 'query')

  it('may hold any characters, and never make the answer fail', () => {
    expect(read({ error_description: 'Zugriff verweigert – ä\r\n' }).errorDescription).toContain('verweigert')
    expect(read({ error_description: 'x'.repeat(5000), error_uri: 'y'.repeat(5000) })).toMatchObject({
      error: 'access_denied',
      errorDescription: undefined,
      errorUri: undefined,
    })
  })
})

describe('an answer is checked', () => {
  const profile = openIdProfile({ authority: issuer })
  const expected = transaction()
  const check = (more: Partial<CallbackAnswer>, of = expected) =>
    codeOf(() => checkAnswer({ ...answer, ...more }, of, profile))

  it('and its code is returned', () => {
    expect(checkAnswer(answer, expected, profile)).toBe('a code')
  })

  it('for its issuer, then its error, then its response mode, then its code: the first fault is reported', () => {
    const wrong = {
      responseMode: 'query',
      issuer: 'https://evil.example/',
      error: 'access_denied',
      code: undefined,
    } as const

    expect(check(wrong)).toBe('issuer_mismatch')
    expect(check({ ...wrong, issuer })).toBe('sign_in_cancelled')
    expect(check({ ...wrong, issuer, responseMode: 'form_post' })).toBe('sign_in_cancelled')
    expect(check({ responseMode: 'query' })).toBe('answer_invalid')
    expect(check({ code: undefined })).toBe('answer_invalid')
    expect(check({ error: 'access_denied' })).toBe('sign_in_cancelled')
  })

  it('for the redirect URI at which it came, which names the provider', () => {
    const atOther = transaction({ provider: 'partner' })

    expect(check({ provider: 'partner' }, atOther)).toBe('none')
    for (const provider of [undefined, 'other', 'Partner', '']) {
      expect(check({ ...defined({ provider }) }, atOther), provider).toBe('issuer_mismatch')
    }
    expect(check({ provider: 'partner' })).toBe('issuer_mismatch')
    // Before the error, which another provider may have written.
    expect(check({ provider: 'partner', error: 'access_denied' })).toBe('issuer_mismatch')
  })

  it('for its issuer by plain comparison; a missing one is refused only where the metadata announced it', () => {
    const quiet = transaction({ issuerInAnswers: false })

    expect(check({ issuer: undefined })).toBe('issuer_mismatch')
    expect(check({ issuer: undefined }, quiet)).toBe('none')
    expect(check({ issuer }, quiet)).toBe('none')
    for (const other of [`${issuer}/`, issuer.toUpperCase(), issuer.replace('/v2.0', '/v2.0?'), '', 'null']) {
      expect(check({ issuer: other }), other).toBe('issuer_mismatch')
      expect(check({ issuer: other }, quiet), other).toBe('issuer_mismatch')
    }
  })

  it('for its issuer in the hybrid flow too, where an announced one may be in the ID token alone', () => {
    const hybrid = transaction({ responseType: 'code id_token' })

    expect(check({ issuer: undefined }, hybrid)).toBe('none')
    expect(check({ issuer: 'https://evil.example/' }, hybrid)).toBe('issuer_mismatch')
    // An error has no ID token.
    expect(check({ issuer: undefined, error: 'access_denied' }, hybrid)).toBe('issuer_mismatch')
    expect(check({ error: 'access_denied' }, hybrid)).toBe('sign_in_cancelled')
  })

  it('and reports a provider’s sign-in page that was open for too long as such', () => {
    const error = 'temporarily_unavailable'

    expect(check({ error, errorDescription: 'authentication_expired' })).toBe('sign_in_expired')
    expect(check({ error, errorDescription: 'down for maintenance' })).toBe('provider_unavailable')
    expect(check({ error })).toBe('provider_unavailable')
    expect(check({ error: 'access_denied', errorDescription: 'authentication_expired' })).toBe('sign_in_cancelled')
  })

  it.each<[string, Partial<CallbackAnswer>, string]>([
    ['the person declined', { errorUri: 'https://login.example/error?code=65004' }, 'sign_in_cancelled'],
    ['the person is not assigned', { errorUri: 'https://login.example/error?code=50105' }, 'provider_refused'],
    ['an administrator has to consent', { errorUri: 'https://login.example/error?code=90094' }, 'provider_refused'],
    ['the redirect URI is wrong', { errorUri: 'https://login.example/error?code=50011' }, 'app_registration_invalid'],
    ['the application is unknown', { errorUri: 'https://login.example/error?code=700016' }, 'client_refused'],
    ['the service is down', { errorUri: 'https://login.example/error?code=90033' }, 'provider_unavailable'],
    [
      'the person has to select an account, after prompt=none',
      { error: 'interaction_required', errorUri: 'https://login.example/error?code=16000' },
      'login_required',
    ],
    ['the number is unknown', { errorUri: 'https://login.example/error?code=99999999' }, 'provider_refused'],
    ['a policy of the tenant forbids it', { errorUri: 'https://login.example/error?code=530021' }, 'provider_refused'],
    [
      'the person cancelled',
      { errorUri: 'https://login.example/?code=99999999', subError: 'cancel' },
      'sign_in_cancelled',
    ],
    ['the number is in the text', { errorDescription: 'AADSTS50105: …' }, 'sign_in_cancelled'],
    ['the link has no number', { errorUri: 'https://login.example/?code=50105x' }, 'sign_in_cancelled'],
  ])('and reported by its cause where it carries a known number: %s', (_, more, code) => {
    const entra = entraProfile({ instance: 'https://login.example/', tenantId: 't' })

    expect(codeOf(() => checkAnswer({ ...answer, error: 'access_denied', ...more }, expected, entra))).toBe(code)
    // The texts are ignored until state and issuer agree, and for another provider.
    expect(check({ ...more, error: 'access_denied' })).toBe('sign_in_cancelled')
  })

  it('and is no cancelled sign-in where a policy of B2C has no password reset', () => {
    const described = (errorDescription: string) => check({ error: 'access_denied', errorDescription })

    expect(described('AADB2C90118: The user has forgotten their password.')).toBe('provider_refused')
    expect(described('AADB2C90091: The user has cancelled entering self-asserted information.')).toBe(
      'sign_in_cancelled',
    )
  })

  it('and an error of the provider never shows its text', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.option(fc.string(), { nil: undefined }), (error, subError) => {
        try {
          checkAnswer({ ...answer, error, subError }, expected, profile)
          expect.unreachable()
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(BrokerError)
          const { detail = '', members } = thrown as BrokerError
          expect(members).toEqual({})
          expect(detail).toMatch(/^(another error|[a-z]+_[a-z]+|)$/)
        }
      }),
    )
  })
})

describe('a state', () => {
  let parts: SessionParts
  beforeAll(async () => {
    parts = await startSessionParts()
  })
  afterAll(() => parts.close())

  it('is accepted for one of ten requests at the same time, on two instances, and for none afterwards', async () => {
    const { connect } = await parts.newTables()
    const stores = [connect(), connect()]
    const expected = transaction()
    const take = (store = stores[0]!) => takeCode('a code' as CheckedCode, expected, { store, lifetimeSeconds: 300 })

    const taken = await Promise.all(Array.from({ length: 10 }, (_, i) => take(stores[i % 2])))

    expect(taken.filter((one) => one !== undefined)).toEqual(['a code'])
    expect(await take()).toBeUndefined()
    expect(await takeCode('another' as CheckedCode, transaction(), { store: stores[0]!, lifetimeSeconds: 300 })).toBe(
      'another',
    )
  })

  it('is accepted for the request that used it although the store’s answer was lost', async () => {
    const { connect, network } = await parts.newTables()
    const store = connect()
    await takeCode('first' as CheckedCode, transaction(), { store, lifetimeSeconds: 300 })
    network.addFault({ table: 'states', operation: 'insert', times: 1, loseAnswer: true })

    expect(await takeCode('a code' as CheckedCode, transaction(), { store, lifetimeSeconds: 300 })).toBe('a code')
  })

  it('leaves a row without content, for twice the life of its cookie', async () => {
    const { connect } = await parts.newTables()
    const store = connect()
    const expected = transaction({ begunAt: Date.UTC(2026, 10, 5, 12) })
    await takeCode('a code' as CheckedCode, expected, { store, lifetimeSeconds: 300 })

    const at = (time: string) => store.listSweepable('states', new Date(time), 10)
    expect(await at('2026-11-05T12:09:59Z')).toEqual([])
    const [row] = await at('2026-11-05T12:10:01Z')
    expect(row?.row).toMatch(/^[\w-]{43}$/)
    expect(JSON.stringify(row)).not.toContain(expected.state)
    const found = row && (await store.find('states', row))
    expect(found?.values).toEqual({})
  })
})
