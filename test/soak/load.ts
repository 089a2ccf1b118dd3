/** Many requests over a few connections, with little CPU time of the test itself, since the broker is measured. */
import http from 'node:http'

export interface Ask {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Load {
  /**
   * Sends the requests, a few in parallel.
   *
   * @param ask returns the n-th request
   * @returns the number of answers of each status
   */
  send(count: number, ask: (n: number) => Ask): Promise<Readonly<Record<number, number>>>
  close(): void
}

const connections = 16

export function createLoad(url: string): Load {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections })
  const { hostname, port } = new URL(url)

  const sendOne = ({ method = 'GET', path, headers, body }: Ask): Promise<number> =>
    new Promise((resolve, reject) => {
      const request = http.request({ agent, hostname, port, method, path, headers }, (response) => {
        response.on('end', () => resolve(response.statusCode ?? 0)).resume()
      })
      request.on('error', reject).end(body)
    })

  return {
    send: async (count, ask) => {
      const statuses: Record<number, number> = {}
      let next = 0
      const worker = async () => {
        while (next < count) {
          const status = await sendOne(ask(next++))
          statuses[status] = (statuses[status] ?? 0) + 1
        }
      }
      await Promise.all(Array.from({ length: connections }, worker))
      return statuses
    },
    close: () => agent.destroy(),
  }
}
