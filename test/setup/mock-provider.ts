/**
 * A second identity provider with other software: oauth2-mock-server, which has its own discovery, PKCE, nonces and
 * keys, and accepts any client. The checks that it omits are made here: of the client's assertion, and of codes and
 * refresh tokens, which serve once. It sends no `iss`, supports only the query response mode, and accepts only RS256
 * assertions.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { JWTVerifyOptions } from 'jose'
import { Events, OAuth2Issuer, OAuth2Service } from 'oauth2-mock-server'
import type { MutableRedirectUri, MutableResponse, MutableToken, TokenRequestIncomingMessage } from 'oauth2-mock-server'
import type { Cloud } from '../../local/cloud.ts'
import { listen } from '../../local/http-server.ts'
import type { BesideProvider } from './stack.ts'

export const clientId = 'broker at the other provider'

/** The behaviour that a test may change while it runs. */
interface MockBehaviour {
  /** The person who signs in. */
  person: { readonly sub: string; readonly sid?: string } & Readonly<Record<string, unknown>>
  /** Additional claims in the answer to a refresh, for example of another person. */
  refreshClaims: Readonly<Record<string, unknown>>
  /** Issues refresh tokens, each for one use, if the request has the scope `offline_access`. */
  refreshTokens: boolean
  accessTokenSeconds: number
  /** Changes of the metadata. The value undefined removes a member. */
  metadata: Readonly<Record<string, unknown>>
  /** Additional parameters of the authorization response. */
  answer: Readonly<Record<string, string>>
  /** Endpoints that answer 503. */
  down: readonly MockEndpoint[]
  /** Additional requirements for an assertion. */
  assertion: JWTVerifyOptions
  /** Rejects every assertion, as if the client's keys were lost. */
  forgetsClient: boolean
  /** The answer of the userinfo endpoint, for the access token that was issued last; undefined answers 401. */
  userinfo: Readonly<Record<string, unknown>> | undefined
  /** Waits before a refresh is answered. */
  refreshDelay: number
}

type MockEndpoint = 'metadata' | 'jwks' | 'authorize' | 'token' | 'endsession' | 'userinfo'

interface MockRequest {
  readonly endpoint: MockEndpoint
  readonly parameters: Readonly<Record<string, string>>
  /** Header and claims of the assertion, once it was verified. */
  assertion?: { readonly header: Readonly<Record<string, unknown>>; readonly claims: Readonly<Record<string, unknown>> }
}

export interface MockProvider extends BesideProvider {
  readonly issuer: string
  readonly behaviour: MockBehaviour
  readonly requests: readonly MockRequest[]
  asked(endpoint: MockEndpoint): number
  resetRequests(): void
  /** Restores the usual behaviour, and clears the requests. */
  reset(): void
  /** Revokes every refresh token. */
  forgetGrants(): void
  /** Creates new keys. The old ones are no longer published. */
  rotateKeys(algorithm?: string): Promise<void>
  /** Signs anything with the provider's key. */
  sign(claims: Readonly<Record<string, unknown>>, header?: Readonly<Record<string, unknown>>): Promise<string>
}

const usual: MockBehaviour = {
  person: { sub: 'person-1', name: 'Grace Hopper' },
  refreshClaims: {},
  refreshTokens: true,
  accessTokenSeconds: 3600,
  metadata: {},
  answer: {},
  down: [],
  assertion: {},
  forgetsClient: false,
  userinfo: undefined,
  refreshDelay: 0,
}

interface Grant {
  readonly person: MockBehaviour['person']
  readonly scope: string
  /** The family of a refresh token. */
  readonly family?: string
}

/** @param path of the issuer: `/` for one with a slash at its end, `` for none */
export function mockProvider(path = '/realms/staff') {
  let started: MockProvider | undefined
  const start = async (cloud: Cloud, brokerUrl: string) => (started = await startMock(cloud, brokerUrl, path))
  return { start, get: () => started! }
}

