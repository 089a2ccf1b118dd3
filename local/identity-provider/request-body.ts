/** Reads a form before oidc-provider does, and hands it on as if it had not been read. */
import { IncomingMessage } from 'node:http'
import type { KoaContextWithOIDC } from 'oidc-provider'

const largestBody = 64 * 1024

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request) {
    length += (chunk as Buffer).length
    if (length > largestBody) throw new Error('The form is too large.')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString()
}

/** oidc-provider warns about a body that was parsed before, so it receives a request that can still be read. */
export function replaceBody(ctx: KoaContextWithOIDC, body: string): void {
  const { req } = ctx
  const copy = new IncomingMessage(req.socket)
  copy.method = req.method ?? 'POST'
  copy.url = req.url ?? '/'
  copy.headers = { ...req.headers, 'content-length': String(Buffer.byteLength(body)) }
  copy.complete = true
  copy.push(body)
  copy.push(null)
  ctx.req = copy
  ctx.request.req = copy
}
