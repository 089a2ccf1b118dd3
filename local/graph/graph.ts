/**
 * The part of Microsoft Graph that the broker and its deployment call, over https on loopback: a router with the rows
 * of the files beside it, and the applications that they share. Not deployed.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listen } from '../http-server.ts'
import type { TlsIdentity } from '../http-server.ts'
import type { Identity, VerifyAccessToken } from '../managed-identity/access-tokens.ts'
import { createFaults, loseAnswer, suffer } from '../vault/faults.ts'
import type { FaultEffects, Faults } from '../vault/faults.ts'
import { Applications } from './applications.ts'
import type { Application } from './applications.ts'
import { GraphError } from './graph-error.ts'
import { keyRoutes } from './keys.ts'
import type { KeySettings } from './keys.ts'
import type { GraphRoute } from './route.ts'

interface GraphFault extends FaultEffects {
  /** One operation; the default is all. */
  readonly operation?: string
}

interface GraphRequest {
  readonly method: string
  readonly path: string
  readonly operation: string | undefined
  /** Client id of the caller; undefined without a valid token. */
  caller: string | undefined
  /** Undefined until there is an answer, and for ever where a fault withholds it. */
  status: number | undefined
}

interface GraphOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** A certificate for `localhost`. */
  readonly tls: TlsIdentity
  readonly verifyAccessToken: VerifyAccessToken
  readonly applications?: readonly Application[]
  /** Routes in addition to those of this folder. */
  readonly routes?: (applications: Applications) => readonly GraphRoute[]
}

export interface Graph {
  /** `https://localhost:PORT` */
  readonly url: string
  readonly applications: Applications
  /** May be changed at any time. */
  readonly settings: KeySettings
  readonly requests: readonly GraphRequest[]
  resetRequests(): void
  readonly faults: Pick<Faults<GraphFault>, 'add' | 'clear'>
  close(): Promise<void>
}

const graphAudience = 'https://graph.microsoft.com'
const largestBody = 256 * 1024

/** @throws {LocalError} when the port is in use */
export async function startGraph(options: GraphOptions): Promise<Graph> {
  const applications = new Applications(options.applications)
  const settings: KeySettings = {
    effectAfterMs: 0,
    proofAudience: '00000002-0000-0000-c000-000000000000',
  }
  const routes = [...keyRoutes(applications, settings), ...(options.routes?.(applications) ?? [])]
  const faults = createFaults<GraphFault>()
  const stopping = new AbortController()
  let requests: GraphRequest[] = []

  const authenticate = async (request: IncomingMessage): Promise<Identity> => {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) throw new GraphError(401, 'InvalidAuthenticationToken', 'Access token is empty.')
    try {
      return await options.verifyAccessToken(token, graphAudience)
    } catch {
      throw new GraphError(401, 'InvalidAuthenticationToken', 'Access token validation failure.')
    }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const method = request.method ?? 'GET'
    const target = new URL(request.url ?? '/', 'https://localhost')
    const path = decodeURIComponent(target.pathname)
    const found = routes
      .map((route) => ({ route, match: route.method === method ? route.path.exec(withoutVersion(path)) : null }))
      .find(({ match }) => match !== null)
    const operation = found?.route.operation
    const entry: GraphRequest = { method, path, operation, caller: undefined, status: undefined }
    requests.push(entry)
    response.on('prefinish', () => {
      entry.status = response.statusCode
    })
    try {
      const caller = await authenticate(request)
      entry.caller = caller.clientId
      const fault = faults.take((one) => one.operation === undefined || one.operation === operation)
      const left = await suffer(fault, response, stopping.signal, (status) => describeFault(status))
      if (left === 'nothing') return
      if (!found?.match)
        throw new GraphError(404, 'Request_ResourceNotFound', 'The local Graph knows no such resource.')
      const { status, body } = await found.route.handle({
        caller,
        parameters: found.match.slice(1),
        query: target.searchParams,
        headers: request.headers,
        body: await readJson(request),
      })
      if (left === 'work') loseAnswer(fault, response)
      else send(response, status, body)
    } catch (error) {
      if (!(error instanceof GraphError)) throw error
      send(response, error.status, error.body())
    }
  }

  const server = await listen({
    name: 'Microsoft Graph',
    port: options.port,
    tls: options.tls,
    handler: (request, response) => void handle(request, response).catch(() => response.destroy()),
  })

  return {
    url: `https://localhost:${server.port}`,
    applications,
    settings,
    get requests() {
      return requests
    },
    resetRequests: () => {
      requests = []
    },
    faults: { add: faults.add, clear: faults.clear },
    close: () => {
      stopping.abort()
      return server.close()
    },
  }
}

function withoutVersion(path: string): string {
  return path.startsWith('/v1.0/') ? path.slice('/v1.0'.length) : ''
}

function describeFault(status: number): object {
  const code = status === 429 ? 'TooManyRequests' : status >= 500 ? 'serviceNotAvailable' : 'Request_BadRequest'
  return new GraphError(status, code, 'A fault on request.').body()
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > largestBody) throw new GraphError(413, 'Request_BadRequest', 'The request body is too large.')
    chunks.push(chunk)
  }
  if (length === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch {
    throw new GraphError(400, 'Request_BadRequest', 'The request body is not JSON.')
  }
}

function send(response: ServerResponse, status: number, body: object | undefined): void {
  const id = randomUUID()
  response.setHeader('request-id', id).setHeader('client-request-id', id)
  if (body === undefined) {
    response.writeHead(status).end()
    return
  }
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
}
