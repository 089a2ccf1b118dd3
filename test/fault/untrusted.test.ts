import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeSelfSigned } from '../../local/vault/self-signed.ts'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startSecureServer } from '../setup/secure-server.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectPassingFault, expectSignedIn } from './expectations.ts'

const asProgram = { headers: { accept: 'application/json' } }
const day = 24 * 60 * 60 * 1000

let stack: Stack
let folder: string
let signedIn: Person
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'broker-untrusted-'))
  stack = await startStack()
  signedIn = stack.person()
  expect(isSignedIn(await attempt(signedIn))).toBe(true)
})
afterAll(async () => {
  await stack.close()
  await rm(folder, { recursive: true, force: true })
})

/** A server in place of the provider, with a certificate that the instance trusts directly. */
async function startInPlaceOfTheProvider(name: string, notAfter: Date) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const der = await makeSelfSigned({
    publicKey,
    privateKey,
    subject: `CN=${name}, O=${notAfter.toISOString().slice(0, 10)}`,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    notBefore: new Date(Date.now() - 10 * day),
    notAfter,
  })
  const cert = new X509Certificate(der).toString()
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const server = await startSecureServer({ cert, key })

  const trusted = path.join(folder, `${name}-${notAfter.getTime()}.pem`)
  const others = await readFile(stack.cloud.settings.NODE_EXTRA_CA_CERTS!, 'utf8')
  await writeFile(trusted, `${others}\n${cert}`)
  const { url } = await stack.startInstance({ AzureAd__Instance: `${server.url}/`, NODE_EXTRA_CA_CERTS: trusted })
  return { url, server }
}

describe('a provider whose TLS certificate', () => {
  it.each([
    ['has expired', 'localhost', -1],
    ['is for another name', 'login.example.com', 1],
  ])(
    '%s receives no request, and no person is signed out; a provider with a valid one receives it',
    async (_what, name, days) => {
      const [bad, good] = await Promise.all([
        startInPlaceOfTheProvider(name, new Date(Date.now() + days * day)),
        startInPlaceOfTheProvider('localhost', new Date(Date.now() + day)),
      ])

      expectPassingFault(await stack.person().begin(toShop, { at: bad.url, ...asProgram }), 'provider_unavailable')
      expect(bad.server.requests).toEqual([])
      await expectSignedIn(signedIn, bad.url)
      // The server does not answer as a provider, but the request arrived.
      expectPassingFault(await stack.person().begin(toShop, { at: good.url, ...asProgram }), 'provider_answer_invalid')
      expect(good.server.requests).not.toEqual([])
      await Promise.all([bad.server.close(), good.server.close()])
    },
  )
})

describe('an instance that does not trust', () => {
  it('the issuer of the certificates of provider and vault sends them nothing, and signs no person out', async () => {
    const { url } = await stack.startInstance({ NODE_EXTRA_CA_CERTS: undefined })
    stack.vault.resetRequests()
    stack.identityProvider.resetRequests()

    expectPassingFault(await signedIn.script(shopPage, '/session', { at: url }), 'vault_unavailable')
    expectPassingFault(await stack.person().begin(toShop, { at: url, ...asProgram }), 'vault_unavailable')
    expect(stack.vault.requests).toEqual([])
    expect(stack.identityProvider.requests).toEqual([])
    // An instance that trusts it can do the same.
    await expectSignedIn(signedIn)
    expect(isSignedIn(await attemptAnew(stack, (await stack.startInstance()).url))).toBe(true)
  })
})

describe('an instance that has the issuer as a setting, and not from the start of its process', () => {
  it('trusts it for provider, vault, store, and the telemetry of its thread', async () => {
    const reporting = await startStack({ telemetry: true, instances: 0 })
    const { url } = await reporting.startInstance({
      NODE_EXTRA_CA_CERTS: undefined,
      Broker__CertificateAuthorities: await readFile(reporting.cloud.settings.NODE_EXTRA_CA_CERTS!, 'utf8'),
    })

    expect(isSignedIn(await attemptAnew(reporting, url))).toBe(true)
    await expect.poll(() => reporting.ingestion.received().length).toBeGreaterThan(0)
    await reporting.close()
  })
})
