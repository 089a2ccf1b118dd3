import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { certificateName, logged, quickly, rollUntil, runRoll, until, versionsAt } from '../certificate/rolling.ts'
import { mockProvider } from '../setup/mock-provider.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import { expectPage } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const mock = mockProvider()
let stack: Stack
let provider: MockProvider
beforeAll(async () => {
  stack = await startStack({ provider: mock.start, settings: quickly })
  provider = mock.get()
})
beforeEach(() => provider.reset())
afterAll(() => stack.close())

const broker = () => stack.brokers[0]!
const returnUrl = 'http://localhost:3000/'
const signIn = () => stack.person().signIn({ frontend: 'shop', return_url: returnUrl })
const newest = () => stack.vault.publicCertificates(certificateName).at(-1)!
const usedKeys = () => provider.requests.flatMap(({ assertion }) => (assertion ? [assertion.header.kid] : []))

describe('a certificate at another provider', () => {
  it('is tried with a code that cannot exist, since the provider may issue no tokens to the application', async () => {
    await runRoll(broker())

    expect(Object.values(await versionsAt(broker()))).toMatchObject([{ status: 'accepted', signs: true }])
    const requested = provider.requests.filter(({ endpoint }) => endpoint === 'token')
    expect(new Set(requested.map(({ parameters }) => parameters.grant_type))).toEqual(new Set(['authorization_code']))
    expect(stack.graph.requests).toEqual([])
  })

  it('that is renewed is published before it signs, and signs once the provider accepts it', async () => {
    expect((await signIn()).location).toBe(returnUrl)
    const next = await stack.vault.renewCertificate(certificateName)

    await rollUntil(
      broker(),
      () => versionsAt(broker()),
      (versions) => versions[next.version]?.status === 'accepted',
    )

    provider.resetRequests()
    await until(
      async () => {
        expect((await signIn()).location).toBe(returnUrl)
        return usedKeys().at(-1)
      },
      (kid) => kid === newest().x5tS256,
    )
    const { keys } = (await stack.person().open('/.well-known/jwks.json')).json as { keys: { kid: string }[] }
    expect(keys.map(({ kid }) => kid)).toContain(newest().x5tS256)
    expect(stack.graph.requests).toEqual([])
  })

  it('is tried at once after an operator reports a registration by hand', async () => {
    const confirm = (version: string) =>
      fetch(`${stack.url}/certificate/${version}/registered`, {
        method: 'POST',
        headers: { 'x-functions-key': broker().functionKey },
      })

    const reported = await confirm(newest().version)

    expect(reported.status).toBe(202)
    expect(await reported.json()).toMatchObject({ version: newest().version, status: 'accepted' })
  })

  it('that the provider has lost is reported once, and signs again when it is back', async () => {
    provider.behaviour.forgetsClient = true
    expectPage(await signIn(), 'client_refused')
    expectPage(await signIn(), 'client_refused')
    // The page's answer is kept for some seconds.
    const ready = async () => (await stack.person().open('/health/ready')).text
    await expect.poll(ready, { timeout: 60_000, interval: 500 }).toBe('certificate')
    expect(logged(stack, 'certificate refused')).toHaveLength(1)

    provider.behaviour.forgetsClient = false
    expect((await signIn()).location).toBe(returnUrl)
    expect(stack.log()).not.toContain('registration_refused')
  })
})
