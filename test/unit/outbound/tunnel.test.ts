/** A real CONNECT proxy, a real https server behind it, and a name that only the proxy can resolve. */
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createNetwork } from '../../../shared/http/network.ts'
import { createKeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import { createKeyVaultCertificates } from '../../../shared/vault/key-vault/certificates.key-vault.ts'
import { createTableService } from '../../../shared/store/azure-table/table-service.azure-table.ts'
import { proxyPolicyOf } from '../../../shared/outbound/proxy.ts'
import { startConnectProxy } from '../../setup/connect-proxy.ts'
import type { ConnectProxy, ConnectProxyOptions } from '../../setup/connect-proxy.ts'
import { sendJson, startSecureServer, trustedAuthority } from '../../setup/secure-server.ts'
import type { SecureServer } from '../../setup/secure-server.ts'

const name = 'login.provider.example'
const closing: (() => Promise<void>)[] = []
let server: SecureServer
let address: string

beforeEach(async () => {
  server = await startSecureServer(await (await trustedAuthority()).issue([name, 'broker.vault.azure.net']))
  server.answer((_, response) => sendJson(response, { keys: [] }))
  closing.push(() => server.close())
  address = `https://${name}:${new URL(server.url).port}`
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
  vi.unstubAllEnvs()
})

async function proxy(options?: ConnectProxyOptions): Promise<ConnectProxy> {
  const started = await startConnectProxy(options)
  closing.push(() => started.close())
  return started
}
const networkBy = (value: string, deadlineMilliseconds = 5_000) =>
  createNetwork({ deadlineMilliseconds, proxies: proxyPolicyOf({ HTTPS_PROXY: value }) })
const get = (network: ReturnType<typeof createNetwork>) => network({ method: 'GET', url: `${address}/keys` })

describe('a provider that only a proxy reaches', () => {
  it('is reached by CONNECT, over one tunnel for several requests', async () => {
    const { url, requests } = await proxy()
    const network = networkBy(url)

    expect([(await get(network)).status, (await get(network)).status]).toEqual([200, 200])
    expect(requests).toEqual([`CONNECT ${name}:${new URL(address).port}`])
    expect(server.requests).toEqual(['GET /keys', 'GET /keys'])
  })

  it('is not reached without the proxy', async () => {
    await expect(get(createNetwork())).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it('sends the credentials of HTTPS_PROXY to the proxy, and no part of the request', async () => {
    const { url, headers } = await proxy()
    const network = networkBy(url.replace('//', '//ada:lovelace@'))

    await network({ method: 'GET', url: `${address}/keys`, headers: { authorization: 'Bearer secret' } })

    expect(headers()).toContain(`Basic ${Buffer.from('ada:lovelace').toString('base64')}`)
    expect(headers()).not.toContain('secret')
  })

  it('is verified end to end: a certificate for another name is refused', async () => {
    const { url } = await proxy()
    const other = await startSecureServer(await (await trustedAuthority()).issue(['other.example']))
    closing.push(() => other.close())
    const there = `https://${name}:${new URL(other.url).port}/`

    await expect(networkBy(url)({ method: 'GET', url: there })).rejects.toMatchObject({
      code: 'provider_unavailable',
      detail: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    expect(other.requests).toEqual([])
  })
})

describe('a proxy that opens no tunnel is a fault with a name', () => {
  const answers = (text: string): ConnectProxyOptions => ({ answer: (socket) => void socket.end(text) })
  const page = (status: string, body: string) =>
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`

  it.each([
    ['407', page('407 Proxy Authentication Required', '{}'), 'the proxy answered 407'],
    // An answer of the proxy must never count as one of the provider.
    [
      '400 with an error that a provider could send',
      page('400 Bad', '{"error":"invalid_grant"}'),
      'the proxy answered 400',
    ],
    ['201 with keys', page('201 Created', '{"keys":[{"kty":"RSA"}]}'), 'the proxy answered 201'],
    ['no HTTP', 'SSH-2.0-x\r\n', 'the proxy: HPE_INVALID_CONSTANT'],
    ['no answer', '', 'the proxy: ECONNRESET'],
  ])('%s', async (_, text, detail) => {
    const { url } = await proxy(answers(text))

    await expect(get(networkBy(url.replace('//', '//ada:lovelace@')))).rejects.toMatchObject({
      code: 'proxy_unavailable',
      detail,
    })
    expect(server.requests).toEqual([])
  })

  it('a proxy that does not listen', async () => {
    const gone = await startConnectProxy()
    await gone.close()

    await expect(get(networkBy(gone.url))).rejects.toMatchObject({
      code: 'proxy_unavailable',
      detail: 'the proxy: ECONNREFUSED',
    })
  })

  it('a proxy that hangs, within the deadline of the request', async () => {
    const { url } = await proxy({ answer: () => undefined })

    const first = await Promise.race([
      get(networkBy(url, 100)).catch((error: unknown) => error),
      wait(60_000, 'late', { ref: false }),
    ])

    expect(first).toMatchObject({ code: 'proxy_unavailable' })
  })
})

describe('every adapter follows the policy', () => {
  const credential = { getToken: () => Promise.resolve({ token: 'a', expiresOnTimestamp: Date.now() + 3_600_000 }) }

  it('the vault, by its REST and by its SDK', async () => {
    const { url, requests } = await proxy({ answer: (socket) => void socket.end('HTTP/1.1 403 No\r\n\r\n') })
    const options = {
      vaultUrl: 'https://broker.vault.azure.net',
      certificateName: 'broker',
      wrappingKeyName: 'ring',
      credential,
      deadlineMilliseconds: 5_000,
      proxies: proxyPolicyOf({ HTTPS_PROXY: url }),
    }

    await expect(createKeyVault(options).readWrappingKey()).rejects.toMatchObject({ code: 'proxy_unavailable' })
    await expect(createKeyVaultCertificates(options).listVersions()).rejects.toMatchObject({
      code: 'proxy_unavailable',
    })
    expect(new Set(requests)).toEqual(new Set(['CONNECT broker.vault.azure.net:443']))
  })

  it('the store', async () => {
    const { url, requests } = await proxy({ answer: (socket) => void socket.end('HTTP/1.1 403 No\r\n\r\n') })
    const service = createTableService({
      tableServiceUri: 'https://sessions.table.core.windows.net',
      authorize: () => ({}),
      proxies: proxyPolicyOf({ HTTPS_PROXY: url }),
    })

    await expect(service({ method: 'GET', resource: 'Tables' }, performance.now() + 60_000)).rejects.toMatchObject({
      code: 'proxy_unavailable',
    })
    expect(requests).toEqual(['CONNECT sessions.table.core.windows.net:443'])
  })
})
