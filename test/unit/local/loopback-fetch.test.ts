import { execFile } from 'node:child_process'
import type http from 'node:http'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listen } from '../../../local/http-server.ts'
import { loopbackFetch } from '../../../local/loopback-fetch.ts'

describe('fetch for parts on loopback', () => {
  let url: string
  let close: () => Promise<void>
  const seen: { method: string | undefined; type: string | undefined; body: string }[] = []
  beforeAll(async () => {
    const handler: http.RequestListener = (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString()
        seen.push({ method: request.method, type: request.headers['content-type'], body })
        response.setHeader('set-cookie', ['a=1', 'b=2']).setHeader('location', '/next')
        response.writeHead(request.url === '/empty' ? 204 : 503).end(request.url === '/empty' ? undefined : 'why')
      })
    }
    const server = await listen({ name: 'a part', port: 0, handler })
    url = `http://127.0.0.1:${server.port}`
    close = () => server.close()
  })
  afterAll(() => close())

  it('returns status, body and every cookie, and follows no redirect', async () => {
    const response = await loopbackFetch(`${url}/path?x=1`, { method: 'POST', body: new URLSearchParams({ a: 'ü' }) })

    expect([response.status, await response.text(), response.headers.get('location')]).toEqual([503, 'why', '/next'])
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(seen.at(-1)).toEqual({ method: 'POST', type: 'application/x-www-form-urlencoded', body: 'a=%C3%BC' })
    expect((await loopbackFetch(`${url}/empty`)).status).toBe(204)
  })

  it('refuses every other host', async () => {
    await expect(loopbackFetch('http://example.com/')).rejects.toThrow('not on loopback')
  })

  // Older releases of Node have no such proxy.
  const isKnown = process.allowedNodeEnvironmentFlags.has('--use-env-proxy')
  it.runIf(isKnown)('uses no proxy of the environment, as the built-in fetch would', async () => {
    const module = path.join(import.meta.dirname, '../../../local/loopback-fetch.ts')
    const program = `import { loopbackFetch } from ${JSON.stringify(module)}
      const own = await loopbackFetch('${url}/')
      const builtIn = await fetch('${url}/').then(({ status }) => status, () => 'no answer')
      console.log(JSON.stringify([own.status, builtIn]))
      process.exit()`
    // No proxy listens there.
    const env = { PATH: process.env.PATH, NODE_USE_ENV_PROXY: '1', HTTP_PROXY: 'http://127.0.0.1:9' }

    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env })

    expect(JSON.parse(stdout)).toEqual([503, 'no answer'])
  })
})
