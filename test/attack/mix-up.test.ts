/** Mix-up attacks with an honest and a hostile provider at one broker. RFC 9700 §4.4, RFC 9207. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { besideProviders } from '../setup/beside-providers.ts'
import { clientId } from '../setup/mock-provider.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import type { Person } from '../setup/person.ts'
import { expectPage } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const shop: Registration = {
  id: 'shop',
  origins: ['http://localhost:3000'],
  providers: ['primary', 'honest', 'hostile'],
  apis: [],
}
const beside = besideProviders({ honest: {}, hostile: {} })
let stack: Stack
let honest: MockProvider
let hostile: MockProvider
beforeAll(async () => {
  stack = await startStack({ frontEnds: [shop], provider: beside.start })
  honest = beside.get('honest')
  hostile = beside.get('hostile')
})
beforeEach(() => {
  honest.reset()
  hostile.reset()
  stack.identityProvider.resetRequests()
})
afterAll(() => stack.close())

const returnUrl = 'http://localhost:3000/orders'
const page = { id: 'shop', origin: 'http://localhost:3000' }
const begin = async (person: Person, provider: string) => {
  const reply = await person.begin({ frontend: 'shop', return_url: returnUrl, provider })
  return { url: reply.location!, state: new URL(reply.location!).searchParams.get('state')! }
}
const uriOf = (provider: string) => `${stack.url}/callback${provider === 'primary' ? '' : `/${provider}`}`
const redeemedAt = (provider: MockProvider) => provider.asked('token')
/** The response that arrives at the redirect URI of a provider, with these fields. */
const arrive = (person: Person, at: string, fields: Readonly<Record<string, string>>) =>
  person.callback({ mode: 'redirect', url: uriOf(at), fields })

/** Expects that the sign-in is over, that no provider received a code, and that no session began. */
async function expectMixUp(person: Person, reply: Awaited<ReturnType<typeof arrive>>): Promise<void> {
  expectPage(reply, 'issuer_mismatch')
  expect([redeemedAt(honest), redeemedAt(hostile)]).toEqual([0, 0])
  expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])
  expect((await person.script(page, '/session')).status).toBe(401)
}

