/** host.json, as far as it decides how a request is answered. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import * as z from 'zod/mini'

import { LocalError } from '../http-server.ts'

/** The app setting that overrides `extensions.http.routePrefix`. */
export const routePrefixSetting = 'AzureFunctionsJobHost__extensions__http__routePrefix'

const schema = z.object({
  version: z.literal('2.0'),
  functionTimeout: z.optional(z.string()),
  logging: z.optional(z.object({ logLevel: z.optional(z.record(z.string(), z.string())) })),
  extensions: z.optional(
    z.object({
      http: z.optional(
        z.object({
          routePrefix: z.optional(z.string()),
          customHeaders: z.optional(z.record(z.string(), z.string())),
        }),
      ),
    }),
  ),
})

export interface HostJson {
  /** Without slashes around it; `api` where host.json names none. */
  readonly routePrefix: string
  /** Added to an answer that does not set them itself. */
  readonly customHeaders: Readonly<Record<string, string>>
  readonly logLevels: Readonly<Record<string, string>>
  /** Time limit of a function, after which its worker ends; `undefined` where host.json names none. */
  readonly functionTimeoutMilliseconds: number | undefined
}

/**
 * Reads `host.json` of a built bundle. `hsts` is ignored: loopback has no TLS.
 *
 * @param settings app settings; the host lets one override a value of host.json
 * @throws {LocalError} when it is missing or the host would refuse it
 */
export async function readHostJson(
  folder: string,
  settings: Readonly<Record<string, string | undefined>> = {},
): Promise<HostJson> {
  const file = path.join(folder, 'host.json')
  const text = await readFile(file, 'utf8').catch(() => {
    throw new LocalError(`There is no host.json in ${folder}. Build first: npm run build`)
  })
  const parsed = schema.safeParse(parseJson(text, file))
  if (!parsed.success) {
    const where = parsed.error.issues.map((issue) => issue.path.join('.') || 'the file').join(', ')
    throw new LocalError(`${file} is not a host.json of version 2.0: correct ${where}.`)
  }
  const { data } = parsed
  return {
    routePrefix: (settings[routePrefixSetting] ?? data.extensions?.http?.routePrefix ?? 'api').replace(
      /^\/+|\/+$/g,
      '',
    ),
    customHeaders: data.extensions?.http?.customHeaders ?? {},
    logLevels: data.logging?.logLevel ?? {},
    functionTimeoutMilliseconds: parseTimeSpan(data.functionTimeout),
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new LocalError(`${file} is not JSON.`)
  }
}

/** `hh:mm:ss`; `-1` means no end. */
function parseTimeSpan(text: string | undefined): number | undefined {
  const match = /^(\d+):(\d\d):(\d\d)$/.exec(text ?? '')
  if (!match) return undefined
  const [hours, minutes, seconds] = match.slice(1).map(Number)
  return (((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000
}
