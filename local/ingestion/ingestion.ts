/**
 * The ingestion of Application Insights on loopback: takes what the real exporter posts, https by the local certificate
 * authority and by a token of the managed identity alone, keeps the newest of it in memory and shows it. Not deployed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { listen } from '../http-server.ts'
import type { LocalServer, TlsIdentity } from '../http-server.ts'
import type { VerifyAccessToken } from '../managed-identity/access-tokens.ts'
import { createFaults, suffer } from '../vault/faults.ts'
import type { FaultEffects, Faults } from '../vault/faults.ts'
import { createNewest } from './newest.ts'
import { operationsPage, pageHeaders } from './pages.ts'
import { parseEnvelope, toTelemetryItem } from './telemetry-item.ts'
import type { TelemetryItem } from './telemetry-item.ts'
import { inflate, parseBody, readBody, Refused } from './track-body.ts'

export interface IngestionOptions {
  /** 0 takes a free one. */
  readonly port: number
  /** A certificate for `localhost`. */
  readonly tls: TlsIdentity
  readonly verifyAccessToken: VerifyAccessToken
  /** Client ids that have the role Monitoring Metrics Publisher. */
  readonly publishers: readonly string[]
  readonly instrumentationKey?: string
  /** How many items are kept; 5,000 where left out. */
  readonly mostItems?: number
}

/** What strikes a post besides the effects that all local parts have. It does so whoever posts. */
export interface IngestionFault extends FaultEffects {
  /** Refuses each item of a post but the first with this status, and answers 206. */
  readonly refuseItems?: number
}

export interface IngestionRequest {
  readonly method: string
  readonly path: string
  /** Of the body, as it came. */
  bytes: number
  /** Client id of the caller; undefined without a good token. */
  caller: string | undefined
  /** How many items were kept. */
  accepted: number
  /** Undefined while, or because, nothing was answered. */
  status: number | undefined
}

export interface Ingestion {
  /** `http://localhost:PORT`: the page for people. `/items` is the same as JSON. */
  readonly url: string
  /** For APPLICATIONINSIGHTS_CONNECTION_STRING. */
  readonly connectionString: string
  readonly instrumentationKey: string
  /** What was accepted and is still kept, oldest first. */
  received(): readonly TelemetryItem[]
  /** The body of every post, decompressed, whatever was answered: for a search that must find nothing. */
  readonly rawBodies: readonly Buffer[]
  /** Items and bodies that had to make room for newer ones. */
  readonly dropped: { readonly items: number; readonly bodies: number }
  /** Posts and whatever else was asked for, the pages left out. */
  readonly requests: readonly IngestionRequest[]
  readonly faults: Pick<Faults<IngestionFault>, 'add' | 'clear'>
  /** Ends every connection and refuses new ones until `startListening`. */
  stopListening(): Promise<void>
  /** On the port that it had. */
  startListening(): Promise<void>
  /** Forgets items, bodies, requests and faults. */
  clear(): void
  close(): Promise<void>
}

/** Of local.settings.example.json. */
export const localInstrumentationKey = '66666666-6666-4666-8666-666666666666'
export const ingestionAudience = 'https://monitor.azure.com'

const trackPaths = ['/v2.1/track', '/v2/track']

