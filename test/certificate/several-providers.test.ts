/**
 * One certificate at three providers: each learns a new version at its own timing, and Graph registers it at Entra ID.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { besideProviders, localBeside } from '../setup/beside-providers.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, isAtApplication, logged, rollUntil, startRollingStack, usedThumbprint } = rolling

const beside = besideProviders({ partner: {} })
const local = localBeside('staff', {}, beside)
let stack: Stack
let partner: MockProvider
beforeAll(async () => {
  const apis = [{ name: 'orders', scopes: ['api://demo/orders.read'] }]
  const shop = { id: 'shop', origins: ['http://localhost:3000'], providers: ['primary', 'staff', 'partner'], apis }
  stack = await startRollingStack({ frontEnds: [shop], provider: local.start, localProviderId: 'staff' })
  partner = beside.get('partner')
})
afterAll(() => stack.close())

const broker = () => stack.brokers[0]!
const versionsAt = (provider: string | undefined) => rolling.versionsAt(broker(), provider)
const isAccepted = (version: string) => (versions: Awaited<ReturnType<typeof versionsAt>>) =>
  versions[version]?.status === 'accepted'
const signIn = (provider: string) => stack.person().signIn({ frontend: 'shop', provider })
const usedAtPartner = () =>
  partner.requests.findLast(({ endpoint, assertion }) => endpoint === 'token' && assertion)?.assertion?.header.kid
const published = async () =>
  ((await (await fetch(`${stack.url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] }).keys.map(
    ({ kid }) => kid,
  )

describe('a certificate that is registered at three providers', () => {
  it('is followed at each: a provider without the new version delays no other one, and accepts the old version', async () => {
    await rollUntil(
      broker(),
      () => versionsAt('partner'),
      (versions) => Object.values(versions).some(({ status }) => status === 'accepted'),
    )
    expect((await signIn('partner')).status).toBe(303)
    const first = usedAtPartner()
    for (const provider of [undefined, 'staff']) {
      expect(Object.values(await versionsAt(provider))).toMatchObject([{ status: 'accepted', signs: true }])
    }

    partner.behaviour.forgetsClient = true
    const next = await stack.vault.renewCertificate(certificateName)
    await rollUntil(broker(), () => versionsAt('staff'), isAccepted(next.version))

    // Registered by Graph at Entra ID, which is beside another primary provider.
    expect(isAtApplication(stack, next)).toBe(true)
    const ownTokens = stack.identityProvider.requests.filter(({ grantType }) => grantType === 'client_credentials')
    expect(new Set(ownTokens.map(({ path }) => path))).toEqual(
      new Set([`/${stack.identityProvider.tenantId}/oauth2/v2.0/token`]),
    )
    expect((await signIn('staff')).status).toBe(303)
    const second = usedThumbprint(stack)
    expect(second).toBe(next.x5tS256)
    expect(second).not.toBe(first)
    // The other one is probed again and again.
    await rollUntil(
      broker(),
      () => versionsAt('partner'),
      (versions) => versions[next.version]?.cause === 'certificate_refused',
    )
    expect(await versionsAt('partner')).toMatchObject({ [next.version]: { status: 'unregistered', signs: false } })
    expect((await published()).sort()).toEqual([first, second].sort())
    expect((await fetch(`${stack.url}/health/ready`)).status).toBe(200)

    partner.behaviour.forgetsClient = false
    expect((await signIn('partner')).status).toBe(303)
    expect(usedAtPartner()).toBe(first)

    const { url, functionKey } = broker()
    const report = (query: string) =>
      fetch(`${url}/certificate/${next.version}/registered${query}`, {
        method: 'POST',
        headers: { 'x-functions-key': functionKey },
      })
    expect((await report('?provider=nowhere')).status).toBe(400)
    expect((await report('?provider=partner')).status).toBe(202)
    expect(logged(stack, 'certificate confirmed by an operator')).toMatchObject([
      { certificateVersion: next.version, provider: 'partner', key: expect.stringMatching(/^[0-9a-f]{8}$/) as string },
    ])
    await rollUntil(broker(), () => versionsAt('partner'), isAccepted(next.version))
    await rollUntil(
      broker(),
      async () => ((await signIn('partner')).status === 303 ? usedAtPartner() : undefined),
      (used) => used === second,
    )
    // Each step names its provider.
    const steps = logged(stack, 'certificate step')
    expect(new Set(steps.map(({ provider }) => provider))).toEqual(new Set(['primary', 'staff', 'partner']))
    expect(steps.some(({ provider, step }) => provider === 'staff' && /^register/.test(String(step)))).toBe(true)
  })
})
