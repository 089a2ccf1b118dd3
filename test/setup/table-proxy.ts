/** A proxy between the broker and the table service: records the requests, and simulates faults of a network. */
import http from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { listen } from '../../local/http-server.ts'

export type StoreOperation = 'insert' | 'find' | 'replace' | 'remove' | 'list' | 'createTable'

interface StoreRequest {
  readonly operation: StoreOperation
  /** Without the prefix: `sessions`, `states`, `service`. */
  readonly table: string
  status: number
}

export interface StoreFault {
  readonly operation?: StoreOperation
  readonly table?: string
  readonly times?: number
  readonly status?: number
  readonly body?: string
  readonly delayMs?: number
  readonly hang?: boolean
  readonly dropConnection?: boolean
  /** The service performs the request, and its answer is lost. */
  readonly loseAnswer?: boolean
}

export interface TableProxy {
  readonly url: string
  readonly requests: readonly StoreRequest[]
  resetRequests(): void
  addFault(fault: StoreFault): void
  clearFaults(): void
  close(): Promise<void>
}

export async function startTableProxy(tableServiceUri: string, tablePrefix: string): Promise<TableProxy> {
  const target = new URL(tableServiceUri)
  const agent = new http.Agent({ keepAlive: true })
  let requests: StoreRequest[] = []
  let faults: { fault: StoreFault; left: number }[] = []

  const takeFault = ({ operation, table }: StoreRequest): StoreFault | undefined => {
    const found = faults.find(
      ({ fault, left }) =>
        left > 0 &&
        (fault.operation === undefined || fault.operation === operation) &&
        (fault.table === undefined || fault.table === table),
    )
    if (found) found.left -= 1
    return found?.fault
  }

  const server = await listen({
    name: 'table proxy',
    port: 0,
    handler: (incoming, outgoing) => {
      void (async () => {
        const request = describe(incoming, tablePrefix)
        requests.push(request)
        const fault = takeFault(request)
        if (fault?.delayMs !== undefined) await wait(fault.delayMs)
        if (fault?.hang) return
        if (fault?.dropConnection) {
          incoming.socket.destroy()
          return
        }
        if (fault?.status !== undefined) {
          request.status = fault.status
          outgoing.writeHead(fault.status, { 'content-type': 'application/json' }).end(fault.body ?? '')
          return
        }
        const forwarded = http.request(
          {
            agent,
            host: target.hostname,
            port: target.port,
            method: incoming.method,
            path: incoming.url,
            headers: incoming.headers,
          },
          (answer) => {
            request.status = answer.statusCode ?? 0
            if (fault?.loseAnswer) {
              answer.resume().on('end', () => incoming.socket.destroy())
              return
            }
            outgoing.writeHead(request.status, answer.headers)
            answer.pipe(outgoing)
          },
        )
        forwarded.on('error', () => incoming.socket.destroy())
        incoming.pipe(forwarded)
      })()
    },
  })

  return {
    url: `http://127.0.0.1:${server.port}${target.pathname}`,
    get requests() {
      return requests
    },
    resetRequests: () => void (requests = []),
    addFault: (fault) => void faults.push({ fault, left: fault.times ?? Infinity }),
    clearFaults: () => void (faults = []),
    close: async () => {
      agent.destroy()
      await server.close()
    },
  }
}

function describe(incoming: http.IncomingMessage, prefix: string): StoreRequest {
  const path = decodeURIComponent((incoming.url ?? '').split('?')[0] ?? '').replace(/^\/devstoreaccount1\//, '')
  const [name = ''] = path.split('(')
  const table = name.startsWith(prefix) ? name.slice(prefix.length) : name
  return { operation: operationOf(incoming.method ?? '', path), table, status: 0 }
}

function operationOf(method: string, path: string): StoreOperation {
  if (path.startsWith('Tables')) return 'createTable'
  if (method === 'POST') return 'insert'
  if (method === 'DELETE') return 'remove'
  if (method === 'GET') return path.includes('(PartitionKey') ? 'find' : 'list'
  return 'replace'
}
