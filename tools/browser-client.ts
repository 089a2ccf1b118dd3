/** Builds the browser library: the scripts that the broker serves, and the package for npm. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import * as esbuild from 'esbuild'
import { isStartedProgram } from './started-program.ts'

const folder = path.join(import.meta.dirname, '../browser-client')
const source = (name: string) => path.join(folder, 'src', `${name}.ts`)
const target = 'es2022'

/** The script of `/client.js`: an ES module, minified, with all that it needs. */
export function clientScript(): string {
  return scriptOf("export * from './index.ts'")
}

/** The script of `/client-oauth.js`, likewise. */
export function oauthClientScript(): string {
  return scriptOf("export * from './oauth.ts'")
}

/** @param contents a module in the folder of the sources */
export function scriptOf(contents: string): string {
  const { outputFiles } = esbuild.buildSync({
    stdin: { contents, resolveDir: path.join(folder, 'src') },
    absWorkingDir: folder,
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target,
    legalComments: 'none',
  })
  return outputFiles[0]?.text.trim() ?? ''
}

/** @returns the value of a script's attribute `integrity` (Subresource Integrity) */
export function integrityOf(script: string): string {
  return `sha384-${createHash('sha384').update(script).digest('base64')}`
}

/** The module by which the broker serves the scripts. */
export function generatedModule(): string {
  return `/** The browser library, each half as one script. "npm run generate" writes it from browser-client/src: edit that. */
export const clientScript = ${JSON.stringify(clientScript())}

export const oauthClientScript = ${JSON.stringify(oauthClientScript())}
`
}

/** The library's page, with the integrity hash of each script. The rest of the page is written by hand. */
export function clientPage(): string {
  const page = readFileSync(path.join(folder, '../docs/browser-client.md'), 'utf8')
  const hashes: Readonly<Record<string, string>> = {
    'client.js': integrityOf(clientScript()),
    'client-oauth.js': integrityOf(oauthClientScript()),
  }
  return page.replaceAll(
    /([\w-]+\.js)"(\s+integrity=)"[^"]*"/g,
    (_, file: string, attribute: string) => `${file}"${attribute}"${hashes[file] ?? ''}"`,
  )
}

/** Writes `browser-client/dist/`, which `npm pack` packs: modules that share chunks, and their types. */
export async function buildPackage(): Promise<void> {
  const dist = path.join(folder, 'dist')
  await rm(dist, { recursive: true, force: true })
  await esbuild.build({
    entryPoints: ['index', 'oauth', 'react', 'testing'].map(source),
    outdir: dist,
    bundle: true,
    splitting: true,
    format: 'esm',
    target,
    external: ['react'],
    legalComments: 'none',
  })
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '--project', folder], { stdio: 'inherit' })
}

if (isStartedProgram(import.meta.filename)) await buildPackage()
