import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { bearerToken, createTableService } from '../../../shared/store/azure-table/table-service.azure-table.ts'
import type { TableService } from '../../../shared/store/azure-table/table-service.azure-table.ts'
import { letDeadlinePass } from '../../setup/deadline.ts'
import { sendJson, startSecureServer } from '../../setup/secure-server.ts'
import type { Answerer, SecureServer } from '../../setup/secure-server.ts'

let server: SecureServer
let service: TableService
let scopes: (string | string[])[]
beforeAll(async () => {
  server = await startSecureServer()
})
beforeEach(() => {
  scopes = []
  service = createTableService({
    tableServiceUri: server.url,
    authorize: bearerToken(() =>
      Promise.resolve({
        getToken: (scope) => {
          scopes.push(scope)
          return Promise.resolve({ token: 'token', expiresOnTimestamp: Date.now() + 60_000 })
        },
      }),
    ),
  })
})
afterAll(() => server.close())

const soon = () => performance.now() + 60_000
const ask = () => service({ method: 'GET', resource: 'rows()', query: '$top=1' }, soon())
const good: Answerer = (_, response) => sendJson(response, { value: [] })
const refusal = (code: string) => ({ 'odata.error': { code, message: { lang: 'en', value: 'No.' } } })

describe('a request to the table service', () => {
  it('carries the identity’s token for storage, the version, and the requested kind of JSON', async () => {
    let seen: Record<string, unknown> = {}
    server.answer(({ headers }, response) => {
      seen = headers
      sendJson(response, { value: [] })
    })

    expect(await ask()).toMatchObject({ status: 200, json: { value: [] }, code: undefined, next: undefined })

    expect(scopes).toEqual(['https://storage.azure.com/.default'])
    expect(seen).toMatchObject({
      authorization: 'Bearer token',
      accept: 'application/json;odata=minimalmetadata',
      'x-ms-version': '2020-12-06',
    })
    expect(server.requests).toEqual(['GET /rows()?$top=1'])
  })

  it('writes JSON under the given condition, and returns the new etag', async () => {
    const seen: unknown[] = []
    server.answer(({ headers }, response, body) => {
      seen.push(headers['if-match'], headers['content-type'], headers.prefer, body)
      response.writeHead(204, { etag: 'W/"2"' }).end()
    })

    const written = await service({ method: 'PUT', resource: 'rows', ifMatch: 'W/"1"', body: { é: 1 } }, soon())

    expect(written).toMatchObject({ status: 204, etag: 'W/"2"' })
    expect(seen).toEqual(['W/"1"', 'application/json', 'return-no-content', '{"é":1}'])
  })

  it('returns the service’s own error code, and the continuation of a list', async () => {
    server.answer((_, response) => sendJson(response, refusal('EntityAlreadyExists'), 409))
    expect(await ask()).toMatchObject({ status: 409, code: 'EntityAlreadyExists' })

    // A refusal before the table service reads the request may be XML.
    server.answer((_, response) => {
      const headers = { 'content-type': 'application/xml', 'x-ms-error-code': 'AuthorizationFailure' }
      response.writeHead(403, headers).end('<error><code>AuthorizationFailure</code></error>')
    })
    expect(await ask()).toMatchObject({ status: 403, code: 'AuthorizationFailure', json: undefined })

    const more = { 'x-ms-continuation-NextPartitionKey': '1!4!YQ--', 'x-ms-continuation-NextRowKey': 'a b' }
    server.answer((_, response) => sendJson(response, { value: [] }, 200, more))
    expect((await ask()).next).toBe('NextPartitionKey=1!4!YQ--&NextRowKey=a%20b')
  })

  it('is not sent where no token is available', async () => {
    server.answer(good)
    const alone = createTableService({
      tableServiceUri: server.url,
      authorize: bearerToken(() => Promise.reject(new BrokerError('managed_identity_unavailable'))),
    })

    await expect(alone({ method: 'GET', resource: 'rows()' }, soon())).rejects.toMatchObject({
      code: 'managed_identity_unavailable',
    })
    expect(server.requests).toEqual([])
  })

  it('is not sent in plain text, except to an emulator on loopback', () => {
    const authorize = () => Promise.resolve({})

    expect(() => createTableService({ tableServiceUri: 'http://a.table.core.windows.net', authorize })).toThrow()
    expect(() => createTableService({ tableServiceUri: 'https://a.table.core.windows.net', authorize })).not.toThrow()
    expect(() => createTableService({ tableServiceUri: 'http://127.0.0.1:10002/a', authorize })).not.toThrow()
  })
})

describe('an answer that is not one of the table service', () => {
  it.each<[string, Answerer]>([
    ['a page', (_, response) => void response.setHeader('content-type', 'text/html').end('<h1>Hello</h1>')],
    ['a page with status 404', (_, response) => void response.writeHead(404, { 'content-type': 'text/html' }).end()],
    ['a 404 without an error code', (_, response) => sendJson(response, {}, 404)],
    ['broken JSON', (_, response) => void response.setHeader('content-type', 'application/json').end('{"value":')],
    ['a list without an object around it', (_, response) => sendJson(response, [])],
    ['a redirect', (_, response) => sendJson(response, {}, 307, { location: `${server.url}/elsewhere` })],
    ['too much to do', (_, response) => sendJson(response, refusal('ServerBusy'), 503, { 'retry-after': '9' })],
    ['too much to do, with a refusal', (_, response) => sendJson(response, refusal('X'), 409, { 'retry-after': '9' })],
  ])('(%s) is reported as an unavailable store, and the request is sent once', async (_what, answer) => {
    server.answer(answer)

    await expect(ask()).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(server.requests).toHaveLength(1)

    server.answer(good)
    await expect(ask()).resolves.toMatchObject({ status: 200 })
  })

  it('more than 8 MB is not read to its end', async () => {
    let sent = 0
    server.answer((_, response) => {
      response.setHeader('content-type', 'application/json')
      const more = () => {
        while (!response.destroyed && response.write('k'.repeat(256 * 1024))) sent += 1
      }
      response.on('drain', more)
      more()
    })

    await expect(service({ method: 'GET', resource: 'rows()' }, soon())).rejects.toMatchObject({ detail: 'too large' })
    expect(sent).toBeLessThan(200)
  })

  it.each<[string, Answerer]>([
    ['hangs up', (_, response) => void response.destroy()],
    ['has a fault of its own', (_, response) => void response.writeHead(500).end('<h1>Sorry</h1>')],
  ])('leads to a second request where the service %s', async (_what, trouble) => {
    let times = 0
    server.answer((request, response, body) => (++times === 1 ? trouble : good)(request, response, body))
    await expect(ask()).resolves.toMatchObject({ status: 200 })

    server.answer(trouble)
    await expect(ask()).rejects.toMatchObject({ code: 'store_unavailable' })
    expect(server.requests).toHaveLength(2)
  })

  it.each<[string, Answerer]>([
    ['never comes', () => undefined],
    [
      'begins and stops',
      (_, response) => void response.setHeader('content-type', 'application/json').write('{"value":'),
    ],
  ])('fails at the deadline where it %s', async (_what, answer) => {
    server.answer(answer)

    await expect(letDeadlinePass(ask, () => server.requests.length > 0, 60_000)).rejects.toMatchObject({
      code: 'store_unavailable',
      detail: 'deadline',
    })
    expect(server.requests).toHaveLength(1)
  })
})
