import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublicCertificate } from '../../local/vault/certificate-json.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, runRoll, signIn, until, usedThumbprint, versionsAt } = rolling

const tokenRequests = ({ identityProvider }: Stack) =>
  identityProvider.requests.filter(({ grantType }) => grantType === 'authorization_code').map(({ status }) => status)

const application = ({ graph }: Stack) => graph.applications.all[0]!

function unregister(stack: Stack, { der }: PublicCertificate): void {
  const key = rolling.keysAtApplication(stack).find((one) => one.der.equals(der))!
  stack.graph.applications.unregister(application(stack), key.keyId)
}

describe('a provider that rejects the certificate', () => {
  let stack: Stack
  let first: PublicCertificate
  let second: PublicCertificate
  let signedIn: Person
  beforeAll(async () => {
    // Instances read the row once a minute, so each request must find out for itself.
    stack = await rolling.startRollingStack({
      settings: { Broker__CertificateReadSeconds: '60', Broker__CertificateOverlapSeconds: '3600' },
    })
    first = stack.vault.publicCertificates(certificateName)[0]!
    signedIn = stack.person()
    await signedIn.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    await runRoll(stack.brokers[0]!)
  })
  afterAll(() => stack.close())

  it('does not accept the newest version, with or without a row: the next accepted version signs in the same request', async () => {
    second = await stack.vault.renewCertificate(certificateName)
    const fresh = await stack.startInstance({ Broker__TablePrefix: `${stack.tablePrefix}new` })
    stack.identityProvider.resetRequests()
    const person = stack.person()

    // An instance with an empty store: it uses the newest version, which is not registered.
    const done = await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' }, undefined, {
      at: fresh.url,
    })

    expect(done.location).toBe('http://localhost:3000/')
    expect(tokenRequests(stack)).toEqual([401, 200])
    expect(usedThumbprint(stack)).toBe(first.x5tS256)

    stack.identityProvider.resetRequests()
    expect((await signIn(stack, fresh.url)).location).toBe('http://localhost:3000/')
    expect(tokenRequests(stack)).toEqual([200])
    await until(
      () => versionsAt(fresh),
      (versions) => versions[second.version]?.status === 'unregistered',
    )
  })

  it('stops accepting the version that signs: the sign-in succeeds, and the other instances switch', async () => {
    stack.graph.applications.register(application(stack), second.der)
    unregister(stack, first)
    stack.identityProvider.resetRequests()

    const done = await Promise.all(Array.from({ length: 8 }, () => signIn(stack)))

    expect(done.map(({ location }) => location)).toEqual(Array(8).fill('http://localhost:3000/'))
    expect(usedThumbprint(stack)).toBe(second.x5tS256)
    expect(tokenRequests(stack).filter((status) => status === 200)).toHaveLength(8)
  })

  it('accepts no version: a page with the cause, no sign-out, one event, and readiness fails with the remedy', async () => {
    unregister(stack, second)
    stack.identityProvider.resetRequests()

    const failed = []
    for (let i = 0; i < 6; i++) failed.push(await signIn(stack))

    expect(failed.map(({ status }) => status)).toEqual(Array(6).fill(503))
    expect(failed[0]?.text).toContain('The identity provider does not accept the broker’s certificate.')
    expect(failed[0]?.text).toContain('This signs no one out')
    expect(tokenRequests(stack).length).toBeLessThanOrEqual(12)
    expect(rolling.logged(stack, 'certificate refused')).toHaveLength(1)
    expect((await signedIn.script(shopPage, '/session')).status).toBe(200)
    expect((await signedIn.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    const ready = await until(
      () => fetch(`${stack.url}/health/ready`),
      ({ status }) => status === 503,
    )
    expect(await ready.text()).toBe('certificate')
  })

  it('accepts a version again after a repair by hand: the newest version is registered, and the next sign-ins succeed', async () => {
    const certificate = new X509Certificate(second.der)
    stack.graph.applications.register(application(stack), certificate.raw)

    const done = await until(
      () => signIn(stack),
      ({ status }) => status === 303,
    )

    expect(done.location).toBe('http://localhost:3000/')
    await until(
      () => fetch(`${stack.url}/health/ready`),
      ({ status }) => status === 200,
    )
  })
})

describe('another rejection of the client', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await rolling.startRollingStack()
  })
  afterAll(() => stack.close())

  it.each([
    ['with an unknown error number', [7000999], 1],
    ['without an error number', [], 1],
    ['with the error number of the certificate, if there is no other version', [700027], 1],
  ])('%s ends in a named error, with one call', async (_what, error_codes, calls) => {
    await signIn(stack)
    stack.identityProvider.resetRequests()
    stack.identityProvider.nextTokenError({ error: 'invalid_client', error_codes })

    const failed = await signIn(stack)

    expect(failed.status).toBe(503)
    expect(tokenRequests(stack)).toHaveLength(calls)
    expect((await signIn(stack)).status).toBe(303)
  })
})
