import https from 'node:https'
import { ConfidentialClientApplication, ServerError } from '@azure/msal-node'
import type { INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  billsRead,
  clientId,
  makeCertificate,
  ordersRead,
  redirectUri,
  startWorld,
} from './identity-provider-fixture.ts'
import type { World } from './identity-provider-fixture.ts'

let world: World
let metadata: string

beforeAll(async () => {
  world = await startWorld({ singleUseRefreshTokens: true })
  metadata = (await world.get(world.provider.discoveryUrl)).text
})
afterAll(() => world.close())

const scopes = ['openid', 'profile', 'offline_access', ordersRead]

describe('MSAL, unmodified', () => {
  it('redeems a code with the given metadata, and calls only the token endpoint', async () => {
    const { answer, codeVerifier, nonce } = await world.signIn()
    world.provider.resetRequests()

    const result = await client().acquireTokenByCode({
      code: answer.fields['code'] ?? '',
      codeVerifier,
      redirectUri,
      scopes,
      nonce,
    })

    expect(result.account).toMatchObject({ username: 'ada@contoso.example', name: 'Ada Lovelace' })
    expect(result.scopes).toContain(ordersRead)
    expect(decodeJwt(result.accessToken)).toMatchObject({ aud: 'api://demo', scp: 'orders.read' })
    expect(world.provider.requests.map(({ endpoint, status }) => [endpoint, status])).toEqual([['token', 200]])
  })

  it('trusts discovery when it has no metadata', async () => {
    const { answer, codeVerifier, nonce } = await world.signIn()

    const result = await client({ authorityMetadata: '' }).acquireTokenByCode({
      code: answer.fields['code'] ?? '',
      codeVerifier,
      redirectUri,
      scopes,
      nonce,
    })

    expect(result.account?.tenantId).toBe(world.provider.tenantId)
  })

  it('refreshes again and again at a provider that accepts each refresh token once', async () => {
    const { json } = await world.redeem(await world.signIn())
    let refreshToken = String(json['refresh_token'])

    for (const scope of [ordersRead, billsRead, ordersRead]) {
      const app = client()
      const result = await app.acquireTokenByRefreshToken({ refreshToken, scopes: [scope], forceCache: true })
      expect(result?.scopes).toContain(scope)
      refreshToken = refreshTokenIn(app)
    }

    expect(world.provider.requests.at(-1)).toMatchObject({ grantType: 'refresh_token', status: 200 })
  })

  it('passes on error, suberror, codes and claims of an answer that requires a step of the person', async () => {
    const { json } = await world.redeem(await world.signIn())
    const refreshToken = String(json['refresh_token'])
    world.provider.nextTokenError({
      error: 'invalid_grant',
      error_codes: [50076],
      suberror: 'basic_action',
      claims: '{"access_token":{"capolids":{"essential":true,"values":["1"]}}}',
    })

    const refused = await client()
      .acquireTokenByRefreshToken({ refreshToken, scopes })
      .catch((error: unknown) => error)

    expect(refused).toMatchObject({
      errorCode: 'invalid_grant',
      subError: 'basic_action',
      claims: expect.stringContaining('capolids') as string,
    })
    await expect(client().acquireTokenByRefreshToken({ refreshToken, scopes })).resolves.toHaveProperty('accessToken')
  })

  it('reports an unregistered certificate by the number of Entra', async () => {
    const { answer, codeVerifier, nonce } = await world.signIn()
    const code = answer.fields['code'] ?? ''
    const redeem = (clientAssertion: () => Promise<string>) =>
      client({ clientAssertion }).acquireTokenByCode({ code, codeVerifier, redirectUri, scopes, nonce })
    const stranger = await makeCertificate()

    const refused = await redeem(() => world.assertion({}, stranger)).catch((error: unknown) => error)

    expect(refused).toBeInstanceOf(ServerError)
    expect(refused).toMatchObject({ errorCode: 'invalid_client', errorNo: 700027 })
    await expect(redeem(() => world.assertion())).resolves.toHaveProperty('idToken')
  })
})

interface ClientChanges {
  readonly authorityMetadata?: string
  readonly clientAssertion?: () => Promise<string>
}

function client({ authorityMetadata = metadata, clientAssertion }: ClientChanges = {}): ConfidentialClientApplication {
  const { authority, port } = world.provider
  return new ConfidentialClientApplication({
    auth: {
      clientId,
      authority,
      authorityMetadata,
      knownAuthorities: [`localhost:${port}`],
      clientAssertion: clientAssertion ?? (() => world.assertion()),
    },
    system: { networkClient },
  })
}

function refreshTokenIn(app: ConfidentialClientApplication): string {
  const cache = JSON.parse(app.getTokenCache().serialize()) as { RefreshToken: Record<string, { secret: string }> }
  return Object.values(cache.RefreshToken)[0]?.secret ?? ''
}

/** node:https by the local authority; MSAL's own client trusts the certificates of NODE_EXTRA_CA_CERTS at start. */
const networkClient: INetworkModule = {
  sendGetRequestAsync: (url, options) => request(url, 'GET', options),
  sendPostRequestAsync: (url, options) => request(url, 'POST', options),
}

function request<T>(url: string, method: string, options?: NetworkRequestOptions): Promise<NetworkResponse<T>> {
  return new Promise((resolve, reject) => {
    const settings = { method, headers: options?.headers, ca: world.ca, agent: false }
    const sent = https.request(url, settings as https.RequestOptions, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part.toString()))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers as Record<string, string>,
          body: JSON.parse(text) as T,
        }),
      )
    })
    sent.on('error', reject)
    sent.end(options?.body)
  })
}
