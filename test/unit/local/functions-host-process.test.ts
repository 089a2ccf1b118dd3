/** The functions host as a process: errors at load, its end and its restart. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'

import { LocalError, listen } from '../../../local/http-server.ts'
import { startFunctionsHost } from '../../../local/functions-host/host.ts'
import { startHostProcess } from '../../../local/functions-host/process.ts'
import { builtFixture, serve, temporaryFolder } from './fixtures/serve.ts'
import type { Served, ServeOptions } from './fixtures/serve.ts'

const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function served(fixture: string, options?: ServeOptions): Promise<Served> {
  const host = await serve(fixture, options)
  undo.push(() => host.remove())
  return host
}

async function folder(): Promise<string> {
  const made = await temporaryFolder()
  undo.push(() => rm(made, { recursive: true, force: true }))
  return made
}

describe('loading', () => {
  it.each(['throws', 'name-twice'])('has no function at all when one is at fault (%s)', async (fixture) => {
    const host = await served(fixture)

    expect(host.functions).toEqual([])
    expect(host.log()).toMatch(/has no functions: every route answers 404/)
    expect((await fetch(`${host.url}/fine`)).status).toBe(404)
    expect((await fetch(`${host.url}/`)).status).toBe(200)
  })

  it('refuses HTTP streaming, which hangs requests in Azure', async () => {
    const host = await served('streaming')

    expect(host.log()).toMatch(/enableHttpStream is on. Leave it off/)
    expect((await fetch(`${host.url}/fine`)).status).toBe(404)
  })

  it('serves the home page at / unless the settings turn it off', async () => {
    const shown = await served('app')
    const home = await fetch(`${shown.url}/`)
    expect([home.status, home.headers.get('content-type')]).toEqual([200, 'text/html'])
    expect(await home.text()).toContain('functions host')

    const hidden = await served('core-module', { settings: { AzureWebJobsDisableHomepage: 'true' } })
    expect((await fetch(`${hidden.url}/`)).status).toBe(204)
  })

  it('supplies what the worker supplies and no more, to a bundle with top-level await', async () => {
    const host = await served('core-module')

    expect(await (await fetch(`${host.url}/core`)).json()).toEqual([
      'Disposable',
      'getProgrammingModel',
      'hostVersion',
      'log',
      'registerFunction',
      'registerHook',
      'setProgrammingModel',
      'version',
    ])
  })

  it('accepts a glob for main, and files that are CommonJS', async () => {
    const dist = await folder()
    await mkdir(path.join(dist, 'parts'))
    await writeFile(path.join(dist, 'package.json'), JSON.stringify({ main: 'parts/*.cjs' }))
    await writeFile(path.join(dist, 'host.json'), JSON.stringify({ version: '2.0' }))
    for (const name of ['one', 'two']) {
      const source = `require('@azure/functions-core').setProgrammingModel({
        name: 'own', version: '1',
        getInvocationModel: () => ({
          getArguments: async () => ({ context: {}, inputs: [] }),
          invokeFunction: async (context, inputs, callback) => callback(),
          getResponse: async (context, result) => ({ returnValue: { http: { body: { string: result } } } }),
        }),
      })
      require('@azure/functions-core').registerFunction(
        { name: '${name}', bindings: { req: { type: 'httpTrigger', direction: 'in' } } }, () => 'from ${name}')`
      await writeFile(path.join(dist, 'parts', `${name}.cjs`), source)
    }
    const host = await startHostProcess({ dist, port: 0, env: {}, write: () => undefined })
    undo.push(() => host.close())

    expect(await (await fetch(`${host.url}/api/one`)).text()).toBe('from one')
    expect(await (await fetch(`${host.url}/api/two`)).text()).toBe('from two')
  })
})

describe('in this process', () => {
  it('serves a bundle, which a process can load once', async () => {
    const dist = await builtFixture('core-module')
    const options = { bundle: dist, port: 0, settings: {}, write: () => undefined }

    const host = await startFunctionsHost(options)
    undo.push(() => host.close())

    expect((await fetch(`${host.url}/core`)).status).toBe(200)
    expect(host.functions).toEqual([{ name: 'core', trigger: 'httpTrigger', route: 'core', methods: ['GET'] }])
    await expect(startFunctionsHost(options)).rejects.toThrow(/modules load once/)
  })
})

describe('host.json', () => {
  it('puts its route prefix before every route, and api where it names none', async () => {
    const prefixed = await served('app', {
      hostJson: { version: '2.0', extensions: { http: { routePrefix: 'v1/x' } } },
    })
    expect((await fetch(`${prefixed.url}/v1/X/things`)).status).toBe(200)
    expect((await fetch(`${prefixed.url}/things`)).status).toBe(404)

    const plain = await served('app', { hostJson: { version: '2.0' } })
    expect((await fetch(`${plain.url}/api/things`)).status).toBe(200)
  })

  it('adds its custom headers where the function did not set them, to refusals too', async () => {
    const customHeaders = { 'X-Frame-Options': 'SAMEORIGIN', 'X-Added': 'yes' }
    const http = { routePrefix: '', customHeaders, hsts: { isEnabled: true } }
    const host = await served('app', { hostJson: { version: '2.0', extensions: { http } } })

    const set = await fetch(`${host.url}/answers/text`)
    expect([set.headers.get('x-frame-options'), set.headers.get('x-added')]).toEqual(['DENY', 'yes'])
    const unset = await fetch(`${host.url}/answers/empty`)
    expect(unset.headers.get('x-frame-options')).toBe('SAMEORIGIN')
    expect((await fetch(`${host.url}/nowhere`)).headers.get('x-added')).toBe('yes')
    expect(unset.headers.has('strict-transport-security')).toBe(false)
  })

  it('ends the worker when a function runs longer than functionTimeout, and the client receives no answer', async () => {
    const host = await served('app', {
      hostJson: { version: '2.0', functionTimeout: '00:00:01', extensions: { http: { routePrefix: '' } } },
    })

    await expect(fetch(`${host.url}/answers/slow?ms=60000`)).rejects.toThrow()
    await host.logged(/answerslow ran longer than functionTimeout allows/)
  })

  it('shows lines of the levels that it names', async () => {
    const logging = { logLevel: { default: 'Error', 'Function.answerlogs': 'Debug' } }
    const host = await served('app', {
      hostJson: { version: '2.0', logging, extensions: { http: { routePrefix: '' } } },
    })

    await fetch(`${host.url}/answers/logs`)
    await host.logged(/not shown by default/)
  })
})

describe('a shutdown', () => {
  it('restarts on its port after an unhandled rejection, and reports the error', async () => {
    const host = await served('app')

    expect(await (await fetch(`${host.url}/answers/diesLater`)).text()).toBe('still here')
    await host.logged(/The worker ends, and its memory is lost[^]*nothing awaited this[^]*The broker is back/)

    expect((await fetch(`${host.url}/things`)).status).toBe(200)
  })

  it('restarts on demand with the port and the keys it had', async () => {
    const host = await served('app')
    const before = host.pid

    await host.restart()

    expect(host.pid).not.toBe(before)
    const answer = await fetch(`${host.url}/guarded`, { headers: { 'x-functions-key': host.functionKey } })
    expect(answer.status).toBe(200)
    expect(host.log()).not.toContain('The broker is back')
  })

  it('completes the requests in flight, then runs the appTerminate hooks', async () => {
    const host = await served('app')
    const slow = fetch(`${host.url}/answers/slow?ms=500`)
    await host.logged(/slow has begun/)

    await host.close()

    expect(await (await slow).text()).toBe('done')
    expect(host.log()).toMatch(/appTerminate ran/)
    await expect(fetch(`${host.url}/things`)).rejects.toThrow()
  })

  it('prints one line on standard output and exits with 0 on SIGINT', async () => {
    const dist = await builtFixture('app')
    const child = spawn(process.execPath, ['local/functions-host/main.ts', '--dist', dist, '--port', '0'])
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    await once(child.stdout, 'data')
    const ready = JSON.parse(output) as { url: string; masterKey: string; functionKey: string }
    expect((await fetch(`${ready.url}/guarded?code=${ready.functionKey}`)).status).toBe(200)
    await fetch(`${ready.url}/answers/logs`)

    child.kill('SIGINT')

    expect(await once(child, 'close')).toEqual([0, null])
    expect(output.trim().split('\n')).toHaveLength(1)
  })
})

describe('a refused start', () => {
  async function refused(args: string[]): Promise<{ code: unknown; said: string }> {
    const child = spawn(process.execPath, ['local/functions-host/main.ts', ...args])
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
    const [code] = (await once(child, 'close')) as unknown[]
    return { code, said }
  }

  it('reports that there is no build, with exit code 1', async () => {
    const { code, said } = await refused(['--dist', path.join(await folder(), 'none'), '--port', '0'])

    expect(code).toBe(1)
    expect(said).toMatch(/^There is no host\.json in .*none\. Build first: npm run build\n$/)
  })

  it('reports that the port is in use, with exit code 1', async () => {
    const other = await listen({ name: 'test', port: 0, handler: (_request, response) => response.end() })
    undo.push(() => other.close())
    const dist = await builtFixture('core-module')

    const { code, said } = await refused(['--dist', dist, '--port', String(other.port)])

    expect(code).toBe(1)
    expect(said).toMatch(new RegExp(`^Port ${other.port} for the broker is in use\\. .*\n$`))
    const logFile = path.join(await folder(), 'log')
    for (const to of [{ write: () => undefined }, { logFile }]) {
      const starting = startHostProcess({ dist, port: other.port, env: {}, ...to })
      await expect(starting).rejects.toThrow(new LocalError(said.trim()))
    }
  })

  it('reports the permitted values of a port', async () => {
    expect((await refused(['--port', 'many'])).said).toContain('--port must be a number')
  })
})
