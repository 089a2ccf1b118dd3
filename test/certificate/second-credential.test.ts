import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { tokenExchangeAudience } from '../../local/managed-identity/access-tokens.ts'
import { localIdentity } from '../../local/managed-identity/managed-identity.ts'
import { startStack } from '../setup/stack.ts'
import { shopPage } from '../setup/person.ts'
import type { Stack } from '../setup/stack.ts'
import { certificateCheck, keysAtApplication, logged, signIn } from './rolling.ts'

const name = 'broker-managed-identity'
const second = { AzureAd__ClientCredentials__1__SourceType: 'SignedAssertionFromManagedIdentity' }

describe('a managed identity as the second credential', () => {
  let stack: Stack
  let registered: Uint8Array
  beforeAll(async () => {
    stack = await startStack({ settings: second })
    registered = keysAtApplication(stack)[0]!.der
  })
  afterAll(() => stack.close())
  beforeEach(() => {
    trust()
    stack.identityProvider.resetRequests()
    stack.managedIdentity.resetRequests()
  })
  afterEach(() => {
    stack.vault.faults.clear()
    if (keysAtApplication(stack).length === 0) stack.graph.applications.register(application(), registered)
  })

  const application = () => stack.graph.applications.all[0]!
  const trust = (changes: { issuer?: string; subject?: string; audiences?: string[] } = {}) =>
    stack.graph.applications.trust(application(), {
      name,
      issuer: stack.managedIdentity.issuer.exchangeIssuer,
      subject: localIdentity.principalId,
      audiences: [tokenExchangeAudience],
      ...changes,
    })
  const unregister = () => {
    for (const { keyId } of keysAtApplication(stack)) stack.graph.applications.unregister(application(), keyId)
  }
  /** Of each request to the token endpoint: its status, and the issuer of its assertion. */
  const tokenRequests = () =>
    stack.identityProvider.requests
      .filter(({ endpoint }) => endpoint === 'token')
      .map(({ status, form }) => [
        status,
        decodeJwt(form!['client_assertion']!).iss === clientId() ? 'own' : 'identity',
      ])
  const clientId = () => application().appId
  const exchanges = () =>
    stack.managedIdentity.requests.filter(({ resource }) => resource === tokenExchangeAudience).length

  it('costs nothing while the certificate works: one call to the provider, and no token of the identity', async () => {
    expect((await signIn(stack)).status).toBe(303)

    expect(tokenRequests()).toEqual([[200, 'own']])
    expect(exchanges()).toBe(0)
  })

  it('signs people in where the provider refuses the certificate: in the same request, then with one call each', async () => {
    const here = await stack.startInstance()
    const person = stack.person()
    await person.signIn({ frontend: 'shop' }, undefined, { at: here.url })
    unregister()
    stack.identityProvider.resetRequests()

    const done = [await signIn(stack, here.url), await signIn(stack, here.url)]

    expect(done.map(({ status }) => status)).toEqual([303, 303])
    expect(tokenRequests()).toEqual([
      [401, 'own'],
      [200, 'identity'],
      [200, 'identity'],
    ])
    expect(exchanges()).toBe(1)
    expect(logged(stack, 'second credential used').map(({ code }) => code)).toEqual(['client_refused', 'paused'])
    expect((await fetch(`${here.url}/health/ready`)).status).toBe(200)
    expect(await certificateCheck(here)).toMatchObject({
      ok: true,
      credential: 'managed identity',
      code: 'client_refused',
    })
    expect((await person.script(shopPage, '/session', { at: here.url })).status).toBe(200)
  })

  it('signs people in at an instance whose vault does not sign', async () => {
    stack.vault.faults.add({ operation: 'sign', status: 403 })
    const cold = await stack.startInstance()
    stack.identityProvider.resetRequests()

    expect((await signIn(stack, cold.url)).status).toBe(303)

    expect(tokenRequests()).toEqual([[200, 'identity']])
    expect(await certificateCheck(cold)).toMatchObject({ ok: true, code: 'vault_forbidden' })
  })

  it.each<[string, () => unknown]>([
    ['another subject', () => trust({ subject: '44444444-4444-4444-8444-000000000004' })],
    ['another issuer', () => trust({ issuer: 'https://login.microsoftonline.com/another/v2.0' })],
    ['another audience', () => trust({ audiences: ['api://AzureADTokenExchangeUSGov'] })],
    ['nothing', () => stack.graph.applications.distrust(application(), name)],
  ])('is refused where the app registration trusts %s: a named error, no loop, and no sign-out', async (_, change) => {
    const fresh = await stack.startInstance()
    const person = stack.person()
    await person.signIn({ frontend: 'shop' }, undefined, { at: fresh.url })
    change()
    unregister()
    stack.identityProvider.resetRequests()

    const failed = [await signIn(stack, fresh.url), await signIn(stack, fresh.url)]

    expect(failed.map(({ status }) => status)).toEqual([503, 503])
    expect(failed[0]!.text).toContain('The identity provider does not accept the broker’s certificate.')
    expect(tokenRequests()).toEqual([
      [401, 'own'],
      [401, 'identity'],
      [401, 'own'],
    ])
    expect((await person.script(shopPage, '/session', { at: fresh.url })).status).toBe(200)
    expect((await fetch(`${fresh.url}/health/ready`)).status).toBe(503)
  })

  it('is not used by an instance whose settings do not name it', async () => {
    const plain = await stack.startInstance({ AzureAd__ClientCredentials__1__SourceType: undefined })
    unregister()
    stack.identityProvider.resetRequests()

    expect((await signIn(stack, plain.url)).status).toBe(503)

    expect(tokenRequests()).toEqual([[401, 'own']])
  })
})
