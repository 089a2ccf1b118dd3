import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { listen } from '../../local/http-server.ts'
import type { LocalServer } from '../../local/http-server.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const query = { frontend: 'shop', return_url: 'http://localhost:3000/a' }
const quick = { OTEL_METRIC_EXPORT_INTERVAL: '1000' }

describe('an ingestion that redirects its reporters', () => {
  let stack: Stack
  const seen: { readonly at: string; readonly bearer: boolean }[] = []
  const servers: LocalServer[] = []
  beforeAll(async () => {
    stack = await startStack({ telemetry: true, instances: 0 })
    const begin = async (at: string, location: () => string) => {
      const server = await listen({
        name: at,
        port: 0,
        tls: stack.cloud.tls,
        handler: (request, response) => {
          seen.push({ at, bearer: request.headers.authorization?.startsWith('Bearer ') === true })
          request.resume().on('end', () => response.writeHead(308, { location: location() }).end())
        },
      })
      servers.push(server)
      return server.port
    }
    const elsewhere = await begin('elsewhere', () => 'https://localhost/')
    const own = await begin('ingestion', () => `https://127.0.0.1:${elsewhere}/v2.1/track`)
    await stack.startInstance({
      ...quick,
      APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=${randomUUID()};IngestionEndpoint=https://localhost:${own}/`,
    })
  })
  afterAll(async () => {
    await stack.close()
    for (const server of servers) await server.close()
  })

  it('receives the identity’s token, and no other host does', async () => {
    expect((await stack.person().signIn(query)).location).toBe(query.return_url)

    await expect.poll(() => seen.length, { timeout: 60_000 }).toBeGreaterThan(2)
    expect(seen.every(({ bearer }) => bearer)).toBe(true)
    expect(new Set(seen.map(({ at }) => at))).toEqual(new Set(['ingestion']))
  })
})
