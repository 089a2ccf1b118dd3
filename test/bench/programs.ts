/** The programs under test, as JavaScript: stripping types would cost more CPU than what is measured. */
import path from 'node:path'
import * as esbuild from 'esbuild'
import { build } from '../../local/build.ts'
import { bundleFunctionsHost } from '../../local/functions-host/bundle-host.ts'

export interface Programs {
  /** The functions host with the broker's bundle. */
  readonly broker: readonly string[]
  /** The functions host with one function that does nothing. */
  readonly bare: readonly string[]
  readonly peer: readonly string[]
  /** node:http alone. */
  readonly plain: readonly string[]
  /** The broker's entry chunk with its static imports. */
  readonly entryBytes: number
}

/** @param folder inside the project, so that the peer finds its packages: they are not bundled, as nobody does for express */
export async function buildPrograms(folder: string): Promise<Programs> {
  const file = (name: string) => path.join(folder, name)
  const source = (name: string) => path.join(import.meta.dirname, name)
  const [broker] = await Promise.all([
    build({ outdir: file('broker') }),
    build({ entry: source('bare-function/index.ts'), outdir: file('bare') }),
    bundleFunctionsHost(file('host.mjs')),
    esbuild.build({
      entryPoints: [source('peer.ts'), source('plain.ts'), source('usage.ts')],
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      packages: 'external',
      format: 'esm',
      platform: 'node',
      target: 'node22',
      logLevel: 'silent',
    }),
  ])
  const usage = ['--import', file('usage.mjs')]
  const hosted = (dist: string) => [...usage, file('host.mjs'), '--dist', file(dist), '--port', '0']
  return {
    broker: hosted('broker'),
    bare: hosted('bare'),
    peer: [...usage, file('peer.mjs')],
    plain: [...usage, file('plain.mjs')],
    entryBytes: broker.entryBytes,
  }
}