describe('a hostile provider', () => {
  it('that forwards the browser to the honest one receives no code: the response arrives at the other redirect URI', async () => {
    const person = stack.person()
    const { url, state } = await begin(person, 'hostile')
    // It answers the authorization request by a redirect to the honest provider, with the state of its own request.
    const forwarded = new URL((await begin(stack.person(), 'honest')).url)
    for (const name of ['state', 'nonce', 'code_challenge']) {
      forwarded.searchParams.set(name, new URL(url).searchParams.get(name)!)
    }
    const answer = await person.atProvider(forwarded.href)
    expect(answer.fields.state).toBe(state)

    await expectMixUp(person, await person.callback(answer))
  })

  it('cannot receive its answer at its own redirect URI, since each provider has a registration of its own', async () => {
    const requested = new URL((await begin(stack.person(), 'honest')).url).searchParams.get('redirect_uri')

    expect(requested).toBe(uriOf('honest'))
    expect(new URL((await begin(stack.person(), 'hostile')).url).searchParams.get('redirect_uri')).toBe(
      uriOf('hostile'),
    )
    expect(new URL((await begin(stack.person(), 'primary')).url).searchParams.get('redirect_uri')).toBe(
      uriOf('primary'),
    )
  })

  it.each([
    ['hostile', 'honest'],
    ['honest', 'hostile'],
    ['hostile', 'primary'],
    ['primary', 'hostile'],
    ['honest', 'nowhere'],
    ['honest', 'Honest'],
  ])(
    'whose sign-in began at %s is refused at the redirect URI of %s, with a code and with an error',
    async (began, at) => {
      for (const answer of [{ code: 'a-code' }, { error: 'access_denied' }]) {
        const person = stack.person()
        const { state } = await begin(person, began)
        const fields = { state, ...answer }
        const reply =
          began === 'primary'
            ? await person.callback({ mode: 'form_post', url: uriOf(at), fields })
            : await arrive(person, at, fields)
        await expectMixUp(person, reply)
      }
    },
  )

  it.each(['wrong', 'of the honest provider', 'with a slash', 'empty'])(
    'is refused with an iss that is %s, at its own redirect URI',
    async (kind) => {
      const iss = {
        wrong: 'https://elsewhere.example',
        'of the honest provider': honest.issuer,
        'with a slash': `${hostile.issuer}/`,
        empty: '',
      }[kind]!
      const person = stack.person()
      const { state } = await begin(person, 'hostile')

      const reply = await arrive(person, 'hostile', { state, code: 'a-code', iss })

      if (kind === 'empty') expectPage(reply, 'answer_invalid')
      else await expectMixUp(person, reply)
    },
  )

  it('is refused without iss where its metadata announced it, and accepted with it', async () => {
    hostile.behaviour.metadata = { authorization_response_iss_parameter_supported: true }
    const at = (await stack.startInstance()).url
    const person = stack.person()
    const query = { frontend: 'shop', return_url: returnUrl, provider: 'hostile' }

    const answer = await person.atProvider((await person.begin(query, { at })).location!)
    expectPage(await person.callback(answer, { at }), 'issuer_mismatch')
    expect(redeemedAt(hostile)).toBe(0)

    hostile.behaviour.answer = { iss: hostile.issuer }
    expect((await person.signIn(query, undefined, { at })).location).toBe(returnUrl)
  })

  it('receives only its own code, never one of another sign-in in the same browser', async () => {
    const person = stack.person()
    const [atHonest, atHostile] = [await begin(person, 'honest'), await begin(person, 'hostile')]
    const answer = await person.atProvider(atHonest.url)

    // The hostile provider swaps the states of two pending sign-ins.
    expectPage(await arrive(person, 'honest', { ...answer.fields, state: atHostile.state }), 'issuer_mismatch')
    expect(redeemedAt(hostile)).toBe(0)
    expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it.each([
    ['the honest provider as the issuer', () => ({ iss: honest.issuer })],
    ['another audience', () => ({ aud: 'another-party' })],
  ])('is refused with an ID token that names %s', async (_, claims) => {
    hostile.behaviour.person = { sub: 'mallory', ...claims() }

    expectPage(await stack.person().signIn({ frontend: 'shop', provider: 'hostile' }), 'id_token_refused')

    hostile.behaviour.person = { sub: 'mallory' }
    expect((await stack.person().signIn({ frontend: 'shop', provider: 'hostile' })).status).toBe(303)
  })

  it('that names the endpoints of the honest one in its metadata gains neither its assertion nor its people', async () => {
    const { issuer } = honest
    const browser = `http://127.0.0.1:${new URL(issuer).port}${new URL(issuer).pathname}`
    hostile.behaviour.metadata = {
      authorization_endpoint: `${browser}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
    }
    const at = (await stack.startInstance()).url

    const reply = await stack.person().signIn({ frontend: 'shop', provider: 'hostile' }, undefined, { at })

    // The audience of the assertion is the issuer of the settings, so the honest provider refuses it.
    expectPage(reply, 'client_refused')
    expect(honest.requests.filter(({ endpoint, assertion }) => endpoint === 'token' && assertion)).toEqual([])
  })

  it('cannot use an assertion that it received at the honest provider', async () => {
    await stack.person().signIn({ frontend: 'shop', provider: 'hostile' })
    const received = hostile.requests.findLast(({ endpoint }) => endpoint === 'token')!.parameters

    const token = `${honest.issuer.replace('https://localhost', 'http://127.0.0.1')}/token`
    const replayed = await fetch(token, { method: 'POST', body: new URLSearchParams(received) })

    expect(await replayed.json()).toEqual({ error: 'invalid_client' })
    expect(received.client_id).toBe(clientId)
  })
})