/** @throws {LocalError} when the port is taken */
export async function startIngestion(options: IngestionOptions): Promise<Ingestion> {
  const { tls, publishers, instrumentationKey = localInstrumentationKey, mostItems = 5000 } = options
  const items = createNewest<TelemetryItem>({ most: mostItems, mostBytes: 32 * 1024 * 1024 })
  const bodies = createNewest<Buffer>({ most: 10_000, mostBytes: 32 * 1024 * 1024 })
  const requests = createNewest<IngestionRequest>({ most: 10_000, mostBytes: Infinity })
  const faults = createFaults<IngestionFault>()
  const stopping = new AbortController()

  const authorize = async (request: IncomingMessage): Promise<string> => {
    if (!(request.socket instanceof TLSSocket)) throw new Refused(400, 'Telemetry is taken over https only.')
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) throw new Refused(401, 'The resource takes telemetry by Entra ID only: no bearer token.')
    const caller = await options.verifyAccessToken(token, ingestionAudience).catch((error: unknown) => {
      throw new Refused(401, `The bearer token is not good: ${(error as Error).message}`)
    })
    if (publishers.includes(caller.clientId)) return caller.clientId
    throw new Refused(403, 'The identity lacks the role Monitoring Metrics Publisher.')
  }

  const accept = (sent: readonly unknown[], fault: IngestionFault | undefined): TrackAnswer => {
    const errors: ItemError[] = []
    sent.forEach((one, index) => {
      const refuse = (statusCode: number, message: string) => void errors.push({ index, statusCode, message })
      const envelope = parseEnvelope(one)
      if (!envelope) refuse(400, 'The envelope is not what schema 2.1 says.')
      else if (envelope.iKey !== instrumentationKey) refuse(400, 'Invalid instrumentation key')
      else if (fault?.refuseItems !== undefined && index > 0) refuse(fault.refuseItems, 'A fault on request.')
      else items.add(toTelemetryItem(envelope), JSON.stringify(one).length)
    })
    return { itemsReceived: sent.length, itemsAccepted: sent.length - errors.length, errors }
  }

  const track = async (request: IncomingMessage, response: ServerResponse, entry: IngestionRequest) => {
    const sent = await readBody(request)
    entry.bytes = sent.length
    const body = await inflate(sent, request.headers['content-encoding'])
    bodies.add(body, body.length)

    const fault = faults.take(() => true)
    const left = await suffer(fault, response, stopping.signal, (status) => refusal(status, 'A fault on request.'))
    if (left === 'nothing') return
    entry.caller = await authorize(request)
    const answer = accept(parseBody(body.toString('utf8')), fault)
    entry.accepted = answer.itemsAccepted
    if (left === 'work') response.destroy()
    else sendJson(response, statusOf(answer), answer)
  }

  const show = (response: ServerResponse, target: URL): void => {
    const operation = target.searchParams.get('operation')
    const shown = items.all.filter(({ operationId }) => operation === null || operationId === operation)
    if (target.pathname === '/items') sendJson(response, 200, shown)
    else response.writeHead(200, pageHeaders).end(operationsPage(shown, items.dropped))
  }

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const { method = 'GET' } = request
    const target = new URL(request.url ?? '/', 'https://localhost')
    if (method === 'GET' && ['/', '/items'].includes(target.pathname)) {
      show(response, target)
      return
    }
    const entry: IngestionRequest = {
      ...{ method, path: target.pathname, bytes: 0, accepted: 0 },
      ...{ caller: undefined, status: undefined },
    }
    requests.add(entry, 0)
    response.on('prefinish', () => {
      entry.status = response.statusCode
    })
    try {
      if (!trackPaths.includes(target.pathname)) throw new Refused(404, 'Nothing but telemetry is taken here.')
      if (method !== 'POST') throw new Refused(405, 'Telemetry comes by POST.')
      await track(request, response, entry)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      sendJson(response, error.status, refusal(error.status, error.message))
    }
  }

  const start = (port: number) =>
    listen({
      name: 'Application Insights ingestion',
      port,
      tls,
      handler: (request, response) => void handle(request, response).catch(() => response.destroy()),
    })
  const { port, ...first } = await start(options.port)
  let server: Pick<LocalServer, 'close'> | undefined = first
  const stopListening = async () => {
    const listening = server
    server = undefined
    await listening?.close()
  }

  return {
    url: `http://localhost:${port}`,
    connectionString: `InstrumentationKey=${instrumentationKey};IngestionEndpoint=https://localhost:${port}/`,
    instrumentationKey,
    received: () => [...items.all],
    rawBodies: bodies.all,
    get dropped() {
      return { items: items.dropped, bodies: bodies.dropped }
    },
    requests: requests.all,
    faults: { add: faults.add, clear: faults.clear },
    stopListening,
    startListening: async () => {
      server ??= await start(port)
    },
    clear: () => {
      for (const kept of [items, bodies, requests]) kept.clear()
      faults.clear()
    },
    close: async () => {
      stopping.abort()
      await stopListening()
    },
  }
}

interface ItemError {
  readonly index: number
  readonly statusCode: number
  readonly message: string
}

interface TrackAnswer {
  readonly itemsReceived: number
  readonly itemsAccepted: number
  readonly errors: readonly ItemError[]
}

function statusOf({ itemsReceived, itemsAccepted, errors }: TrackAnswer): number {
  if (itemsAccepted === itemsReceived) return 200
  return itemsAccepted > 0 ? 206 : (errors[0]?.statusCode ?? 400)
}

function refusal(statusCode: number, message: string): TrackAnswer {
  return { itemsReceived: 0, itemsAccepted: 0, errors: [{ index: 0, statusCode, message }] }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(JSON.stringify(body))
}
