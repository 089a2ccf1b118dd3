import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bundleUnlessKept } from '../../../tools/build-cache.ts'
import type { Bundled } from '../../../tools/build-cache.ts'
import { mapFewAtOnce } from '../../../tools/few-at-once.ts'

const root = path.join(import.meta.dirname, '../../..')
let folder: string
let bundles: number
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'build-cache-'))
  bundles = 0
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const input = () => path.join(folder, 'input.ts')
/** Replaces esbuild: the output is the current input. */
const bundle = async (): Promise<Bundled> => {
  bundles += 1
  const contents = await readFile(input())
  const inputs = { [path.relative(root, input())]: { bytes: contents.length, imports: [] } }
  return {
    outputFiles: [{ path: 'worker.mjs', contents }],
    metafile: { inputs: { ...inputs, 'left out:debug': { bytes: 0, imports: [] } }, outputs: {} },
  }
}
const textOf = ({ outputFiles }: Bundled) => outputFiles.map(({ contents }) => Buffer.from(contents).toString())
const write = async (text: string) => {
  await writeFile(input(), text)
  await utimes(input(), new Date(0), new Date(0))
}
const build = () => bundleUnlessKept('worker', bundle, path.join(folder, 'cache'))

describe('a kept bundle', () => {
  it('is returned while its inputs have the same content, with any modification times', async () => {
    await write('first')
    const made = await build()
    await write('first')

    const kept = await build()

    expect(bundles).toBe(1)
    expect(textOf(kept)).toEqual(['first'])
    expect(kept.metafile).toEqual(made.metafile)
  })

  it('is not returned after an input has changed or is missing', async () => {
    await write('first')
    await build()
    await write('other')

    expect(textOf(await build())).toEqual(['other'])
    expect(bundles).toBe(2)
    await rm(input())
    await expect(build()).rejects.toThrow('ENOENT')
  })

  it('is not kept where an input changed while esbuild ran', async () => {
    await writeFile(input(), 'first')
    await bundleUnlessKept(
      'worker',
      async () => {
        const made = await bundle()
        await writeFile(input(), 'changed meanwhile')
        return made
      },
      path.join(folder, 'cache'),
    )

    expect(textOf(await build())).toEqual(['changed meanwhile'])
  })

  it('that is damaged is made again, and a folder that cannot be written is no failure', async () => {
    await write('first')
    await build()
    await writeFile(path.join(folder, 'cache', 'worker.json'), '{"fingerprint":')

    expect(textOf(await build())).toEqual(['first'])
    expect(textOf(await bundleUnlessKept('worker', bundle, path.join(input(), 'no-folder')))).toEqual(['first'])
  })
})

it('reads few files at once, and returns the results in their order', async () => {
  let open = 0
  let most = 0
  const items = Array.from({ length: 100 }, (_, index) => index)

  const results = await mapFewAtOnce(items, async (item) => {
    most = Math.max(most, (open += 1))
    await new Promise((done) => setImmediate(done))
    open -= 1
    return item * 2
  })

  expect(results).toEqual(items.map((item) => item * 2))
  // macOS allows a process 256 open files.
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThan(64)
})
