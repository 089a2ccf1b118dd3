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
/** To whoever has a token, which the SDK brings once it was challenged. */
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
  it('goes on where the vault says, as long as that is the vault', async () => {
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

  it('that goes on at another host takes no token there', async () => {
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

  it('that goes on for ever is given up at the deadline', async () => {
    vault.answer(
      toTokens((_, response) => sendJson(response, page(`${vault.url}/certificates/broker/versions?more=1`))),
    )
    const endless = letDeadlinePass(list, () => vault.requests.length > 3)
    await expect(endless).rejects.toMatchObject({ code: 'vault_unavailable' })
  })
})
