import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createAccessTokenIssuer, tokenExchangeAudience } from '../../../local/managed-identity/access-tokens.ts'
import { localIdentity } from '../../../local/managed-identity/managed-identity.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import type { ClientAssertions } from '../../../shared/credential/client-assertion.ts'
import type { ClientAssertion } from '../../../shared/credential/sign-assertion.ts'
import { createCredentialList, createSecondCredential } from '../../../shared/credential/credential-list.ts'
import { certificateName, startVaultParts } from '../vault/vault-parts.ts'
import type { VaultParts } from '../vault/vault-parts.ts'

const pause = 60

describe('the second credential', () => {
  let parts: VaultParts
  let issuer: Awaited<ReturnType<typeof createAccessTokenIssuer>>
  let scopes: string[]
  let uses: (string | undefined)[]
  let returns: number
  let isIdentityDown: boolean
  let faults: string[]
  beforeAll(async () => {
    parts = await startVaultParts()
    issuer = await createAccessTokenIssuer()
    await parts.vault.createCertificate(certificateName, {
      keySize: 2048,
      notBefore: new Date(parts.now() - 86_400_000),
    })
  })
  beforeEach(() => {
    parts.reset()
    ;[scopes, uses, returns, isIdentityDown, faults] = [[], [], 0, false, []]
  })
  afterAll(() => parts.close())

  /** An instance; its managed identity is the emulator's issuer. */
  const list = (certificate: ClientAssertions = parts.instance().assertions) => {
    const second = createSecondCredential({
      identity: {
        getToken: async (scope) => {
          scopes.push(scope)
          if (isIdentityDown) throw new BrokerError('managed_identity_unavailable')
          const { token, expiresOn } = await issuer.issueAccessToken({
            ...localIdentity,
            audience: scope.replace('/.default', ''),
          })
          return { token, expiresOnTimestamp: expiresOn * 1000 }
        },
      },
      tokenExchangeUrl: tokenExchangeAudience,
      clock: parts.now,
    })
    const credentials = createCredentialList({
      certificate,
      second,
      clock: parts.now,
      onUse: (cause) => void uses.push(cause),
      onReturn: () => void (returns += 1),
      onFault: (error) => void faults.push((error as BrokerError).code),
    })
    return { credentials, second }
  }
  const kindOf = (assertion: ClientAssertion | undefined) =>
    assertion && (assertion.thumbprint === undefined ? 'managed identity' : 'certificate')
  const forbid = () => parts.vault.faults.add({ operation: 'sign', status: 403 })
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  /** The background signature is done once the vault has answered. An assertion begins ten seconds before it. */
  const untilSigned = async (credentials: ClientAssertions, at: number) => {
    await expect.poll(() => credentials.state()?.issuedAt).toBe(Math.floor(at / 1000) - 10)
    await settle()
  }

  it('is never requested while the certificate works', async () => {
    const { credentials } = list()

    for (let n = 0; n < 3; n++) credentials.accepted(await credentials.get())

    expect([scopes, uses]).toEqual([[], []])
  })

  it.each([
    ['vault_forbidden', () => forbid()],
    ['vault_unavailable', () => parts.vault.faults.add({ operation: 'sign', status: 500 })],
    ['vault_throttled', () => parts.vault.faults.add({ operation: 'sign', status: 429 })],
  ])('replaces the certificate where the vault fails (%s)', async (code, fail) => {
    const { credentials } = list()
    fail()

    const assertion = await credentials.get()

    expect(decodeJwt(assertion.jwt)).toMatchObject({
      iss: issuer.exchangeIssuer,
      sub: localIdentity.principalId,
      aud: tokenExchangeAudience,
    })
    expect([assertion.thumbprint, scopes, uses]).toEqual([undefined, [`${tokenExchangeAudience}/.default`], [code]])
  })

  it('does not replace a certificate whose assertion is still good, although the vault fails', async () => {
    const { credentials } = list()
    await credentials.get()
    forbid()
    parts.later(300)

    expect(kindOf(await credentials.get())).toBe('certificate')
    expect(uses).toEqual([])
  })

  it('stays in use for a pause, in which no request waits for the vault, and each use is reported', async () => {
    const { credentials } = list()
    forbid()
    await credentials.get()
    const requested = parts.operations().length

    for (let n = 0; n < 5; n++) credentials.accepted(await credentials.get())
    parts.later(pause - 1)
    await credentials.get()

    expect(uses).toEqual(['vault_forbidden', undefined, undefined, undefined, undefined, undefined, undefined])
    expect(parts.operations()).toHaveLength(requested)
    expect(returns).toBe(0)
  })

  it('is replaced by the certificate once the vault signs and the provider accepts it: one request tries', async () => {
    const { credentials } = list()
    forbid()
    await credentials.get()
    parts.vault.faults.clear()
    parts.later(pause)

    expect(kindOf(await credentials.get())).toBe('managed identity')
    await untilSigned(credentials, parts.now())
    const [trying, other] = [await credentials.get(), await credentials.get()]
    expect([kindOf(trying), kindOf(other)]).toEqual(['certificate', 'managed identity'])
    credentials.accepted(other)
    expect(returns).toBe(0)
    credentials.accepted(trying)

    expect([returns, kindOf(await credentials.get()), kindOf(await credentials.get())]).toEqual([
      1,
      'certificate',
      'certificate',
    ])
  })

  it('stays in use where the vault still fails after the pause, with one call to the vault for each pause', async () => {
    const { credentials } = list()
    forbid()
    await credentials.get()

    for (let round = 1; round <= 3; round++) {
      parts.later(pause)
      parts.vault.resetRequests()
      for (let n = 0; n < 10; n++) expect(kindOf(await credentials.get())).toBe('managed identity')
      await expect.poll(() => faults.length).toBe(round)
      expect(parts.operations().filter((one) => one.startsWith('sign')).length).toBeLessThanOrEqual(2)
    }
  })

  it('replaces a certificate that the provider refuses, in the same request and in those that follow', async () => {
    const { credentials } = list()
    const refused = await credentials.get()

    expect(kindOf(await credentials.next(refused, 0))).toBe('managed identity')
    expect(kindOf(await credentials.get())).toBe('managed identity')

    // After the pause one request goes to the provider again.
    parts.later(pause)
    await credentials.get()
    await untilSigned(credentials, parts.now())
    const again = await credentials.get()
    expect(kindOf(again)).toBe('certificate')
    expect(again.jwt).not.toBe(refused.jwt)
    expect(kindOf(await credentials.next(again, 0))).toBe('managed identity')
    expect(uses.filter((cause) => cause === 'client_refused')).toHaveLength(2)
  })

  it('follows the other version of the certificate, and not before it', async () => {
    const answers: (ClientAssertion | undefined)[] = [{ jwt: 'second', thumbprint: 'b', issuedAt: 0, expires: 1 }]
    const { credentials } = list({
      get: () => Promise.resolve({ jwt: 'first', thumbprint: 'a', issuedAt: 0, expires: 1 }),
      next: () => Promise.resolve(answers.shift()),
      accepted: () => undefined,
      state: () => undefined,
    })

    const second = await credentials.next(await credentials.get(), 0)
    expect([kindOf(second), second?.jwt]).toEqual(['certificate', 'second'])
    expect(kindOf(await credentials.next(second!, 1))).toBe('managed identity')
  })

  it('that the provider refuses too is not sent for a pause, and the certificate is tried alone', async () => {
    const { credentials, second } = list()
    const refused = await credentials.get()
    const other = await credentials.next(refused, 0)

    expect(await credentials.next(other!, 1)).toBeUndefined()
    expect(second.isRefused()).toBe(true)
    await expect(second.check()).rejects.toMatchObject({ code: 'client_refused' })
    const next = await credentials.get()
    expect(kindOf(next)).toBe('certificate')
    expect(await credentials.next(next, 0)).toBeUndefined()
    expect(uses).toHaveLength(1)

    parts.later(pause)
    await expect(second.check()).resolves.toBeUndefined()
  })

  it('that is refused after a fault of the vault is replaced, in the same request, by a certificate that signs again', async () => {
    const { credentials } = list()
    forbid()
    const assertion = await credentials.get()
    parts.vault.faults.clear()

    expect(kindOf(await credentials.next(assertion, 0))).toBe('certificate')
  })

  it('that the identity endpoint does not issue leaves the fault of the certificate as the answer', async () => {
    const { credentials } = list()
    forbid()
    isIdentityDown = true

    await expect(credentials.get()).rejects.toMatchObject({ code: 'vault_forbidden' })
    expect([faults, uses]).toEqual([['managed_identity_unavailable'], []])

    // The certificate is not left alone meanwhile.
    parts.vault.faults.clear()
    expect(kindOf(await credentials.get())).toBe('certificate')
  })

  it.each(['provider_unavailable', 'store_unavailable', 'internal'] as const)(
    'does not hide a fault that is not the certificate’s (%s)',
    async (code) => {
      const { credentials } = list({
        get: () => Promise.reject(new BrokerError(code)),
        next: () => Promise.resolve(undefined),
        accepted: () => undefined,
        state: () => undefined,
      })

      await expect(credentials.get()).rejects.toMatchObject({ code })
      expect(scopes).toEqual([])
    },
  )
})
