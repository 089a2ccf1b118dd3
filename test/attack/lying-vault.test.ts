import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKeyVaultCertificates } from '../../shared/vault/key-vault/certificates.key-vault.ts'
import { sendJson, startSecureServer } from '../setup/secure-server.ts'
import type { Answerer, SecureServer } from '../setup/secure-server.ts'
import { letDeadlinePass } from '../setup/deadline.ts'

let vault: SecureServer
let elsewhere: SecureServer
beforeAll(async () => {
  vault = await startSecureServer()
  elsewhere = await startSecureServer()
})
afterAll(async () => {
  await vault.close()
  await elsewhere.close()
})

const challenge =
  'Bearer authorization="https://login.microsoftonline.com/f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55", resource="https://vault.azure.net"'
/** Only for a request with a token, which the SDK sends after it was challenged. */
const toTokens =
  (answer: Answerer): Answerer =>
  (request, response, body) =>
    request.headers.authorization === undefined
      ? sendJson(response, {}, 401, { 'www-authenticate': challenge })
      : answer(request, response, body)
const page = (nextLink: string | undefined) => ({ value: [{ id: `${vault.url}/certificates/broker/1` }], nextLink })
const list = () =>
  createKeyVaultCertificates({
    vaultUrl: vault.url,
    certificateName: 'broker',
    credential: { getToken: () => Promise.resolve({ token: 'secret', expiresOnTimestamp: Date.now() + 3_600_000 }) },
    deadlineMilliseconds: 10_000,
  }).listVersions()

describe('a list of certificate versions', () => {
  it('continues at the URL that the vault returns, if that URL is in the vault', async () => {
    vault.answer(
      toTokens(({ url }, response) =>
        sendJson(
          response,
          page(url?.includes('more') ? undefined : `${vault.url}/certificates/broker/versions?more=1`),
        ),
      ),
    )
    expect(await list()).toHaveLength(2)
  })

  it('that continues at another host sends no token to it', async () => {
    const tokens: unknown[] = []
    elsewhere.answer(({ headers }, response) => {
      tokens.push(headers.authorization)
      sendJson(response, { value: [] })
    })
    vault.answer(
      toTokens((_, response) => sendJson(response, page(`${elsewhere.url}/certificates/broker/versions?x=1`))),
    )

    await expect(list()).rejects.toMatchObject({ code: 'vault_unavailable' })
    expect(tokens).toEqual([])
  })

  it('that never ends is abandoned at the deadline', async () => {
    vault.answer(
      toTokens((_, response) => sendJson(response, page(`${vault.url}/certificates/broker/versions?more=1`))),
    )
    const endless = letDeadlinePass(list, () => vault.requests.length > 3)
    await expect(endless).rejects.toMatchObject({ code: 'vault_unavailable' })
  })
})
