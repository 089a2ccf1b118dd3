/**
 * Runs first in a broker's process: moves its clock, and reports its memory and handles to the test that started it.
 */
import { subscribe } from 'node:diagnostics_channel'
import { readdirSync } from 'node:fs'
import http from 'node:http'
import { isMainThread } from 'node:worker_threads'
import { shiftDate } from './shifted-date.ts'

/** Leaks about 200 bytes for each request, which the measurement of the memory must detect. */
function leakEachRequest(): void {
  const kept: number[][] = []
  subscribe('http.server.request.start', () => void kept.push(new Array<number>(22).fill(kept.length)))
}

if (isMainThread) {
  const given = new URL(import.meta.url).searchParams
  const moveClock = shiftDate()
  moveClock(Number(given.get('ahead')))
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (url.searchParams.has('ahead')) moveClock(Number(url.searchParams.get('ahead')))
    if (url.pathname === '/leak') leakEachRequest()
    response.setHeader('connection', 'close')
    if (url.pathname !== '/usage') {
      response.end()
      return
    }
    // Twice: memory that a finalizer releases is free after the second collection.
    globalThis.gc?.()
    setImmediate(() => {
      globalThis.gc?.()
      const { heapUsed, external, rss } = process.memoryUsage()
      const resources: Record<string, number> = {}
      for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
      // A free socket of an agent is no active resource; its descriptor is open all the same.
      const descriptors = readdirSync('/dev/fd').length
      response.end(JSON.stringify({ heapUsed, external, rss, resources, descriptors }))
    })
  })
  server.listen(Number(given.get('port')), '127.0.0.1').unref()
}
