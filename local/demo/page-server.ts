/** Serves a demo front end: a few files by their path, each answer with the page's own content policy. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { transform } from 'esbuild'
import { listen } from '../http-server.ts'
import type { LocalServer } from '../http-server.ts'
import { escapeHtml } from '../identity-provider/pages.ts'

export interface Served {
  readonly type: 'text/html' | 'text/css' | 'text/javascript'
  readonly body: string
}

interface PageServerOptions {
  /** Name of the part, for the error about a port that is in use. */
  readonly name: string
  readonly port: number
  readonly contentPolicy: () => string
  /** By path; a file is made when it is requested. */
  readonly files: Readonly<Record<string, () => Served | Promise<Served>>>
}

/** @throws {LocalError} when the port is in use */
export function startPageServer({ name, port, contentPolicy, files }: PageServerOptions): Promise<LocalServer> {
  return listen({
    name,
    port,
    handler: (request, response) => {
      const { pathname } = new URL(request.url ?? '/', 'http://localhost')
      const make = Object.hasOwn(files, pathname) ? files[pathname] : undefined
      void Promise.resolve(make?.()).then(
        (served) => {
          response.writeHead(served ? 200 : 404, {
            'content-type': `${served?.type ?? 'text/plain'}; charset=utf-8`,
            'content-security-policy': contentPolicy(),
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
}

/** A page's script is TypeScript; browsers receive it without its types. */
export async function browserScript(file: string): Promise<Served> {
  const source = await readFile(path.join(import.meta.dirname, file), 'utf8')
  const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'es2022' })
  return { type: 'text/javascript', body: code }
}

/** Configuration of a page's script, as attributes for `body`; escaped. */
export function dataAttributes(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `data-${dashed(name)}="${escapeHtml(value)}"`)
    .join(' ')
}

/** An address that may be known only later. */
export function known(url: string | (() => string)): string {
  return typeof url === 'function' ? url() : url
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
