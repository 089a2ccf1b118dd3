import { decodeProtectedHeader } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { localIdentity } from '../../local/managed-identity/managed-identity.ts'
import { brokerAccessPolicy } from '../../local/vault/permissions.ts'
import type { VaultFault } from '../../local/vault/vault.ts'
import { shopPage } from '../setup/person.ts'
import { openInside } from '../setup/process-probe.ts'
import type { Inside } from '../setup/process-probe.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'
import { attempt, attemptAnew, isSignedIn, toShop } from './hostile-request.ts'

let stack: Stack
/** Signs for each request, so that no assertion is ever cached. */
let empty: string
let insideEmpty: Inside
beforeAll(async () => {
  stack = await startStack()
  insideEmpty = await openInside()
  empty = (await stack.startInstance({ ...insideEmpty.settings, Broker__AssertionReuse: 'false' })).url
  // Otherwise the first fault may meet a warm-up, and the instance then pauses before it calls the vault again.
  await warmUp(stack)
})
afterEach(() => {
  stack.vault.faults.clear()
  stack.vault.resetRequests()
  stack.identityProvider.resetRequests()
  stack.vault.setPermissions(localIdentity.clientId, brokerAccessPolicy)
})
afterAll(() => stack.close())

const day = 86_400_000
const thumbprints = () =>
  stack.identityProvider.requests.flatMap(({ form }) =>
    form?.client_assertion === undefined ? [] : [decodeProtectedHeader(form.client_assertion)['x5t#S256']],
  )
/** An instance with nothing in memory and nothing in the store. */
const newcomer = async (tables: string) =>
  (
    await stack.startInstance({
      Broker__AssertionReuse: 'false',
      Broker__TablePrefix: `${stack.tablePrefix}${tables}`,
    })
  ).url

describe('a vault that is down', () => {
  it('is not needed while an assertion is valid', async () => {
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    stack.vault.faults.add({ dropConnection: true })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    const ready = await stack.person().open('/health/ready')
    expect([ready.status, ready.text]).toEqual([200, 'ready'])
  })

  it('is reported on a page if no valid assertion is left; sessions stay, and readiness reports certificate', async () => {
    const person = stack.person()
    expect(isSignedIn(await attempt(person, empty))).toBe(true)
    stack.vault.faults.add({ dropConnection: true })

    const page = await stack.person().signIn(toShop, undefined, { at: empty })
    expect(page.status).toBe(503)
    expect(page.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(page.text).toContain('vault_unavailable')
    expect(page.text).toContain('Try again')

    expect((await person.script(shopPage, '/session', { at: empty })).status).toBe(200)
    expect((await person.sessionToken(shopPage, { api: 'orders' }, { at: empty })).status).toBe(200)
    const renewed = await person.sessionToken(
      shopPage,
      { api: 'orders', scope: 'api://demo/orders.read' },
      { at: empty },
    )
    expect(renewed.status).toBe(503)
    expect(renewed.json).toMatchObject({ code: 'vault_unavailable' })
    expect(renewed.cookies).toEqual([])
    const ready = await person.open('/health/ready', { at: empty })
    expect([ready.status, ready.text]).toEqual([503, 'certificate'])

    stack.vault.faults.clear()
    expect(isSignedIn(await attempt(person, empty))).toBe(true)
  })
})

describe('a vault that fails', () => {
  it.each<[string, VaultFault, string]>([
    ['answers 500', { status: 500 }, 'vault_unavailable'],
    ['is busy for a long time', { status: 503, retryAfterSeconds: 60 }, 'vault_unavailable'],
    ['answers garbage', { garbage: true }, 'vault_unavailable'],
    ['loses every answer', { loseAnswer: true }, 'vault_unavailable'],
    ['answers 404', { status: 404 }, 'certificate_missing'],
    ['answers 403', { status: 403 }, 'vault_forbidden'],
  ])(
    'since it %s is reported by its own code, and the next sign-in after the fault works',
    async (_what, fault, code) => {
      stack.vault.faults.add({ operation: 'sign', ...fault })
      const refused = await attemptAnew(stack, empty)

      expect(refused.status).toBe(503)
      expect(refused.json).toMatchObject({ code, responsible: 'operator' })
      expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])

      stack.vault.faults.clear()
      expect(isSignedIn(await attemptAnew(stack, empty))).toBe(true)
    },
  )

  it('once, by losing one answer, does not fail the sign-in', async () => {
    stack.vault.faults.add({ operation: 'sign', loseAnswer: true, times: 1 })

    expect(isSignedIn(await attemptAnew(stack, empty))).toBe(true)
  })

  it('since it is throttled receives no request before Retry-After', async () => {
    stack.vault.faults.add({ operation: 'sign', status: 429, retryAfterSeconds: 60, times: 1 })

    const refused = await attemptAnew(stack, empty)
    expect(refused.status).toBe(503)
    expect(refused.json).toMatchObject({ code: 'vault_throttled' })
    expect(refused.headers.get('retry-after')).toBe('60')
    expect((await attemptAnew(stack, empty)).json).toMatchObject({ code: 'vault_throttled' })
    expect(stack.vault.requests.filter(({ operation }) => operation === 'sign')).toHaveLength(1)

    // It stays ahead: before that time the pause holds.
    await insideEmpty.moveClock(61)
    expect(isSignedIn(await attemptAnew(stack, empty))).toBe(true)
  })
})

