import { createPublicKey } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TokenChange } from '../../local/identity-provider/identity-provider.ts'
import * as answers from '../setup/answers.ts'
import type { Begun } from '../setup/answers.ts'
import { app, authorizationRequest, newPkce, redirectUri, signInByCode } from '../setup/client.ts'
import { ada, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { expectBegun, expectPage } from '../setup/refusals.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { trust } from '../setup/trust.ts'
import { warmUp } from '../setup/warm-up.ts'

type Fields = Readonly<Record<string, string>>

const { without } = answers
const returnUrl = 'http://localhost:3000/a'
const query = { frontend: 'shop', return_url: returnUrl }
const grace = 'grace@contoso.example'

let stack: Stack
/** Signs as the provider does. */
let sign: TokenChange['signIdToken']
beforeAll(async () => {
  stack = await startStack({ settings: { Broker__ResponseType: 'code id_token' }, frontEnds: [shop, app] })
  await warmUp(stack)
  trust(stack.cloud.ca)
  stack.identityProvider.changeTokenResponse(({ answer, signIdToken }) => {
    sign = signIdToken
    return answer
  })
  expect((await stack.person().signIn(query)).location).toBe(returnUrl)
})
afterAll(() => stack.close())
beforeEach(() => {
  stack.identityProvider.changeTokenResponse()
  stack.identityProvider.settings.idTokenIssuance = true
  stack.identityProvider.resetRequests()
  stack.store.resetRequests()
})

/** The requests until then are not counted. */
async function almostSignedIn(username = ada): Promise<Begun> {
  const begun = await answers.almostSignedIn(stack, query, { username })
  stack.identityProvider.resetRequests()
  stack.store.resetRequests()
  return begun
}
const tokenRequests = () => stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')
const isSignedIn = async (person: Person) => (await person.script(shopPage, '/session')).status === 200

/** Posts a changed response, which the broker has to refuse before it redeems the code or uses up the state. */
async function expectRefused(
  change: (fields: Fields) => Fields | Promise<Fields>,
  code: 'id_token_refused' | 'answer_invalid',
  detail: string,
): Promise<void> {
  const { person, answer } = await almostSignedIn()

  const refused = await person.callback({ ...answer, fields: await change(answer.fields) })

  expectPage(refused, code)
  expect(stack.log()).toContain(detail)
  expect(tokenRequests()).toEqual([])
  expect(stack.store.requests.filter(({ table }) => table === 'states' || table === 'sessions')).toEqual([])
  expect(await isSignedIn(person)).toBe(false)
}
const resigned = async (fields: Fields, changes: Readonly<Record<string, unknown>>, header = {}): Promise<Fields> => {
  const claims = { ...decodeJwt(fields.id_token ?? ''), ...changes }
  return { ...fields, id_token: await sign(claims, header) }
}

describe('a sign-in by the hybrid flow', () => {
  it('requests a code and an ID token by form_post, and signs in with one request to the provider and two to the store', async () => {
    const person = stack.person()
    const begun = await person.begin(query)
    expect(Object.fromEntries(expectBegun(begun))).toMatchObject({
      response_type: 'code id_token',
      response_mode: 'form_post',
      code_challenge_method: 'S256',
    })
    const answer = await person.atProvider(begun.location ?? '')
    expect(Object.keys(answer.fields)).toEqual(expect.arrayContaining(['code', 'id_token', 'state']))
    stack.identityProvider.resetRequests()
    stack.store.resetRequests()

    const done = await person.callback(answer)

    expect(done.location).toBe(returnUrl)
    expect(stack.identityProvider.requests.map(({ endpoint }) => endpoint)).toEqual(['token'])
    expect(stack.store.requests.map(({ operation }) => operation)).toEqual(['insert', 'insert'])
    expect((await person.script(shopPage, '/session')).json).toMatchObject({ name: 'Ada Lovelace' })
    expect(stack.log()).not.toContain(answer.fields.id_token)
  })

  it('accepts a token that the provider signs with the hash of the code', async () => {
    const { person, answer } = await almostSignedIn()

    const done = await person.callback({ ...answer, fields: await resigned(answer.fields, {}) })

    expect(done.location).toBe(returnUrl)
  })
})

describe('a response of the hybrid flow', () => {
  it('with the code of another sign-in is refused by c_hash', async () => {
    const { answer } = await almostSignedIn(grace)
    const { code = '' } = answer.fields

    await expectRefused((fields) => ({ ...fields, code }), 'id_token_refused', 'front channel: c_hash')
  })

  it('with the ID token of another sign-in is refused by its nonce, also with the code of that sign-in', async () => {
    const other = await almostSignedIn(grace)
    const { code = '', id_token = '' } = other.answer.fields

    await expectRefused((fields) => ({ ...fields, id_token }), 'id_token_refused', 'front channel: nonce')
    await expectRefused((fields) => ({ ...fields, id_token, code }), 'id_token_refused', 'front channel: nonce')
    expect((await other.person.callback(other.answer)).location).toBe(returnUrl)
  })

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['another client', { aud: 'another' }, 'aud'],
    ['another provider', { iss: 'https://login.example/v2.0' }, 'iss'],
    ['another tenant', { tid: '99999999-9999-4999-8999-999999999999' }, 'tid'],
    ['no code', { c_hash: undefined }, 'c_hash'],
    ['an hour ago', { exp: Math.floor(Date.now() / 1000) - 3600 }, 'exp'],
  ])('with an ID token of %s is refused', async (_, changes, check) => {
    await expectRefused((fields) => resigned(fields, changes), 'id_token_refused', `front channel: ${check}`)
  })

  it('with an unsigned ID token, or one that the public key signed as a secret, is refused', async () => {
    await expectRefused((fields) => resigned(fields, {}, { alg: 'none' }), 'id_token_refused', 'front channel: alg')

    const keys = (await (await fetch(stack.identityProvider.jwksUrl)).json()) as { keys: JsonWebKey[] }
    const pem = createPublicKey({ key: keys.keys[0]!, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
    const confused = async (fields: Fields) => ({
      ...fields,
      id_token: await sign(decodeJwt(fields.id_token ?? ''), { alg: 'HS256' }, Buffer.from(pem)),
    })
    await expectRefused(confused, 'id_token_refused', 'front channel: alg')
  })

  it('with an ID token whose signature was changed is refused', async () => {
    const changed = ({ id_token = '', ...fields }: Fields) => {
      const [header = '', payload = '', signature = ''] = id_token.split('.')
      const claims = { ...decodeJwt(id_token), sub: 'another' }
      expect(payload).not.toBe('')
      return {
        ...fields,
        id_token: [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.'),
      }
    }

    await expectRefused(changed, 'id_token_refused', 'front channel: signature')
  })

  it('without its ID token, without its code, or with an access token is refused', async () => {
    await expectRefused((fields) => without(fields, 'id_token'), 'answer_invalid', 'no id_token')
    await expectRefused((fields) => without(fields, 'code'), 'answer_invalid', 'no code')
    await expectRefused((fields) => ({ ...fields, access_token: 'a.b.c' }), 'answer_invalid', 'access_token')
  })

  it('with two ID tokens is refused', async () => {
    const { person, answer } = await almostSignedIn()
    const body = new URLSearchParams(answer.fields)
    body.append('id_token', answer.fields.id_token ?? '')

    const refused = await person.open('/callback', {
      method: 'POST',
      body,
      headers: { 'sec-fetch-site': 'cross-site', origin: stack.identityProvider.browserUrl },
    })

    expectPage(refused, 'answer_invalid')
    expect(tokenRequests()).toEqual([])
  })

  it('that is too large is refused before it is read', async () => {
    const { person, answer } = await almostSignedIn()

    expectPage(
      await person.callback({ ...answer, fields: { ...answer.fields, id_token: 'x'.repeat(66_000) } }),
      'request_too_large',
    )
    expect(tokenRequests()).toEqual([])
    expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it('in the query is refused, and one in the fragment reaches no server', async () => {
    const { person, answer } = await almostSignedIn()

    expectPage(await person.callback({ ...answer, mode: 'redirect' }), 'answer_invalid')
    expectPage(await stack.person().open('/callback'), 'sign_in_unknown')
    expect(tokenRequests()).toEqual([])
  })

  it('that comes twice redeems the code once', async () => {
    const { person, answer } = await almostSignedIn()

    expect((await person.callback(answer)).location).toBe(returnUrl)
    await person.callback(answer)

    expect(tokenRequests()).toHaveLength(1)
  })
})

describe('an OAuth client', () => {
  it('signs people in by the hybrid flow of the provider, and receives an error for a swapped code', async () => {
    expect((await signInByCode(stack.person(), stack.url)).refreshToken).not.toBe('')

    const other = await almostSignedIn(grace)
    const person = stack.person()
    const begun = await person.begin(authorizationRequest(newPkce()))
    const answer = await person.atProvider(begun.location ?? '')
    const { code = '' } = other.answer.fields
    const refused = await person.callback({ ...answer, fields: { ...answer.fields, code } })

    const back = new URL(refused.location ?? '')
    expect(`${back.origin}${back.pathname}`).toBe(redirectUri)
    expect(Object.fromEntries(back.searchParams)).toMatchObject({ error: 'server_error', state: 'state-of-the-client' })
    expect(back.searchParams.has('code')).toBe(false)
  })
})

describe('the ID token of the token endpoint', () => {
  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['sub', { sub: 'another' }],
    ['oid', { oid: 'aaaaaaaa-0002-4000-8000-000000000002' }],
    ['sid', { sid: 'another' }],
  ])('with another %s than that of the front channel signs no person in', async (name, changes) => {
    const { person, answer } = await almostSignedIn()
    stack.identityProvider.changeTokenResponse(async ({ answer: tokens, signIdToken }) => ({
      ...tokens,
      id_token: await signIdToken({ ...decodeJwt(String(tokens.id_token)), ...changes }),
    }))

    expectPage(await person.callback(answer), 'id_token_refused')

    expect(stack.log()).toContain(`front channel: ${name} differs`)
    expect(await isSignedIn(person)).toBe(false)
    expect(stack.store.requests.filter(({ table }) => table === 'sessions')).toEqual([])
  })

  it('may have other times and claims of its own', async () => {
    const { person, answer } = await almostSignedIn()
    stack.identityProvider.changeTokenResponse(async ({ answer: tokens, signIdToken }) => {
      const { iat = 0, exp = 0, ...claims } = decodeJwt(String(tokens.id_token))
      return {
        ...tokens,
        id_token: await signIdToken({ ...claims, iat: iat + 1, exp: exp + 1, uti: 'u', department: 'd' }),
      }
    })

    expect((await person.callback(answer)).location).toBe(returnUrl)
  })
})

describe('a provider', () => {
  it('that does not offer the hybrid flow receives no person', async () => {
    const response = await fetch(stack.identityProvider.discoveryUrl)
    const metadata = (await response.json()) as Readonly<Record<string, unknown>>
    stack.identityProvider.faults.add({
      endpoint: 'discovery',
      body: { ...metadata, response_types_supported: ['code'] },
    })
    const { url: at } = await stack.startInstance()

    expectPage(await stack.person().begin(query, { at }), 'provider_unsuitable')
    const ready = await stack.person().open('/health/ready', { at })
    expect([ready.status, ready.text]).toEqual([503, 'provider'])
    expect(stack.log()).toContain('response_type code id_token (Broker__ResponseType)')

    stack.identityProvider.faults.clear()
    expect((await stack.person().begin(query, { at: (await stack.startInstance()).url })).status).toBe(303)
  })

  it('whose registration of the broker forbids ID tokens is reported to the operator', async () => {
    stack.identityProvider.settings.idTokenIssuance = false
    const { person, answer } = await almostSignedIn()

    expectPage(await person.callback(answer), 'app_registration_invalid')
  })
})

describe('an instance with another response type', () => {
  it('completes a sign-in by the response type with which it began', async () => {
    const { url: at } = await stack.startInstance({ Broker__ResponseType: 'code' })
    const { person, answer } = await almostSignedIn()
    const other = stack.person()
    const begun = await other.begin(query, { at })
    expect(expectBegun(begun).get('response_type')).toBe('code')
    const plain = await other.atProvider(begun.location ?? '')

    // The transaction requires the ID token, and not the setting.
    expectPage(
      await person.callback({ ...answer, fields: without(answer.fields, 'id_token') }, { at }),
      'answer_invalid',
    )
    expect((await other.callback(plain)).location).toBe(returnUrl)
    // RFC 6749 §4.1.2: a field that was not requested is ignored.
    const third = stack.person()
    const later = await third.atProvider((await third.begin(query, { at })).location ?? '')
    expect((await third.callback({ ...later, fields: { ...later.fields, id_token: 'x' } }, { at })).location).toBe(
      returnUrl,
    )
  })
})
