import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { generateKeyPair, SignJWT } from 'jose'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { send } from '../setup/client.ts'
import { mockProvider } from '../setup/mock-provider.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import { expectPage } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const mock = mockProvider()
let stack: Stack
let provider: MockProvider
const instances: HostProcess[] = []
beforeAll(async () => {
  stack = await startStack({ provider: mock.start })
  provider = mock.get()
  await warmUp(stack)
})
beforeEach(() => provider.reset())
afterEach(() => Promise.all(instances.splice(0).map((instance) => instance.close())))
afterAll(() => stack.close())

const returnUrl = 'http://localhost:3000/orders'
const query = { frontend: 'shop', return_url: returnUrl }
const coldInstance = async () => {
  const started = await stack.startInstance()
  instances.push(started)
  return started.url
}
const signIn = (at: string) => stack.person().signIn(query, undefined, { at })
const isSignedIn = async (at: string) => (await signIn(at)).location === returnUrl

describe('metadata of another provider', () => {
  it.each<[string, (issuer: string) => Readonly<Record<string, unknown>>]>([
    ['another issuer', () => ({ issuer: 'https://login.example' })],
    ['keys by http', (issuer) => ({ jwks_uri: issuer.replace('https://localhost', 'http://login.example') })],
  ])('that names %s is not used: no person is sent there, and ready is red', async (_, lie) => {
    provider.behaviour.metadata = lie(provider.issuer)
    const at = await coldInstance()

    expectPage(await stack.person().begin(query, { at }), 'provider_metadata_untrusted')
    const ready = await stack.person().open('/health/ready', { at })
    expect([ready.status, ready.text]).toEqual([503, 'provider'])

    provider.reset()
    const isRepaired = async () => (await stack.person().begin(query, { at })).status === 303
    await expect.poll(isRepaired, { timeout: 60_000, interval: 500 }).toBe(true)
    expect(await isSignedIn(at)).toBe(true)
  })

  it('that is unavailable is requested a few times, however many sign-ins there are, and used once it is there', async () => {
    provider.behaviour.down = ['metadata']
    const at = await coldInstance()
    for (let i = 0; i < 30; i++) expect((await stack.person().begin(query, { at })).status).toBe(503)

    // Each of the first tries is repeated once by the network, as a read may be.
    expect(provider.asked('metadata')).toBeLessThan(20)

    provider.behaviour.down = []
    await expect
      .poll(async () => (await stack.person().begin(query, { at })).status === 303, { timeout: 60_000, interval: 500 })
      .toBe(true)
  })
})

describe('the issuer in an answer', () => {
  /** An instance whose metadata announces the issuer in answers. */
  let announced: HostProcess
  beforeAll(async () => {
    provider.behaviour.metadata = { authorization_response_iss_parameter_supported: true }
    announced = await stack.startInstance()
    expect((await stack.person().begin(query, { at: announced.url })).status).toBe(303)
  })
  afterAll(() => announced.close())

  it.each<[string, () => string, (issuer: string) => Readonly<Record<string, string>>, boolean]>([
    ['is not required where it was not announced', () => stack.url, () => ({}), true],
    ['is compared where it is there all the same', () => stack.url, () => ({ iss: 'https://login.example' }), false],
    ['is accepted where it is right', () => stack.url, (iss) => ({ iss }), true],
    ['is missed where it was announced', () => announced.url, () => ({}), false],
    ['is compared where it was announced', () => announced.url, (iss) => ({ iss: `${iss}/` }), false],
    ['is accepted where it was announced and is right', () => announced.url, (iss) => ({ iss }), true],
  ])('%s', async (_, at, answer, isTaken) => {
    provider.behaviour.answer = answer(provider.issuer)

    const done = await signIn(at())

    if (isTaken) expect(done.location).toBe(returnUrl)
    else {
      expectPage(done, 'issuer_mismatch')
      expect(provider.asked('token')).toBe(0)
    }
  })
})

describe('the keys of another provider', () => {
  it('may change between sign-ins, to another family even, at the price of one fetch', async () => {
    expect(await isSignedIn(stack.url)).toBe(true)
    provider.resetRequests()

    await provider.rotateKeys('ES256')

    for (let i = 0; i < 3; i++) expect(await isSignedIn(stack.url)).toBe(true)
    expect(provider.asked('jwks')).toBe(1)
  })

  it('are not fetched for each made-up name, and a rotation shows behind some of those', async () => {
    const at = await coldInstance()
    expect(await isSignedIn(at)).toBe(true)
    provider.resetRequests()
    const { privateKey } = await generateKeyPair('RS256')
    const post = async (kid: string) => {
      const token = await new SignJWT({ sub: 'person-1', jti: randomUUID() })
        .setProtectedHeader({ alg: 'RS256', kid, typ: 'logout+jwt' })
        .sign(privateKey)
      return (await send('/logout/backchannel', new URLSearchParams({ logout_token: token }), { url: at })).status
    }

    for (let i = 0; i < 2; i++) expect(await post('made-up')).toBe(400)
    expect(provider.asked('jwks')).toBe(1)
    await provider.rotateKeys()
    expect(await isSignedIn(at)).toBe(true)

    for (let i = 0; i < 20; i++) expect(await post(`made-up-${i}`)).toBe(400)
    // One for the rotation, three for the made-up ids: each origin has its own budget.
    expect(provider.asked('jwks')).toBe(4)
    await provider.rotateKeys()
    expect(await isSignedIn(at)).toBe(true)
  })
})
