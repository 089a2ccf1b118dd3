/**
 * App Service's identity endpoint (api-version 2019-08-01), for the real ManagedIdentityCredential by
 * IDENTITY_ENDPOINT and IDENTITY_HEADER.
 *
 * MSAL reads the two variables once per process and keeps the tokens of all credentials in one cache, by client id and
 * resource: a second endpoint in one process receives no request.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listen } from '../http-server.ts'
import { createFaults, loseAnswer, suffer } from '../vault/faults.ts'
import type { FaultEffects } from '../vault/faults.ts'
import { createAccessTokenIssuer } from './access-tokens.ts'
import type { AccessTokenIssuer, Identity } from './access-tokens.ts'

interface ManagedIdentityOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** User-assigned identities of this app; there is no system-assigned one. */
  readonly identities?: readonly Identity[]
  /** The value of IDENTITY_HEADER; the default is a random value. */
  readonly header?: string
  readonly issuer?: AccessTokenIssuer
  readonly tokenLifetimeSeconds?: number
}

interface IdentityRequest {
  readonly clientId: string | undefined
  readonly resource: string | undefined
  /** Undefined until there is an answer, and for ever where a fault withholds it. */
  status: number | undefined
}

export interface ManagedIdentity {
  /** For IDENTITY_ENDPOINT. */
  readonly url: string
  /** For IDENTITY_HEADER. */
  readonly header: string
  readonly requests: readonly IdentityRequest[]
  resetRequests(): void
  /** Issues tokens for tests and checks them for the vault and Graph. */
  readonly issuer: AccessTokenIssuer
  /** Replaces the fault of every further request; `undefined` ends it. */
  failWith(fault: FaultEffects | undefined): void
  close(): Promise<void>
}

/** The identity that AZURE_CLIENT_ID names on a laptop. */
export const localIdentity: Identity = {
  clientId: '33333333-3333-4333-8333-333333333333',
  principalId: '33333333-3333-4333-8333-000000000001',
}

const path = '/msi/token'

export async function startManagedIdentity(options: ManagedIdentityOptions): Promise<ManagedIdentity> {
  const { identities = [localIdentity], header = randomUUID(), tokenLifetimeSeconds = 3600 } = options
  const issuer = options.issuer ?? (await createAccessTokenIssuer())
  const faults = createFaults<FaultEffects>()
  const stopping = new AbortController()
  let requests: IdentityRequest[] = []

  const answer = async (request: IncomingMessage): Promise<{ status: number; body: object }> => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const query = url.searchParams
    const refuse = (status: number, message: string) => ({ status, body: errorBody(status, message) })

    if (url.pathname !== path) return refuse(404, `Only ${path} is answered.`)
    if (request.method !== 'GET') return refuse(405, 'Only GET is answered.')
    if (request.headers['x-identity-header'] !== header) {
      return refuse(401, 'The header X-IDENTITY-HEADER is missing or is not the value of IDENTITY_HEADER.')
    }
    if (query.get('api-version') !== '2019-08-01') return refuse(400, 'Only api-version 2019-08-01 is answered.')
    const resource = query.get('resource')
    if (!resource) return refuse(400, 'The parameter resource is missing.')
    const identity = identities.find(({ clientId }) => clientId === query.get('client_id'))
    if (!identity) {
      return refuse(
        400,
        'No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.',
      )
    }

    const { token, expiresOn } = await issuer.issueAccessToken({
      ...identity,
      audience: resource,
      lifetimeSeconds: tokenLifetimeSeconds,
    })
    return {
      status: 200,
      body: {
        access_token: token,
        expires_on: String(expiresOn),
        resource,
        token_type: 'Bearer',
        client_id: identity.clientId,
      },
    }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const query = new URL(request.url ?? '/', 'http://localhost').searchParams
    const entry: IdentityRequest = {
      clientId: query.get('client_id') ?? undefined,
      resource: query.get('resource') ?? undefined,
      status: undefined,
    }
    requests.push(entry)
    response.on('prefinish', () => {
      entry.status = response.statusCode
    })

    const fault = faults.take(() => true)
    const left = await suffer(fault, response, stopping.signal, (status) => errorBody(status, 'A fault on request.'))
    if (left === 'nothing') return
    const { status, body } = await answer(request)
    if (left === 'work') {
      loseAnswer(fault, response)
      return
    }
    response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
  }

  const server = await listen({
    name: 'managed identity endpoint',
    port: options.port,
    handler: (request, response) => void handle(request, response).catch(() => response.destroy()),
  })

  return {
    url: `http://127.0.0.1:${server.port}${path}`,
    header,
    get requests() {
      return requests
    },
    resetRequests: () => {
      requests = []
    },
    issuer,
    failWith: (fault) => {
      faults.clear()
      if (fault) faults.add(fault)
    },
    close: () => {
      stopping.abort()
      return server.close()
    },
  }
}

function errorBody(statusCode: number, message: string): object {
  return { statusCode, message, correlationId: randomUUID() }
}
