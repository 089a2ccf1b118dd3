/**
 * Servers of the local parts: loopback only, http and https on one port, a clear error for a port that is in use, and a
 * close that ends every connection.
 */
import { randomInt } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import type { AddressInfo } from 'node:net'

/** An error that the developer can fix: its message contains the remedy. */
export class LocalError extends Error {
  /** Exit code of the program that it ends: 2 for refused settings. */
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

interface ListenOptions {
  /** Name of the part, for the error about a port that is in use. */
  readonly name: string
  /** 0 selects a free one. */
  readonly port: number
  /** With it, the port answers https besides http. */
  readonly tls?: TlsIdentity
  readonly handler: http.RequestListener
}

export interface LocalServer {
  readonly port: number
  close(): Promise<void>
}

const tlsHandshake = 0x16
/**
 * Kestrel, the server of the functions host, closes an idle connection after this time. The 5 seconds of node:http are
 * less than clients expect: on a busy machine, a client sends into a connection that the server is closing.
 */
const keepAliveTimeout = 130_000

/**
 * Listens on 127.0.0.1 and, where the machine has it, on ::1: a browser may use either address for `localhost`.
 *
 * @throws {LocalError} when the port is in use on one of the two
 */
export async function listen(options: ListenOptions): Promise<LocalServer> {
  const plain = http.createServer({ keepAliveTimeout }, options.handler)
  const secure = options.tls ? https.createServer({ ...options.tls, keepAliveTimeout }, options.handler) : undefined
  const sockets = new Set<net.Socket>()

  const front = () =>
    // noDelay as in Kestrel and node:http; a server of node:net otherwise delays small writes (Nagle).
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

  const { port, servers } = await bindBoth(front, options)
  return {
    port,
    close: async () => {
      const closed = servers.map((server) => new Promise<void>((done) => server.close(() => done())))
      for (const socket of sockets) socket.destroy()
      await Promise.all(closed)
    },
  }
}

/** A free port of 127.0.0.1 may be in use on ::1; then the next one is tried. */
const attempts = 10

async function bindBoth(
  front: () => net.Server,
  options: ListenOptions,
): Promise<{ readonly port: number; readonly servers: readonly net.Server[] }> {
  for (let attempt = 1; ; attempt += 1) {
    const ipv4 = front()
    const port = await bind(ipv4, '127.0.0.1', options)
    const ipv6 = front()
    try {
      await bind(ipv6, '::1', { ...options, port })
      return { port, servers: [ipv4, ipv6] }
    } catch (error) {
      // No IPv6 on this machine.
      if (!(error instanceof LocalError)) return { port, servers: [ipv4] }
      await new Promise((done) => ipv4.close(done))
      // The other program would answer a browser that resolves `localhost` to ::1.
      if (options.port !== 0 || attempt === attempts) throw error
    }
  }
}

function bind(server: net.Server, host: string, { name, port }: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') reject(new LocalError(takenPort(name, port)))
      else if (error.code === 'EACCES') reject(new LocalError(reservedPort(name, port)))
      else reject(error)
    })
    server.listen({ port, host }, () => resolve((server.address() as AddressInfo).port))
  })
}

function takenPort(name: string, port: number): string {
  return `Port ${port} for the ${name} is in use. End the program that listens there (perhaps an earlier npm start), or run: npm start -- --port 0`
}

/** Linux and macOS reserve the ports below 1024; Windows reserves ranges, for Hyper-V among others. */
function reservedPort(name: string, port: number): string {
  return `Port ${port} for the ${name} is reserved by the system (on Windows: netsh interface ipv4 show excludedportrange tcp). Run: npm start -- --port 0`
}

/** Outside the range from which systems assign ports by themselves. */
export const freePortRange = { from: 20_000, to: 32_000 }

/**
 * A port without a listener, for a program that is started with it next.
 *
 * @param range of the ports; one from which the system assigns none, since another connection could have it by then
 */
export async function freePort({ from, to } = freePortRange): Promise<number> {
  for (;;) {
    const port = randomInt(from, to)
    if (await isFree(port)) return port
  }
}

/**
 * On both addresses; a machine without IPv6 has only one.
 *
 * @throws the system error for which no port of 127.0.0.1 can be used
 */
async function isFree(port: number): Promise<boolean> {
  const [ipv4, ipv6] = [await problemOf(port, '127.0.0.1'), await problemOf(port, '::1')]
  // Windows reserves some ports (EACCES).
  if (ipv4 && ipv4.code !== 'EADDRINUSE' && ipv4.code !== 'EACCES') throw ipv4
  return ipv4 === undefined && ipv6?.code !== 'EADDRINUSE'
}

function problemOf(port: number, host: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error))
    server.listen({ port, host }, () => server.close(() => resolve(undefined)))
  })
}