async function startMock(cloud: Cloud, brokerUrl: string, path: string): Promise<MockProvider> {
  const requests: MockRequest[] = []
  const codes = new Map<string, Grant & { redirectUri: string }>()
  const refreshTokens = new Map<string, Grant & { family: string }>()
  const used = new Map<string, string>()
  const jtis = new Set<string>()
  const clientKeys = createRemoteJWKSet(new URL(`${brokerUrl}/.well-known/jwks.json`), { cooldownDuration: 0 })
  const behaviour: MockBehaviour = { ...usual }

  let issued = ''
  let handle: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  const server = await listen({
    name: 'second identity provider',
    port: 0,
    tls: cloud.tls,
    handler: (request, response) => void serve(request, response),
  })
  const issuer = `https://localhost:${server.port}${path}`
  const base = issuer.replace(/\/$/, '')
  const basePath = new URL(base).pathname.replace(/\/$/, '')
  const endpoints: Readonly<Record<string, MockEndpoint>> = {
    [`${basePath}/.well-known/openid-configuration`]: 'metadata',
    [`${basePath}/jwks`]: 'jwks',
    [`${basePath}/authorize`]: 'authorize',
    [`${basePath}/token`]: 'token',
    [`${basePath}/endsession`]: 'endsession',
    [`${basePath}/userinfo`]: 'userinfo',
  }

  const checkAssertion = async (request: MockRequest): Promise<boolean> => {
    const { client_assertion: assertion = '', client_assertion_type: type } = request.parameters
    if (type !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' || behaviour.forgetsClient) return false
    try {
      const { payload, protectedHeader } = await jwtVerify(assertion, clientKeys, {
        issuer: clientId,
        subject: clientId,
        audience: issuer,
        algorithms: ['RS256'],
        requiredClaims: ['exp', 'jti'],
        // The clock of some instances in the tests is hours ahead or behind.
        clockTolerance: 3600,
        ...behaviour.assertion,
      })
      // RFC 7523bis: one audience, and each assertion once.
      if (Array.isArray(payload.aud) || jtis.has(String(payload.jti))) return false
      jtis.add(String(payload.jti))
      request.assertion = { header: { ...protectedHeader }, claims: { ...payload } }
      return true
    } catch {
      return false
    }
  }

  /** @returns the grant of the request, or the error of RFC 6749 §5.2 */
  const checkTokenRequest = async (request: MockRequest): Promise<Grant | string> => {
    const { grant_type, client_id, code = '', redirect_uri, refresh_token = '', scope } = request.parameters
    if (client_id !== clientId || !(await checkAssertion(request))) return 'invalid_client'
    if (grant_type === 'authorization_code') {
      const grant = codes.get(code)
      codes.delete(code)
      return grant?.redirectUri === redirect_uri ? (grant ?? 'invalid_grant') : 'invalid_grant'
    }
    if (grant_type !== 'refresh_token') return 'unauthorized_client'
    const reused = used.get(refresh_token)
    if (reused !== undefined) {
      // RFC 9700 §4.14.2: the token was used twice, so one of the two callers is a thief.
      for (const [token, { family }] of refreshTokens) if (family === reused) refreshTokens.delete(token)
      return 'invalid_grant'
    }
    const grant = refreshTokens.get(refresh_token)
    if (!grant) return 'invalid_grant'
    const granted = grant.scope.split(' ')
    if (scope?.split(' ').some((one) => !granted.includes(one))) return 'invalid_scope'
    refreshTokens.delete(refresh_token)
    used.set(refresh_token, grant.family)
    return grant
  }
  /** The grant of the code or the refresh token in the current request. */
  const grants = new Map<string, Grant>()

  const build = async (algorithm: string) => {
    const own = new OAuth2Issuer()
    own.url = base
    await own.keys.generate(algorithm)
    const service = new OAuth2Service(
      own,
      Object.fromEntries(Object.entries(endpoints).map(([at, name]) => [nameOf(name), at.slice(basePath.length)])),
    )
    service.on(Events.BeforeWellKnownOpenIdConfiguration, (response: MutableResponse) => {
      const browser = `http://127.0.0.1:${server.port}${basePath}`
      response.body = {
        ...(response.body as object),
        issuer,
        authorization_endpoint: `${browser}/authorize`,
        end_session_endpoint: `${browser}/endsession`,
        token_endpoint_auth_methods_supported: ['private_key_jwt'],
        id_token_signing_alg_values_supported: [algorithm],
        ...behaviour.metadata,
      }
    })
    service.on(Events.BeforeAuthorizeRedirect, ({ url }: MutableRedirectUri, request: IncomingMessage) => {
      const requested = new URL(request.url ?? '', base).searchParams
      codes.set(url.searchParams.get('code') ?? '', {
        person: behaviour.person,
        scope: requested.get('scope') ?? '',
        redirectUri: requested.get('redirect_uri') ?? '',
      })
      for (const [name, value] of Object.entries(behaviour.answer)) url.searchParams.set(name, value)
    })
    const grantOf = ({ body }: TokenRequestIncomingMessage) => {
      const { code, refresh_token } = body as { code?: string; refresh_token?: string }
      return grants.get(code ?? refresh_token ?? '')
    }
    service.on(Events.BeforeTokenSigning, ({ payload }: MutableToken, request: TokenRequestIncomingMessage) => {
      Object.assign(payload, { iss: issuer }, grantOf(request)?.person)
      if ('refresh_token' in request.body) Object.assign(payload, behaviour.refreshClaims)
    })
    service.on(Events.BeforeResponse, (response: MutableResponse, request: TokenRequestIncomingMessage) => {
      const grant = grantOf(request)
      if (!grant) return
      const answer = response.body as Record<string, unknown>
      answer.scope = (request.body as { scope?: string }).scope ?? grant.scope
      answer.expires_in = behaviour.accessTokenSeconds
      issued = String(answer.access_token)
      delete answer.refresh_token
      if (!behaviour.refreshTokens || !grant.scope.split(' ').includes('offline_access')) return
      answer.refresh_token = randomUUID()
      const family = grant.family ?? randomUUID()
      refreshTokens.set(String(answer.refresh_token), { person: grant.person, scope: grant.scope, family })
    })
    handle = service.requestHandler
    return own
  }
  let keys = await build('RS256')

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', base)
    const endpoint = endpoints[url.pathname]
    if (!endpoint) return void response.writeHead(404).end()
    const body = await text(request)
    const parameters = Object.fromEntries([...url.searchParams, ...new URLSearchParams(body)])
    const requested: MockRequest = { endpoint, parameters }
    requests.push(requested)
    if (behaviour.down.includes(endpoint)) return void response.writeHead(503).end()
    if (endpoint === 'userinfo') {
      const isAuthorized = issued !== '' && request.headers.authorization === `Bearer ${issued}`
      if (!isAuthorized || !behaviour.userinfo) return void response.writeHead(401).end('{}')
      return void response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify(behaviour.userinfo))
    }
    if (endpoint === 'token') {
      if (behaviour.refreshDelay > 0 && 'refresh_token' in parameters) {
        await new Promise((resolve) => setTimeout(resolve, behaviour.refreshDelay))
      }
      const checked = await checkTokenRequest(requested)
      if (typeof checked === 'string') {
        const status = checked === 'invalid_client' ? 401 : 400
        return void response
          .writeHead(status, { 'content-type': 'application/json' })
          .end(JSON.stringify({ error: checked }))
      }
      grants.set(parameters.code ?? parameters.refresh_token ?? '', checked)
    }
    // The body was read here: the service reads a copy.
    const { method, headers } = request
    const copy = Object.assign(Readable.from(body === '' ? [] : [Buffer.from(body)]), {
      method,
      headers,
      url: `${url.pathname.slice(basePath.length)}${url.search}`,
    })
    handle?.(copy as unknown as IncomingMessage, response)
  }

  return {
    issuer,
    behaviour,
    requests,
    asked: (endpoint) => requests.filter((request) => request.endpoint === endpoint).length,
    reset: () => {
      Object.assign(behaviour, usual)
      requests.length = 0
    },
    resetRequests: () => void (requests.length = 0),
    forgetGrants: () => refreshTokens.clear(),
    rotateKeys: async (algorithm = 'RS256') => void (keys = await build(algorithm)),
    sign: (claims, header = {}) =>
      keys.buildToken({
        scopesOrTransform: (itsHeader, payload) => {
          Object.assign(itsHeader, header)
          // Members that the service adds by itself are removed, unless they are among the claims.
          for (const name of Object.keys(payload)) Reflect.deleteProperty(payload, name)
          Object.assign(payload, claims)
        },
      }),
    settings: {
      Broker__Authority: issuer,
      Broker__ResponseMode: 'query',
      AzureAd__ClientId: clientId,
      ...withoutEntra,
    },
    close: () => server.close(),
  }
}

/** Settings for Entra ID are empty, which counts as not set. */
export const withoutEntra = {
  AzureAd__Instance: '',
  AzureAd__TenantId: '',
  Broker__ApplicationObjectId: '',
  Broker__GraphUrl: '',
}

function nameOf(endpoint: MockEndpoint): string {
  const names: Partial<Record<MockEndpoint, string>> = { metadata: 'wellKnownDocument', endsession: 'endSession' }
  return names[endpoint] ?? endpoint
}

async function text(request: IncomingMessage): Promise<string> {
  let all = ''
  for await (const part of request) all += String(part)
  return all
}
