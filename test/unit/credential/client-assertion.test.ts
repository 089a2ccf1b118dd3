import { X509Certificate } from 'node:crypto'
import { compactVerify, decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { audience, certificateName, clientId, startVaultParts } from '../vault/vault-parts.ts'
import type { KeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import type { VaultParts } from '../vault/vault-parts.ts'
import { rememberCertificates } from '../../../shared/credential/sign-assertion.ts'
import { letDeadlinePass } from '../../setup/deadline.ts'

let parts: VaultParts
beforeAll(async () => {
  parts = await startVaultParts()
  // Starts long ago, so that a clock can jump.
  const notBefore = new Date(parts.now() - 30 * 86_400_000)
  await parts.vault.createCertificate(certificateName, { keySize: 2048, notBefore })
})
beforeEach(() => parts.reset())
afterAll(() => parts.close())

const signatures = () => parts.operations().filter((operation) => operation === 'sign 200').length
const requested = () => parts.operations().filter((operation) => operation.startsWith('sign ')).length
const seconds = () => Math.floor(parts.now() / 1000)

describe('a client assertion', () => {
  it('is signed by the vault with the certificate, for one audience, for ten minutes that began ten seconds ago, once', async () => {
    const { jwt } = await parts.instance().assertions.get()

    const certificate = parts.vault.publicCertificates(certificateName)[0]!
    await compactVerify(jwt, new X509Certificate(certificate.der).publicKey, { algorithms: ['PS256'] })
    expect(decodeProtectedHeader(jwt)).toEqual({ alg: 'PS256', typ: 'JWT', 'x5t#S256': certificate.x5tS256 })
    const { jti, ...claims } = decodeJwt(jwt)
    expect(claims).toEqual({
      iss: clientId,
      sub: clientId,
      aud: audience,
      iat: seconds() - 10,
      nbf: seconds() - 10,
      exp: seconds() + 590,
    })
    expect(jti).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('is made once for all waiting requests, and reused while it is fresh', async () => {
    const { assertions } = parts.instance()

    const all = await Promise.all(Array.from({ length: 20 }, () => assertions.get()))
    parts.later(380)
    all.push(await assertions.get())

    expect(new Set(all).size).toBe(1)
    expect(signatures()).toBe(1)
    expect(assertions.state()).toEqual({ issuedAt: seconds() - 390, expires: seconds() + 210 })
  })

  it('is renewed ahead in the last third of its life: no request waits, and one renewal runs at a time', async () => {
    const { assertions } = parts.instance()
    const first = await assertions.get()
    parts.vault.faults.add({ operation: 'sign', delayMs: 50, times: 1 })

    parts.later(401)
    expect(await Promise.all(Array.from({ length: 20 }, () => assertions.get()))).toEqual(Array(20).fill(first))

    await expect.poll(() => assertions.get()).not.toBe(first)
    expect(signatures()).toBe(2)
  })

  it('is never sent with less remaining life than the provider timeout', async () => {
    const { assertions } = parts.instance()
    const first = await assertions.get()

    parts.later(541)
    const second = await assertions.get()

    expect(second).not.toBe(first)
    expect(decodeJwt(second.jwt).exp! - seconds()).toBe(590)
  })

  it('names its certificate by SHA-1 for AD FS, and reads it once', async () => {
    const form = { algorithm: 'RS256', keyId: true, certificateHeader: 'x5t', lifetimeSeconds: 120 } as const
    const { assertions } = parts.instance({
      reuse: false,
      form: () => Promise.resolve(form),
      vault: rememberCertificates(parts.connect()),
    })
    const reads = () => parts.operations().filter((operation) => operation === 'getCertificate 200').length
    await assertions.get()
    const before = reads()
    expect(before).toBeGreaterThan(0)

    const { jwt } = await assertions.get()

    expect(reads()).toBe(before)
    const { der } = parts.vault.publicCertificates(certificateName)[0]!
    const certificate = new X509Certificate(der)
    await compactVerify(jwt, certificate.publicKey, { algorithms: ['RS256'] })
    const digest = certificate.fingerprint.replaceAll(':', '')
    expect(decodeProtectedHeader(jwt)).toEqual({
      alg: 'RS256',
      typ: 'JWT',
      kid: digest,
      x5t: Buffer.from(digest, 'hex').toString('base64url'),
    })
  })

  it('is a new one each time for a provider that accepts each once', async () => {
    const { assertions } = parts.instance({ reuse: false })

    const all = await Promise.all([assertions.get(), assertions.get(), assertions.get()])

    expect(new Set(all.map(({ jwt }) => decodeJwt(jwt).jti)).size).toBe(3)
    expect(signatures()).toBe(3)
  })

  it('does not outlive its certificate', async () => {
    const { vault, versions } = parts.instance()
    const expires = parts.now() + 300_000
    const { assertions } = parts.instance({
      vault,
      versions: { ...versions, get: async () => ({ ...(await versions.get()), expires }) },
    })

    expect(decodeJwt((await assertions.get()).jwt).exp).toBe(Math.floor(expires / 1000))
  })
})

describe('a clock that jumps', () => {
  it.each([-3600, 3600, -300, 300])(
    'by %i seconds leads to an assertion that is valid by the new time',
    async (jump) => {
      const { assertions } = parts.instance()
      await assertions.get()

      parts.later(jump)
      const { nbf, exp } = decodeJwt((await assertions.get()).jwt)
      expect(nbf).toBeLessThanOrEqual(seconds())
      expect(exp).toBeGreaterThan(seconds() + 60)

      parts.later(-jump)
      const back = decodeJwt((await assertions.get()).jwt)
      expect(back.nbf).toBeLessThanOrEqual(seconds())
    },
  )

  it('does not extend the pause before the next call to the vault without end', async () => {
    const { assertions } = parts.instance()
    parts.later(3600)
    parts.vault.faults.add({ operation: 'sign', status: 429, retryAfterSeconds: 60, times: 1 })
    await expect(assertions.get()).rejects.toMatchObject({ code: 'vault_throttled' })

    parts.later(-3600)

    await expect(assertions.get()).resolves.toBeDefined()
  })
})

describe('a vault in trouble', () => {
  it('does not affect requests while the assertion is fresh, and is called only every few seconds', async () => {
    const { assertions } = parts.instance()
    const first = await assertions.get()
    parts.vault.faults.add({ operation: 'sign', status: 500 })
    parts.later(450)

    expect(await assertions.get()).toBe(first)
    await expect.poll(() => parts.faults).toMatchObject([{ code: 'vault_unavailable' }])
    const before = requested()
    for (let i = 0; i < 5; i++) expect(await assertions.get()).toBe(first)
    expect(requested()).toBe(before)

    parts.vault.faults.clear()
    parts.later(6)
    await assertions.get()
    await expect.poll(() => assertions.get()).not.toBe(first)
  })

  it('is reported by its code when no assertion is left, and serves the next call after its recovery', async () => {
    const { assertions } = parts.instance()
    await assertions.get()
    parts.later(700)
    parts.vault.faults.add({ operation: 'sign', dropConnection: true })

    await expect(assertions.get()).rejects.toMatchObject({ code: 'vault_unavailable' })

    parts.vault.faults.clear()
    await expect(assertions.get()).resolves.toBeDefined()
  })

  it('that hangs fails at the deadline', async () => {
    const { assertions } = parts.instance()
    parts.vault.faults.add({ operation: 'sign', hang: true })

    const hangs = letDeadlinePass(
      () => assertions.get(),
      () => parts.operations().includes('sign unanswered'),
      60_000,
    )
    await expect(hangs).rejects.toMatchObject({ code: 'vault_unavailable', detail: 'deadline' })

    parts.vault.faults.clear()
    await expect(assertions.get()).resolves.toBeDefined()
  })

  it.each([true, false])('that throttles is not called until its Retry-After is over (reuse: %s)', async (reuse) => {
    const { assertions } = parts.instance({ reuse })
    parts.vault.faults.add({ operation: 'sign', status: 429, retryAfterSeconds: 30, times: 1 })

    for (let i = 0; i < 3; i++) {
      await expect(assertions.get()).rejects.toMatchObject({ code: 'vault_throttled', retryAfterSeconds: 30 })
    }
    expect(requested()).toBe(1)

    parts.later(31)
    await expect(assertions.get()).resolves.toBeDefined()
  })

  it('that throttles an early renewal is not called either, and signs before the assertion ends', async () => {
    const { assertions } = parts.instance()
    const first = await assertions.get()
    parts.vault.faults.add({ operation: 'sign', status: 429, retryAfterSeconds: 30, times: 1 })

    parts.later(401)
    expect(await assertions.get()).toBe(first)
    await expect.poll(() => parts.faults).toMatchObject([{ code: 'vault_throttled' }])
    parts.later(10)
    expect(await assertions.get()).toBe(first)
    expect(requested()).toBe(2)

    parts.later(25)
    await assertions.get()
    await expect.poll(() => assertions.get()).not.toBe(first)
    expect(requested()).toBe(3)
  })

  it('that returns garbage counts as unavailable', async () => {
    const { assertions } = parts.instance()
    parts.vault.faults.add({ operation: 'sign', garbage: true })

    await expect(assertions.get()).rejects.toMatchObject({ code: 'vault_unavailable' })

    parts.vault.faults.clear()
    await expect(assertions.get()).resolves.toBeDefined()
  })

  it('that loses an answer is called a second time in the same request', async () => {
    const { assertions } = parts.instance()
    parts.vault.faults.add({ operation: 'sign', loseAnswer: true, times: 1 })

    await expect(assertions.get()).resolves.toBeDefined()
  })
})

describe('a version that no longer signs', () => {
  it('is replaced by the next good one in the same call', async () => {
    const certificate = 'two-versions'
    const older = await parts.vault.createCertificate(certificate, { keySize: 2048 })
    parts.later(2)
    const newer = await parts.vault.renewCertificate(certificate)
    const { assertions } = parts.instance({ certificate })
    expect(decodeProtectedHeader((await assertions.get()).jwt)['x5t#S256']).toBe(newer.x5tS256)

    parts.vault.setCertificateEnabled(certificate, newer.version, false)
    parts.later(700)

    expect(decodeProtectedHeader((await assertions.get()).jwt)['x5t#S256']).toBe(older.x5tS256)
  })

  it.each<[string, (name: string) => void, string, (name: string) => void]>([
    [
      'is disabled',
      (name) => parts.vault.setCertificateEnabled(name, undefined, false),
      'certificate_disabled',
      (name) => parts.vault.setCertificateEnabled(name, undefined, true),
    ],
    [
      'has expired',
      (name) => parts.vault.setCertificateDates(name, undefined, { expires: new Date(parts.now() - 1000) }),
      'certificate_expired',
      (name) => parts.vault.setCertificateDates(name, undefined, { expires: new Date(parts.now() + 86_400_000) }),
    ],
    [
      'is not valid yet',
      (name) => parts.vault.setCertificateDates(name, undefined, { notBefore: new Date(parts.now() + 3_600_000) }),
      'certificate_not_yet_valid',
      (name) => parts.vault.setCertificateDates(name, undefined, { notBefore: new Date(parts.now() - 3_600_000) }),
    ],
    [
      'may no longer be used',
      () => parts.vault.setPermissions(parts.identity, { certificates: ['get', 'list'], keys: ['get'] }),
      'vault_forbidden',
      () => parts.reset(),
    ],
    [
      'may no longer be read',
      () => parts.vault.setPermissions(parts.identity, {}),
      'vault_forbidden',
      () => parts.reset(),
    ],
  ])('since it %s is reported by its own code, and signs again after the repair', async (what, spoil, code, remedy) => {
    const certificate = what.replaceAll(' ', '-')
    await parts.vault.createCertificate(certificate, { keySize: 2048 })
    const { assertions } = parts.instance({ certificate })
    await assertions.get()

    spoil(certificate)
    parts.later(700)
    await expect(assertions.get()).rejects.toMatchObject({ code })

    remedy(certificate)
    await expect(assertions.get()).resolves.toBeDefined()
  })

  it('is reported as missing after its deletion', async () => {
    const certificate = 'deleted'
    await parts.vault.createCertificate(certificate, { keySize: 2048 })
    const { assertions } = parts.instance({ certificate })
    await assertions.get()

    parts.vault.deleteCertificate(certificate)
    parts.later(700)

    await expect(assertions.get()).rejects.toMatchObject({ code: 'certificate_missing' })
  })
})

describe('a signature that does not verify', () => {
  /** A vault with wrong next signatures: by another key, of other bytes, or by the other algorithm. */
  const wrong: readonly [string, (vault: KeyVault) => KeyVault['sign']][] = [
    [
      'with a changed byte',
      (vault) =>
        async (...call) =>
          flipped(await vault.sign(...call)),
    ],
    ['of another text', (vault) => (version, _digest, algorithm) => vault.sign(version, Buffer.alloc(32), algorithm)],
    ['by the other algorithm', (vault) => (version, digest) => vault.sign(version, digest, 'RS256')],
    ['by another version', (vault) => (_version, digest, algorithm) => vault.sign(older.version, digest, algorithm)],
    ['of zeros', () => () => Promise.resolve(Buffer.alloc(256))],
  ]
  let older: { version: string }
  let newest: { der: Uint8Array }
  let certificate: string
  beforeAll(async () => {
    certificate = 'wrong'
    older = await parts.vault.createCertificate(certificate, { keySize: 2048 })
    parts.later(2)
    newest = await parts.vault.renewCertificate(certificate)
  })
  const spoiled = (spoil: (vault: KeyVault) => KeyVault['sign'], reuse = true) => {
    const honest = parts.connect({ certificateName: certificate })
    const state = { isSpoiled: true, asked: 0 }
    const sign: KeyVault['sign'] = (...call) => {
      state.asked += 1
      return state.isSpoiled ? spoil(honest)(...call) : honest.sign(...call)
    }
    return { ...parts.instance({ certificate, reuse, vault: { ...honest, sign } }), state }
  }

  it.each(wrong)('(%s) is refused with a code of its own and not kept; the next good one is used', async (_, spoil) => {
    const { assertions, state } = spoiled(spoil)

    await expect(assertions.get()).rejects.toMatchObject({ code: 'signature_invalid', status: 503 })
    expect(assertions.state()).toBeUndefined()

    state.isSpoiled = false
    const { jwt } = await assertions.get()
    await compactVerify(jwt, new X509Certificate(newest.der).publicKey, { algorithms: ['PS256'] })
  })

  it('at an early renewal fails no sign-in: the cached assertion is sent while it is good', async () => {
    const { assertions, state } = spoiled(wrong[0]![1])
    state.isSpoiled = false
    const first = await assertions.get()
    state.isSpoiled = true
    parts.later(450)

    expect(await assertions.get()).toBe(first)
    await expect.poll(() => parts.faults).toMatchObject([{ code: 'signature_invalid' }])
    expect(await assertions.get()).toBe(first)
  })

  it.each([true, false])(
    'that occurs repeatedly causes a pause between the calls to the vault (reuse: %s)',
    async (reuse) => {
      const { assertions, state } = spoiled(wrong[0]![1], reuse)

      for (let i = 0; i < 20; i++) await expect(assertions.get()).rejects.toMatchObject({ code: 'signature_invalid' })
      expect(state.asked).toBe(6)

      state.isSpoiled = false
      parts.later(6)
      await expect(assertions.get()).resolves.toBeDefined()
    },
  )
})

describe('an assertion that the provider refused', () => {
  it('is not returned again: the next request has a new signature, also by the only version', async () => {
    const certificate = 'refused-alone'
    await parts.vault.createCertificate(certificate, { keySize: 2048 })
    const { assertions } = parts.instance({ certificate })
    const first = await assertions.get()

    expect(await assertions.next(first, 0)).toBeUndefined()

    const second = await assertions.get()
    expect(second.thumbprint).toBe(first.thumbprint)
    expect(second.jwt).not.toBe(first.jwt)
    assertions.accepted(second)
    expect(await assertions.get()).toBe(second)
  })

  it('many times in a row causes a pause, so that an outage of the provider does not overload the vault', async () => {
    const certificate = 'refused-always'
    await parts.vault.createCertificate(certificate, { keySize: 2048 })
    const { assertions } = parts.instance({ certificate })
    let refused = 0
    for (let i = 0; i < 50; i++) {
      const sent = await assertions.get().catch(() => undefined)
      if (!sent) continue
      refused += 1
      await assertions.next(sent, 0)
    }

    expect(refused).toBe(6)
    await expect(assertions.get()).rejects.toMatchObject({ code: 'client_refused' })
    parts.later(2)
    await expect(assertions.get()).resolves.toBeDefined()
  })
})

function flipped(signature: Uint8Array): Uint8Array {
  const changed = Buffer.from(signature)
  changed[100]! ^= 1
  return changed
}
