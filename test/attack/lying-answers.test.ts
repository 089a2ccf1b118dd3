import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createExchange } from '../../shared/http/exchange.ts'
import type { Exchange } from '../../shared/http/exchange.ts'
import { letDeadlinePass } from '../setup/deadline.ts'

/** Bytes that no honest server sends, given to the module through which the broker sends every outbound request. */
let answer: (socket: net.Socket) => void
const open = new Set<net.Socket>()
const server = net.createServer((socket) => {
  open.add(socket.on('error', () => undefined).on('close', () => open.delete(socket)))
  socket.on('data', () => answer(socket))
})
let origin: URL
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
afterAll(() => {
  for (const socket of open) socket.destroy()
  server.close()
})

let exchange: Exchange
beforeEach(() => {
  for (const socket of open) socket.destroy()
  exchange = createExchange({ maxBytes: 100_000 })
})
const ask = (changes: { readonly path?: string; readonly headers?: Record<string, string> } = {}, within = 10_000) =>
  exchange(origin, { method: 'GET', path: '/', headers: {}, ...changes }, performance.now() + within)
const head = 'HTTP/1.1 200 OK\r\n'
const honest = (socket: net.Socket) => void socket.write(`${head}content-length: 2\r\n\r\n{}`)
const forEver = (first: string, again: string) => (socket: net.Socket) => {
  socket.write(first)
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(again)), 2)
}

describe('an invalid answer', () => {
  it.each<[string, string, (socket: net.Socket) => void]>([
    [
      'changes the protocol',
      'cut off',
      (socket) => void socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
    [
      'consists of interim responses without end',
      'deadline',
      forEver('', 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'),
    ],
    ['has headers without end', 'HPE_HEADER_OVERFLOW', forEver(head, `a: ${'x'.repeat(8000)}\r\n`)],
    ['has content without end', 'too large', forEver(`${head}\r\n`, 'x'.repeat(60_000))],
    [
      'is shorter than its declared length',
      'cut off',
      (socket) => void socket.end(`${head}content-length: 9\r\n\r\n{}`),
    ],
    [
      'has two lengths',
      'HPE_INVALID_TRANSFER_ENCODING',
      (socket) =>
        void socket.write(`${head}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`),
    ],
    [
      'ends before its last chunk',
      'cut off',
      (socket) => void socket.end(`${head}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n`),
    ],
    ['is of another protocol', 'HPE_INVALID_CONSTANT', (socket) => void socket.end('SSH-2.0-x\r\n')],
  ])('that %s is reported as such, the connection is closed, and the next answer is read', async (_, reason, lie) => {
    answer = lie
    const within = reason === 'deadline' ? 400 : undefined
    await expect(ask({}, within)).rejects.toMatchObject({ name: 'ExchangeError', reason })
    await expect.poll(() => open.size).toBe(0)

    answer = honest
    expect((await ask()).body.toString()).toBe('{}')
  })

  it('cannot be sent in advance: bytes from before the request are dropped', async () => {
    answer = (socket) => void socket.write(`${head}content-length: 2\r\n\r\n{}${head}content-length: 8\r\n\r\n"poison"`)
    expect((await ask()).body.toString()).toBe('{}')
    answer = honest
    expect((await ask()).body.toString()).toBe('{}')
  })

  it('with status 500 and an endless body is returned without its body', async () => {
    answer = forEver('HTTP/1.1 500 Oh\r\n\r\n', 'x'.repeat(60_000))
    // The rest of the response is ignored until the deadline, which closes the connection.
    expect(await letDeadlinePass(ask, () => false)).toMatchObject({ status: 500, body: Buffer.alloc(0) })
    await expect.poll(() => open.size).toBe(0)
  })
})

describe('an invalid request', () => {
  it.each([
    { path: '/a b' },
    { path: '/a\r\nhost: evil.example' },
    { path: '/Ā' },
    { headers: { authorization: 'Bearer a\r\nhost: evil.example' } },
  ])('is not sent: %j', async (changes) => {
    answer = honest
    const before = open.size
    await expect(ask(changes)).rejects.toThrow(TypeError)
    expect(open.size).toBe(before)
  })

  it('whose deadline has passed before it starts ends at once, without a warning from Node', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    answer = () => undefined
    await expect(ask({}, -100)).rejects.toMatchObject({ reason: 'deadline' })
    expect(warned).not.toHaveBeenCalled()
    warned.mockRestore()
  })
})
