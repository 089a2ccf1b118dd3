/** local.settings.json, as Core Tools defines it. */
import { constants } from 'node:fs'
import { copyFile, readFile } from 'node:fs/promises'
import path from 'node:path'
import * as z from 'zod/mini'

import { LocalError } from './http-server.ts'
import { toStrictJson } from './lenient-json.ts'

type Settings = Readonly<Record<string, string>>

const schema = z.object({
  IsEncrypted: z.optional(z.boolean()),
  Values: z.optional(z.record(z.string(), z.unknown())),
})

/**
 * Reads the `Values` of a local.settings.json.
 *
 * @returns undefined where there is no such file
 * @throws {LocalError} when it is not JSON, is encrypted, or has a value that is not text
 */
export async function findSettingsFile(file: string): Promise<Settings | undefined> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (isErrno(error) && error.code === 'ENOENT') return undefined
    throw new LocalError(`${file} cannot be read: ${String(error)}`)
  })
  return text === undefined ? undefined : parseSettings(text, file)
}

/**
 * Copies local.settings.example.json to local.settings.json where there is none.
 *
 * @returns true where it copied the file
 */
export async function copyExampleSettings(root: string): Promise<boolean> {
  const example = path.join(root, 'local.settings.example.json')
  return await copyFile(example, path.join(root, 'local.settings.json'), constants.COPYFILE_EXCL).then(
    () => true,
    (error: unknown) => {
      if (isErrno(error) && error.code === 'EEXIST') return false
      throw new LocalError(`${example} could not be copied to local.settings.json: ${String(error)}`)
    },
  )
}

function parseSettings(text: string, file: string): Settings {
  const { IsEncrypted, Values = {} } = checkShape(parseJson(text, file), file)
  if (IsEncrypted) {
    throw new LocalError(
      `${file} is encrypted, and only the machine that encrypted it can read it. Decrypt it: func settings decrypt`,
      2,
    )
  }
  return Object.fromEntries(Object.entries(Values).map(([name, value]) => [name, asText(name, value, file)]))
}

function parseJson(text: string, file: string): unknown {
  // Read as UTF-8, every second character of UTF-16 is NUL.
  if (text.includes('\0')) {
    throw new LocalError(
      `${file} is not UTF-8. Save it as UTF-8; Windows PowerShell 5.1 writes UTF-16 for > and Out-File.`,
      2,
    )
  }
  try {
    // Core Tools accepts a byte order mark, which editors on Windows write, comments and trailing commas.
    return JSON.parse(toStrictJson(text.replace(/^\uFEFF/, ''))) as unknown
  } catch (error) {
    // The reason without the excerpt, which may contain a secret.
    const where = /at position \d+( \(line \d+ column \d+\))?/.exec((error as Error).message)?.[0]
    throw new LocalError(
      `${file} is not JSON${where === undefined ? '' : ` (${where})`}. Strings and names need double quotes, and commas between them.`,
      2,
    )
  }
}

function checkShape(value: unknown, file: string): z.infer<typeof schema> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  throw new LocalError(`${file} has to be {"IsEncrypted": false, "Values": {"NAME": "text", …}}.`, 2)
}

function asText(name: string, value: unknown, file: string): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new LocalError(
    `${name} in ${file} has to be text: JSON goes into quotes, with its own quotes escaped (\\").`,
    2,
  )
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error
}
