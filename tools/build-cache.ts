/** Caches esbuild's results in node_modules/.cache until one of their inputs changes. `npm ci` removes the cache. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'

import * as esbuild from 'esbuild'
import type { Metafile } from 'esbuild'
import { mapFewAtOnce } from './few-at-once.ts'

const root = path.join(import.meta.dirname, '..')
/** Inputs that esbuild's metafile does not list. */
const alwaysInputs = [
  'tools/build.ts',
  'tools/build-cache.ts',
  'package.json',
  'tsconfig.json',
  // npm rewrites it with every installation: which version of which package is where.
  'node_modules/.package-lock.json',
]

export interface Bundled {
  readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array }[]
  readonly metafile: Metafile
}

/**
 * File systems take their times from a clock that advances in steps of some milliseconds,
 * so a write may have an earlier time.
 */
const stepOfFileTimes = 50

interface Entry {
  readonly fingerprint: string
  readonly metafile: Metafile
  /** Base64. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * Returns the kept result where every input has the content that it had then, and otherwise bundles.
 *
 * @param name of the entry in the cache: one for each set of options
 * @param bundle with `absWorkingDir` at the root of the project, so that the metafile's paths are relative to it
 * @param cache the folder; an argument for tests
 */
export async function bundleUnlessKept(
  name: string,
  bundle: () => Promise<Bundled>,
  cache: string = path.join(root, 'node_modules', '.cache', 'broker'),
): Promise<Bundled> {
  const file = path.join(cache, `${name}.json`)
  const kept = await readEntry(file)
  if (kept && (await fingerprint(kept.metafile)) === kept.fingerprint) {
    return {
      metafile: kept.metafile,
      outputFiles: Object.entries(kept.files).map(([path, base64]) => ({
        path,
        contents: Buffer.from(base64, 'base64'),
      })),
    }
  }
  const began = Date.now() - stepOfFileTimes
  const made = await bundle()
  // The inputs changed during the build: the result may be of the old content and the fingerprint of the new one.
  if (await isAnyNewer(made.metafile, began)) return made
  const entry: Entry = {
    fingerprint: await fingerprint(made.metafile),
    metafile: made.metafile,
    files: Object.fromEntries(
      made.outputFiles.map(({ path, contents }) => [path, Buffer.from(contents).toString('base64')]),
    ),
  }
  await writeEntry(file, entry).catch(() => undefined) // Without a writable folder, builds take longer.
  return made
}

/**
 * Relative to the root. A module that a plugin supplies has a namespace before its name, and is part of tools/build.ts.
 */
function inputFiles({ inputs }: Metafile): readonly string[] {
  return [...alwaysInputs, ...Object.keys(inputs).filter((name) => !/^[\w ]{2,}:/.test(name))]
}

/** SHA-256 over the names and contents of all inputs; a file that is gone has no content. */
async function fingerprint(metafile: Metafile): Promise<string> {
  const hashes = await mapFewAtOnce(inputFiles(metafile), async (name) => {
    const contents = await readFile(path.join(root, name)).catch(() => undefined)
    return `${name} ${contents ? createHash('sha256').update(contents).digest('hex') : 'missing'}`
  })
  return createHash('sha256')
    .update([esbuild.version, ...hashes].join('\n'))
    .digest('hex')
}

async function isAnyNewer(metafile: Metafile, time: number): Promise<boolean> {
  const times = await Promise.all(
    inputFiles(metafile).map((name) => stat(path.join(root, name)).catch(() => undefined)),
  )
  return times.some((found) => found !== undefined && found.mtimeMs >= time)
}

async function readEntry(file: string): Promise<Entry | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Entry
  } catch {
    return undefined
  }
}

/** Writes beside, then renames: two builds at once each find a complete file. */
async function writeEntry(file: string, entry: Entry): Promise<void> {
  const beside = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`
  await mkdir(path.dirname(file), { recursive: true })
  try {
    await writeFile(beside, JSON.stringify(entry))
    await rename(beside, file)
  } finally {
    await rm(beside, { force: true })
  }
}
