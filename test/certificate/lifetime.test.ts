import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import type { Stack } from '../setup/stack.ts'
import * as rolling from './rolling.ts'

const { certificateName, runRoll, signIn, until, usedThumbprint, versionsAt } = rolling

describe('a certificate over its life', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await rolling.startRollingStack()
    await runRoll(stack.brokers[0]!)
  })
  afterAll(() => stack.close())

  it('is not read from the vault by a cold instance: the row contains everything that signing needs', async () => {
    stack.vault.resetRequests()
    const cold = await stack.startInstance({
      Broker__CertificateReadSeconds: '300',
      Broker__CertificateOverlapSeconds: '900',
    })

    expect((await signIn(stack, cold.url)).location).toBe('http://localhost:3000/')

    const requested = stack.vault.requests
      .filter(({ identity }) => identity !== undefined)
      .map(({ operation }) => operation)
    expect(requested.filter((operation) => operation === 'sign')).toHaveLength(1)
    expect(requested.filter((operation) => operation === 'listVersions' || operation === 'getCertificate')).toEqual([])
  })

  it('that was compromised is disabled in the vault, and the broker switches to another version within the bounded time', async () => {
    const [first] = stack.vault.publicCertificates(certificateName)
    const second = await stack.vault.renewCertificate(certificateName)
    await until(
      async () => {
        await runRoll(stack.brokers[0]!)
        await signIn(stack)
        return usedThumbprint(stack)
      },
      (thumbprint) => thumbprint === second.x5tS256,
    )

    stack.vault.setCertificateEnabled(certificateName, second.version, false)
    await runRoll(stack.brokers[0]!)

    await until(
      async () => {
        expect((await signIn(stack)).location).toBe('http://localhost:3000/')
        return usedThumbprint(stack)
      },
      (thumbprint) => thumbprint === first!.x5tS256,
    )
    expect((await versionsAt(stack.brokers[0]!))[second.version]).toMatchObject({ enabled: false, signs: false })
    expect(rolling.logged(stack, 'certificate version disabled')).toHaveLength(1)
  })

  it('without a valid version is reported; sessions continue, and the documented repair by hand works', async () => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    for (const { version } of stack.vault.publicCertificates(certificateName)) {
      stack.vault.setCertificateDates(certificateName, version, { expires: new Date(Date.now() - 1000) })
    }
    await runRoll(stack.brokers[0]!)
    const cold = await stack.startInstance()

    const failed = await signIn(stack, cold.url)
    expect(failed.status).toBe(503)
    expect(failed.text).toContain('The broker’s certificate has expired.')
    const ready = await fetch(`${cold.url}/health/ready`)
    expect([ready.status, await ready.text()]).toEqual([503, 'certificate'])
    expect((await person.script(shopPage, '/session', { at: cold.url })).status).toBe(200)
    expect(rolling.logged(stack, 'certificate unusable')).toHaveLength(1)

    const repaired = await stack.vault.renewCertificate(certificateName)
    stack.graph.applications.register(stack.graph.applications.all[0]!, repaired.der)

    await until(
      () => signIn(stack, cold.url),
      ({ status }) => status === 303,
    )
    expect(usedThumbprint(stack)).toBe(repaired.x5tS256)
  })
})
