/** Servers on loopback: a port in use, on either of its addresses. */
import dns from 'node:dns/promises'
import { once } from 'node:events'
import net from 'node:net'
import { afterEach, expect, it, vi } from 'vitest'
import { requestEach } from '../../../local/answering.ts'
import { createCertificateAuthority } from '../../../local/certificate-authority.ts'
import { freePort, listen, LocalError } from '../../../local/http-server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const server of open.splice(0)) await server.close()
})

const serve = async (name: string, port: number) => {
  const server = await listen({ name, port, handler: (_, response) => void response.end(name) })
  open.push(server)
  return server
}

it('names the program that needs a port in use and the remedy, and listens once the port is free', async () => {
  const first = await serve('vault', 0)

  await expect(serve('demo API', first.port)).rejects.toThrow(LocalError)
  await expect(serve('demo API', first.port)).rejects.toThrow(
    `Port ${first.port} for the demo API is in use. End the program that listens there (perhaps an earlier npm start), or run: npm start -- --port 0`,
  )

  await first.close()
  await serve('demo API', first.port)
  expect(await (await fetch(`http://localhost:${first.port}`)).text()).toBe('demo API')
})

it.each([
  ['EADDRNOTAVAIL', 'a machine without the IPv4 loopback'],
  ['EMFILE', 'a process that may open no more files'],
])('finds no free port and reports %s on %s', async (code) => {
  vi.spyOn(net.Server.prototype, 'listen').mockImplementation(function (this: net.Server) {
    const error = Object.assign(new Error(`listen ${code}`), { code, syscall: 'listen' })
    process.nextTick(() => this.emit('error', error))
    return this
  })

  await expect(freePort()).rejects.toThrow(code)
})

it('names a port that the system reserves, as Windows does for Hyper-V', async () => {
  vi.spyOn(net.Server.prototype, 'listen').mockImplementationOnce(function (this: net.Server) {
    const error = Object.assign(new Error('listen EACCES: permission denied 127.0.0.1:7071'), { code: 'EACCES' })
    process.nextTick(() => this.emit('error', error))
    return this
  })

  await expect(serve('broker', 7071)).rejects.toThrow(
    /^Port 7071 for the broker is reserved by the system .*npm start -- --port 0$/,
  )
})

const occupy = async (port: number, host: string) => {
  const server = net.createServer((socket) => void socket.on('error', () => undefined))
  server.listen({ port, host })
  await once(server, 'listening')
  open.push({ close: () => new Promise((done) => void server.close(() => done())) })
}

it.each(['::1', '127.0.0.1', '::', '0.0.0.0'])(
  'reports a port as in use that another program uses on %s',
  async (host) => {
    const port = await freePort()
    await occupy(port, host)

    await expect(serve('broker', port)).rejects.toThrow(`Port ${port} for the broker is in use.`)
    // The failed attempt left no listener.
    await Promise.all(open.splice(0).map((server) => server.close()))
    await serve('broker', port)
  },
)

it('receives a request on each address of its name before it counts as ready', async () => {
  const { port } = await serve('vault', 0)
  await expect(requestEach([{ name: 'vault', url: `http://localhost:${port}/` }], '')).resolves.toBeUndefined()

  const gone = await freePort()
  await expect(requestEach([{ name: 'demo API', url: `http://localhost:${gone}/` }], '')).rejects.toThrow(
    `The demo API does not answer at http://localhost:${gone}/ (ECONNREFUSED).`,
  )
})

it('accepts any certificate of a server that forwards to the broker, and of no local part', async () => {
  const authority = await createCertificateAuthority()
  const server = await listen({
    name: 'proxy',
    port: 0,
    tls: await authority.issue(['localhost']),
    handler: (_, response) => void response.end(),
  })
  open.push(server)
  const url = `https://localhost:${server.port}/`

  await expect(requestEach([{ name: 'Broker', url, isForwarded: true }], '')).resolves.toBeUndefined()
  await expect(requestEach([{ name: 'Key Vault', url }], '')).rejects.toThrow('Try: npm start -- --port 0')
  const gone = `https://localhost:${await freePort()}/`
  await expect(requestEach([{ name: 'Broker', url: gone, isForwarded: true }], '')).rejects.toThrow(
    `The Broker does not answer at ${gone} (ECONNREFUSED). Start the server that forwards from there first.`,
  )
})

it.each([
  ['has no address', []],
  ['is another machine', [{ address: '192.0.2.1', family: 4 }]],
])('names the hosts file where localhost %s', async (_, found) => {
  vi.spyOn(dns, 'lookup').mockResolvedValue(found as never)

  await expect(requestEach([{ name: 'broker', url: 'http://localhost:7071/health' }], '')).rejects.toThrow(
    'localhost is no name of this machine. Add the line "127.0.0.1 localhost" to /etc/hosts',
  )
})

it('is not ready when another program answers on one of the addresses, without HTTP', async () => {
  const port = await freePort()
  const server = net.createServer(
    (socket) =>
      void socket
        .on('error', () => undefined)
        .resume()
        .end('SSH-2.0-x\r\n'),
  )
  server.listen({ port, host: '127.0.0.1' })
  await once(server, 'listening')
  open.push({ close: () => new Promise((done) => void server.close(() => done())) })

  await expect(requestEach([{ name: 'broker', url: `http://127.0.0.1:${port}/` }], '')).rejects.toThrow(LocalError)
})
