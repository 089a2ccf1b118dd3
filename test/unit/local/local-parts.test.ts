/** Local parts that run already: the broker of `npm run watch` uses those of its own clone alone. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createCertificateAuthority } from '../../../local/certificate-authority.ts'
import { freePort, listen } from '../../../local/http-server.ts'
import type { LocalServer } from '../../../local/http-server.ts'
import { checkVault } from '../../../local/local-parts.ts'

describe('the vault that listens at the port', () => {
  let vault: LocalServer
  let own: string
  beforeAll(async () => {
    const authority = await createCertificateAuthority()
    own = authority.certificatePem
    const tls = await authority.issue(['localhost'])
    vault = await listen({ name: 'Key Vault', port: 0, tls, handler: (_, response) => void response.end() })
  })
  afterAll(() => vault.close())

  it('is accepted where the authority of this clone issued its certificate', async () => {
    await expect(checkVault(`https://localhost:${vault.port}/`, own)).resolves.toBeUndefined()
  })

  it('is refused with a sentence where another clone started it, and where this clone has no authority', async () => {
    const { certificatePem: other } = await createCertificateAuthority()

    for (const ca of [other, '']) {
      await expect(checkVault(`https://localhost:${vault.port}/`, ca)).rejects.toThrow(
        `Port ${vault.port} for the Key Vault is in use by another program, perhaps npm start in another clone.`,
      )
    }
  })

  it('is refused where no vault answers', async () => {
    const port = await freePort()
    await expect(checkVault(`https://localhost:${port}/`, own)).rejects.toThrow(`Port ${port} `)
  })
})
