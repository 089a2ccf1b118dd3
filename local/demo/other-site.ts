/**
 * The demo front end on another site than the broker (127.0.0.1, where the broker is localhost): an OAuth client, by an
 * unmodified oidc-client-ts.
 */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pageStyle } from './front-end-page.ts'
import { otherSitePageHtml } from './other-site-page.ts'
import { browserScript, dataAttributes, known, startPageServer } from './page-server.ts'
import type { Served } from './page-server.ts'

interface OtherSiteDemoOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** A function where the address is known later. */
  readonly brokerUrl: string | (() => string)
  readonly apiUrl: string | (() => string)
  /** The front end's id at the broker. */
  readonly clientId: string
  readonly scope: string
}

export interface OtherSiteDemo {
  /** The page. */
  readonly url: string
  readonly redirectUri: string
  readonly port: number
  close(): Promise<void>
}

/** @throws {LocalError} when the port is in use */
export async function startOtherSiteDemo(options: OtherSiteDemoOptions): Promise<OtherSiteDemo> {
  const urls = () => ({ broker: known(options.brokerUrl), api: known(options.apiUrl) })
  const { clientId, scope } = options
  const page = (): Served => ({
    type: 'text/html',
    body: otherSitePageHtml(dataAttributes({ ...urls(), clientId, scope })),
  })
  const server = await startPageServer({
    name: 'demo front end on another site',
    port: options.port,
    contentPolicy: () => contentPolicy(urls()),
    files: {
      '/': page,
      '/callback': page,
      '/page.css': () => ({ type: 'text/css', body: pageStyle }),
      '/page.js': () => browserScript('other-site-script.ts'),
      '/oidc-client-ts.js': library,
    },
  })
  const url = `http://127.0.0.1:${server.port}/`
  return { url, redirectUri: `${url}callback`, port: server.port, close: () => server.close() }
}

/** The published browser bundle, unchanged. */
async function library(): Promise<Served> {
  const entry = createRequire(import.meta.url).resolve('oidc-client-ts')
  const file = path.join(path.dirname(entry), '..', 'browser', 'oidc-client-ts.min.js')
  return { type: 'text/javascript', body: await readFile(file, 'utf8') }
}

/** Scripts of this origin only. Frames of this origin and of the broker: the library signs in silently in a frame. */
function contentPolicy({ broker, api }: { broker: string; api: string }): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src ${new URL(broker).origin} ${new URL(api).origin}`,
    `frame-src 'self' ${new URL(broker).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ].join('; ')
}
