/**
 * The ingestion of Application Insights on loopback: accepts the posts of the real exporter, only over https and
 * with a token of the managed identity, keeps the newest items in memory and shows them. Not deployed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { listen } from '../http-server.ts'
import type { LocalServer, TlsIdentity } from '../http-server.ts'
import type { VerifyAccessToken } from '../managed-identity/access-tokens.ts'
import { createFaults, loseAnswer, suffer } from '../vault/faults.ts'
import type { FaultEffects, Faults } from '../vault/faults.ts'
import { createNewest } from './newest.ts'
import { operationsPage, pageHeaders } from './pages.ts'
import { parseEnvelope, toTelemetryItem } from './telemetry-item.ts'
import type { TelemetryItem } from './telemetry-item.ts'
import { inflate, parseBody, readBody, Refused } from './track-body.ts'

interface IngestionOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** A certificate for `localhost`. */
  readonly tls: TlsIdentity
  readonly verifyAccessToken: VerifyAccessToken
  /** Client ids that have the role Monitoring Metrics Publisher. */
  readonly publishers: readonly string[]
  readonly instrumentationKey?: string
  /** Number of items that are kept; the default is 5,000. */
  readonly mostItems?: number
}

/** Faults of a post, in addition to those of all local parts. They apply to every caller. */
export interface IngestionFault extends FaultEffects {
  /** Applies to posts whose first item is of this type; to every post where it is left out. */
  readonly type?: TelemetryItem['type']
  /** Refuses each item of a post but the first with this status, and answers 206. */
  readonly refuseItems?: number
}

interface IngestionRequest {
  readonly method: string
  readonly path: string
  /** Size of the body as it was received. */
  bytes: number
  /** Client id of the caller; undefined without a valid token. */
  caller: string | undefined
  /** Number of items that were accepted. */
  accepted: number
  /** Undefined until there is an answer, and for ever where a fault withholds it. */
  status: number | undefined
}

export interface Ingestion {
  /** `http://localhost:PORT`: the page for people. `/items` is the same as JSON. */
  readonly url: string
  /** For APPLICATIONINSIGHTS_CONNECTION_STRING. */
  readonly connectionString: string
  readonly instrumentationKey: string
  /** The accepted items that are still kept, oldest first. */
  received(): readonly TelemetryItem[]
  /** The body of every post, decompressed, also of refused ones: for a search that must find no secret. */
  readonly rawBodies: readonly Buffer[]
  /** Number of items and bodies that newer ones have displaced. */
  readonly dropped: { readonly items: number; readonly bodies: number }
  /** All requests except those for the pages. */
  readonly requests: readonly IngestionRequest[]
  readonly faults: Pick<Faults<IngestionFault>, 'add' | 'clear'>
  /** Ends every connection and refuses new ones until `startListening`. */
  stopListening(): Promise<void>
  /** Listens again on the same port. */
  startListening(): Promise<void>
  /** Clears items, bodies, requests and faults. */
  clear(): void
  close(): Promise<void>
}

/** Of local.settings.example.json. */
const localInstrumentationKey = '66666666-6666-4666-8666-666666666666'
export const ingestionAudience = 'https://monitor.azure.com'

const trackPaths = ['/v2.1/track', '/v2/track']

/** @throws {LocalError} when the port is in use */
export async function startIngestion(options: IngestionOptions): Promise<Ingestion> {
  const { tls, publishers, instrumentationKey = localInstrumentationKey, mostItems = 5000 } = options
  const items = createNewest<TelemetryItem>({ most: mostItems, mostBytes: 32 * 1024 * 1024 })
  const bodies = createNewest<Buffer>({ most: 10_000, mostBytes: 32 * 1024 * 1024 })
  const requests = createNewest<IngestionRequest>({ most: 10_000, mostBytes: Infinity })
  const faults = createFaults<IngestionFault>()
  const stopping = new AbortController()

  const authorize = async (request: IncomingMessage): Promise<string> => {
    if (!(request.socket instanceof TLSSocket)) throw new Refused(400, 'Telemetry is accepted over https only.')
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined)
      throw new Refused(401, 'The resource accepts telemetry by Entra ID only: the bearer token is missing.')
    const caller = await options.verifyAccessToken(token, ingestionAudience).catch((error: unknown) => {
      throw new Refused(401, `The bearer token is not valid: ${(error as Error).message}`)
    })
    if (publishers.includes(caller.clientId)) return caller.clientId
    throw new Refused(403, 'The identity lacks the role Monitoring Metrics Publisher.')
  }

  const accept = (sent: readonly unknown[], fault: IngestionFault | undefined): TrackAnswer => {
    const errors: ItemError[] = []
    sent.forEach((one, index) => {
      const refuse = (statusCode: number, message: string) => void errors.push({ index, statusCode, message })
      const envelope = parseEnvelope(one)
      if (!envelope) refuse(400, 'The envelope does not match schema 2.1.')
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

    const fault = faults.take(({ type }) => type === undefined || type === typeOf(body))
    const left = await suffer(fault, response, stopping.signal, (status) => refusal(status, 'A fault on request.'))
    if (left === 'nothing') return
    entry.caller = await authorize(request)
    const answer = accept(parseBody(body.toString('utf8')), fault)
    entry.accepted = answer.itemsAccepted
    if (left === 'work') loseAnswer(fault, response)
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
      if (!trackPaths.includes(target.pathname)) throw new Refused(404, 'Only telemetry is accepted here.')
      if (method !== 'POST') throw new Refused(405, 'Send telemetry by POST.')
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

/** The exporter sends items of one type in a post. */
function typeOf(body: Buffer): TelemetryItem['type'] | undefined {
  const envelope = parseEnvelope(parseBody(body.toString('utf8'))[0])
  return envelope && toTelemetryItem(envelope).type
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
