/** A real https server on loopback that this process trusts, for answers that the local parts cannot produce. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createCertificateAuthority } from '../../local/certificate-authority.ts'
import type { CertificateAuthority } from '../../local/certificate-authority.ts'
import { listen } from '../../local/http-server.ts'
import type { TlsIdentity } from '../../local/http-server.ts'
import { trust } from './trust.ts'

export interface SecureServer {
  /** `https://localhost:PORT` */
  readonly url: string
  /** `GET /path`, in the order of their arrival. */
  readonly requests: readonly string[]
  /** Sets the handler of all further requests. */
  answer(handler: Answerer): void
  close(): Promise<void>
}

export type Answerer = (request: IncomingMessage, response: ServerResponse, body: string) => void

let authority: Promise<CertificateAuthority> | undefined

/** The only authority that this process trusts: TLS would confuse two with the same name. */
export async function trustedAuthority(): Promise<CertificateAuthority> {
  authority ??= createCertificateAuthority().then((made) => {
    trust(made.certificatePem)
    return made
  })
  return authority
}

/** @param tls a certificate of another authority, or for another name, for a server that no client should trust */
export async function startSecureServer(tls?: TlsIdentity): Promise<SecureServer> {
  const requests: string[] = []
  let answerer: Answerer = (_, response) => void response.writeHead(404).end()
  const server = await listen({
    name: 'secure server',
    port: 0,
    tls: tls ?? (await (await trustedAuthority()).issue(['localhost'])),
    handler: (request, response) => {
      requests.push(`${request.method ?? ''} ${request.url ?? ''}`)
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => (body += text))
      request.on('end', () => answerer(request, response, body))
    },
  })
  return {
    url: `https://localhost:${server.port}`,
    requests,
    answer: (handler) => {
      requests.length = 0
      answerer = handler
    },
    close: () => server.close(),
  }
}

export function sendJson(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}