describe('the published keys, which any caller may request', () => {
  const ask = async (url: string) => (await fetch(`${url}/.well-known/jwks.json`)).status
  const readsOfVault = () => stack.vault.requests.filter(({ operation }) => operation === 'getCertificate').length

  it('cost a new instance at most three reads of the vault, for any number of parallel requests', async () => {
    const { url } = await stack.startInstance()
    stack.vault.resetRequests()

    const statuses = await Promise.all(Array.from({ length: 30 }, () => ask(url)))

    expect(new Set(statuses)).toEqual(new Set([200]))
    // One finds the version, one publishes it, and one is the SDK's own retry.
    expect(readsOfVault()).toBeLessThanOrEqual(3)
  })

  it('cannot be used to keep a failing vault busy', async () => {
    const { url } = await stack.startInstance()
    await stack.person().signIn(toShop)
    stack.vault.faults.add({ operation: 'getCertificate', status: 403 })
    stack.vault.resetRequests()

    const statuses: number[] = []
    for (let i = 0; i < 20; i++) statuses.push(await ask(url))

    expect(new Set(statuses)).toEqual(new Set([503]))
    expect(readsOfVault()).toBeLessThanOrEqual(3)
    stack.vault.faults.clear()
    expect(await ask(stack.url)).toBe(200)
  })
})

describe('a certificate that cannot sign', () => {
  it.each<[string, string, () => void, () => void]>([
    [
      'is disabled',
      'certificate_disabled',
      () => stack.vault.setCertificateEnabled('broker', undefined, false),
      () => stack.vault.setCertificateEnabled('broker', undefined, true),
    ],
    [
      'has expired',
      'certificate_expired',
      () => stack.vault.setCertificateDates('broker', undefined, { expires: new Date(Date.now() - day) }),
      () => stack.vault.setCertificateDates('broker', undefined, { expires: new Date(Date.now() + 90 * day) }),
    ],
    [
      'is not valid yet',
      'certificate_not_yet_valid',
      () => stack.vault.setCertificateDates('broker', undefined, { notBefore: new Date(Date.now() + day) }),
      () => stack.vault.setCertificateDates('broker', undefined, { notBefore: new Date(Date.now() - day) }),
    ],
    [
      'may not be used',
      'vault_forbidden',
      () => stack.vault.setPermissions(localIdentity.clientId, { ...brokerAccessPolicy, keys: ['get'] }),
      () => stack.vault.setPermissions(localIdentity.clientId, brokerAccessPolicy),
    ],
  ])('since it %s is reported as %s, and signs after the problem is repaired', async (_what, code, spoil, remedy) => {
    expect(isSignedIn(await attemptAnew(stack, empty))).toBe(true)

    spoil()
    const refused = await attemptAnew(stack, empty)
    remedy()

    expect(refused.status).toBe(503)
    expect(refused.json).toMatchObject({ code, responsible: 'operator' })
    expect(refused.json.detail).toContain('Operator:')
    expect(isSignedIn(await attemptAnew(stack, empty))).toBe(true)
  })

  it('since it has no dates is reported to the person who signs in', async () => {
    stack.vault.setCertificateDates('broker', undefined, { expires: null })
    const url = await newcomer('nodates')

    expect((await attemptAnew(stack, url)).json).toMatchObject({ code: 'certificate_without_dates' })

    stack.vault.setCertificateDates('broker', undefined, { expires: new Date(Date.now() + 90 * day) })
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })

  it('is replaced by the next usable version in the same request: first at the provider, then in the vault', async () => {
    const [older] = stack.vault.publicCertificates('broker')
    // Versions are ordered by the second in which they were made.
    const begun = Math.floor(older!.attributes.created.getTime() / 1000)
    await expect.poll(() => Math.floor(Date.now() / 1000), { timeout: 60_000 }).toBeGreaterThan(begun)
    const newer = await stack.vault.renewCertificate('broker')

    // It is not yet registered, so the provider rejects it: the older version is tried, once.
    expect(isSignedIn(await attemptAnew(stack, await newcomer('unknown')))).toBe(true)
    expect(thumbprints()).toEqual([newer.x5tS256, older!.x5tS256])

    stack.graph.applications.register(stack.graph.applications.all[0]!, newer.der)
    stack.identityProvider.resetRequests()
    const url = await newcomer('known')
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
    stack.vault.setCertificateEnabled('broker', newer.version, false)
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
    expect(thumbprints()).toEqual([newer.x5tS256, older!.x5tS256])
  })

  it('since the vault has none of that name is reported as missing', async () => {
    const url = (
      await stack.startInstance({
        Broker__AssertionReuse: 'false',
        AzureAd__ClientCredentials__0__KeyVaultCertificateName: 'nowhere',
      })
    ).url

    expect((await attemptAnew(stack, url)).json).toMatchObject({ code: 'certificate_missing', status: 503 })
  })
})
