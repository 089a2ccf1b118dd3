import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { clockAhead } from '../setup/clock.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, runRoll, signIn, until, usedThumbprint, versionsAt } = rolling
const landed = 'http://localhost:3000/'
const day = 86_400_000

let stack: Stack
beforeAll(async () => {
  stack = await rolling.startRollingStack()
  await runRoll(stack.brokers[0]!)
})
beforeEach(() => stack.graph.resetRequests())
afterAll(() => stack.close())

const broker = () => stack.brokers[0]!
const steps = () => rolling.logged(stack, 'certificate step').map(({ step, code }) => `${String(step)} ${String(code)}`)

async function isAccepted(version: string, at = broker()): Promise<void> {
  await until(
    async () => {
      await runRoll(at)
      return (await versionsAt(at))[version]
    },
    (seen) => seen?.status === 'accepted' && seen.signs,
    25,
  )
}

it('a Graph that never answers times out: the old version signs, no person waits, and a later attempt completes the roll', async () => {
  const old = usedThumbprint(stack)
  stack.graph.faults.add({ operation: 'addKey', hang: true, times: 1 })
  const next = await stack.vault.renewCertificate(certificateName)
  const going = runRoll(broker())
  const requested = () => stack.graph.requests.some(({ operation }) => operation === 'addKey')
  await until(requested, (is) => is)

  // While the roll waits in this step:
  const done = await Promise.all([signIn(stack), signIn(stack)])
  expect(stack.graph.requests.filter(({ status }) => status !== undefined)).toEqual([])
  expect(done.map(({ location }) => location)).toEqual([landed, landed])
  expect(usedThumbprint(stack)).not.toBe(next.x5tS256)
  expect(old).not.toBe(next.x5tS256)

  expect(await going).toBe(202)
  await isAccepted(next.version)
  expect(steps()).toContain('register: failed provider_unavailable')
  expect(rolling.keysAtApplication(stack).filter(({ der }) => der.equals(next.der))).toHaveLength(1)
})

it('a version that is rejected after its acceptance is replaced in the same request, and signs again as soon as it is accepted', async () => {
  const newest = stack.vault.publicCertificates(certificateName).at(-1)!
  await isAccepted(newest.version)
  await until(
    async () => {
      await signIn(stack)
      return usedThumbprint(stack)
    },
    (thumbprint) => thumbprint === newest.x5tS256,
  )
  stack.identityProvider.nextTokenError({ error: 'invalid_client', error_codes: [700027] })
  stack.identityProvider.resetRequests()

  expect((await signIn(stack)).location).toBe(landed)

  const requested = stack.identityProvider.requests.filter(({ grantType }) => grantType === 'authorization_code')
  expect(requested.map(({ status }) => status)).toEqual([400, 200])
  expect(usedThumbprint(stack)).not.toBe(newest.x5tS256)
  await isAccepted(newest.version)
})

describe('the newest version', () => {
  it('that is not yet valid waits, and the one before it signs', async () => {
    const later = await stack.vault.renewCertificate(certificateName, { notBefore: new Date(Date.now() + day) })
    await runRoll(broker())

    expect((await signIn(stack)).location).toBe(landed)
    expect(usedThumbprint(stack)).not.toBe(later.x5tS256)
    const seen = await until(
      async () => (await versionsAt(broker()))[later.version],
      (version) => version !== undefined,
    )
    expect(seen).toMatchObject({ status: 'new', signs: false })
    expect(stack.graph.requests.filter(({ operation }) => operation === 'addKey')).toEqual([])
    stack.vault.setCertificateEnabled(certificateName, later.version, false)
  })

  it('that has no dates is reported by name, and the one before it signs', async () => {
    const undated = await stack.vault.renewCertificate(certificateName, { notBefore: null, expires: null })
    await runRoll(broker())

    expect((await signIn(stack)).location).toBe(landed)
    expect(usedThumbprint(stack)).not.toBe(undated.x5tS256)
    expect(rolling.logged(stack, 'certificate without dates')).toMatchObject([
      { certificateVersion: undated.version, code: 'certificate_without_dates' },
    ])
    stack.vault.setCertificateEnabled(certificateName, undated.version, false)
  })
})

it.each([
  ['ahead', 295],
  ['behind', -295],
])('an instance whose clock is nearly five minutes %s rolls and signs people in', async (_where, seconds) => {
  const off = await stack.startInstance({ ...clockAhead(seconds), ...rolling.quickly })
  // The vault's clock is right: for a clock that is behind, a new version is not yet valid.
  const notBefore = new Date(Date.now() - 10 * 60_000)
  const next = await stack.vault.renewCertificate(certificateName, { notBefore })

  await isAccepted(next.version, off)

  expect(stack.graph.requests.map(({ operation, status }) => `${operation ?? ''} ${status ?? ''}`)).toContain(
    'addKey 200',
  )
  expect((await signIn(stack, off.url)).location).toBe(landed)
})
