import type { TokenCredential } from '@azure/identity'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { localIdentity, startManagedIdentity } from '../../../local/managed-identity/managed-identity.ts'
import type { ManagedIdentity } from '../../../local/managed-identity/managed-identity.ts'
import type { FaultEffects } from '../../../local/vault/faults.ts'
import { createTokenCredential } from '../../../shared/vault/token-credential.azure-core.ts'
import { useIdentityEndpoint } from '../../setup/identity-endpoint.ts'
import { letDeadlinePass } from '../../setup/deadline.ts'

/** Shorter than MSAL keeps a token for, so that each call of the broker is a call to the endpoint. */
const tokenLifetimeSeconds = 200
const scope = 'https://vault.azure.net/.default'

let identity: ManagedIdentity
/** How far the broker's clock is behind: to it, a token of 200 s lives longer by this. */
let behind: number
const clock = () => Date.now() - behind * 1000

beforeAll(async () => {
  identity = await startManagedIdentity({ port: 0, tokenLifetimeSeconds })
  useIdentityEndpoint(identity)
})
afterEach(() => {
  identity.failWith(undefined)
  identity.resetRequests()
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await identity.close()
})

function cold(): TokenCredential {
  behind = 1000
  return createTokenCredential({
    managedIdentity: true,
    managedIdentityClientId: localIdentity.clientId,
    clock,
  })
}

describe('the broker’s own identity', () => {
  it('is fetched once for all waiting requests, and kept', async () => {
    const credential = cold()

    const tokens = await Promise.all(Array.from({ length: 20 }, () => credential.getToken(scope)))
    tokens.push(await credential.getToken([scope]))

    expect(new Set(tokens.map((token) => token?.token)).size).toBe(1)
    expect(identity.requests).toMatchObject([
      { clientId: localIdentity.clientId, resource: 'https://vault.azure.net', status: 200 },
    ])
  })

  it('is kept separately for each resource', async () => {
    const credential = cold()

    const [vault, storage] = await Promise.all([
      credential.getToken(scope),
      credential.getToken('https://storage.azure.com/.default'),
    ])

    expect(vault?.token).not.toBe(storage?.token)
    expect(identity.requests).toHaveLength(2)
  })

  it('is renewed five minutes ahead, and the cached one stays in use where that fails', async () => {
    const credential = cold()
    const first = await credential.getToken(scope)
    behind = 0

    identity.failWith({ status: 400 })
    expect((await credential.getToken(scope))?.token).toBe(first?.token)

    identity.failWith(undefined)
    await expect.poll(async () => (await credential.getToken(scope))?.token).not.toBe(first?.token)
  })

  it('is renewed behind the requests: none waits for an endpoint that hangs until the last seconds of the cached one', async () => {
    const credential = cold()
    const first = await credential.getToken(scope)
    behind = 0
    identity.failWith({ hang: true })

    // With timers that are stopped, so that no deadline passes.
    const get = (hasArrived: () => boolean) => letDeadlinePass(() => credential.getToken(scope), hasArrived)
    expect((await get(() => false))?.token).toBe(first?.token)

    behind = -190
    expect((await get(() => true))?.token).toBe(first?.token)
  })

  it('is no longer good after its end', async () => {
    const credential = cold()
    await credential.getToken(scope)
    behind = -300

    identity.failWith({ status: 400 })
    await expect(credential.getToken(scope)).rejects.toMatchObject({ code: 'managed_identity_unavailable' })

    identity.failWith(undefined)
    await expect(credential.getToken(scope)).resolves.toBeDefined()
  })

  it.each<[string, FaultEffects]>([
    ['refuses', { status: 400 }],
    ['forbids', { status: 403 }],
    ['has too much to do', { status: 429, retryAfterSeconds: 60 }],
    ['breaks', { status: 500 }],
    ['answers garbage', { garbage: true }],
    ['hangs up', { dropConnection: true }],
    ['loses its answer', { loseAnswer: true }],
    ['hangs', { hang: true }],
  ])('cannot be fetched while its endpoint %s, within a bounded time, and can right after', async (_what, fault) => {
    const credential = cold()
    identity.failWith(fault)

    const get = () => credential.getToken(scope)
    const waits = 'hang' in fault || 'retryAfterSeconds' in fault
    const refused = waits ? letDeadlinePass(get, () => identity.requests.length > 0) : get()
    await expect(refused).rejects.toMatchObject({ code: 'managed_identity_unavailable' })

    identity.failWith(undefined)
    await expect(get()).resolves.toMatchObject({ token: expect.any(String) as string })
  })
})
