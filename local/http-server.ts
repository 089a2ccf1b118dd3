/** Listening on loopback: http and https on one port, a sentence for a port that is taken, a close that ends every connection. */
import { randomInt } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import type { AddressInfo } from 'node:net'

/** Thrown for a mistake of the person at the keyboard: the message is a sentence that says what to do. */
export class LocalError extends Error {
  /** What a program that it reaches the top of ends with: 2 where its settings are refused. */
  readonly exitCode: number

  constructor(message: string, exitCode = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** A certificate and its key, PEM. */
export interface TlsIdentity {
  readonly key: string
  readonly cert: string
}

export interface ListenOptions {
  /** What listens, for the sentence when its port is taken. */
  readonly name: string
  /** 0 takes a free one. */
  readonly port: number
  /** With it, the same port answers https as well as http. */
  readonly tls?: TlsIdentity
  readonly handler: http.RequestListener
}

export interface LocalServer {
  readonly port: number
  close(): Promise<void>
}

const tlsHandshake = 0x16

/**
 * Listens on 127.0.0.1 and, where the machine has it, on ::1 (a browser may take either for `localhost`).
 *
 * @throws {LocalError} when the port is taken
 */
export async function listen(options: ListenOptions): Promise<LocalServer> {
  const plain = http.createServer(options.handler)
  const secure = options.tls ? https.createServer(options.tls, options.handler) : undefined
  const sockets = new Set<net.Socket>()

  const front = () =>
    // As Kestrel and a server of node:http have it; one of node:net holds small writes back (Nagle).
    net.createServer({ noDelay: true }, (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => socket.destroy())
      if (!secure) return void plain.emit('connection', socket)
      socket.once('data', (first) => {
        socket.pause()
        socket.unshift(first)
        ;(first[0] === tlsHandshake ? secure : plain).emit('connection', socket)
        process.nextTick(() => socket.resume())
      })
    })

  const ipv4 = front()
  const port = await bind(ipv4, '127.0.0.1', options)
  const ipv6 = front()
  const hasIpv6 = await bind(ipv6, '::1', { ...options, port }).then(
    () => true,
    () => false,
  )

  return {
    port,
    close: async () => {
      const closed = [ipv4, ...(hasIpv6 ? [ipv6] : [])].map(
        (server) => new Promise<void>((done) => server.close(() => done())),
      )
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
    },
  }
}

function bind(server: net.Server, host: string, { name, port }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new LocalError(
              `Port ${port} for the ${name} is taken. End the program that listens there (perhaps an earlier npm start), or run: npm start -- --port 0`,
            )
          : error,
      ),
    )
    server.listen({ port, host }, () => resolve((server.address() as AddressInfo).port))
  })
}

/**
 * A port that nothing listens on, for a program that is started with it in a moment. It is not one of those that systems
 * give out by themselves, or somebody else's next connection might have it by then.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)))
  })
}
