/**
 * The local identity provider: oidc-provider, a certified OpenID provider, dressed as Microsoft Entra ID. Not deployed.
 */
import { randomBytes } from 'node:crypto'
import Provider from 'oidc-provider'
import type { JWK } from 'jose'
import { listen } from '../http-server.ts'
import type { TlsIdentity } from '../http-server.ts'
import { makeRsaKeyPair } from '../rsa-key-pair.ts'
import type { MakeKeyPair } from '../rsa-key-pair.ts'
import type { AdminConsent } from './admin-consent.ts'
import { clientMetadata, providerConfiguration, providerPaths } from './configuration.ts'
import type { ProviderSettings, RegisteredClient } from './configuration.ts'
import { mountRoutes } from './middleware.ts'
import type { RouteOptions } from './middleware.ts'
import type { ProviderRequest } from './provider-request.ts'
import type { ProviderFailure } from './entra-error.ts'
import { Faults } from './faults.ts'
import type { TokenError } from './faults.ts'
import { GrantStore } from './grant-store.ts'
import { Directory, fabrikam, litware } from './people.ts'
import type { Person } from './people.ts'
import type { Api } from './scopes.ts'
import { SigningKeys } from './signing-keys.ts'
import { issuerOf } from './token-answer.ts'
import type { ApplicationTokens, ChangeTokenResponse } from './token-endpoint.ts'

export type { ProviderRequest } from './provider-request.ts'
export type { Api } from './scopes.ts'
export type { Person } from './people.ts'
export type { RegisteredClient, ProviderSettings } from './configuration.ts'
export type { Endpoint, Fault, TokenError } from './faults.ts'
export type { ChangeTokenResponse, TokenChange } from './token-endpoint.ts'

interface IdentityProviderOptions {
  /** 0 chooses a free one. */
  readonly port: number
  /** For `localhost` and `127.0.0.1`; the same port answers http. */
  readonly tls: TlsIdentity
  readonly tenantId: string
  readonly clients: readonly RegisteredClient[]
  readonly apis: readonly Api[]
  readonly people?: readonly Person[]
  readonly settings?: Partial<ProviderSettings>
  /** For client credentials; without it that grant is unknown. */
  readonly applicationTokens?: ApplicationTokens
  /** In place of a new pair for each signing key. */
  readonly makeKeyPair?: MakeKeyPair
}

export interface IdentityProvider {
  readonly port: number
  readonly tenantId: string
  /** `https://localhost:PORT/TENANT/v2.0` */
  readonly issuer: string
  /** Of its own tenant, and of the other organizations. */
  readonly tenantIssuers: readonly string[]
  /** `https://localhost:PORT/TENANT`, as MSAL wants it. */
  readonly authority: string
  readonly discoveryUrl: string
  readonly tokenUrl: string
  readonly jwksUrl: string
  /** `http://127.0.0.1:PORT`, where browsers go. */
  readonly browserUrl: string
  readonly people: readonly Person[]
  /** Of administrators, for their tenants. */
  readonly consents: readonly AdminConsent[]
  /** Oldest first; of a long run only the newest. */
  readonly requests: readonly ProviderRequest[]
  resetRequests(): void
  readonly faults: Faults
  /** May be changed at any time. */
  readonly settings: ProviderSettings
  /** The next token request of a known application is refused like this. */
  nextTokenError(error: TokenError): void
  /** Sees and replaces every good answer of the token endpoint until called without one. */
  changeTokenResponse(change?: ChangeTokenResponse): void
  /** Sees and replaces the key set until called without one. */
  transformKeys(transform?: (keys: JWK[]) => unknown): void
  rotateKeys(options?: { readonly keepOld?: boolean }): Promise<void>
  /** Groups and claims of the person's tokens from now on. */
  changePerson(username: string, changed: Pick<Person, 'groups' | 'claims'>): void
  disablePerson(username: string): void
  enablePerson(username: string): void
  revokeRefreshTokens(username: string): void
  close(): Promise<void>
}

const defaultSettings: ProviderSettings = {
  accessTokenSeconds: 3600,
  idTokenSeconds: 3600,
  refreshTokenSeconds: 90 * 24 * 3600,
  codeSeconds: 600,
  singleUseRefreshTokens: false,
  refuseRepeatedJti: false,
  announceIssuer: false,
  idTokenIssuance: true,
  assertionAudience: 'token-endpoint',
  continuousAccessSeconds: 0,
}

