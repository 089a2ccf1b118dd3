import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import * as answers from '../setup/answers.ts'
import { ada, shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { expectNothingBegun, expectPage, linksOf } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const { without } = answers
const returnUrl = 'http://localhost:3000/a'

let stack: Stack
/** An instance that knows from the provider's metadata that responses carry `iss`. */
let announced: string
beforeAll(async () => {
  stack = await startStack()
  await stack.person().signIn({ frontend: 'shop', return_url: returnUrl })
  stack.identityProvider.settings.announceIssuer = true
  announced = (await stack.startInstance()).url
  await stack.person().signIn({ frontend: 'shop', return_url: returnUrl }, ada, { at: announced })
})
afterAll(() => stack.close())
beforeEach(() => {
  stack.store.resetRequests()
  stack.identityProvider.resetRequests()
})

async function almostSignedIn(at = stack.url) {
  stack.identityProvider.settings.announceIssuer = at === announced
  const { person, answer } = await answers.almostSignedIn(stack, { frontend: 'shop', return_url: returnUrl }, { at })
  return { person, answer, fields: answer.fields }
}

/** Fields as pairs, so that a field can occur twice. */
function post(person: Person, fields: readonly (readonly [string, string])[], at = stack.url): Promise<Reply> {
  return person.open('/callback', {
    method: 'POST',
    body: new URLSearchParams(fields.map(([name, value]) => [name, value])),
    headers: { 'sec-fetch-site': 'cross-site', origin: stack.identityProvider.browserUrl },
    at,
  })
}

function expectNothingTaken(): void {
  expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])
  expect(stack.store.requests.filter(({ table }) => table === 'states' || table === 'sessions')).toEqual([])
}

describe('the issuer in an answer', () => {
  it('is accepted if it is present and correct, where the provider announced it', async () => {
    const { person, answer, fields } = await almostSignedIn(announced)

    expect(fields.iss).toBe(stack.identityProvider.issuer)
    expect((await person.callback(answer, { at: announced })).location).toBe(returnUrl)
  })

  it.each([
    ['of another provider', 'https://evil.example/'],
    ['with a slash', (issuer: string) => `${issuer}/`],
    ['without its last character', (issuer: string) => issuer.slice(0, -1)],
    ['in another case', (issuer: string) => issuer.replace('https://localhost', 'HTTPS://LOCALHOST')],
    ['with a path that a URL parser reads the same way', (issuer: string) => issuer.replace('/v2.0', '/./v2.0')],
    ['that is encoded', (issuer: string) => encodeURIComponent(issuer)],
    ['of another tenant', (issuer: string) => issuer.replace('11111111', '99999999')],
  ])('%s is rejected before the code is redeemed, whether the provider announced it or not', async (_, wrong) => {
    for (const at of [announced, stack.url]) {
      const { person, fields } = await almostSignedIn(at)
      const iss = typeof wrong === 'string' ? wrong : wrong(stack.identityProvider.issuer)

      const refused = await post(person, Object.entries({ ...fields, iss }), at)

      expectPage(refused, 'issuer_mismatch')
      expectNothingTaken()
      expect(refused.text).not.toContain('evil')
    }
  })

  it('is rejected when it occurs twice', async () => {
    for (const second of [stack.identityProvider.issuer, 'https://evil.example/']) {
      const { person, answer, fields } = await almostSignedIn(announced)

      expectNothingBegun(await post(person, [...Object.entries(fields), ['iss', second]], announced), 'answer_invalid')
      expectNothingTaken()
      expect((await person.callback(answer, { at: announced })).location).toBe(returnUrl)
      stack.store.resetRequests()
      stack.identityProvider.resetRequests()
    }
  })

  it('must be present if the provider announced it', async () => {
    const { person, fields } = await almostSignedIn(announced)

    expectPage(await post(person, Object.entries(without(fields, 'iss')), announced), 'issuer_mismatch')
    expectNothingTaken()
  })

  it('is compared before an error is read, so that no other party chooses the text that a person reads', async () => {
    const { person, fields } = await almostSignedIn()
    const forged = { state: fields.state ?? '', error: 'access_denied', iss: 'https://evil.example/' }

    expectPage(await post(person, Object.entries(forged)), 'issuer_mismatch')
  })
})

