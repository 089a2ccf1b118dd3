import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createAzureTableStore } from '../../shared/store/azure-table/store.azure-table.ts'
import type { Store } from '../../shared/store/store.ts'
import { letDeadlinePass } from '../setup/deadline.ts'

/** An attacker who can write to the table service, or who replaces it, chooses its answers. */
const key = { partition: 'p', row: 'r' }
const honest = {
  'odata.etag': 'W/"1"',
  PartitionKey: 'p',
  RowKey: 'r',
  sweepAfter: '2040-01-01T00:00:00Z',
  'sweepAfter@odata.type': 'Edm.DateTime',
  owner: 'b3duZXI=',
  'owner@odata.type': 'Edm.Binary',
}

let answer: (response: http.ServerResponse) => void
let requested: { readonly method: string; readonly url: string }[]
const server = http.createServer((request, response) => {
  requested.push({ method: request.method ?? '', url: request.url ?? '' })
  request.resume().on('end', () => answer(response))
})
let store: Store
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  store = createAzureTableStore({
    tableServiceUri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/devstoreaccount1`,
    tablePrefix: 't',
    credential: () => Promise.reject(new Error('not asked for on loopback')),
  })
})
beforeEach(() => {
  requested = []
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const say = (json: string, status = 200, headers: Readonly<Record<string, string>> = {}) => {
  answer = (response) => void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(json)
}
const sayRow = (changes: object = {}) => say(JSON.stringify({ ...honest, ...changes }))

describe('a row that the store returns', () => {
  it('is accepted if it is the requested row', async () => {
    sayRow()
    const row = await store.find('sessions', key)
    expect(row).toMatchObject({ ...key, etag: 'W/"1"', values: { owner: Buffer.from('owner') } })
  })

  it.each<[string, object]>([
    ['another row', { RowKey: 's' }],
    ['another partition', { PartitionKey: 'q' }],
    ['no row', { PartitionKey: undefined, RowKey: undefined }],
  ])('is an error and not a sign-out if the store returns %s', async (_, changes) => {
    sayRow(changes)
    await expect(store.find('sessions', key)).rejects.toMatchObject({ code: 'store_unavailable' })
  })

  it('has its properties under their own names only, for any name', async () => {
    say(
      JSON.stringify(honest).replace(
        '{',
        '{"__proto__":"AAAA","__proto__@odata.type":"Edm.Binary","constructor":"x","toString":"y",',
      ),
    )
    const row = (await store.find('sessions', key))!
    expect(Object.getPrototypeOf(row.values)).toBe(Object.prototype)
    expect(Object.keys(row.values).sort()).toEqual(['constructor', 'owner', 'toString'])
  })

  it.each([undefined, 7, ''])('without a valid etag is not used for a conditional write: %s', async (etag) => {
    sayRow({ 'odata.etag': etag })
    const row = (await store.find('sessions', key))!
    requested = []

    const refused = { code: 'store_unavailable', detail: 'a row without an etag' }
    await expect(store.replace('sessions', row, row.etag)).rejects.toMatchObject(refused)
    await expect(store.remove('sessions', row, row.etag)).rejects.toMatchObject(refused)
    expect(requested).toEqual([])
  })

  it.each<[string, object]>([
    ['a number', { owner: 7, 'owner@odata.type': undefined }],
    ['a boolean', { owner: true, 'owner@odata.type': undefined }],
    ['a date', { 'owner@odata.type': 'Edm.DateTime' }],
    ['of an unknown type', { 'owner@odata.type': '__proto__' }],
    ['a list', { owner: ['b3duZXI='] }],
    ['bytes and then text', { owner_1: 'x' }],
  ])('omits a value that is %s', async (_, changes) => {
    sayRow(changes)
    expect((await store.find('sessions', key))!.values).toEqual({})
  })
})

describe('an error that the store returns', () => {
  it.each(['ResourceNotFound\r\n{"event":"forged"}', 'x'.repeat(100_000), 'https://evil.example/', ''])(
    'is not repeated if its code is not a code of the service',
    async (code) => {
      say(JSON.stringify({ 'odata.error': { code, message: { value: 'No.' } } }), 404)
      await expect(store.find('sessions', key)).rejects.toMatchObject({
        code: 'store_unavailable',
        detail: 'the store answered 404',
      })
    },
  )

  it('keeps its meaning if its code is a code of the service', async () => {
    say(JSON.stringify({ 'odata.error': { code: 'ResourceNotFound', message: { value: 'No.' } } }), 404)
    expect(await store.find('sessions', key)).toBeUndefined()
  })
})

describe('a list that never ends', () => {
  it('ends at the deadline, and each further page is requested from the broker’s own address only', async () => {
    const next = { 'x-ms-continuation-nextpartitionkey': "p'&$filter=true&x=http://evil.example/" }
    say(JSON.stringify({ value: [honest] }), 200, next)

    const endless = letDeadlinePass(
      () => store.list('sessions', "p' or '1' eq '1"),
      () => requested.length > 1,
    )
    await expect(endless).rejects.toMatchObject({ code: 'store_unavailable' })

    expect(requested.length).toBeGreaterThan(1)
    for (const { url } of requested) {
      const { pathname, searchParams } = new URL(url, 'http://127.0.0.1')
      expect(pathname).toBe('/devstoreaccount1/tsessions()')
      expect(searchParams.getAll('$filter')).toEqual(["PartitionKey eq 'p'' or ''1'' eq ''1'"])
    }
  })

  it('is returned if it does end', async () => {
    say(JSON.stringify({ value: [honest] }))
    expect(await store.list('sessions', 'p')).toHaveLength(1)
  })

  it.each(['{"value":{}}', '{"value":[null]}', '{"value":["row"]}', '{}'])(
    'is an error if the answer contains no list: %s',
    async (json) => {
      say(json)
      await expect(store.list('sessions', 'p')).rejects.toMatchObject({ code: 'store_unavailable' })
    },
  )
})
