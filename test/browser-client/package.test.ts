/** The browser library as a team gets it: its size, the content of its package, and the recipes of its page. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../shared/errors/catalogue.ts'
import { buildPackage, clientScript, integrityOf, oauthClientScript, scriptOf } from '../../tools/browser-client.ts'

const run = promisify(execFile)
const root = path.join(import.meta.dirname, '../..')
const read = (file: string) => readFile(path.join(root, file), 'utf8')

describe('the browser library', () => {
  it('has at most 2 KB as a gzipped script', () => {
    expect(gzipSync(clientScript(), { level: 9 }).length).toBeLessThanOrEqual(2048)
  })

  it('has at most 4 KB with OAuth', () => {
    expect(gzipSync(oauthClientScript(), { level: 9 }).length).toBeLessThanOrEqual(4096)
  })

  it('has at most 4.5 KB with both halves in one bundle, which share their code', () => {
    const both = "export * from './index.ts'; export { createOAuthClient } from './oauth.ts'"
    expect(gzipSync(scriptOf(both), { level: 9 }).length).toBeLessThanOrEqual(4608)
  })

  it('is pinned on its page by the hash of each script that the broker serves', async () => {
    const page = await read('docs/browser-client.md')

    expect(page).toMatch(hashOf('client.js', clientScript()))
    expect(page).toMatch(hashOf('client-oauth.js', oauthClientScript()))
  })

  it('types only codes that the broker has, beside those of the browser', async () => {
    const source = await read('browser-client/src/broker-error.ts')
    const codes = [...source.matchAll(/^ {2}\| '(\w+)'/gm)].map(([, code]) => code!)

    expect(codes.length).toBeGreaterThan(10)
    expect(codes.filter((code) => !(code in errorCatalogue))).toEqual([
      'state_mismatch',
      'unreachable',
      'sign_in_loop',
      'access_denied',
    ])
  })

  it('writes to no storage but notes for the tab about a sign-in', async () => {
    const folder = path.join(root, 'browser-client/src')
    const sources = await Promise.all((await readdir(folder)).map((file) => readFile(path.join(folder, file), 'utf8')))
    const all = sources.join('\n')

    expect(all).not.toMatch(/localStorage|indexedDB|document\.cookie|caches\./)
    const written = [...all.matchAll(/sessionStorage\.setItem\((.*)\)$/gm)].map(([, what]) => what)
    expect(written).toEqual([
      'key, String(to ?? before + 1)',
      'name, JSON.stringify({ state, nonce, verifier, returnUrl, api } satisfies BegunSignIn)',
    ])
  })
})

describe('the package', () => {
  let folder: string
  beforeAll(async () => {
    await buildPackage()
    folder = await mkdtemp(path.join(os.tmpdir(), 'browser-client-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('contains the modules, their types and nothing else', async () => {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
    const { stdout } = await run(npm, ['pack', '--dry-run', '--json'], { cwd: path.join(root, 'browser-client') })
    const [packed] = JSON.parse(stdout) as [{ files: { path: string }[] }]
    const modules = await readdir(path.join(root, 'browser-client/src'))
    const files = packed.files.map(({ path: file }) => file.replace(/chunk-\w+/, 'chunk'))

    expect(files.sort()).toEqual(
      [
        'README.md',
        'package.json',
        'dist/chunk.js',
        'dist/chunk.js',
        ...['index', 'oauth', 'react', 'testing'].map((name) => `dist/${name}.js`),
        ...modules.map((name) => `dist/${name.replace(/ts$/, 'd.ts')}`),
      ].sort(),
    )
  })

  it('compiles each recipe of its page in the strictest mode, each under 30 lines', async () => {
    const page = await read('docs/browser-client.md')
    const recipes = [
      ...page.matchAll(/^## (React|Vue|Angular|OAuth clients|Tests of your own)\n[\s\S]*?```(tsx?)\n([\s\S]*?)```/gm),
    ]
    expect(recipes.map(([, name]) => name)).toEqual(['React', 'Vue', 'Angular', 'OAuth clients', 'Tests of your own'])
    const installed = path.join(folder, 'node_modules/certificate-token-broker-client')
    await mkdir(installed, { recursive: true })
    await cp(path.join(root, 'browser-client/package.json'), path.join(installed, 'package.json'))
    await cp(path.join(root, 'browser-client/dist'), path.join(installed, 'dist'), { recursive: true })
    for (const name of ['react', 'vue', '@vue', '@angular', '@types', 'rxjs', 'csstype', 'tslib']) {
      await symlink(path.join(root, 'node_modules', name), path.join(folder, 'node_modules', name)).catch(
        () => undefined,
      )
    }
    const files = await Promise.all(
      recipes.map(async ([, name, extension, code]) => {
        expect(code!.trim().split('\n').length).toBeLessThan(30)
        const file = `${name!.replaceAll(' ', '-')}.${extension}`
        await writeFile(path.join(folder, file), code!)
        return file
      }),
    )
    const options = {
      compilerOptions: {
        target: 'es2022',
        module: 'esnext',
        moduleResolution: 'bundler',
        lib: ['es2023', 'dom', 'dom.iterable'],
        jsx: 'react-jsx',
        strict: true,
        exactOptionalPropertyTypes: true,
        experimentalDecorators: true,
        skipLibCheck: true,
        noEmit: true,
        types: [],
      },
      files,
    }
    await writeFile(path.join(folder, 'tsconfig.json'), JSON.stringify(options))

    const compiler = path.join(root, 'node_modules/typescript/bin/tsc')
    const compiled = await run(process.execPath, [compiler, '--project', folder]).catch((error: unknown) => error)

    expect((compiled as { stdout: string }).stdout).toBe('')
  })
})

/** A script element of the page, with the hash of this script. */
function hashOf(file: string, script: string): RegExp {
  return new RegExp(`/${file.replace('.', '\\.')}"\\s+integrity="${integrityOf(script).replaceAll(/[+/]/g, '\\$&')}"`)
}
