/**
 * The body of a post to ingestion: bounded, perhaps compressed, in each of the forms that Application Insights accepts.
 */
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

/** An answer other than 200 or 206. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const largestBody = 4 * 1024 * 1024
const largestInflated = 32 * 1024 * 1024
const unzip = promisify(gunzip)

/** @throws {Refused} 413 */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > largestBody) throw new Refused(413, 'The post is too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** @throws {Refused} 415, and 400 where it is not valid gzip */
export async function inflate(body: Buffer, encoding: string | undefined): Promise<Buffer> {
  if (encoding === undefined || encoding === 'identity') return body
  if (encoding !== 'gzip') throw new Refused(415, 'Content-Encoding must be gzip or absent.')
  return await unzip(body, { maxOutputLength: largestInflated }).catch(() => {
    throw new Refused(400, 'The body is not valid gzip, or too large.')
  })
}

/**
 * One array, one envelope, or an envelope a line (`application/x-json-stream`).
 *
 * @returns the parsed values, unchecked; a line that is not JSON is `undefined`
 * @throws {Refused} 400 where the body is empty
 */
export function parseBody(text: string): readonly unknown[] {
  const parsed =
    parseJson(text) ??
    text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map(parseJson)
  const sent: readonly unknown[] = Array.isArray(parsed) ? parsed : [parsed]
  if (sent.length > 0) return sent
  throw new Refused(400, 'The post holds no envelope.')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
