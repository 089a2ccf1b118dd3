/**
 * The licence notices of the packages whose code is in the bundle: most licences require that their text goes along.
 */
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { mapFewAtOnce } from './few-at-once.ts'

/**
 * @param inputs the files that esbuild read, relative to `root`
 * @returns one text: name, version, licence and licence text of each package, in the order of names
 */
export async function licenceNotices(root: string, inputs: readonly string[]): Promise<string> {
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []))
  const notices = await mapFewAtOnce([...folders], (folder) => noticeOf(path.join(root, folder)))
  const head = 'This folder contains code of the following packages.\n'
  return [head, ...notices.filter((notice) => notice !== undefined).sort()].join(`\n${'-'.repeat(72)}\n\n`)
}

async function noticeOf(folder: string): Promise<string | undefined> {
  const description = await readFile(path.join(folder, 'package.json'), 'utf8').catch(() => undefined)
  if (description === undefined) return undefined
  const { name, version, license } = JSON.parse(description) as { name: string; version: string; license?: string }
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice|thirdpartynotices)/i.test(file)).sort()
  const texts = await Promise.all(files.map((file) => readFile(path.join(folder, file), 'utf8').catch(() => '')))
  return [`${name} ${version} (${license ?? 'licence: see below'})\n`, ...texts].join('\n')
}
