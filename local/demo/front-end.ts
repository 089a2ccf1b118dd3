/** The demo front end, on the broker's site: the cookie way, in one page and one script without a build. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { transform } from 'esbuild'
import { escapeHtml } from '../identity-provider/pages.ts'
import { listen } from '../http-server.ts'
import { pageHtml, pageStyle } from './front-end-page.ts'

export interface DemoFrontEndOptions {
  /** 0 takes a free one. */
  readonly port: number
  /** A function where the broker starts later. */
  readonly brokerUrl: string | (() => string)
  readonly apiUrl: string | (() => string)
  /** The front end's id at the broker. */
  readonly frontEndId: string
  /** The API's name at the broker. */
  readonly apiName: string
}

export interface DemoFrontEnd {
  /** The page, and a return URL for the broker. */
  readonly url: string
  readonly port: number
  close(): Promise<void>
}

interface Served {
  readonly type: string
  readonly body: string
}

/** @throws {LocalError} when the port is taken */
export async function startDemoFrontEnd(options: DemoFrontEndOptions): Promise<DemoFrontEnd> {
  const urls = () => ({ brokerUrl: known(options.brokerUrl), apiUrl: known(options.apiUrl) })
  let script: Promise<string> | undefined

  const serve = async (pathname: string): Promise<Served | undefined> => {
    if (pathname === '/') {
      const settings = {
        broker: urls().brokerUrl,
        api: urls().apiUrl,
        frontend: options.frontEndId,
        apiName: options.apiName,
      }
      const attributes = Object.entries(settings).map(([name, value]) => `data-${dashed(name)}="${escapeHtml(value)}"`)
      return { type: 'text/html', body: pageHtml(attributes.join(' ')) }
    }
    if (pathname === '/page.css') return { type: 'text/css', body: pageStyle }
    if (pathname === '/page.js') return { type: 'text/javascript', body: await (script ??= pageScript()) }
    return undefined
  }

  const server = await listen({
    name: 'demo front end',
    port: options.port,
    handler: (request, response) => {
      void serve(new URL(request.url ?? '/', 'http://localhost').pathname).then(
        (served) => {
          response.writeHead(served ? 200 : 404, {
            'content-type': `${served?.type ?? 'text/plain'}; charset=utf-8`,
            'content-security-policy': contentPolicy(urls()),
            'cache-control': 'no-store',
            'referrer-policy': 'no-referrer',
            'x-content-type-options': 'nosniff',
          })
          response.end(served?.body ?? 'Not here. The page is at /')
        },
        () => response.writeHead(500).end(),
      )
    },
  })
  return { url: `http://localhost:${server.port}/`, port: server.port, close: () => server.close() }
}

/** Script from here and from nowhere else; connections to the broker and the API only. */
function contentPolicy({ brokerUrl, apiUrl }: { brokerUrl: string; apiUrl: string }): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src ${new URL(brokerUrl).origin} ${new URL(apiUrl).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

/** The page's script is TypeScript like all else here; browsers get it with its types taken out. */
async function pageScript(): Promise<string> {
  const source = await readFile(path.join(import.meta.dirname, 'front-end-script.ts'), 'utf8')
  return (await transform(source, { loader: 'ts', format: 'esm', target: 'es2022' })).code
}

function known(url: string | (() => string)): string {
  return typeof url === 'function' ? url() : url
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
