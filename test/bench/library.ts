/**
 * node:http and the Functions library with no part in between: measures the cost of each request in `@azure/functions`
 * itself (a Request, a Response, an invocation context), and so in every app, with any host.
 */
import http from 'node:http'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { App, supplyCoreModule } from '../../local/functions-host/core-module.ts'
import type { CoreInvocationContext } from '../../local/functions-host/rpc.ts'

const dist = process.argv[2] ?? ''
const app = new App(() => undefined)
supplyCoreModule(dist, app)
await import(pathToFileURL(path.join(dist, 'index.mjs')).href)
const [registered] = app.functions.values()
const { programmingModel } = app
if (!registered || !programmingModel) throw new Error(`${dist} has registered no function.`)
const { metadata, callback } = registered
const [name = ''] = Object.keys(metadata.bindings)
const traceContext = { traceParent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, traceState: '', attributes: {} }

async function answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const nullableHeaders: Record<string, { value: string }> = {}
  for (const [header, value] of Object.entries(request.headers)) nullableHeaders[header] = { value: String(value) }
  const url = `http://${request.headers.host ?? ''}${request.url ?? ''}`
  const input = { http: { method: 'GET', url, nullableHeaders, nullableQuery: {}, nullableParams: {} } }
  const core: CoreInvocationContext = {
    invocationId: 'an invocation',
    request: {
      invocationId: 'an invocation',
      functionId: metadata.name,
      inputData: [{ name, data: input }],
      triggerMetadata: {},
      traceContext,
    },
    metadata,
    log: () => undefined,
  }
  const model = await programmingModel!.getInvocationModel(core)
  const { context, inputs } = await model.getArguments()
  const { returnValue } = await model.getResponse(context, await model.invokeFunction(context, inputs, callback))
  const { statusCode, headers = {}, body } = returnValue?.http ?? {}
  response.writeHead(Number(statusCode), headers)
  response.end(body?.bytes ?? body?.string)
}

const server = http.createServer((request, response) => void answer(request, response))
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`)
})