/**
 * Starts it on loopback; keys are made here and never written down.
 *
 * @throws {LocalError} when the port is in use
 */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<IdentityProvider> {
  const { tenantId, clients, apis } = options
  const paths = providerPaths(tenantId)
  const consents: AdminConsent[] = []
  const keys = await SigningKeys.create(options.makeKeyPair ?? makeRsaKeyPair)
  const directory = new Directory(options.people)
  const settings: ProviderSettings = { ...defaultSettings, ...options.settings }
  const faults = new Faults()
  const requests: ProviderRequest[] = []
  const failures = new WeakMap<object, ProviderFailure>()
  let change: ChangeTokenResponse | undefined
  let transformKeys: ((keys: JWK[]) => unknown) | undefined

  const store = new GrantStore({
    findClient: async (clientId) => {
      const client = clients.find((candidate) => candidate.clientId === clientId)
      return client && clientMetadata(client, settings, keys)
    },
    singleUseRefreshTokens: () => settings.singleUseRefreshTokens,
    refuseRepeatedJti: () => settings.refuseRepeatedJti,
  })

  // The port is known once it listens, and the issuer carries the port.
  const handles = new Map<string, ReturnType<Provider['callback']>>()
  const server = await listen({
    name: 'identity provider',
    port: options.port,
    tls: options.tls,
    handler: (request, response) => void handleFor(request.url ?? '')(request, response),
  })
  const origin = `https://localhost:${server.port}`
  const browserUrl = `http://127.0.0.1:${server.port}`
  const issuer = issuerOf(origin, tenantId)
  const cookieKeys = [randomBytes(32).toString('base64url')]
  const shared = { origin, tenantId, keys, directory, apis, store, settings, cookieKeys }
  const routes: Omit<RouteOptions, 'around'> = {
    clients,
    consents,
    faults,
    browserUrl,
    failures,
    requests,
    applicationTokens: options.applicationTokens,
    change: () => change,
    transformKeys: () => transformKeys,
  }

  // Created again when keys roll: oidc-provider reads its keys once, and its state is in the store.
  const build = (authority: string) => {
    const around = { ...shared, authority, isForMany: authority !== tenantId, paths: providerPaths(authority) }
    const provider = new Provider(origin, providerConfiguration(around))
    // Entra's paths hang below the origin, beside the issuer's own path and not under it.
    Object.assign(provider, { issuer: issuerOf(origin, authority) })
    allowLoopback(provider)
    mountRoutes(provider, { ...routes, around })
    return provider.callback()
  }
  /** One for each authority that is used: the provider's own tenant, `organizations`, `common`. */
  const handleFor = (url: string) => {
    const [, named = ''] = /^\/(organizations|common)\//.exec(url) ?? []
    const authority = named || tenantId
    const handle = handles.get(authority) ?? build(authority)
    handles.set(authority, handle)
    return handle
  }

  const person = (username: string): Person => {
    const found = directory.findByUsername(username)
    if (!found) throw new Error(`Nobody is called ${username} here.`)
    return found
  }

  return {
    port: server.port,
    tenantId,
    issuer,
    tenantIssuers: [tenantId, fabrikam, litware].map((tenant) => issuerOf(origin, tenant)),
    authority: `${origin}/${tenantId}`,
    discoveryUrl: `${origin}${paths.discovery}`,
    tokenUrl: `${origin}${paths.token}`,
    jwksUrl: `${origin}${paths.keys}`,
    browserUrl,
    people: directory.people,
    consents,
    requests,
    resetRequests: () => void (requests.length = 0),
    faults,
    settings,
    nextTokenError: (error) => faults.addTokenError(error),
    changeTokenResponse: (given) => void (change = given),
    transformKeys: (given) => void (transformKeys = given),
    rotateKeys: async ({ keepOld = true } = {}) => {
      await keys.rotate({ keepOld })
      handles.clear()
    },
    changePerson: (username, changed) => directory.change(person(username), changed),
    disablePerson: (username) => directory.setDisabled(person(username), true),
    enablePerson: (username) => directory.setDisabled(person(username), false),
    revokeRefreshTokens: (username) => store.revokeRefreshTokens(person(username).objectId),
    close: () => server.close(),
  }
}

interface ClientSchema {
  readonly prototype: { invalidate: (this: unknown, message: string, code?: string) => void }
}

/**
 * oidc-provider requires https for a client with the hybrid flow, since its response passes through the browser. The
 * broker on a laptop is on http, on loopback. The documentation of oidc-provider describes this exception.
 */
export function allowLoopback(provider: Provider): void {
  const { prototype } = (provider.Client as unknown as { readonly Schema: ClientSchema }).Schema
  const { invalidate } = prototype
  prototype.invalidate = function (message, code) {
    if (code === 'implicit-force-https' || code === 'implicit-forbid-localhost') return
    invalidate.call(this, message, code)
  }
}
