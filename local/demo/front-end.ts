/** The demo front end, on the broker's site: a session front end, in one page and one script without a build. */
import { pageHtml, pageStyle } from './front-end-page.ts'
import { browserScript, dataAttributes, known, startPageServer } from './page-server.ts'

interface DemoFrontEndOptions {
  /** 0 selects a free one. */
  readonly port: number
  /** A function where the address is known later. */
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

/** @throws {LocalError} when the port is in use */
export async function startDemoFrontEnd(options: DemoFrontEndOptions): Promise<DemoFrontEnd> {
  const urls = () => ({ broker: known(options.brokerUrl), api: known(options.apiUrl) })
  const { frontEndId: frontend, apiName } = options
  const server = await startPageServer({
    name: 'demo front end',
    port: options.port,
    contentPolicy: () => contentPolicy(urls()),
    files: {
      '/': () => ({ type: 'text/html', body: pageHtml(dataAttributes({ ...urls(), frontend, apiName })) }),
      '/page.css': () => ({ type: 'text/css', body: pageStyle }),
      '/page.js': () => browserScript('front-end-script.ts'),
    },
  })
  return { url: `http://localhost:${server.port}/`, port: server.port, close: () => server.close() }
}

/** Scripts of this origin only; connections to the broker and the API only. */
function contentPolicy({ broker, api }: { broker: string; api: string }): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    'img-src data:',
    `connect-src ${new URL(broker).origin} ${new URL(api).origin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}
