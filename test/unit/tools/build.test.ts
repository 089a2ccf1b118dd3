/** The bundle: the content of the folder, and the result of two builds at the same time. */
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { build, clean, watch } from '../../../tools/build.ts'
import type { BuildResult } from '../../../tools/build.ts'
import { LocalError } from '../../../local/http-server.ts'
import { serve } from '../local/fixtures/serve.ts'

let folder: string
let outdir: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'build-'))
  outdir = path.join(folder, 'dist')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const fixture = (name: string) => path.join(import.meta.dirname, '..', 'local', 'fixtures', `${name}.ts`)
const read = (name: string) => readFile(path.join(outdir, name), 'utf8')

describe('the folder', () => {
  it('holds the entry, lazy chunks, host.json and a package.json that names the entry, and no node_modules', async () => {
    await build({ entry: fixture('app'), outdir })

    const files = await readdir(outdir)
    expect(files).toEqual(expect.arrayContaining(['host.json', 'index.mjs', 'package.json']))
    expect(files.filter((name) => /^lazy-\w+\.mjs$/.test(name))).toHaveLength(1)
    expect(files.every((name) => /^(host\.json|package\.json|LICENCE-NOTICES\.txt|[\w-]+\.mjs)$/.test(name))).toBe(true)
    expect(JSON.parse(await read('package.json'))).toEqual({ main: 'index.mjs', type: 'module' })
    expect(await read('host.json')).toBe(await readFile(path.join(import.meta.dirname, '../../../host.json'), 'utf8'))
  })

  it('leaves @azure/functions-core to the worker, by a require that every chunk has', async () => {
    await build({ entry: fixture('app'), outdir })

    const modules = (await readdir(outdir)).filter((name) => name.endsWith('.mjs'))
    const texts = await Promise.all(modules.map(read))
    expect(texts.filter((text) => text.includes('@azure/functions-core'))).toHaveLength(1)
    for (const text of texts) expect(text).toMatch(/^import \{ ?createRequire/)
  })

  it('starts from one chunk, which lazy chunks import, so that a start reads few files', async () => {
    const { metafile } = await build({ entry: fixture('app'), outdir })

    const importsOf = (pattern: RegExp) => {
      const [, output] = Object.entries(metafile.outputs).find(([name]) => pattern.test(name)) ?? []
      return (output?.imports ?? []).filter(({ kind, external }) => kind === 'import-statement' && external !== true)
    }
    const [start, ...others] = importsOf(/dist.index\.mjs$/)
    expect(others).toEqual([])
    expect(importsOf(/dist.lazy-\w+\.mjs$/).map(({ path: name }) => name)).toContain(start?.path)
  })

  it('has the parts of @azure/functions that it uses, of the version that is installed', async () => {
    const { metafile } = await build({ entry: fixture('app'), outdir })

    const inputs = Object.keys(metafile.inputs).filter((name) => name.includes('node_modules/@azure/functions/'))
    expect(inputs.filter((name) => !name.startsWith('node_modules/@azure/functions/src/'))).toEqual([])
    const published = path.join(import.meta.dirname, '../../../node_modules/@azure/functions')
    const { version } = JSON.parse(await readFile(path.join(published, 'package.json'), 'utf8')) as { version: string }
    expect(await readFile(path.join(published, 'src/constants.ts'), 'utf8')).toContain(`version = '${version}'`)
    expect(await readFile(path.join(published, 'dist/azure-functions.js'), 'utf8')).toContain(`version = '${version}'`)
  })

  it('has linked source maps on request, and none otherwise', async () => {
    await build({ entry: fixture('app'), outdir, sourcemap: true })
    expect(await readdir(outdir)).toContain('index.mjs.map')
    expect(await read('index.mjs')).toContain('//# sourceMappingURL=index.mjs.map')

    await build({ entry: fixture('app'), outdir })
    expect((await readdir(outdir)).filter((name) => name.endsWith('.map'))).toEqual([])
  })

  it('replaces all earlier content, and clean removes it', async () => {
    await mkdir(outdir)
    await writeFile(path.join(outdir, 'stale.mjs'), '')

    await build({ entry: fixture('app'), outdir })
    expect(await readdir(outdir)).not.toContain('stale.mjs')

    await clean(outdir)
    expect(await readdir(folder)).toEqual([])
    await clean(outdir)
  })

  it('is not written when no source changed', async () => {
    await build({ entry: fixture('app'), outdir })
    const { ino } = await stat(outdir)

    await build({ entry: fixture('app'), outdir })

    expect((await stat(outdir)).ino).toBe(ino)
  })

  it('is complete after several builds at the same time, which leave no file beside it', async () => {
    const all = ['app', 'bundled', 'app', 'core-module'].map((name) => build({ entry: fixture(name), outdir }))
    const results = await Promise.all(all)

    expect(await readdir(folder)).toEqual(['dist'])
    const chunks = (await readdir(outdir)).filter((name) => name.endsWith('.mjs')).sort()
    const built = results.map(({ metafile }) =>
      Object.keys(metafile.outputs)
        .map((file) => path.basename(file))
        .sort(),
    )
    expect(built).toContainEqual(chunks)
  })
})

describe('sizes', () => {
  it('count the entry with what it imports statically, and all chunks without maps', async () => {
    const { entryBytes, totalBytes, metafile } = await build({ entry: fixture('bundled'), outdir, sourcemap: true })

    const files = (await readdir(outdir)).filter((name) => name.endsWith('.mjs'))
    const bytes = await Promise.all(files.map(async (name) => (await stat(path.join(outdir, name))).size))
    expect(totalBytes).toBe(bytes.reduce((sum, size) => sum + size, 0))
    // MSAL alone has more than 200 KB, and is imported on first use.
    expect(totalBytes - entryBytes).toBeGreaterThan(150_000)
    expect(Object.keys(metafile.inputs).some((file) => file.includes('msal'))).toBe(true)
  })

  it('use index.mjs as the entry, with any names of the broker’s chunks', async () => {
    const { entryBytes } = await build({ outdir })

    expect(entryBytes).toBeGreaterThanOrEqual((await stat(path.join(outdir, 'index.mjs'))).size)
  })
})

describe('the bundled code', () => {
  it('runs on the functions host, SDKs and CommonJS included', async () => {
    const host = await serve('bundled')
    try {
      const answer = await fetch(`${host.url}/bundled`)
      expect(await answer.json()).toEqual({ jose: 'function', msal: 'function', require: 'function' })
    } finally {
      await host.remove()
    }
  })

  it('has MSAL, and no code that could sign with a private key or print a request', async () => {
    const { metafile } = await build({ outdir })

    const packages = new Set(
      Object.keys(metafile.inputs).map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1]),
    )
    expect(packages).toContain('@azure/msal-node')
    for (const name of ['jsonwebtoken', 'jws', 'jwa', 'debug']) expect(packages).not.toContain(name)
    const built = await Promise.all((await readdir(outdir)).map(read))
    expect(built.filter((text) => text.includes('No private key signs in this process.')).length).toBeGreaterThan(0)
  })

  it('may have a dependency that requires a package which is not installed', async () => {
    const dependency = path.join(folder, 'node_modules/asks')
    await mkdir(dependency, { recursive: true })
    await writeFile(path.join(dependency, 'package.json'), JSON.stringify({ name: 'asks', main: 'index.js' }))
    await writeFile(
      path.join(dependency, 'index.js'),
      "exports.load = () => { try { return require('not-installed-native') } catch { return 'without' } }\n" +
        "exports.lazily = () => import('not-installed-either')\n" +
        'exports.here = __dirname\n',
    )
    await writeFile(
      path.join(folder, 'entry.ts'),
      "import { load, here } from 'asks'\nexport const found = [load(), here]\n",
    )

    await build({ entry: path.join(folder, 'entry.ts'), outdir })

    const { found } = (await import(/* @vite-ignore */ path.join(outdir, 'index.mjs'))) as { found: unknown[] }
    expect(found).toEqual(['without', outdir])
  })

  it('is refused with file and line when the sources do not build', async () => {
    await writeFile(path.join(folder, 'entry.ts'), "import { gone } from './gone.ts'\nconsole.log(gone)\n")

    const building = build({ entry: path.join(folder, 'entry.ts'), outdir })

    await expect(building).rejects.toThrow(LocalError)
    await expect(building).rejects.toThrow(/entry\.ts:1:21: Could not resolve "\.\/gone\.ts"/)
    expect(await readdir(folder)).toEqual(['entry.ts'])
  })
})

describe('watching', () => {
  it('builds again when a source changes, and continues after a mistake', async () => {
    const entry = path.join(folder, 'entry.ts')
    await writeFile(entry, 'console.log("first")\n')
    const results: (BuildResult | LocalError)[] = []
    let reported: () => void = () => undefined
    const watching = await watch({ entry, outdir }, (result) => {
      results.push(result)
      reported()
    })
    const next = async (count: number) => {
      while (results.length < count) await new Promise<void>((done) => (reported = done))
    }
    try {
      await next(1)
      expect(await read('index.mjs')).toContain('first')

      await writeFile(entry, 'console.log("second"\n')
      await next(2)
      expect(results[1]).toBeInstanceOf(LocalError)
      expect(await read('index.mjs')).toContain('first')

      await writeFile(entry, 'console.log("third")\n')
      await next(3)
      expect(await read('index.mjs')).toContain('third')
    } finally {
      await watching.close()
    }
  })
})

it('npm run build names the accepted arguments, and prints no stack', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/build.ts', '--size'], { encoding: 'utf8' })

  expect([status, stdout]).toEqual([2, ''])
  expect(stderr.trim()).toBe("Unknown option '--size'. Known are --sizes, --sourcemap and --clean.")
})
