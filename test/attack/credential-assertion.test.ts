import { X509Certificate } from 'node:crypto'
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { attempt, attemptAnew, isSignedIn } from './hostile-request.ts'

let stack: Stack
/** Makes a new assertion for each request. */
let careful: string
beforeAll(async () => {
  stack = await startStack()
  careful = (await stack.startInstance({ Broker__AssertionReuse: 'false' })).url
})
afterEach(() => {
  stack.identityProvider.settings.refuseRepeatedJti = false
  stack.identityProvider.resetRequests()
  stack.vault.resetRequests()
})
afterAll(() => stack.close())

const assertions = () =>
  stack.identityProvider.requests.flatMap(({ form }) =>
    form?.client_assertion === undefined ? [] : [form.client_assertion],
  )
const signatures = () => stack.vault.requests.filter(({ operation, status }) => operation === 'sign' && status === 200)

describe('the client credential of the broker', () => {
  it('is an assertion signed by the certificate in the vault: PS256, for the token endpoint only, valid for at most ten minutes', async () => {
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)

    const [assertion] = assertions()
    const certificate = stack.vault.publicCertificates('broker')[0]!
    await compactVerify(assertion!, new X509Certificate(certificate.der).publicKey, { algorithms: ['PS256'] })
    expect(decodeProtectedHeader(assertion!)).toEqual({ alg: 'PS256', typ: 'JWT', 'x5t#S256': certificate.x5tS256 })
    const claims = decodeJwt(assertion!)
    expect(claims).toMatchObject({
      iss: '22222222-2222-4222-8222-222222222222',
      sub: '22222222-2222-4222-8222-222222222222',
      aud: stack.identityProvider.tokenUrl,
    })
    expect(claims.jti).toMatch(/^[\w-]{16,}$/)
    expect(claims.exp! - claims.iat!).toBeLessThanOrEqual(600)
    expect(claims.exp! * 1000).toBeGreaterThan(Date.now())
    expect(claims.nbf! * 1000).toBeLessThanOrEqual(Date.now())
  })

  it('is sent to the token endpoint only, without a secret beside it', async () => {
    const person = stack.person()
    await attempt(person)
    await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.read' })

    const forms = stack.identityProvider.requests.flatMap(({ endpoint, form }) => (form ? [{ endpoint, form }] : []))
    expect(forms.map(({ endpoint, form }) => [endpoint, form.grant_type])).toEqual([
      ['token', 'authorization_code'],
      ['token', 'refresh_token'],
    ])
    for (const { form } of forms) {
      expect(form.client_assertion_type).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
      expect(form).not.toHaveProperty('client_secret')
    }
    expect(stack.identityProvider.requests.filter(({ query }) => 'client_assertion' in query)).toEqual([])
  })

  it('is used again while it is valid, at a provider that allows it', async () => {
    for (let i = 0; i < 3; i++) expect(isSignedIn(await attemptAnew(stack))).toBe(true)

    expect(new Set(assertions()).size).toBe(1)
    expect(signatures()).toEqual([])
  })

  it('is a new assertion for each request, at a provider that accepts each assertion once', async () => {
    stack.identityProvider.settings.refuseRepeatedJti = true

    for (let i = 0; i < 3; i++) expect(isSignedIn(await attemptAnew(stack, careful))).toBe(true)

    expect(new Set(assertions().map((assertion) => decodeJwt(assertion).jti)).size).toBe(3)
    expect(signatures()).toHaveLength(3)
    // The provider enforces this: it rejects a repeated assertion, and the error does not blame the person.
    await attemptAnew(stack)
    const refused = await attemptAnew(stack)
    expect(refused.status).toBe(503)
    expect(refused.json).toMatchObject({ code: 'client_refused', responsible: 'operator' })
  })

  it('is never a private key: the broker requests only public parts, signatures and wrapping from the vault', async () => {
    // With tables of its own it has no key ring and no certificate's row.
    const tables = { Broker__TablePrefix: `${stack.tablePrefix}new` }
    const { url } = await stack.startInstance({ Broker__AssertionReuse: 'false', ...tables })

    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)

    const allowed = ['listVersions', 'getCertificate', 'sign', 'getKey', 'wrapkey', 'unwrapkey']
    const operations = new Set(stack.vault.requests.map(({ operation }) => operation))
    expect([...operations].filter((operation) => !allowed.includes(operation ?? ''))).toEqual([])
    expect(operations).toContain('sign')
  })
})
