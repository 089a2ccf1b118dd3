/**
 * The local identity provider, dressed as AD FS of Windows Server 2019: the same software and the same pages as the
 * other dress, with the addresses, tokens, scopes, sign-out and errors of AD FS. Certificates are registered by hand.
 * Not deployed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { listen } from '../../http-server.ts'
import type { TlsIdentity } from '../../http-server.ts'
import { makeRsaKeyPair } from '../../rsa-key-pair.ts'
import type { MakeKeyPair } from '../../rsa-key-pair.ts'
import type { ProviderFailure } from '../entra-error.ts'
import { Faults } from '../faults.ts'
import type { TokenError } from '../faults.ts'
import { GrantStore } from '../grant-store.ts'
import { allowLoopback } from '../identity-provider.ts'
import { homePage } from '../pages.ts'
import { Directory } from '../people.ts'
import type { Person } from '../people.ts'
import { noteFailures, serveRequest } from '../provider-request.ts'
import type { ProviderRequest } from '../provider-request.ts'
import type { Api } from '../scopes.ts'
import { showPage } from '../show-page.ts'
import { answerSignInPage } from '../sign-in-pages.ts'
import { SigningKeys } from '../signing-keys.ts'
import type { ChangeTokenResponse } from '../token-endpoint.ts'
import { answerAuthorization, answerSignOut } from './adfs-browser.ts'
import { clientMetadata, configurationOf } from './adfs-configuration.ts'
import { discoveryDocument, keySet } from './adfs-metadata.ts'
import { paths } from './adfs-parts.ts'
import type { AdfsClient, FederationParts, FederationBehaviour } from './adfs-parts.ts'
import { answerAdfsTokenRequest } from './adfs-tokens.ts'

interface FederationServerOptions {
  /** 0 chooses a free one. */
  readonly port: number
  readonly tls: TlsIdentity
  readonly clients: readonly AdfsClient[]
  readonly apis: readonly Api[]
  readonly people?: readonly Person[]
  readonly makeKeyPair?: MakeKeyPair
}

export interface FederationServer {
  readonly port: number
  /** `https://localhost:PORT/adfs` */
  readonly issuer: string
  /** The issuer that access tokens name. */
  readonly accessTokenIssuer: string
  readonly tokenUrl: string
  readonly jwksUrl: string
  /** `http://127.0.0.1:PORT`, where browsers go. */
  readonly browserUrl: string
  readonly people: readonly Person[]
  readonly requests: readonly ProviderRequest[]
  resetRequests(): void
  readonly faults: Faults
  readonly behaviour: FederationBehaviour
  readonly clients: readonly AdfsClient[]
  nextTokenError(error: TokenError): void
  changeTokenResponse(change?: ChangeTokenResponse): void
  revokeRefreshTokens(username: string): void
  close(): Promise<void>
}

/** @throws {LocalError} when the port is in use */
export async function startFederationServer(options: FederationServerOptions): Promise<FederationServer> {
  const { clients, apis } = options
  const keys = await SigningKeys.create(options.makeKeyPair ?? makeRsaKeyPair)
  const directory = new Directory(options.people)
  const faults = new Faults()
  const requests: ProviderRequest[] = []
  const failures = new WeakMap<object, ProviderFailure>()
  const behaviour: FederationBehaviour = {
    release: 2019,
    accessTokenSeconds: 3600,
    clockToleranceSeconds: 300,
    refreshTokens: true,
    refreshTokensExpired: false,
  }
  let change: ChangeTokenResponse | undefined

  const store = new GrantStore({
    findClient: (clientId) => {
      const client = clients.find((candidate) => candidate.clientId === clientId)
      return Promise.resolve(client && clientMetadata(client))
    },
    singleUseRefreshTokens: () => false,
    refuseRepeatedJti: () => false,
  })
  // The port is known once it listens, and the issuer carries the port.
  let serve: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  const server = await listen({
    name: 'identity provider',
    port: options.port,
    tls: options.tls,
    handler: (request, response) => serve(request, response),
  })
  const origin = `https://localhost:${server.port}`
  const issuer = `${origin}/adfs`
  const parts: FederationParts = {
    tokenUrl: `${origin}${paths.token}/`,
    accessTokenIssuer: `http://localhost:${server.port}/adfs/services/trust`,
    ...{ clients, apis, directory, keys, store, faults, behaviour },
    change: () => change,
  }

  const provider = new Provider(origin, configurationOf(parts))
  Object.assign(provider, { issuer })
  allowLoopback(provider)
  noteFailures(provider, failures)
  // AD FS sends no `iss`.
  provider.on('authorization.success', (_, answer) => {
    delete (answer as Record<string, unknown>)['iss']
  })

  provider.use(async (context, next) => {
    const ctx = context as KoaContextWithOIDC
    // Its addresses end in a slash; oidc-provider knows them without one.
    ctx.url = ctx.url.replace(/^(\/adfs\/oauth2\/(?:authorize|token|logout))\/(?=\?|$)/, '$1')
    await serveRequest(ctx, { paths, faults, requests }, async ({ endpoint, form }) => {
      if (form) return answerAdfsTokenRequest(parts, ctx, form, { next, failure: () => failures.get(ctx)?.detail })
      if (endpoint === 'authorize') return answerAuthorization(ctx, next, () => failures.get(ctx)?.detail)
      if (endpoint === 'sign-in') return answerSignInPage(provider, ctx, { directory })
      if (endpoint === 'logout') return answerSignOut(ctx, next)
      if (endpoint === 'keys') ctx.body = keySet(keys)
      else if (endpoint === 'discovery') ctx.body = discoveryDocument(parts, issuer, server.port)
      else if (ctx.path === '/') showPage(ctx, homePage(directory.people, issuer, 'AD FS'))
      else ctx.status = endpoint === 'token' ? 405 : 404
    })
  })
  const callback = provider.callback()
  serve = (request, response) => void callback(request, response)

  return {
    port: server.port,
    issuer,
    accessTokenIssuer: parts.accessTokenIssuer,
    tokenUrl: parts.tokenUrl,
    jwksUrl: `${origin}${paths.keys}`,
    browserUrl: `http://127.0.0.1:${server.port}`,
    people: directory.people,
    requests,
    resetRequests: () => void (requests.length = 0),
    faults,
    behaviour,
    clients,
    nextTokenError: (error) => faults.addTokenError(error),
    changeTokenResponse: (given) => void (change = given),
    revokeRefreshTokens: (username) => {
      const person = directory.findByUsername(username)
      if (person) store.revokeRefreshTokens(person.objectId)
    },
    close: () => server.close(),
  }
}
