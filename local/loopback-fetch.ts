/**
 * fetch for parts on loopback. The built-in fetch would send such a request to a proxy where `NODE_USE_ENV_PROXY` and
 * `HTTP_PROXY` are set in the shell.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { isLoopbackHost } from '../shared/settings/addresses.ts'

interface LoopbackRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams | undefined
}

/** Agents of their own: Node routes only its global ones by the environment. */
const agents = { plain: new http.Agent({ keepAlive: true }), secure: new https.Agent({ keepAlive: true }) }

/** @returns the whole response; redirects are not followed */
export async function loopbackFetch(address: string, request: LoopbackRequest = {}): Promise<Response> {
  const url = new URL(address)
  if (!isLoopbackHost(url.hostname)) throw new Error(`${url.origin} is not on loopback.`)
  const { method = 'GET', headers, body } = request
  const text = body?.toString()
  const options = {
    method,
    headers: {
      ...(body instanceof URLSearchParams ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
      ...(text === undefined ? {} : { 'content-length': String(Buffer.byteLength(text)) }),
      ...headers,
    },
  }
  const outgoing =
    url.protocol === 'https:'
      ? https.request(url, { ...options, agent: agents.secure })
      : http.request(url, { ...options, agent: agents.plain })
  outgoing.end(text)
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk)
  const answer = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const one of [value ?? []].flat()) answer.append(name, one)
  }
  const { statusCode: status = 0 } = incoming
  const isEmpty = status === 204 || status === 304
  return new Response(isEmpty ? null : Buffer.concat(chunks), { status, headers: answer })
}