describe('an answer by another response mode than the requested one', () => {
  it('is rejected in the query, and its code is not redeemed', async () => {
    const { person, fields } = await almostSignedIn()

    const refused = await person.open(`/callback?${new URLSearchParams(fields).toString()}`)

    expectPage(refused, 'answer_invalid')
    expectNothingTaken()
  })

  it('is ignored in a fragment: the page reports an unknown sign-in', async () => {
    const { person, answer } = await almostSignedIn()

    expectNothingBegun(await person.open('/callback'), 'sign_in_unknown')
    expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it('is rejected in the body and the query together', async () => {
    const { person, answer, fields } = await almostSignedIn()
    for (const query of ['?x=1', `?state=${fields.state}`, `?code=${fields.code}`, '?error=access_denied']) {
      const refused = await person.open(`/callback${query}`, { method: 'POST', body: new URLSearchParams(fields) })
      expectNothingBegun(refused, 'answer_invalid')
    }
    expectNothingTaken()
    expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it('is rejected with another content type', async () => {
    const { person, answer, fields } = await almostSignedIn()
    const form = new URLSearchParams(fields).toString()
    for (const [type, body] of [
      ['text/plain', form],
      ['application/json', JSON.stringify(fields)],
      ['multipart/form-data; boundary=a', form],
      ['application/x-www-form-urlencoded; charset=utf-16', form],
      ['application/x-www-form-urlencoded; charset=windows-1252', form],
      ['', form],
    ] as const) {
      const refused = await person.open('/callback', { method: 'POST', body, headers: { 'content-type': type } })
      expectNothingBegun(refused, 'content_type_unsupported')
    }
    expectNothingTaken()
    const type = { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' }
    expect((await person.callback(answer, { headers: type })).location).toBe(returnUrl)
  })
})

describe('the fields of an answer', () => {
  it.each(['state', 'code', 'error', 'session_state', 'unknown'])(
    '%s is rejected when it occurs twice',
    async (name) => {
      const { person, answer, fields } = await almostSignedIn()
      const once = { [name]: 'a', ...fields }

      expectNothingBegun(await post(person, [...Object.entries(once), [name, 'a']]), 'answer_invalid')
      expectNothingTaken()
      expect((await person.callback(answer)).location).toBe(returnUrl)
    },
  )

  it.each([
    ['of 64 KB', 'a'.repeat(64 * 1024), 'request_too_large'],
    ['of 16 KB and one', 'a'.repeat(16 * 1024 + 1), 'answer_invalid'],
    ['that is binary', '\u0000\u0001\u0002', 'answer_invalid'],
    ['with a line end', 'a\r\nSet-Cookie: a=b', 'answer_invalid'],
    ['of other letters', 'ä', 'answer_invalid'],
  ] as const)('a code %s is refused, and no other part is called', async (_, code, error) => {
    const { person, answer, fields } = await almostSignedIn()

    expectNothingBegun(await post(person, Object.entries({ ...fields, code })), error)
    expectNothingTaken()
    expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it('that are not text are rejected', async () => {
    const { person, answer, fields } = await almostSignedIn()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }

    const refused = await person.open('/callback', {
      method: 'POST',
      body: `state=${fields.state}&code=%ff%fe`,
      headers,
    })

    expectNothingBegun(refused, 'answer_invalid')
    expectNothingTaken()
    expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it('may hold a code of 4 KB, which the broker sends to the provider', async () => {
    const { person, fields } = await almostSignedIn()

    expectPage(await post(person, Object.entries({ ...fields, code: 'a'.repeat(4096) })), 'code_refused')
  })

  it('without a code and without an error are rejected', async () => {
    const { person, fields } = await almostSignedIn()

    expectPage(await post(person, [['state', fields.state ?? '']]), 'answer_invalid')
    expectNothingTaken()
    const other = await almostSignedIn()
    expectPage(await post(other.person, Object.entries({ ...other.fields, code: '' })), 'answer_invalid')
    expectNothingTaken()
  })

  it('may hold an ID token that was not requested, and the broker does not read it', async () => {
    const { person, fields } = await almostSignedIn()
    const claims = Buffer.from(JSON.stringify({ sub: 'mallory', preferred_username: 'mallory@evil.example' }))
    const idToken = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claims.toString('base64url')}.`

    const done = await post(person, Object.entries({ ...fields, id_token: idToken, access_token: 'evil' }))

    expect(done.location).toBe(returnUrl)
    expect((await person.script(shopPage, '/session')).json).toMatchObject({ username: ada })
  })
})

describe('an error of the provider', () => {
  it('beside a code has precedence: the code is not redeemed', async () => {
    const { person, fields } = await almostSignedIn()

    expectPage(await post(person, Object.entries({ ...fields, error: 'access_denied' })), 'sign_in_cancelled')
    expectNothingTaken()
  })

  it.each([
    ['access_denied', undefined, 'sign_in_cancelled'],
    ['access_denied', 'cancel', 'sign_in_cancelled'],
    ['access_denied', 'other', 'provider_refused'],
    ['consent_required', undefined, 'login_required'],
    ['interaction_required', undefined, 'login_required'],
    ['account_selection_required', undefined, 'login_required'],
    ['login_required', undefined, 'login_required'],
    ['invalid_request', undefined, 'app_registration_invalid'],
    ['invalid_scope', undefined, 'app_registration_invalid'],
    ['unmet_authentication_requirements', undefined, 'authentication_requirement_unmet'],
    ['temporarily_unavailable', undefined, 'provider_unavailable'],
    ['server_error', undefined, 'provider_unavailable'],
    ['<script>alert(1)</script>', undefined, 'provider_refused'],
    ['something new', undefined, 'provider_refused'],
  ] as const)('%s (%s) is reported in the broker’s own words', async (error, subError, code) => {
    const { person, fields } = await almostSignedIn()
    const words = 'AADSTS50105: <b>Call +1 555 0100</b> to <a href="https://evil.example/">verify</a>'
    const answer = {
      state: fields.state ?? '',
      error,
      ...(subError === undefined ? {} : { error_subcode: subError }),
      error_description: words,
      error_uri: 'https://evil.example/',
    }

    const refused = await post(person, Object.entries(answer))

    expectPage(refused, code)
    for (const text of [refused.text, stack.log()]) {
      expect(text).not.toMatch(/alert|evil|1 555|AADSTS50105/)
    }
    expect(linksOf(refused)).toEqual([
      `${stack.url}/login?frontend=shop&return_url=${encodeURIComponent(returnUrl)}`,
      returnUrl,
    ])
    expect(await person.cookies()).toEqual({})
    expectNothingTaken()
  })

  it('after a person pressed “Cancel” shows links back to the front end, and the next sign-in works', async () => {
    const person = stack.person()
    stack.identityProvider.settings.announceIssuer = false
    const begun = await person.begin({ frontend: 'shop', return_url: returnUrl })

    const cancelled = await person.callback(await person.atProvider(begun.location ?? '', ada, { cancelAt: 'sign-in' }))

    expectPage(cancelled, 'sign_in_cancelled')
    const again = await person.open(linksOf(cancelled)[0] ?? '')
    const done = await person.callback(await person.atProvider(again.location ?? ''))
    expect(done.location).toBe(returnUrl)
  })

  it('without the broker’s state belongs to no sign-in', async () => {
    const refused = await post(stack.person(), [
      ['error', 'access_denied'],
      ['error_description', 'evil words'],
    ])

    expectNothingBegun(refused, 'sign_in_unknown')
    expect(refused.text).not.toContain('evil')
    expectNothingTaken()
  })

  it('that repeats never redirects the browser automatically', async () => {
    const person = stack.person()
    for (let i = 0; i < 5; i++) {
      const begun = await person.begin({ frontend: 'shop', return_url: returnUrl })
      const state = new URL(begun.location ?? '').searchParams.get('state') ?? ''
      expectPage(await post(person, Object.entries({ state, error: 'server_error' })), 'provider_unavailable')
    }
  })
})

describe('the form that the provider’s site posts', () => {
  it('carries the one cookie that the browser sends with it, and is answered by 303', async () => {
    const person = stack.person()
    const begun = await person.begin({ frontend: 'shop', return_url: returnUrl })
    const done = await person.callback(await person.atProvider(begun.location ?? ''))

    expect(begun.cookies).toHaveLength(1)
    expect(begun.cookies[0]).toMatch(
      /^__Host-signin-[\w-]{8}=[\w.-]+; max-age=\d+; path=\/; secure; samesite=none; httponly$/i,
    )
    expect(done.status).toBe(303)
    const [session = '', ended = ''] = done.cookies
    expect(done.cookies).toHaveLength(2)
    expect(session).toMatch(/^__Host-session-shop=[\w-]{48}; path=\/; secure; samesite=lax; httponly$/i)
    expect(ended).toMatch(/^__Host-signin-[\w-]{8}=; max-age=0; path=\/; secure; samesite=none; httponly$/i)
    expect(ended.slice(0, 22)).toBe(begun.cookies[0]?.slice(0, 22))
  })
})
