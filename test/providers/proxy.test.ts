/** A provider that only a CONNECT proxy reaches, and everything on loopback beside it that no proxy may see. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { startConnectProxy } from '../setup/connect-proxy.ts'
import { withoutEntra } from '../setup/mock-provider.ts'
import { sendJson, startSecureServer, trustedAuthority } from '../setup/secure-server.ts'
import { startStack } from '../setup/stack.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

it('is reached through HTTPS_PROXY by the whole broker, and the identity endpoint, vault and store are not', async () => {
  const name = 'login.provider.example'
  const authority = await trustedAuthority()
  const server = await startSecureServer(await authority.issue([name]))
  closing.push(() => server.close())
  const issuer = `https://${name}:${new URL(server.url).port}`
  server.answer((request, response) =>
    sendJson(
      response,
      request.url === '/keys'
        ? { keys: [] }
        : {
            issuer,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            jwks_uri: `${issuer}/keys`,
            response_types_supported: ['code'],
            subject_types_supported: ['public'],
            id_token_signing_alg_values_supported: ['RS256'],
            token_endpoint_auth_methods_supported: ['private_key_jwt'],
          },
    ),
  )
  const proxy = await startConnectProxy()
  closing.push(() => proxy.close())
  const caFile = path.join(os.tmpdir(), `broker-proxy-${process.pid}.pem`)
  closing.push(() => rm(caFile, { force: true }))
  const stack = await startStack({
    settings: {
      ...withoutEntra,
      Broker__Authority: issuer,
      AzureAd__ClientId: 'the-broker',
      HTTPS_PROXY: proxy.url,
      HTTP_PROXY: proxy.url,
      ALL_PROXY: proxy.url,
      NO_PROXY: '',
    },
    provider: async (cloud) => {
      await writeFile(caFile, `${await readFile(cloud.caFile, 'utf8')}\n${authority.certificatePem}`)
      return { settings: { NODE_EXTRA_CA_CERTS: caFile }, close: () => Promise.resolve() }
    },
  })
  closing.push(() => stack.close())

  const begun = await stack.person().begin({ frontend: 'shop', return_url: 'http://localhost:3000/' })

  expect(begun.status, stack.log()).toBe(303)
  expect(begun.location).toContain(`${issuer}/authorize?`)
  expect(new Set(proxy.requests)).toEqual(new Set([`CONNECT ${name}:${new URL(server.url).port}`]))
  expect(proxy.headers()).not.toContain(stack.managedIdentity.header)
  // The vault was used, so the identity endpoint was, too.
  expect(stack.managedIdentity.requests.length).toBeGreaterThan(0)
})
