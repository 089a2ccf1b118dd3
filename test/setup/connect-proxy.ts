/** A real CONNECT proxy on loopback: the only route to hosts that DNS does not resolve. */
import http from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'

export interface ConnectProxy {
  /** For HTTPS_PROXY. */
  readonly url: string
  readonly port: number
  /** Targets of CONNECT, and the request lines of everything else, in the order of their arrival. */
  readonly requests: readonly string[]
  /** All header lines that arrived, joined. */
  readonly headers: () => string
  close(): Promise<void>
}

export interface ConnectProxyOptions {
  /** Answers CONNECT in place of a tunnel. */
  readonly answer?: (socket: net.Socket, target: string) => void
}

/** Tunnels to 127.0.0.1 for any host name, at the port of the CONNECT request. */
export async function startConnectProxy({ answer }: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const requests: string[] = []
  const headers: string[] = []
  const sockets = new Set<net.Socket>()
  const server = http.createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`)
    headers.push(...request.rawHeaders)
    response.writeHead(502).end()
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  server.on('connect', (request: http.IncomingMessage, client: net.Socket, head: Buffer) => {
    const target = request.url ?? ''
    requests.push(`CONNECT ${target}`)
    headers.push(...request.rawHeaders)
    if (answer) {
      answer(client, target)
      return
    }
    const upstream = net.connect(Number(target.slice(target.lastIndexOf(':') + 1)), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(client).pipe(upstream)
    })
    sockets.add(upstream)
    upstream.on('error', () => client.destroy()).on('close', () => sockets.delete(upstream))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    headers: () => headers.join('\n'),
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
