/** The end of an instance: the work and the time limit of its hooks, and the end of a thread that it started. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, expect, it } from 'vitest'

import { startFunctionsHost } from '../../../local/functions-host/host.ts'
import { startHostProcess } from '../../../local/functions-host/process.ts'
import { temporaryFolder } from './fixtures/serve.ts'

const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/**
 * One function, `GET /slow`, and the code that a test adds. Names: `core`, which is the worker's module, and `wait`.
 * The function answers after `ANSWER_AFTER` milliseconds.
 */
const app = `
  import { createRequire } from 'node:module'
  import { setTimeout as wait } from 'node:timers/promises'
  const core = createRequire(import.meta.url)('@azure/functions-core')
  core.setProgrammingModel({
    name: 'own', version: '1',
    getInvocationModel: () => ({
      getArguments: async () => ({ context: {}, inputs: [] }),
      invokeFunction: async (context, inputs, callback) => callback(),
      getResponse: async (context, result) => ({ returnValue: { http: { body: { string: result } } } }),
    }),
  })
  core.registerFunction({ name: 'slow', bindings: { req: { type: 'httpTrigger', direction: 'in' } } }, async () => {
    console.error('begun')
    await wait(Number(process.env.ANSWER_AFTER ?? 300))
    console.error('answered')
    return 'done'
  })
`

async function bundle(files: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder()
  undo.push(() => rm(folder, { recursive: true, force: true }))
  const dist = path.join(folder, 'dist')
  await mkdir(dist)
  const own = { 'package.json': '{"main": "index.mjs", "type": "module"}', 'host.json': '{"version": "2.0"}' }
  for (const [name, text] of Object.entries({ ...own, ...files })) await writeFile(path.join(dist, name), text)
  return dist
}

async function start(files: Record<string, string>) {
  let log = ''
  const host = await startHostProcess({ dist: await bundle(files), port: 0, env: {}, write: (text) => (log += text) })
  undo.push(() => host.close())
  return { host, log: () => log, slow: () => fetch(`${host.url}/api/slow`) }
}

it('runs the hooks when requests have been answered, in their order, and waits for each', async () => {
  const { host, log, slow } = await start({
    'index.mjs': `${app}
      core.registerHook('appTerminate', async () => { await wait(100); console.error('flushed') })
      core.registerHook('appTerminate', () => { console.error('closed') })`,
  })
  const answer = slow()
  await expect.poll(log).toContain('begun')

  await host.close()

  expect(await (await answer).text()).toBe('done')
  expect(log()).toBe('begun\nanswered\nflushed\nclosed\n')
})

it('ends at once on SIGTERM, without the hooks: the real host ignores it until the platform kills the process', async () => {
  let log = ''
  const host = await startHostProcess({
    dist: await bundle({ 'index.mjs': `${app}\ncore.registerHook('appTerminate', () => console.error('flushed'))` }),
    port: 0,
    // Later than any end of this test.
    env: { ANSWER_AFTER: '600000' },
    write: (text) => (log += text),
  })
  undo.push(() => host.close())
  const answer = fetch(`${host.url}/api/slow`)
  await expect.poll(() => log).toContain('begun')

  process.kill(host.pid!, 'SIGTERM')

  await expect(answer).rejects.toThrow('fetch failed')
  expect(log).not.toContain('flushed')
})

it.each([
  ['fails', `throw new Error('no flush')`, 'An appTerminate hook failed: Error: no flush'],
  ['never ends', 'return new Promise(() => setInterval(() => undefined, 60_000).unref())', 'took longer than 50 ms'],
])('ends also when a hook %s, and reports it', async (_, hook, sentence) => {
  let log = ''
  const dist = await bundle({ 'index.mjs': `${app}\ncore.registerHook('appTerminate', () => { ${hook} })` })
  const host = await startFunctionsHost({
    ...{ bundle: dist, port: 0, settings: {}, terminateWithin: 50 },
    write: (text) => (log += text),
  })

  await host.close()

  expect(log).toContain(sentence)
  await expect(fetch(`${host.url}/api/slow`)).rejects.toThrow('fetch failed')
})

it('lets a bundle start a thread from a file beside it, receive its last message, and end in spite of it', async () => {
  const { host, log, slow } = await start({
    'index.mjs': `${app}
      import { once } from 'node:events'
      import { Worker } from 'node:worker_threads'
      // Not unreferenced: a thread that runs is no reason to stay.
      const thread = new Worker(new URL('./thread.mjs', import.meta.url), { workerData: 'a thread', env: {} })
      core.registerHook('appTerminate', async () => {
        thread.postMessage('flush')
        console.error((await once(thread, 'message'))[0])
      })`,
    'thread.mjs': `
      import { parentPort, workerData } from 'node:worker_threads'
      parentPort.on('message', (word) => setTimeout(() => parentPort.postMessage(workerData + ': ' + word + 'ed'), 50))
      setInterval(() => undefined, 60_000)`,
  })
  expect(await (await slow()).text()).toBe('done')
  const { pid } = host

  await host.close()

  expect(log()).toBe('begun\nanswered\na thread: flushed\n')
  expect(() => process.kill(pid!, 0)).toThrow('ESRCH')
})
