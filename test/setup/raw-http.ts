/** Requests that no client library can send: other Hosts, absolute URIs, repeated headers, any method. */
import net from 'node:net'

interface RawReply {
  readonly status: number
  /** Lower-case names; repeated ones joined by a comma. */
  readonly headers: Headers
  readonly text: string
}

interface RawRequest {
  readonly method?: string
  /** The request target, exactly as in the request line: a path, or an absolute URI. */
  readonly target: string
  /** All headers, in this order and spelling, including Host. */
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly body?: string | Uint8Array
}

/** @param url of the server; only its host and port are used */
export async function sendRaw(url: string, { method = 'GET', target, headers, body }: RawRequest): Promise<RawReply> {
  const { hostname, port, host } = new URL(url)
  const socket = net.connect({ host: hostname, port: Number(port) })
  const lines = (headers ?? [['Host', host]]).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}Connection: close\r\n\r\n`)
  if (body !== undefined) socket.write(body)

  const chunks: Buffer[] = []
  try {
    for await (const chunk of socket) chunks.push(chunk as Buffer)
  } catch (error) {
    // The server may end the connection before a large body has arrived. Its answer until then is the result.
    if (chunks.length === 0) throw error
  }
  return parse(Buffer.concat(chunks).toString('utf8'))
}

function parse(answer: string): RawReply {
  const end = answer.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = answer.slice(0, end).split('\r\n')
  const headers = new Headers()
  for (const line of lines) headers.append(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim())
  return { status: Number(statusLine.split(' ')[1]), headers, text: answer.slice(end + 4) }
}
